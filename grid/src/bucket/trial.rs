//! Whether what is written still arrives: a server may take the setting that objects are to be encrypted, and have no key.

use std::time::Duration;

use bytes::Bytes;

use super::{Asked, Bucket, Finding, Policy, State};
use crate::store::StoreError;

/// How long a trial tries again at most.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a setting is called here.
pub(super) const ENCRYPTION: &str = "encryption";

impl Bucket {
    /// Writes a small object and removes it.
    async fn try_writing(&self) -> Result<(), StoreError> {
        let folder = format!("probe/{}", uuid::Uuid::new_v4());
        self.trial.put(&format!("{folder}/written"), Bytes::from_static(b"a trial")).await?;
        // One that stays is no obstacle: rules of the bucket remove it.
        let _ = self.trial.delete_prefix(&folder).await;
        Ok(())
    }

    /// Tries a write under the settings that were just made, and changes what is found of the encryption where it fails. That
    /// is taken away again if it `is_new` and a write works without it.
    pub(super) async fn try_out(&self, is_new: bool, policy: &Policy, findings: &mut [Finding]) {
        let Some(finding) = findings.iter_mut().find(|finding| finding.what == ENCRYPTION) else { return };
        if finding.state != State::Ok {
            return;
        }
        let Err(error) = self.try_writing().await else { return };
        // A fault that passes is none of the encryption's.
        if self.try_writing().await.is_ok() {
            return;
        }
        let key = "give the server a key (SeaweedFS: `s3.sse.kek`)";
        let remove = format!("`aws s3api delete-bucket-encryption --bucket {}`", self.name);
        if !is_new {
            finding.state = State::Unknown;
            finding.says = format!(
                "{}, and nothing can be written: {error}. If the server has no key for that, {key}, or take the setting away ({remove}) and encrypt its disks",
                finding.says
            );
            return;
        }
        let taken = self.client.delete_bucket_encryption().bucket(&self.name).send().await;
        let taken = match self.asked(taken.map(|_| ())) {
            Asked::Set(()) | Asked::Unset => match self.try_writing().await {
                Ok(()) => Ok(()),
                // It was not that: whatever it is goes by without it.
                Err(error) => {
                    let again = match self.make(ENCRYPTION, policy).await {
                        Ok(()) => "is on again".to_owned(),
                        Err(error) => format!("is off, as it could not be set again ({error})"),
                    };
                    let then = format!(
                        "not the reason, as nothing can be written without it either ({error}), and {again}"
                    );
                    Err((State::Unknown, then))
                }
            },
            Asked::Unsupported => {
                Err((State::Unknown, format!("not taken away, which the server cannot do: try {remove}")))
            }
            Asked::Failed(error) => Err((
                State::Unknown,
                format!("not taken away again, which failed ({error}): {remove} does it"),
            )),
        };
        let (state, then) = taken.err().unwrap_or_else(|| {
            let says = format!(
                "taken away again, and without it writing works: {key} and run `blockgrid bucket setup` once more, or encrypt its disks"
            );
            (State::Missing, says)
        });
        finding.state = state;
        finding.says = format!("it was turned on, nothing could be written then ({error}), it was {then}");
    }
}
