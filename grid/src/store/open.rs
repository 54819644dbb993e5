//! From the text of a location to a store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientConfigKey, ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider};

use super::http::Connector;
use super::retry::Retry;
use super::{Inner, Meter, Store, StoreError};

/// How a store is reached and how patient its callers are.
///
/// What is `None` is taken from the usual environment (`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID` and
/// `AWS_SECRET_ACCESS_KEY`, or `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, ...).
#[derive(Debug, Clone)]
pub struct Options {
    /// URL of the S3 server where it is not AWS: `http://minio.storage:9000`.
    pub endpoint: Option<String>,
    /// Region of the bucket; `us-east-1` where neither this nor the environment says so.
    pub region: Option<String>,
    /// Keys to sign with.
    pub credentials: Option<Credentials>,
    /// Whether the bucket is the first segment of the path rather than a part of the host's name. Servers other than
    /// AWS mostly need it; AWS takes both.
    pub path_style: bool,
    /// Whether an endpoint may be `http://`; loopback always may.
    pub allow_http: bool,
    /// How long an operation may try in all, pauses included.
    pub patience: Duration,
    /// How long one request may take, its body included.
    pub request_timeout: Duration,
    /// The pause after the first failure; it doubles with each further one, up to `longest_pause`.
    pub first_pause: Duration,
    /// The longest pause between two attempts.
    pub longest_pause: Duration,
    /// Spreads the pauses of workers that failed together: give each worker another one.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            credentials: None,
            path_style: true,
            allow_http: false,
            patience: Duration::from_secs(120),
            request_timeout: Duration::from_secs(60),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
            seed: 0,
        }
    }
}

/// Keys of an S3 account. The secret is never printed.
#[derive(Clone)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: String,
    /// `AWS_SESSION_TOKEN` of temporary keys.
    pub token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// An S3 location, and how it is reached by what options and environment say.
#[derive(Debug)]
pub(crate) struct S3Access {
    pub(crate) bucket: String,
    pub(crate) prefix: Path,
    /// Of the server, without the bucket; None is AWS.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    pub(crate) s3: AmazonS3,
}

impl Store {
    /// Opens `s3://bucket/prefix`, `file:///dir`, a plain path of a folder (made if it is missing), or `memory:`, which
    /// is new and empty each time. No request is made: whether a bucket is there shows with the first use.
    ///
    /// # Errors
    /// [`StoreError::BadLocation`] when the text, the endpoint or the folder will not do.
    pub fn open(location: &str, options: &Options) -> Result<Self, StoreError> {
        if location == "memory:" {
            let objects = Arc::new(InMemory::new());
            return Ok(Self::new(location.to_owned(), options, |inner| {
                inner.parts = Some(objects.clone());
                inner.objects = objects;
                inner.metadata = true;
            }));
        }
        match location.split_once("://") {
            Some(("s3", _)) => Self::open_s3(location, options),
            Some(("file", path)) => {
                let problem = if path.contains('%') {
                    "escapes are not read here: give the plain path"
                } else if !path.starts_with('/') {
                    "a file URL has three slashes and an absolute path, like file:///data"
                } else {
                    return Self::open_folder(path, options);
                };
                Err(bad(location, problem))
            }
            Some(_) => {
                Err(bad(location, "only s3://bucket/prefix, file:///dir, a path and memory: are known"))
            }
            None if location.is_empty() => Err(bad(location, "give s3://bucket/prefix or a folder")),
            None if location.starts_with("s3:") => Err(bad(location, "one looks like s3://bucket/prefix")),
            None => Self::open_folder(location, options),
        }
    }

    fn open_folder(path: &str, options: &Options) -> Result<Self, StoreError> {
        std::fs::create_dir_all(path).map_err(|e| bad(path, format!("the folder cannot be made: {e}")))?;
        let objects = LocalFileSystem::new_with_prefix(path).map_err(|e| bad(path, e))?;
        let location = path.trim_end_matches('/').to_owned();
        Ok(Self::new(location, options, |inner| inner.objects = Arc::new(objects)))
    }

    fn open_s3(location: &str, options: &Options) -> Result<Self, StoreError> {
        let S3Access { prefix, s3, .. } = s3_access(location, options)?;
        let s3 = Arc::new(s3);
        Ok(Self::new(location.trim_end_matches('/').to_owned(), options, |inner| {
            inner.objects = s3.clone();
            inner.parts = Some(s3.clone());
            inner.signer = Some(s3);
            inner.metadata = true;
            inner.prefix = prefix;
        }))
    }

    fn new(location: String, options: &Options, fill: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner {
            objects: Arc::new(InMemory::new()),
            parts: None,
            signer: None,
            metadata: false,
            prefix: Path::ROOT,
            location,
            retry: Retry {
                patience: options.patience,
                request: options.request_timeout,
                first: options.first_pause,
                longest: options.longest_pause,
                seed: options.seed,
            },
        };
        fill(&mut inner);
        Self { inner: Arc::new(inner), meter: Meter::new() }
    }
}

fn bad(location: &str, problem: impl fmt::Display) -> StoreError {
    StoreError::BadLocation { location: location.to_owned(), problem: problem.to_string() }
}

/// What lies under `s3://bucket/prefix`, as object_store has it: for readers of what is not the grid's own, such as data
/// sets. Its client tries again by itself, for as long as `options` are patient.
///
/// # Errors
/// [`StoreError::BadLocation`].
pub fn s3_objects(location: &str, options: &Options) -> Result<(Arc<dyn ObjectStore>, Path), StoreError> {
    let retry = RetryConfig { retry_timeout: options.patience, ..RetryConfig::default() };
    let S3Access { prefix, s3, .. } = s3_access_of(AmazonS3Builder::from_env(), location, options, retry)?;
    Ok((Arc::new(s3), prefix))
}

/// Takes `s3://bucket/prefix` apart and makes its client, which tries everything once: retrying is ours.
pub(crate) fn s3_access(location: &str, options: &Options) -> Result<S3Access, StoreError> {
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    s3_access_of(AmazonS3Builder::from_env(), location, options, once)
}

/// [`s3_access`] in an environment.
fn s3_access_of(
    environment: AmazonS3Builder,
    location: &str,
    options: &Options,
    retry: RetryConfig,
) -> Result<S3Access, StoreError> {
    let (bucket, prefix) = s3_location(location)?;
    // The options of the client, which are set as a whole, replace this one.
    let http = environment.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    let http = options.allow_http || http.as_deref() == Some("true");
    let client = ClientOptions::new()
        .with_timeout(options.request_timeout)
        .with_connect_timeout(options.request_timeout.min(Duration::from_secs(5)));
    let mut builder = environment
        .with_client_options(client)
        .with_http_connector(Connector::default())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retry)
        .with_virtual_hosted_style_request(!options.path_style)
        .with_bucket_name(&bucket);
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    if let Some(Credentials { key_id, secret, token }) = options.credentials.clone() {
        // A provider goes before every key of the environment, so that the two are never mixed.
        let keys = AwsCredential { key_id, secret_key: secret, token };
        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(keys)));
    }
    let said = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
    let region = said(AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
    let given = options.endpoint.clone();
    let given = given.or_else(|| said(AmazonS3ConfigKey::S3Endpoint));
    let given = given.or_else(|| said(AmazonS3ConfigKey::Endpoint));
    let endpoint = given.map(|text| s3_endpoint(location, &text, http)).transpose()?;
    if let Some((scheme, host)) = &endpoint {
        // With the bucket in the host's name, object_store wants it to be there already.
        let bucket = if options.path_style { String::new() } else { format!("{bucket}.") };
        let endpoint = format!("{scheme}://{bucket}{host}");
        builder = builder.with_allow_http(scheme == "http");
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, &endpoint).with_endpoint(endpoint);
    }
    let s3 = builder.build().map_err(|e| bad(location, e))?;
    let endpoint = endpoint.map(|(scheme, host)| format!("{scheme}://{host}"));
    Ok(S3Access { bucket, prefix, endpoint, region, s3 })
}

/// Bucket and prefix of `s3://bucket/prefix`.
fn s3_location(location: &str) -> Result<(String, Path), StoreError> {
    let rest = location.strip_prefix("s3://");
    let rest = rest.ok_or_else(|| bad(location, "a bucket looks like s3://bucket/prefix"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.contains('@') {
        let problem = "keys do not belong into it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        return Err(bad("s3://...", problem));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(plain) {
        let problem =
            "after s3:// stands the name of a bucket: 3 to 63 lower-case letters, digits, `-` and `.`";
        return Err(bad(location, problem));
    }
    let prefix = Path::parse(prefix).map_err(|e| bad(location, format!("the prefix is none: {e}")))?;
    Ok((bucket.to_owned(), prefix))
}

/// Scheme and host of an endpoint.
fn s3_endpoint(location: &str, endpoint: &str, allow_http: bool) -> Result<(String, String), StoreError> {
    let (scheme, host) = endpoint.split_once("://").unwrap_or_default();
    let host = host.trim_end_matches('/');
    if host.contains('@') {
        return Err(bad(
            location,
            "its endpoint holds a key or password: give them by AWS_ACCESS_KEY_ID and so on",
        ));
    }
    if !matches!(scheme, "http" | "https") || host.is_empty() || host.contains(['/', '?']) {
        let problem = "is no URL of a server: one looks like https://s3.example.org:9000";
        return Err(bad(location, format!("its endpoint `{endpoint}` {problem}")));
    }
    if scheme == "http" && !allow_http && !is_loopback(host) {
        let problem = "is not encrypted: use https://, or allow it (AWS_ALLOW_HTTP=true)";
        return Err(bad(location, format!("its endpoint `{endpoint}` {problem}")));
    }
    Ok((scheme.to_owned(), host.to_owned()))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(location: &str, options: &Options) -> String {
        Store::open(location, options).unwrap_err().to_string()
    }

    #[test]
    fn locations_that_are_none_say_what_one_looks_like() {
        let options = Options::default();
        for (location, says) in [
            ("", "s3://bucket/prefix or a folder"),
            ("s3:bucket", "s3://bucket/prefix"),
            ("s3://", "name of a bucket"),
            ("s3://Bucket/x", "name of a bucket"),
            ("s3://bucket/a//b", "prefix is none"),
            ("s3://bucket/../b", "prefix is none"),
            ("gs://bucket", "only s3://bucket/prefix"),
            ("file://data", "three slashes"),
            ("file:///da%20ta", "plain path"),
        ] {
            let text = problem(location, &options);
            assert!(text.contains(says), "{location}: {text}");
        }
        let text = problem("s3://key:hunter2@bucket/x", &options);
        assert!(!text.contains("hunter2") && text.contains("AWS_ACCESS_KEY_ID"), "{text}");
    }

    #[test]
    fn plain_http_is_for_loopback_or_by_consent() {
        let with = |endpoint: &str, allow_http| Options {
            endpoint: Some(endpoint.to_owned()),
            allow_http,
            ..Options::default()
        };
        for endpoint in
            ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:9000/", "https://s3.x.org"]
        {
            assert!(Store::open("s3://bucket/x", &with(endpoint, false)).is_ok(), "{endpoint}");
        }
        let far = "http://minio.storage:9000";
        assert!(problem("s3://bucket", &with(far, false)).contains("AWS_ALLOW_HTTP"));
        assert!(Store::open("s3://bucket", &with(far, true)).is_ok());
        // AWS_ALLOW_HTTP=true, as the environment is read.
        let allows = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
        let environment = AmazonS3Builder::new().with_config(allows, "true");
        assert!(s3_access_of(environment, "s3://bucket", &with(far, false), RetryConfig::default()).is_ok());
        for endpoint in ["minio:9000", "ftp://x", "http://", "https://x/bucket"] {
            assert!(
                problem("s3://bucket", &with(endpoint, true)).contains("no URL of a server"),
                "{endpoint}"
            );
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let keys =
            Credentials { key_id: "AK".into(), secret: "hunter2".into(), token: Some("hunter3".into()) };
        let options = Options { credentials: Some(keys), ..Options::default() };
        let store = Store::open("s3://bucket/x", &options).unwrap();
        assert!(!format!("{options:?}").contains("hunter"));
        assert!(!format!("{store:?}").contains("hunter"));
    }
}
