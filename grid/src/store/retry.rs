//! Trying again: longer and longer apart, never longer than a caller's patience.

use std::time::Duration;

use tokio::time::Instant;

use super::{Store, StoreError};

/// How often what came damaged is asked for anew: a bad wire heals, a bad object does not.
const DAMAGED: u32 = 3;

#[derive(Debug, Clone)]
pub(super) struct Retry {
    pub(super) patience: Duration,
    pub(super) request: Duration,
    pub(super) first: Duration,
    pub(super) longest: Duration,
    pub(super) seed: u64,
}

impl Retry {
    /// The pause after an attempt, counted from 0: doubling up to the longest, then shortened by up to a half, by seed
    /// and key, so that workers which failed together do not come back together.
    fn pause(&self, key: &str, attempt: u32) -> Duration {
        let whole = self.first.saturating_mul(1 << attempt.min(20)).min(self.longest);
        // FNV-1a over key and attempt, then the finisher of splitmix64: any good mixing would do.
        let bytes = key.bytes().chain(attempt.to_le_bytes());
        let mut x = bytes.fold(0xcbf2_9ce4_8422_2325 ^ self.seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        // The upper 32 bits as a fraction of one.
        let fraction = (x >> 32) as f64 / f64::from(u32::MAX);
        whole.mul_f64(1.0 - fraction / 2.0)
    }
}

/// The attempts at one operation.
pub(super) struct Tries<'a> {
    retry: &'a Retry,
    key: String,
    end: Instant,
    failed: u32,
    damaged: u32,
    /// What the first failure was: it says more than that time was up at the last.
    first: Option<String>,
}

impl<'a> Tries<'a> {
    pub(super) fn new(store: &'a Store, key: &str) -> Self {
        let retry = &store.inner.retry;
        Self {
            retry,
            key: store.name(key),
            end: Instant::now() + retry.patience,
            failed: 0,
            damaged: 0,
            first: None,
        }
    }

    /// Waits for one attempt, but not longer than a request or our patience may last.
    pub(super) async fn wait<T>(
        &self,
        attempt: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let most = self.retry.request.min(self.end.saturating_duration_since(Instant::now()));
        tokio::time::timeout(most, attempt).await.unwrap_or_else(|_| {
            let late = format!("no answer in {:.1} s", most.as_secs_f64());
            let problem = self.first.as_ref().map_or(late.clone(), |first| format!("{first}; then {late}"));
            Err(StoreError::Unavailable { key: self.key.clone(), problem })
        })
    }

    /// Pauses after a failure that another attempt may heal.
    ///
    /// # Errors
    /// The failure, when it is of another kind or when time is up.
    pub(super) async fn pause(&mut self, error: StoreError) -> Result<(), StoreError> {
        match &error {
            StoreError::Unavailable { problem, .. } if self.first.is_none() => {
                self.first = Some(problem.clone())
            }
            StoreError::Unavailable { .. } => {}
            StoreError::Corrupt { .. } => {
                self.damaged += 1;
                if self.damaged >= DAMAGED {
                    return Err(error);
                }
            }
            _ => return Err(error),
        }
        let pause = self.retry.pause(&self.key, self.failed);
        self.failed += 1;
        if Instant::now() + pause >= self.end {
            return Err(match error {
                StoreError::Unavailable { key, problem } => {
                    let (n, s) = (self.failed, self.retry.patience.as_secs_f64());
                    StoreError::Unavailable {
                        key,
                        problem: format!("{problem}; tried {n} times in {s:.1} s"),
                    }
                }
                other => other,
            });
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

impl Store {
    /// Attempts until one succeeds, one fails for good, or patience ends.
    pub(super) async fn retrying<T, F>(
        &self,
        key: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut tries = Tries::new(self, key);
        loop {
            match tries.wait(attempt()).await {
                Ok(done) => return Ok(done),
                Err(error) => tries.pause(error).await?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_depend_on_seed_and_key_alone() {
        let retry = |seed| Retry {
            patience: Duration::from_secs(60),
            request: Duration::from_secs(60),
            first: Duration::from_millis(100),
            longest: Duration::from_secs(5),
            seed,
        };
        let pauses: Vec<_> = (0..40).map(|n| retry(7).pause("a", n)).collect();
        for (n, pause) in pauses.iter().enumerate() {
            let whole = Duration::from_millis(100 << n.min(10)).min(Duration::from_secs(5));
            assert!(whole / 2 <= *pause && *pause <= whole, "{n}: {pause:?}");
        }
        assert_eq!(pauses[3], retry(7).pause("a", 3));
        assert_ne!(pauses[3], retry(8).pause("a", 3));
        assert_ne!(pauses[3], retry(7).pause("b", 3));
    }
}
