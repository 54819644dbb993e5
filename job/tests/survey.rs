//! What trials need together, and what a plan makes of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

use blockgrid_engine::Interval;
use blockgrid_job::{Job, Slices, SymbolWork, load};
use serde_json::json;

/// Twelve trials over pairs of averages, three of `fast` and four of `slow`.
fn pairs() -> Job {
    let manifest = json!({
        "apiVersion": "grid.blockbuilders.app/v1alpha1",
        "kind": "BacktestJob",
        "metadata": {"name": "survey"},
        "spec": {
            "data": {"dataset": "sample", "interval": "1h"},
            "strategy": {
                "parameters": {"fast": 5, "slow": 20},
                "define": {"fastMa": "sma(close, fast)", "slowMa": "sma(close, slow)"},
                "long": {"enter": "crosses_above(fastMa, slowMa)", "exit": "crosses_below(fastMa, slowMa) || barsInPosition() > 9"},
            },
            "sweep": {"parameters": {"fast": [5, 6, 7], "slow": [20, 30, 40, 50]}},
        },
    });
    load(&manifest.to_string(), &[], |_| false).unwrap_or_else(|invalid| panic!("{:?}", invalid.errors))
}

#[test]
fn only_columns_of_numbers_cost_beside_the_bars_of_a_trial() {
    let job = pairs();
    let survey = job.survey(Interval::from_millis(3_600_000).unwrap()).unwrap();
    // Seven averages serve all trials; two crossings a trial are bits, `close` is there, `barsInPosition()` has no column.
    assert_eq!((survey.numbers, survey.unshared_numbers), (7, 24));
    assert!(survey.columns > 7 + 24, "{survey:?}");
    let work = SymbolWork::new(&survey, job.grid().len(), 1000, 1050, Slices::all(5));
    assert_eq!((work.bars, work.loaded, work.columns, work.columns_a_trial), (1000, 1050, 7, 2));
    assert_eq!(work.trials.len(), 5);
}
