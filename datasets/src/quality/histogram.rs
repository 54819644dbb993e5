//! Counts of sizes in fixed bins: a median and a tail of any number of values in bounded memory, the same for any order
//! and cut of the input.

/// Bits of the mantissa that tell bins apart: 64 bins between a size and its double, so 1.6% at most.
const MANTISSA: u32 = 6;
const SHIFT: u32 = 52 - MANTISSA;
/// 2^-40 (below any tick) to 2^64; what lies outside counts in the first and the last bin.
const FIRST: u64 = ((1023 - 40) << MANTISSA) as u64;
const BINS: usize = (40 + 64) << MANTISSA;

/// Sizes at or above zero.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    /// When a size of a bin was first seen.
    first: Vec<i64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BINS], first: vec![0; BINS], total: 0 }
    }
}

fn bin(size: f64) -> usize {
    usize::try_from((size.to_bits() >> SHIFT).saturating_sub(FIRST)).unwrap_or(0).min(BINS - 1)
}

/// The smallest size of a bin; 0 for the first.
fn edge(bin: usize) -> f64 {
    if bin == 0 { 0.0 } else { f64::from_bits((FIRST + bin as u64) << SHIFT) }
}

impl Histogram {
    pub(super) fn add(&mut self, size: f64, at: i64) {
        let bin = bin(size);
        if self.counts[bin] == 0 {
            self.first[bin] = at;
        }
        self.counts[bin] += 1;
        self.total += 1;
    }

    /// How many sizes were counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The bins that hold something, smallest first: the size at the end of the bin, and how many there are.
    pub(super) fn bins(&self) -> impl Iterator<Item = (f64, u64)> {
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(bin, &count)| (if bin == 0 { 0.0 } else { edge(bin + 1) }, count))
    }

    /// Sizes at or above the first edge that is not below `size`: that edge, how many, and when the first was seen.
    pub(super) fn tail(&self, size: f64) -> Tail {
        let start = bin(size);
        let start = if edge(start) < size { start + 1 } else { start };
        let bins = start.min(BINS)..BINS;
        let held = bins.clone().filter(|&bin| self.counts[bin] > 0);
        Tail {
            edge: edge(start),
            count: self.counts[bins].iter().sum(),
            first: held.map(|bin| self.first[bin]).min(),
        }
    }
}

/// The large sizes of a histogram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    pub(super) edge: f64,
    pub(super) count: u64,
    pub(super) first: Option<i64>,
}

/// The median of (value, count) pairs in ascending order of value.
pub(super) fn median(pairs: impl Iterator<Item = (f64, u64)>, total: u64) -> f64 {
    let mut seen = 0;
    for (value, count) in pairs {
        seen += count;
        if seen >= total.div_ceil(2) {
            return value;
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_follow_each_other_without_a_hole() {
        for size in [1e-9, 0.001, 0.25, 1.0, 3.7, 1e9] {
            let bin = bin(size);
            assert!(edge(bin) <= size && size < edge(bin + 1), "{size}");
            assert!(edge(bin + 1) / edge(bin) < 1.016);
        }
        for (size, expected) in [(0.0, 0), (1e-300, 0), (f64::MAX, BINS - 1), (f64::INFINITY, BINS - 1)] {
            assert_eq!(bin(size), expected);
        }
    }

    #[test]
    fn a_tail_counts_from_an_edge_on() {
        let mut histogram = Histogram::default();
        [(0.5, 3), (2.0, 1), (4.0, 2)].into_iter().for_each(|(size, at)| histogram.add(size, at));
        let tail = histogram.tail(1.0);
        assert_eq!((tail.edge, tail.count, tail.first), (1.0, 2, Some(1)));
        assert_eq!(histogram.tail(3.0).count, 1);
        assert_eq!(histogram.tail(f64::INFINITY).count, 0);
        assert_eq!(median(histogram.bins(), histogram.total()), edge(bin(2.0) + 1));
    }
}
