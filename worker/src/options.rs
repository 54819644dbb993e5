//! Options of programs that take part in the grid: where the store and the queue are, sizes and times as people write them.

use std::time::Duration;

use blockgrid_grid::store::Credentials;
use blockgrid_grid::{Options, Queue as _, QueueError, RedisQueue, Store, StoreError};
use clap::Args;

/// Where the grid is. Passwords may stand in it, so it cannot be printed.
#[derive(Clone, Args)]
pub struct GridArgs {
    /// The object store: s3://BUCKET/PREFIX, or a folder that all workers see.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_STORE")]
    pub store: String,
    /// The S3 server where it is not AWS, such as http://127.0.0.1:9000. Keys are those of AWS_ACCESS_KEY_ID and its like.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_S3_ENDPOINT")]
    pub s3_endpoint: Option<String>,
    /// The queue: redis://HOST:PORT or rediss://USER:PASSWORD@HOST:PORT (Redis 6.2 or later, Valkey).
    #[arg(long, value_name = "URL", env = "BLOCKGRID_REDIS", hide_env_values = true)]
    pub redis: String,
    /// Keys of the S3 server where they are not the environment's: id and secret.
    #[arg(skip)]
    pub keys: Option<(String, String)>,
}

impl GridArgs {
    /// Opens the store. `seed` spreads the pauses of programs that fail together.
    ///
    /// # Errors
    /// [`StoreError::BadLocation`].
    pub fn open_store(&self, seed: u64) -> Result<Store, StoreError> {
        let keys = self.keys.clone();
        let credentials = keys.map(|(key_id, secret)| Credentials { key_id, secret, token: None });
        let options = Options { endpoint: self.s3_endpoint.clone(), credentials, seed, ..Options::default() };
        Store::open(&self.store, &options)
    }

    /// Connects to the queue.
    ///
    /// # Errors
    /// [`QueueError`]: a server that is not there, too old, or that throws entries away.
    pub async fn open_queue(&self) -> Result<RedisQueue, QueueError> {
        let queue = RedisQueue::connect(&self.redis, None).await?;
        queue.is_held().await?;
        Ok(queue)
    }
}

/// Bytes as a person writes them: a whole number and K, M, G or T, by 1024.
///
/// # Errors
/// What is wrong, after the name of the option.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => Some(1),
        "K" | "KB" | "KIB" => Some(1 << 10),
        "M" | "MB" | "MIB" => Some(1 << 20),
        "G" | "GB" | "GIB" => Some(1 << 30),
        "T" | "TB" | "TIB" => Some(1_u64 << 40),
        _ => None,
    };
    let bytes = digits.parse::<u64>().ok().zip(factor).and_then(|(count, factor)| count.checked_mul(factor));
    bytes
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| format!("is `{text}`, but must be a number of bytes such as 512M or 4G"))
}

/// A time as a person writes it: a number and ms, s, m or h.
///
/// # Errors
/// What is wrong, after the name of the option.
pub fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let millis = match &text[digits.len()..] {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" | "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let time = digits.parse::<u64>().ok().zip(millis).and_then(|(count, millis)| count.checked_mul(millis));
    time.filter(|&millis| millis > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("is `{text}`, but must be a time such as 500ms, 90s or 5m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_as_written() {
        assert_eq!(bytes("512M"), Ok(512 << 20));
        assert_eq!(bytes("7"), Ok(7));
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "0", "-1", "1x", "G", "99999999999999999999", "20000000T"] {
            assert!(bytes(bad).is_err() && time(bad).is_err(), "{bad}");
        }
    }
}
