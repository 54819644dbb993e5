//! What can go wrong with an object, sorted by what a caller does next.

use std::error::Error;

use object_store::client::{HttpError, HttpErrorKind};

use super::http::Answer;

/// Why an object could not be read or written. The key is given with its location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("{key}: there is no such object")]
    NotFound {
        /// The object.
        key: String,
    },
    /// The store did not answer, or asked for patience, until ours ran out. What was to be written may or may not be
    /// there: writing again is safe.
    #[error("{key}: the object store is not available ({problem}): try again later")]
    Unavailable {
        /// The object.
        key: String,
        /// The last failure and how often was tried.
        problem: String,
    },
    /// The store understood and will not: no permission, wrong credentials, no bucket, an operation it does not have.
    /// Asking again is no use.
    #[error("{key}: the object store refuses: {problem}")]
    Refused {
        /// The object.
        key: String,
        /// What it said, and the remedy.
        problem: String,
    },
    /// The object is not the one that was asked for by its `ETag`: somebody wrote it anew.
    #[error("{key}: the object has changed since it was first looked at: plan the job again")]
    Changed {
        /// The object.
        key: String,
    },
    /// What came is not what was written, several times over.
    #[error("{key}: the object is damaged: {problem}; remove it and have it made again")]
    Corrupt {
        /// The object.
        key: String,
        /// Length or digest, expected and found.
        problem: String,
    },
    /// A text that is no location of a store.
    #[error("`{location}` is no location of an object store: {problem}")]
    BadLocation {
        /// What was given, without what may be a secret.
        location: String,
        /// What is wrong, and how one looks.
        problem: String,
    },
    /// Anything else; the text is the store's.
    #[error("{key}: {problem}")]
    Other {
        /// The object.
        key: String,
        /// What it said.
        problem: String,
    },
}

const CREDENTIALS: &str =
    "check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of the service account)";

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the object is simply not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Sorts an error of `object_store` by the answer of the server that lies within, or by what broke on the way.
    pub(crate) fn of(key: String, error: &object_store::Error) -> Self {
        use object_store::Error as E;
        match error {
            E::NotFound { .. } => return Self::NotFound { key },
            E::Precondition { .. } | E::NotModified { .. } => return Self::Changed { key },
            // A 409 to a write without conditions: S3 asks to try again.
            E::AlreadyExists { .. } => {
                let problem = "another write to it is under way".to_owned();
                return Self::Unavailable { key, problem };
            }
            E::NotImplemented { .. } | E::NotSupported { .. } => {
                return Self::Other { key, problem: error.to_string() };
            }
            _ => {}
        }
        if let Some(answer) = find::<Answer>(error) {
            return Self::answered(key, answer);
        }
        let text = error.to_string();
        if let Some(http) = find::<HttpError>(error) {
            // Without credentials of any kind, object_store asks the cloud's address for instances; elsewhere nobody answers.
            if text.contains("169.254.169.254") {
                let problem = format!("there are no credentials: {CREDENTIALS}");
                return Self::Refused { key, problem };
            }
            let problem = match http.kind() {
                HttpErrorKind::Connect => "no connection",
                HttpErrorKind::Timeout => "no answer in time",
                _ => "the connection was cut",
            };
            return Self::Unavailable { key, problem: format!("{problem}: {}", innermost(http)) };
        }
        if let Some(io) = find::<std::io::Error>(error)
            && io.kind() == std::io::ErrorKind::PermissionDenied
        {
            let problem = format!("{io}: check who owns the folder");
            return Self::Refused { key, problem };
        }
        // An upload's completion may answer 200 and say so in the body only.
        if text.contains("SlowDown") || text.contains("InternalError") {
            return Self::Unavailable { key, problem: text };
        }
        Self::Other { key, problem: text }
    }

    /// Sorts an answer other than success.
    pub(crate) fn answered(key: String, answer: &Answer) -> Self {
        let said = answer.to_string();
        let refused = |remedy: &str| Self::Refused { key: key.clone(), problem: format!("{said}: {remedy}") };
        match (answer.status, answer.code.as_str()) {
            (_, "NoSuchBucket") => refused("make the bucket, or correct its name in the location"),
            (501, _) | (_, "NotImplemented") => refused(
                "this server cannot do what blockgrid needs (conditional writes, multipart uploads): use one that can",
            ),
            (_, "ExpiredToken" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken") => {
                refused(CREDENTIALS)
            }
            (_, "RequestTimeTooSkewed") => refused("set the clock of this machine"),
            (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") | (301 | 307, _) => {
                refused("the bucket is in another region: set AWS_REGION to it")
            }
            (401 | 403, _) => refused(
                "the credentials may not do this, or the object is not there and they may not list the bucket: check its policy",
            ),
            // Damaged or cut on its way to the server: the next attempt sends it whole.
            (400, "BadDigest" | "IncompleteBody" | "RequestTimeout" | "XAmzContentSHA256Mismatch") => {
                Self::Unavailable { key, problem: said }
            }
            (408 | 429 | 500.., _) | (_, "SlowDown") => Self::Unavailable { key, problem: said },
            _ => Self::Other { key, problem: said },
        }
    }
}

/// The first error of a type in the chain of causes.
fn find<E: Error + 'static>(error: &object_store::Error) -> Option<&E> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// What the last cause says: the wrappers above repeat it with words of their own.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
