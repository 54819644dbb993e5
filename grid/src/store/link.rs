//! Objects by links that somebody else has signed: without keys, by plain GET.

use std::time::Duration;

use bytes::Bytes;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody};

use super::http::{Answer, Connector};
use super::{StoreError, sha256};

/// Times that a link is tried, and the pause before the second.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(250);

/// How long a file may take.
const LONGEST: Duration = Duration::from_secs(1800);

/// The header by which S3 tells the digest that an object was written with.
const DIGEST: &str = "x-amz-meta-sha256";

/// Fetches objects by their links.
#[derive(Debug)]
pub struct Links(HttpClient);

impl Links {
    /// A client for links to any server.
    ///
    /// # Errors
    /// [`StoreError::Other`] when there is no TLS.
    pub fn new() -> Result<Self, StoreError> {
        // Whoever signed a link has decided whether its server speaks TLS.
        let options = ClientOptions::new()
            .with_allow_http(true)
            .with_timeout(LONGEST)
            .with_connect_timeout(Duration::from_secs(10));
        let client = Connector::default().connect(&options);
        client.map(Self).map_err(|error| StoreError::of("links".to_owned(), &error))
    }

    /// What a link opens. Where the server tells a digest, the bytes are known to match it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the link has run out or was not signed for this server, and the kinds of
    /// [`super::Store::get`]. None of them repeats what makes the link open.
    pub async fn get(&self, url: &str) -> Result<Bytes, StoreError> {
        let mut failed = 0;
        loop {
            match self.try_get(url).await {
                Err(StoreError::Unavailable { .. } | StoreError::Corrupt { .. }) if failed + 1 < TRIES => {
                    tokio::time::sleep(PAUSE * 2_u32.pow(failed)).await;
                    failed += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_get(&self, url: &str) -> Result<Bytes, StoreError> {
        let key = without_signature(url);
        let other = |problem: String| StoreError::Other { key: key.clone(), problem };
        let request = ::http::Request::get(url)
            .body(HttpRequestBody::empty())
            .map_err(|error| other(format!("is no link: {error}")))?;
        let failure = |error: object_store::client::HttpError| {
            let source = Box::new(error);
            StoreError::of(key.clone(), &object_store::Error::Generic { store: "link", source })
        };
        let response = self.0.execute(request).await.map_err(failure)?;
        let status = response.status().as_u16();
        match status {
            200..300 => {}
            404 => return Err(StoreError::NotFound { key }),
            _ => {
                let answer = Answer { status, code: String::new(), message: String::new() };
                return Err(StoreError::answered(key, &answer));
            }
        }
        let digest = response.headers().get(DIGEST).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = response.into_body().bytes().await.map_err(failure)?;
        match digest {
            Some(digest) if digest != sha256(&bytes) => {
                let problem = format!("its SHA-256 should be {digest}");
                Err(StoreError::Corrupt { key, problem })
            }
            _ => Ok(bytes),
        }
    }
}

/// A link as it may be shown: without its query, which is the key to it.
fn without_signature(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}
