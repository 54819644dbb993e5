//! Trial numbers as ranges: a sweep of a million trials is one pair of numbers, and what a cache has is left out of it.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Trial numbers in ascending order, as ranges that neither overlap nor touch. Serialised as flat pairs: `[0,10,15,20]`
/// are 0 to 9 and 15 to 19.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Slices(Vec<Range<u64>>);

/// Numbers that are no pairs of ascending starts and ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSlices {
    /// A start without an end.
    #[error(
        "trials: {0} numbers are no pairs: write the start and the end of each range, such as [0, 10, 15, 20]"
    )]
    Odd(usize),
    /// A number that is not above the one before it.
    #[error(
        "trials[{index}]: {number} is not above {before}, the number before it: ranges ascend, hold a trial at least, and are written as one where they touch"
    )]
    NotAscending {
        /// Its place.
        index: usize,
        /// The number.
        number: u64,
        /// The one before it.
        before: u64,
    },
}

impl Slices {
    /// Trials 0 to `trials` - 1.
    pub fn all(trials: u64) -> Self {
        std::iter::once(0..trials).collect()
    }

    /// How many trials.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.0
    }

    /// Every trial, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// Whether a trial is among them.
    pub fn contains(&self, trial: u64) -> bool {
        let after = self.0.partition_point(|range| range.end <= trial);
        self.0.get(after).is_some_and(|range| range.contains(&trial))
    }

    /// The first `count` trials, and the rest.
    pub fn split_at(&self, count: u64) -> (Self, Self) {
        let mut cursor = Cursor::default();
        let first = cursor.take(self, count);
        (first, cursor.take(self, u64::MAX))
    }

    /// These without those of `other`: what a cache does not have.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut others = other.0.iter().peekable();
        for range in &self.0 {
            let mut start = range.start;
            while start < range.end {
                match others.peek() {
                    Some(taken) if taken.end <= start => {
                        others.next();
                    }
                    Some(taken) if taken.start < range.end => {
                        left.push(start..taken.start.max(start));
                        start = taken.end;
                    }
                    _ => {
                        left.push(start..range.end);
                        start = range.end;
                    }
                }
            }
        }
        left.into_iter().collect()
    }
}

/// From any ranges in any order: sorted, and joined where they overlap or touch.
impl FromIterator<Range<u64>> for Slices {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut out: Vec<Range<u64>> = Vec::new();
        let mut sorted = true;
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            // Joined at once where they come in order, so that a million single trials are never a million ranges.
            match out.last_mut() {
                Some(last) if range.start == last.end => last.end = range.end,
                last => {
                    sorted &= last.is_none_or(|last| last.end < range.start);
                    out.push(range);
                }
            }
        }
        if !sorted {
            out.sort_by_key(|range| range.start);
            out.dedup_by(|next, kept| {
                let joined = next.start <= kept.end;
                if joined {
                    kept.end = kept.end.max(next.end);
                }
                joined
            });
        }
        Self(out)
    }
}

/// From trial numbers in any order; a number that comes twice is one trial.
impl FromIterator<u64> for Slices {
    fn from_iter<I: IntoIterator<Item = u64>>(trials: I) -> Self {
        trials.into_iter().map(|trial| trial..trial.saturating_add(1)).collect()
    }
}

impl TryFrom<Vec<u64>> for Slices {
    type Error = BadSlices;

    fn try_from(flat: Vec<u64>) -> Result<Self, BadSlices> {
        if !flat.len().is_multiple_of(2) {
            return Err(BadSlices::Odd(flat.len()));
        }
        if let Some(i) = (1..flat.len()).find(|&i| flat[i] <= flat[i - 1]) {
            return Err(BadSlices::NotAscending { index: i, number: flat[i], before: flat[i - 1] });
        }
        Ok(Self(flat.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect()))
    }
}

impl From<Slices> for Vec<u64> {
    fn from(slices: Slices) -> Self {
        slices.0.into_iter().flat_map(|range| [range.start, range.end]).collect()
    }
}

impl fmt::Display for Slices {
    /// As people read it: `0..10, 15..20`, the ends not included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{}..{}", range.start, range.end)?;
        }
        Ok(())
    }
}

/// How far the trials of a symbol have been dealt out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    range: usize,
    taken: u64,
}

impl Cursor {
    /// The next `count` trials of `slices`, or as many as are left.
    pub(super) fn take(&mut self, slices: &Slices, count: u64) -> Slices {
        let mut out = Vec::new();
        let mut wanted = count;
        while wanted > 0
            && let Some(range) = slices.0.get(self.range)
        {
            let start = range.start + self.taken;
            let take = wanted.min(range.end - start);
            out.push(start..start + take);
            wanted -= take;
            self.taken += take;
            if start + take == range.end {
                *self = Self { range: self.range + 1, taken: 0 };
            }
        }
        Slices(out)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flat_pairs_are_read_back_and_others_refused_with_a_remedy() {
        let slices: Slices = [0..10, 15..20].into_iter().collect();
        let text = serde_json::to_string(&slices).unwrap();
        assert_eq!(text, "[0,10,15,20]");
        assert_eq!(serde_json::from_str::<Slices>(&text).unwrap(), slices);
        assert_eq!(slices.to_string(), "0..10, 15..20");
        let refused = |text: &str| serde_json::from_str::<Slices>(text).unwrap_err().to_string();
        assert!(refused("[0,10,15]").contains("trials: 3 numbers are no pairs"), "{}", refused("[0,10,15]"));
        for bad in ["[0,10,10,20]", "[5,5]", "[5,4]", "[0,10,5,20]"] {
            assert!(refused(bad).contains("ranges ascend"), "{bad}: {}", refused(bad));
        }
        assert_eq!(serde_json::from_str::<Slices>("[]").unwrap(), Slices::default());
    }

    #[test]
    fn none_of_none_is_none() {
        assert!(Slices::all(0).is_empty());
        assert_eq!(Slices::all(0), Slices::default());
        assert_eq!(Slices::all(3).without(&Slices::all(3)), Slices::default());
    }

    fn set() -> impl Strategy<Value = BTreeSet<u64>> {
        proptest::collection::btree_set(0u64..60, 0..50)
    }

    proptest! {
        #[test]
        fn slices_are_sets_of_numbers(
            a in set(),
            b in set(),
            split in 0u64..70,
            ranges in proptest::collection::vec((0u64..60, 0u64..9), 0..9),
        ) {
            let (x, y): (Slices, Slices) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert_eq!(x.len(), a.len() as u64);
            prop_assert!(x.iter().eq(a.iter().copied()));
            prop_assert!((0..70).all(|trial| x.contains(trial) == a.contains(&trial)));
            prop_assert!(x.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert!(x.without(&y).iter().eq(a.difference(&b).copied()));
            let (first, rest) = x.split_at(split);
            prop_assert_eq!(first.len(), split.min(x.len()));
            prop_assert!(first.iter().chain(rest.iter()).eq(a.iter().copied()));
            prop_assert_eq!(Slices::try_from(Vec::from(x.clone())), Ok(x));
            // Ranges in any order, that overlap or touch.
            let numbers: BTreeSet<u64> = ranges.iter().flat_map(|&(start, len)| start..start + len).collect();
            let joined: Slices = ranges.iter().map(|&(start, len)| start..start + len).collect();
            prop_assert!(joined.iter().eq(numbers.iter().copied()));
            prop_assert_eq!(Slices::try_from(Vec::from(joined.clone())), Ok(joined));
        }
    }
}
