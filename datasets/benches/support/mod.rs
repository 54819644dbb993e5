//! Time that this program has worked, so that a busy machine changes little.

use std::time::Duration;

/// CPU time of all threads so far, in steps of 10 ms on Linux; elsewhere the time since the first call.
pub(crate) fn worked() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    let fallback = START.elapsed();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The fields after the name in brackets; the 14th and 15th of all are user and system time in 1/100 s.
    let ticks = stat.rsplit_once(')').and_then(|(_, rest)| {
        let mut fields = rest.split_whitespace().skip(11);
        let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
        Some(user + system)
    });
    ticks.map_or(fallback, |ticks| Duration::from_millis(ticks * 10))
}
