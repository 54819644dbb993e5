//! Answers of the server that are errors, kept as what they are.
//!
//! `object_store` keeps status and code of most refusals as text only, in a type that is not public. This client stands
//! below it and turns them into [`Answer`]s, which `StoreError` finds again in the chain of causes.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

/// An answer other than success.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{status}{}{code}{}{message}", if .code.is_empty() { "" } else { " " }, if .message.is_empty() { "" } else { ", " })]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `<Code>` of the body: `NoSuchBucket`, `SlowDown`, ...; empty where there is no body.
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Connects clients that keep refusals as [`Answer`]s.
#[derive(Debug, Default)]
pub(crate) struct Connector(ReqwestConnector);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Client(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct Client(HttpClient);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.execute(request).await?;
        let status = response.status().as_u16();
        // 304, 409 and 412 are what conditional requests are answered: object_store knows what they mean.
        if matches!(status, 200..300 | 304 | 409 | 412) {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = body.bytes().await?;
        let text = String::from_utf8_lossy(&body);
        let code = tag(&text, "Code");
        if status == 404 && code != "NoSuchBucket" {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        let message = tag(&text, "Message");
        // A kind that object_store does not try again by itself: retrying is ours.
        Err(HttpError::new(HttpErrorKind::Unknown, Answer { status, code, message }))
    }
}

/// The text of an element of a flat XML document; empty when there is none.
pub(crate) fn tag(xml: &str, name: &str) -> String {
    let inside = || xml.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>"));
    inside().map_or(String::new(), |(text, _)| text.trim().to_owned())
}
