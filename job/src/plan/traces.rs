//! The traces: the best trials, simulated once more when the job is finished, for their trades and their equity.
//!
//! Which trials those are nobody knows before all have run, so that plans and quotes tell the most that it can be.

/// Bars that whoever finishes a job traces by itself: some seconds. More go through units of their own, so that they run
/// beside each other, and a worker that dies loses one of them.
pub const BARS_INLINE: u64 = 20_000_000;

/// Bars of a unit of traces, about: what its object holds is some 8 bytes each, and whoever makes or reads it has them in
/// memory.
pub const BARS_A_TRACE: u64 = 2_000_000;

/// Traces of a job, at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traces {
    /// Trials that are traced.
    pub trials: u64,
    /// Their bars.
    pub bars: u64,
    /// Units of work that they are cut to; none where they are few.
    pub units: u64,
}

impl Traces {
    /// The most that the `top` best trials come to, where each symbol has so many trials of so many bars.
    pub fn at_most(top: u64, symbols: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut symbols: Vec<(u64, u64)> = symbols.into_iter().filter(|&(trials, _)| trials > 0).collect();
        // The longest might be the best.
        symbols.sort_unstable_by_key(|&(_, bars)| std::cmp::Reverse(bars));
        let longest = symbols.first().map_or(0, |&(_, bars)| bars);
        let (mut trials, mut bars) = (0, 0u64);
        for (of, each) in symbols {
            let more = of.min(top - trials);
            trials += more;
            bars = bars.saturating_add(each.saturating_mul(more));
        }
        // Each unit but the last has as many as fit even of the longest ones.
        let units =
            if bars > BARS_INLINE { trials.div_ceil((BARS_A_TRACE / longest.max(1)).max(1)) } else { 0 };
        Self { trials, bars, units }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_symbols_are_the_most_that_it_can_be() {
        assert_eq!(
            Traces::at_most(20, [(5, 100), (30, 1000)]),
            Traces { trials: 20, bars: 20_000, units: 0 }
        );
        assert_eq!(Traces::at_most(20, [(5, 100), (7, 1000)]), Traces { trials: 12, bars: 7_500, units: 0 });
        assert_eq!(Traces::at_most(0, [(5, 100)]), Traces::default());
        assert_eq!(Traces::at_most(5, []), Traces::default());
    }

    #[test]
    fn many_bars_are_cut_to_units() {
        // A year of minutes: three fit a unit.
        assert_eq!(Traces::at_most(38, [(100, 525_600)]).units, 0);
        assert_eq!(Traces::at_most(39, [(100, 525_600)]).units, 13);
        assert_eq!(Traces::at_most(1000, [(1_000_000, 525_600)]).units, 334);
        // Ten years of them: one each.
        assert_eq!(Traces::at_most(20, [(100, 5_256_000)]).units, 20);
    }
}
