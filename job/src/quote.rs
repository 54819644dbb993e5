//! The quote: what a job will take, before it runs, from the plan that it would run by.

mod price;
mod schedule;
mod words;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{CostModel, Cut, Limits, SymbolWork, Traces, count, cuts};

pub use price::{Estimate, Price, dollars, dollars_exactly, dollars_left};
pub use words::{Compared, counted, duration, grouped};

/// Numbers of workers that a quote tells the finish for.
pub const WORKERS: [u32; 4] = [4, 16, 64, 256];

/// What a quote is made from, beside the job.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// What trials cost.
    pub model: CostModel,
    /// How they are cut.
    pub limits: Limits,
    /// What processors cost.
    pub price: Price,
    /// What a job takes beside its trials.
    pub around: Around,
    /// Threads of the machine that the quote is for.
    pub threads: usize,
    /// Best trials whose trades and equity are kept.
    pub top: usize,
}

impl Default for Terms {
    /// The constants as measured, on one thread.
    fn default() -> Self {
        Self {
            model: CostModel::default(),
            limits: Limits::default(),
            price: Price::default(),
            around: Around::default(),
            threads: 1,
            top: 0,
        }
    }
}

/// What a job takes beside its trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Around {
    /// Seconds until a worker that is not there yet claims a shard.
    pub start_seconds: f64,
    /// Seconds of waiting in the finish step: outcomes listed and read, the merged tables published.
    pub finish_seconds: f64,
    /// Nanoseconds of one core a trial in the finish step: read, ranked, written.
    pub finish_nanos_a_trial: f64,
    /// Nanoseconds of one core a bar of the best trials: simulated once more, drawn, written.
    pub finish_nanos_a_traced_bar: f64,
}

impl Default for Around {
    /// A start of 2 s and a wait of 0.5 s are assumptions; 4 us a trial is what `blockgrid run` takes to write the tables
    /// and the report of 357,568 trials (1.4 s, 2 cores of a Xeon at 3 GHz); 250 ns a bar is what the other 599 of
    /// 600 trials of 17,664 bars add to the best one (2.7 s).
    fn default() -> Self {
        Self {
            start_seconds: 2.0,
            finish_seconds: 0.5,
            finish_nanos_a_trial: 4_000.0,
            finish_nanos_a_traced_bar: 250.0,
        }
    }
}

impl Around {
    /// Microseconds of one core that finishing takes.
    pub fn finish_micros(&self, trials: u128, traces: &Traces) -> f64 {
        (trials as f64 * self.finish_nanos_a_trial + traces.bars as f64 * self.finish_nanos_a_traced_bar)
            / 1e3
    }
}

/// When a job is done on so many workers of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    /// Workers.
    pub workers: u32,
    /// Seconds from none of them running to results, at the middle of the quote.
    pub seconds: f64,
}

/// What a job will take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quote {
    /// Parameter sets.
    pub parameter_sets: u128,
    /// Symbols.
    pub symbols: usize,
    /// Bars traded, over all symbols.
    pub bars: u128,
    /// Trials to compute: all, but for those that a cache has.
    pub computed: u128,
    /// Bars evaluated: those of every trial that is computed.
    pub evaluations: u128,
    /// Shards of the plan.
    pub shards: u64,
    /// Microseconds of one vCPU, the columns that shards compute again and the finish step included.
    pub vcpu_micros: Estimate<u128>,
    /// The price of those, in micro-USD.
    pub micro_usd: Estimate<u64>,
    /// When it is done, at each number of [`WORKERS`].
    pub finish: [Finish; WORKERS.len()],
    /// Seconds expected on this machine, in one process, from candles in memory to metrics.
    pub seconds: f64,
}

impl Quote {
    /// The quote of `work`, one entry a symbol, of a grid of `parameter_sets`.
    pub fn new(parameter_sets: u128, work: &[SymbolWork], terms: &Terms) -> Self {
        let model = &terms.model;
        let cuts = cuts(work, model, &terms.limits);
        let trials = |work: &SymbolWork| u128::from(work.trials.len());
        let computed: u128 = work.iter().map(trials).sum();
        let traces =
            Traces::at_most(terms.top as u64, work.iter().map(|work| (work.trials.len(), work.bars)));
        let finish_micros = terms.around.finish_micros(computed, &traces).ceil();
        let mid = cuts.iter().fold(finish_micros as u128, |sum, cut| sum.saturating_add(cut.total_micros()));
        let share = |of: f64| (mid as f64 * of).ceil() as u128;
        let vcpu_micros = Estimate { low: share(model.low), mid, high: share(model.high) };
        let around = terms.around.start_seconds + terms.around.finish_seconds + finish_micros / 1e6;
        // One process computes the columns of a symbol once, however many shards it has.
        let nanos: f64 = work.iter().map(|work| model.of(work).nanos(work.trials.len())).sum();
        Self {
            parameter_sets,
            symbols: work.len(),
            bars: work.iter().map(|work| u128::from(work.bars)).sum(),
            computed,
            evaluations: work.iter().map(|work| trials(work) * u128::from(work.bars)).sum(),
            shards: count(&cuts),
            vcpu_micros,
            micro_usd: vcpu_micros.map(|micros| terms.price.micro_usd(micros)),
            finish: WORKERS.map(|workers| finish(&cuts, workers, around)),
            seconds: nanos / 1e9 / terms.threads.max(1) as f64,
        }
    }

    /// Trials: parameter sets times symbols.
    pub fn trials(&self) -> u128 {
        self.parameter_sets.saturating_mul(self.symbols as u128)
    }

    /// Seconds of one vCPU.
    pub fn vcpu_seconds(&self) -> Estimate<f64> {
        self.vcpu_micros.map(|micros| micros as f64 / 1e6)
    }

    /// The quote beside the seconds that it took.
    pub fn compared(&self, took: f64) -> Compared {
        Compared { quoted: self.seconds, took }
    }
}

fn finish(cuts: &[Cut], workers: u32, around: f64) -> Finish {
    Finish { workers, seconds: around + schedule::makespan_micros(cuts, workers) as f64 / 1e6 }
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} x {}), {}, about {}",
            counted(self.trials(), "trial"),
            counted(self.parameter_sets, "parameter set"),
            counted(self.symbols as u128, "symbol"),
            counted(self.evaluations, "bar evaluation"),
            duration(self.seconds)
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Slices, shards};

    fn work(bars: u64, trials: Slices) -> SymbolWork {
        SymbolWork { bars, loaded: bars, columns: 200, columns_a_trial: 9, walks: false, trials }
    }

    #[test]
    fn a_quote_reads_as_a_sentence() {
        let symbol = work(8_784, Slices::all(1_000_000_000_000));
        let terms = Terms { threads: 2, ..Terms::default() };
        let quote = Quote::new(1_000_000_000_000, &[symbol.clone(), symbol], &terms);
        assert_eq!(quote.evaluations, 17_568_000_000_000_000);
        let text = quote.to_string();
        assert!(
            text.starts_with("2,000,000,000,000 trials (1,000,000,000,000 parameter sets x 2 symbols)"),
            "{text}"
        );
        assert!(text.ends_with("3 years"), "{text}");
    }

    #[test]
    fn an_hour_of_a_processor_costs_its_price() {
        // 1000 bars of 1 ns, and nothing else, 3.6e9 times: an hour. The finish step takes 4 us a trial: four hours.
        let model =
            CostModel { nanos_a_trial: 0.0, orders_a_bar: 0.0, nanos_a_node: 0.0, ..CostModel::default() };
        let terms = Terms { model, ..Terms::default() };
        let quote = Quote::new(3_600_000_000, &[work(1000, Slices::all(3_600_000_000))], &terms);
        assert_eq!(quote.vcpu_micros.mid, 5 * 3_600_000_000);
        assert_eq!(quote.micro_usd, Estimate { low: 36_000, mid: 180_000, high: 450_000 });
        assert_eq!((quote.seconds, quote.shards), (3600.0, 36_000));
        // Shards of 0.1 s: 36,000 in 9,000 rounds of four, 563 of 64 and 141 of 256, with 2.5 s and the finish step around.
        let rounds = quote.finish.map(|finish| ((finish.seconds - 2.5 - 14_400.0) * 10.0).round());
        assert_eq!(rounds, [9_000.0, 2_250.0, 563.0, 141.0]);
    }

    #[test]
    fn the_best_trials_are_simulated_once_more() {
        let quote =
            |top| Quote::new(600, &[work(17_664, Slices::all(600))], &Terms { top, ..Terms::default() });
        let micros = [0, 1, 600, 1000].map(|top| quote(top).vcpu_micros.mid);
        assert_eq!(micros.map(|more| more - micros[0]), [0, 4_416, 2_649_600, 2_649_600]);
        assert!(quote(600).finish[0].seconds - quote(0).finish[0].seconds > 2.6);
    }

    #[test]
    fn what_a_cache_has_costs_nothing() {
        let terms = Terms::default();
        let all = Quote::new(1000, &[work(100_000, Slices::all(1000))], &terms);
        let some = work(100_000, Slices::all(1000).without(&Slices::all(900)));
        let rest = Quote::new(1000, &[some], &terms);
        assert_eq!((rest.trials(), rest.computed, rest.evaluations), (1000, 100, 10_000_000));
        assert!(rest.vcpu_micros.mid * 3 < all.vcpu_micros.mid, "{rest:?} {all:?}");
        let none = Quote::new(1000, &[work(100_000, Slices::default())], &terms);
        assert_eq!((none.shards, none.micro_usd.high, none.finish[0].seconds), (0, 0, 2.5));
    }

    proptest! {
        #[test]
        fn a_quote_is_the_sum_of_its_plan(
            symbols in proptest::collection::vec((1u64..1_000_000, 1u64..5000), 1..5),
            max_trials in 1u64..3000,
        ) {
            let terms = Terms { limits: Limits { max_trials, ..Limits::default() }, ..Terms::default() };
            let work: Vec<SymbolWork> =
                symbols.iter().map(|&(bars, trials)| work(bars, Slices::all(trials))).collect();
            let quote = Quote::new(5000, &work, &terms);
            let shards: Vec<_> = shards(&work, &terms.model, &terms.limits).collect();
            prop_assert_eq!(quote.shards, shards.len() as u64);
            let sum: u128 = shards.iter().map(|shard| u128::from(shard.cost_micros)).sum();
            prop_assert_eq!(quote.vcpu_micros.mid, sum + 4 * quote.computed);
            prop_assert!(quote.micro_usd.low <= quote.micro_usd.mid && quote.micro_usd.mid <= quote.micro_usd.high);
            // One thread that computes columns once is no slower than the plan.
            prop_assert!(quote.seconds <= sum as f64 / 1e6 + 1e-9);
            let fastest = shards.iter().map(|shard| shard.cost_micros).max().unwrap_or(0) as f64 / 1e6;
            prop_assert!(quote.finish.iter().all(|finish| finish.seconds >= 2.5 + fastest));
        }
    }
}
