//! The time by which jobs are counted: the API server's, gone on with by a clock that nobody sets.
//!
//! Pods are made by the API server's clock, and nodes keep it. A leader whose own is minutes ahead, or is set by minutes while it
//! leads, would charge those minutes for each pod, and replicas that take turns would not agree when a month ends. No lease
//! runs out by it: see [`crate::election`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// A time, and when that was. One process has one clock.
static KNOWN: Mutex<Option<(Timestamp, Instant)>> = Mutex::new(None);

/// Differences up to this are none: the API server tells whole seconds.
const CLOSE_MS: i64 = 2000;

fn known() -> MutexGuard<'static, Option<(Timestamp, Instant)>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Now. Our own time until the API server's is known.
pub fn now() -> Timestamp {
    match *known() {
        Some((time, at)) => time + at.elapsed(),
        None => Timestamp::now(),
    }
}

/// Takes note of a time that the API server has put down for what it was asked `asked`, and has just answered.
pub fn heard(asked: Instant, theirs: Timestamp) {
    let (ours, answered) = (now(), Instant::now());
    let took = i64::try_from((answered - asked).as_millis()).unwrap_or(i64::MAX);
    let off = off(ours.as_millisecond().saturating_sub(took), theirs.as_second(), ours.as_millisecond());
    *known() = Some((ours + SignedDuration::from_millis(off), answered));
    if off != 0 {
        let seconds = off as f64 / 1000.0;
        tracing::warn!(seconds, "jobs are counted by the API server's clock, which is ahead of ours by that");
    }
}

/// Milliseconds that they are ahead who put down a second between two moments of ours.
fn off(asked: i64, theirs: i64, answered: i64) -> i64 {
    let theirs = theirs.saturating_mul(1000);
    let (least, most) = (theirs - answered, theirs + 1000 - asked);
    if least <= CLOSE_MS && most >= -CLOSE_MS { 0 } else { (least + most) / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_nearly_right_is_believed_and_one_that_is_not_is_corrected() {
        // They write 20 s; we asked and were answered so many milliseconds later, by ours.
        for (asked, answered, is) in [
            (20_300, 20_400, 0),
            (18_500, 22_500, 0), // a slow answer
            (60_300, 60_400, -39_850),
            (20_450, 20_550, 0), // the same, corrected
            (10_000, 10_200, 10_400),
        ] {
            assert_eq!(off(asked, 20, answered), is, "{asked} {answered}");
        }
    }
}
