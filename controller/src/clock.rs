//! The time by which a job is counted: that of the API server, where ours is seconds away from it.
//!
//! Pods are made by its clock, and nodes keep it. A leader whose own is minutes ahead would charge those minutes for each pod,
//! and replicas that take turns would not agree when a month ends. No lease runs out by it: see [`crate::election`].

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Milliseconds that the API server is ahead. One process has one clock.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// Differences up to this are none: the API server tells whole seconds.
const CLOSE_MS: i64 = 2000;

/// Now.
pub fn now() -> Timestamp {
    Timestamp::now() + SignedDuration::from_millis(AHEAD.load(Ordering::Relaxed))
}

/// Takes note of a time that the API server has put down for what it was asked at one moment of our own clock, and had
/// answered at another.
pub fn heard(asked: Timestamp, theirs: Timestamp, answered: Timestamp) {
    let before = AHEAD.load(Ordering::Relaxed);
    let ahead = ahead(asked, theirs, answered, before);
    if ahead != before {
        AHEAD.store(ahead, Ordering::Relaxed);
        let seconds = ahead as f64 / 1000.0;
        tracing::warn!(seconds, "jobs are counted by the API server's clock, which is ahead of ours by that");
    }
}

/// Milliseconds that they are ahead, if `before` is no longer so.
fn ahead(asked: Timestamp, theirs: Timestamp, answered: Timestamp, before: i64) -> i64 {
    let theirs = theirs.as_second() * 1000;
    let (least, most) = (theirs - answered.as_millisecond(), theirs + 1000 - asked.as_millisecond());
    if least <= CLOSE_MS && most >= -CLOSE_MS {
        return 0;
    }
    if (least - CLOSE_MS..=most + CLOSE_MS).contains(&before) { before } else { (least + most) / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_nearly_right_is_believed_and_one_that_is_not_is_corrected() {
        let at = |milliseconds: i64| Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap();
        // They write 20 s; we asked and were answered so many milliseconds later, by ours.
        let of = |asked, answered, before| ahead(at(asked), at(20_000), at(answered), before);
        assert_eq!(of(20_300, 20_400, 0), 0);
        assert_eq!(of(18_500, 22_500, 0), 0, "a slow answer");
        assert_eq!(of(60_300, 60_400, 0), -39_850, "ours is fast");
        assert_eq!(of(61_300, 61_400, -39_850), -39_850, "it stays what it was");
        assert_eq!(of(10_000, 10_200, 0), 10_400, "ours is slow");
        assert_eq!(of(20_300, 20_400, -39_850), 0, "it was set right");
    }
}
