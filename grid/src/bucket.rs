//! The settings of a bucket that the grid relies on: looked at, made, and tried out.
//!
//! Nothing here is needed to run jobs. `check` changes nothing; `setup` makes what is missing and leaves foreign rules
//! alone; `probe` shows that of racing writers one wins, which no setting can promise.

use std::error::Error;
use std::fmt;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, LifecycleRule, PublicAccessBlockConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, VersioningConfiguration,
};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use bytes::Bytes;

use crate::store::{Answer, Options, S3Access, Store, StoreError, innermost, s3_access};

mod lifecycle;
mod trial;

use trial::ENCRYPTION;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Days after which parts of an upload that was never finished go.
    pub upload_days: u16,
    /// Days after which results in the cache go.
    pub cache_days: u16,
    /// Days after which plans, outcomes and results of jobs go.
    pub jobs_days: u16,
}

impl Default for Policy {
    fn default() -> Self {
        Self { upload_days: 2, cache_days: 30, jobs_days: 90 }
    }
}

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Ok,
    /// Not as it should be; `setup` can help unless the text says otherwise.
    Missing,
    /// The server has no such thing. The text says what to do instead.
    Unsupported,
    /// It could not be asked; the text says why.
    Unknown,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Ok => "ok",
            State::Missing => "missing",
            State::Unsupported => "unsupported",
            State::Unknown => "unknown",
        })
    }
}

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The thing: `versioning`, `conditional writes`, ...
    pub what: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found, and the remedy where there is need of one.
    pub says: String,
}

impl Finding {
    fn new(what: &'static str, state: State, says: impl Into<String>) -> Self {
        Self { what, state, says: says.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.what, self.state, self.says)
    }
}

/// A bucket on S3, with the prefix that a store has there.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    store: Store,
    /// The same, for who tries whether it can be written and does not wait long for it.
    trial: Store,
    name: String,
    /// The store's, with a slash at its end unless it is empty: how rules name it.
    prefix: String,
}

/// An answer of the server to a question about a setting.
enum Asked<T> {
    Set(T),
    Unset,
    Unsupported,
    Failed(StoreError),
}

impl Bucket {
    /// The bucket of `s3://bucket/prefix`, reached as [`Store::open`] would, with credentials as they are now.
    ///
    /// # Errors
    /// [`StoreError::BadLocation`] for any other location; [`StoreError::Refused`] when there are no credentials.
    pub async fn open(location: &str, options: &Options) -> Result<Self, StoreError> {
        let S3Access { bucket, prefix, endpoint, region, s3 } = s3_access(location, options)?;
        let keys = s3.credentials().get_credential().await;
        let keys = keys.map_err(|e| StoreError::of(location.to_owned(), &e))?;
        let keys = Credentials::new(&keys.key_id, &keys.secret_key, keys.token.clone(), None, "blockgrid");
        let http = aws_smithy_http_client::Builder::new();
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https())
            .region(Region::new(region))
            .timeout_config(TimeoutConfig::builder().operation_timeout(options.patience).build())
            .force_path_style(options.path_style)
            .credentials_provider(keys);
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        let prefix = if prefix.is_root() { String::new() } else { format!("{prefix}/") };
        let store = Store::open(location, options)?;
        let patience = options.patience.min(trial::PATIENCE);
        let trial = Store::open(location, &Options { patience, ..options.clone() })?;
        Ok(Self { client: Client::from_conf(config.build()), store, trial, name: bucket, prefix })
    }

    /// Looks at every setting and changes nothing.
    pub async fn check(&self, policy: &Policy) -> Vec<Finding> {
        let mut findings = vec![self.versioning().await];
        findings.extend(self.lifecycle(policy).await);
        findings.push(self.encryption().await);
        findings.push(self.public_access().await);
        findings
    }

    /// Makes what is missing, and tells how things stand then. Rules of others stay.
    ///
    /// A write is tried in the end: encryption that it turned on and that lets nothing be written is taken away again.
    ///
    /// What the server refuses to set shows as [`State::Unknown`] or stays [`State::Missing`], with its word.
    pub async fn setup(&self, policy: &Policy) -> Vec<Finding> {
        let mut refused = Vec::new();
        let mut rules_are_made = false;
        let mut encrypts_now = false;
        for Finding { what, state, .. } in self.check(policy).await {
            // All rules of a bucket are set at once.
            let is_rule = lifecycle::is_one(what);
            if state != State::Missing || (is_rule && rules_are_made) {
                continue;
            }
            rules_are_made |= is_rule;
            match self.make(what, policy).await {
                Ok(()) => encrypts_now |= what == ENCRYPTION,
                Err(error) => refused.push((what, error)),
            }
        }
        let mut findings = self.check(policy).await;
        for (what, error) in refused {
            for finding in findings.iter_mut().filter(|finding| finding.what == what) {
                finding.says = format!("{}; it could not be set: {error}", finding.says);
            }
        }
        self.try_out(encrypts_now, policy, &mut findings).await;
        findings
    }

    /// Lets so many writers race for one key, so many times: each time one must win, and what it wrote must stay. The
    /// keys are under `probe/` and are removed.
    ///
    /// # Errors
    /// [`StoreError`] when objects cannot be written, read or removed at all.
    pub async fn probe(&self, writers: usize, rounds: usize) -> Result<Finding, StoreError> {
        const WHAT: &str = "conditional writes";
        let folder = format!("probe/{}", uuid::Uuid::new_v4());
        let mut most = 1;
        let mut wrong = 0;
        for round in 0..rounds {
            let key = format!("{folder}/{round}");
            let race = (0..writers).map(|writer| {
                let (store, key) = (self.store.clone(), key.clone());
                tokio::spawn(async move { store.create(&key, Bytes::from(format!("writer {writer}"))).await })
            });
            let mut winners = Vec::new();
            for (writer, ended) in futures::future::join_all(race).await.into_iter().enumerate() {
                match ended.unwrap_or_else(|e| Err(self.failed(format!("a task of the probe died: {e}")))) {
                    Ok(created) if created.is_ours() => winners.push(format!("writer {writer}")),
                    Ok(_) => {}
                    Err(StoreError::Refused { problem, .. }) => {
                        return Ok(Finding::new(WHAT, State::Unsupported, problem));
                    }
                    Err(error) => return Err(error),
                }
            }
            let stays = self.store.get(&key).await?;
            if winners.len() != 1 || winners[0].as_bytes() != stays {
                wrong += 1;
                most = most.max(winners.len());
            }
        }
        self.store.delete_prefix(&folder).await?;
        Ok(if wrong == 0 {
            Finding::new(WHAT, State::Ok, format!("{rounds} races of {writers} writers had one winner each"))
        } else {
            let says = format!(
                "{wrong} of {rounds} races did not have one winner, up to {most} of {writers} won: this server would \
                 let two workers decide one outcome; use another one"
            );
            Finding::new(WHAT, State::Unsupported, says)
        })
    }

    async fn versioning(&self) -> Finding {
        let found = self.client.get_bucket_versioning().bucket(&self.name).send().await;
        let says = match self.asked(found) {
            Asked::Set(found) if found.status == Some(BucketVersioningStatus::Enabled) => {
                return Finding::new(
                    "versioning",
                    State::Ok,
                    "what is removed or written over can be had back",
                );
            }
            other => other,
        };
        self.finding(
            "versioning",
            says,
            "what is removed or written over is lost",
            "keep backups of the bucket",
        )
    }

    async fn encryption(&self) -> Finding {
        let found = self.client.get_bucket_encryption().bucket(&self.name).send().await;
        let found = match self.asked(found) {
            Asked::Set(found) => {
                let rules = found.server_side_encryption_configuration.map(|config| config.rules);
                let by_default =
                    rules.iter().flatten().find_map(|rule| rule.apply_server_side_encryption_by_default());
                if let Some(by_default) = by_default {
                    let says = format!("at rest by {}", by_default.sse_algorithm.as_str());
                    return Finding::new(ENCRYPTION, State::Ok, says);
                }
                Asked::Unset
            }
            other => other,
        };
        let remedy = "encrypt the disks of the server";
        self.finding(ENCRYPTION, found, "objects are not encrypted by default", remedy)
    }

    async fn public_access(&self) -> Finding {
        let found = self.client.get_public_access_block().bucket(&self.name).send().await;
        let found = match self.asked(found) {
            Asked::Set(found) => {
                let all = found.public_access_block_configuration.is_some_and(|c| {
                    [
                        c.block_public_acls,
                        c.block_public_policy,
                        c.ignore_public_acls,
                        c.restrict_public_buckets,
                    ] == [Some(true); 4]
                });
                if all {
                    return Finding::new("public access", State::Ok, "blocked");
                }
                Asked::Unset
            }
            other => other,
        };
        let remedy = "see that neither its policy nor its ACL names everyone";
        self.finding("public access", found, "a policy or an ACL could open the bucket to everyone", remedy)
    }

    /// A finding other than that all is well.
    fn finding<T>(&self, what: &'static str, asked: Asked<T>, missing: &str, instead: &str) -> Finding {
        match asked {
            Asked::Set(_) | Asked::Unset => {
                Finding::new(what, State::Missing, format!("{missing}: run `blockgrid bucket setup`"))
            }
            Asked::Unsupported => {
                Finding::new(what, State::Unsupported, format!("the server has no such setting: {instead}"))
            }
            Asked::Failed(error) => Finding::new(what, State::Unknown, error.to_string()),
        }
    }

    async fn make(&self, what: &'static str, policy: &Policy) -> Result<(), StoreError> {
        let made = match what {
            "versioning" => {
                let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
                let put = self.client.put_bucket_versioning().bucket(&self.name);
                self.asked(put.versioning_configuration(on).send().await.map(|_| ()))
            }
            ENCRYPTION => {
                let by = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256);
                let by = by.build().map_err(|e| self.failed(e.to_string()))?;
                let rule =
                    ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(by).build();
                let rules = ServerSideEncryptionConfiguration::builder().rules(rule).build();
                let rules = rules.map_err(|e| self.failed(e.to_string()))?;
                let put = self.client.put_bucket_encryption().bucket(&self.name);
                self.asked(put.server_side_encryption_configuration(rules).send().await.map(|_| ()))
            }
            "public access" => {
                let block = PublicAccessBlockConfiguration::builder()
                    .block_public_acls(true)
                    .block_public_policy(true)
                    .ignore_public_acls(true)
                    .restrict_public_buckets(true)
                    .build();
                let put = self.client.put_public_access_block().bucket(&self.name);
                self.asked(put.public_access_block_configuration(block).send().await.map(|_| ()))
            }
            _ => {
                let wanted = lifecycle::wanted(&self.prefix, policy);
                let wanted = wanted.map_err(|e| self.failed(e.to_string()))?;
                let mut rules = self.rules().await?;
                rules.retain(|rule| !wanted.iter().any(|ours| ours.id() == rule.id()));
                rules.extend(wanted);
                let rules = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
                let rules = rules.map_err(|e| self.failed(e.to_string()))?;
                let put = self.client.put_bucket_lifecycle_configuration().bucket(&self.name);
                self.asked(put.lifecycle_configuration(rules).send().await.map(|_| ()))
            }
        };
        match made {
            Asked::Set(()) => Ok(()),
            Asked::Unset | Asked::Unsupported => Err(self.failed("the server cannot set it".to_owned())),
            Asked::Failed(error) => Err(error),
        }
    }

    /// The lifecycle rules that are there.
    async fn rules(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        let found = self.client.get_bucket_lifecycle_configuration().bucket(&self.name).send().await;
        match self.asked(found) {
            Asked::Set(found) => Ok(found.rules.unwrap_or_default()),
            Asked::Unset => Ok(Vec::new()),
            Asked::Unsupported => Err(self.failed("the server has no lifecycle rules".to_owned())),
            Asked::Failed(error) => Err(error),
        }
    }

    async fn lifecycle(&self, policy: &Policy) -> Vec<Finding> {
        let found = self.client.get_bucket_lifecycle_configuration().bucket(&self.name).send().await;
        lifecycle::findings(self, self.asked(found), policy)
    }

    fn asked<T, E: ProvideErrorMetadata + Error + 'static>(
        &self,
        result: Result<T, SdkError<E, HttpResponse>>,
    ) -> Asked<T> {
        let error = match result {
            Ok(found) => return Asked::Set(found),
            Err(error) => error,
        };
        let Some(response) = error.raw_response() else {
            let problem = innermost(&error);
            return Asked::Failed(StoreError::Unavailable { key: self.store.location().to_owned(), problem });
        };
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Asked::Failed(self.failed(format!("its answer makes no sense: {}", innermost(&error))));
        }
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let answer = Answer { status, code: text(error.code()), message: text(error.message()) };
        match (status, answer.code.as_str()) {
            (_, "NoSuchBucket") => {}
            (404, _) => return Asked::Unset,
            (405 | 501, _) | (_, "NotImplemented" | "MethodNotAllowed") => return Asked::Unsupported,
            _ => {}
        }
        Asked::Failed(StoreError::answered(self.store.location().to_owned(), &answer))
    }

    fn failed(&self, problem: String) -> StoreError {
        StoreError::Other { key: self.store.location().to_owned(), problem }
    }
}
