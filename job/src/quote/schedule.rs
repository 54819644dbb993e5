//! When a plan is done on so many workers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::plan::{Cut, count};

/// Shards up to which they are dealt out one by one; more are told by a bound that is then less than a hundredth off.
const DEALT: u64 = 100_000;

/// Microseconds until `workers` workers of one slot have done all shards, each taking the next in the order of the plan as
/// soon as it is free.
pub(super) fn makespan_micros(cuts: &[Cut], workers: u32) -> u128 {
    if count(cuts) > DEALT {
        return bound_micros(cuts, workers);
    }
    let mut free: BinaryHeap<Reverse<u128>> = (0..workers.max(1)).map(|_| Reverse(0)).collect();
    let mut end = 0;
    for cost in cuts.iter().flat_map(Cut::costs_micros) {
        // There is at least one worker.
        let Some(Reverse(start)) = free.pop() else { break };
        end = end.max(start + u128::from(cost));
        free.push(Reverse(start + u128::from(cost)));
    }
    end
}

/// The most that it can take (R. L. Graham, 1966): the last shard starts while no worker is idle.
fn bound_micros(cuts: &[Cut], workers: u32) -> u128 {
    let workers = u128::from(workers.max(1));
    let total = cuts.iter().fold(0_u128, |sum, cut| sum.saturating_add(cut.total_micros()));
    let largest = cuts.iter().map(Cut::largest_micros).max().unwrap_or(0);
    total.saturating_add(u128::from(largest) * (workers - 1)).div_ceil(workers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{CostModel, Limits, Slices, SymbolWork, cuts};

    fn of(bars: u64, trials: u64) -> SymbolWork {
        SymbolWork {
            bars,
            loaded: bars,
            columns: 20,
            columns_a_trial: 5,
            walks: false,
            trials: Slices::all(trials),
        }
    }

    fn cut(work: &[SymbolWork], max_trials: u64) -> Vec<Cut> {
        cuts(work, &CostModel::default(), &Limits { max_trials, ..Limits::default() })
    }

    #[test]
    fn equal_shards_go_round_and_round() {
        // Ten shards of ten trials: one worker does all, four need three rounds, ten and more need one.
        let all = cut(&[of(1000, 100)], 10);
        let one = u128::from(all[0].largest_micros());
        let rounds = [(1, 10), (4, 3), (9, 2), (10, 1), (256, 1)];
        for (workers, rounds) in rounds {
            assert_eq!(makespan_micros(&all, workers), rounds * one, "{workers} workers");
        }
        assert_eq!(makespan_micros(&[], 4), 0);
    }

    #[test]
    fn what_is_too_much_to_deal_out_is_told_by_the_bound() {
        let all = cut(&[of(8_760, 2_000_000)], 10);
        assert!(count(&all) > DEALT);
        let fair = all[0].total_micros() / 256;
        let told = makespan_micros(&all, 256);
        assert!(told >= fair && told < fair + fair / 100, "{told} for {fair}");
    }

    proptest! {
        #[test]
        fn dealing_out_lies_between_the_fair_share_and_the_bound(
            symbols in proptest::collection::vec((1u64..100_000, 1u64..500), 1..5),
            max_trials in 1u64..100,
            workers in 1u32..50,
        ) {
            let work: Vec<SymbolWork> = symbols.iter().map(|&(bars, trials)| of(bars, trials)).collect();
            let all = cut(&work, max_trials);
            let total: u128 = all.iter().map(Cut::total_micros).sum();
            let dealt = makespan_micros(&all, workers);
            prop_assert!(dealt >= total.div_ceil(workers.into()));
            prop_assert!(dealt <= bound_micros(&all, workers));
            prop_assert!(makespan_micros(&all, workers + 1) <= total);
        }
    }
}
