//! How the values of a window are spread, and where the newest stands among them.

use super::common::{WINDOW, by_run};
use super::extremes::newest_extremes;
use super::oscillator::total_deviation;
use super::rank::ranks;
use super::{Indicator, Memory, Over, Source, window};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] =
    &[&VAR, &AVGDEV, &ZSCORE, &PERCENT_RANK, &ARGMAX, &ARGMIN, &super::pair::CORREL, &super::pair::BETA];

/// Variance.
pub(super) static VAR: Indicator = Indicator {
    name: "var",
    summary: "Population variance (ddof 0) of the last `window` values, in squared units of the series.",
    formula: "var = sum((x - mean)^2) / window",
    source: "TA-Lib VAR; the sums are exact, so a flat window gives exactly 0.",
    numerics: "From exact sums of the values and their squares, so that nothing cancels; divided once.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| vec![source.series.sums.of(source.series.values).variances(window(p[0]))],
};

/// Average deviation.
pub(super) static AVGDEV: Indicator = Indicator {
    name: "avgdev",
    summary: "Average deviation: the mean distance of the last `window` values from their mean, in units of the series.",
    formula: "avgdev = mean(|x - sma(x, window)[i]| over the window)",
    source: "TA-Lib AVGDEV; also for a window of 1, where it is 0. The time grows with the window.",
    numerics: "An exact window mean; the distances are summed anew for each window, so nothing accumulates.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: avgdev,
};

fn avgdev(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    let values = source.series.values;
    let mut column = source.series.sums.of(values).means(window);
    for (mean, values) in column.iter_mut().skip(window - 1).zip(values.windows(window)) {
        *mean = total_deviation(values, *mean) / window as f64;
    }
    vec![column]
}

/// Standard score.
pub(super) static ZSCORE: Indicator = Indicator {
    name: "zscore",
    summary: "Standard score: how many standard deviations the value is away from the mean of the last `window` values.",
    formula: "zscore = (x - sma(x, window)) / stddev(x, window)",
    source: "The usual definition, with the population deviation (ddof 0); TA-Lib has none. A flat window gives 0.",
    numerics: "Exact window sums for the mean and the deviation, as sma and stddev.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: zscore,
};

fn zscore(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let values = source.series.values;
    let sums = source.series.sums.of(values);
    let append = |means: &[f64], deviations: &[f64], [column]: &mut [Vec<f64>; 1]| {
        let newest = &values[column.len()..];
        column.extend(newest.iter().zip(means).zip(deviations).map(|((value, mean), &deviation)| {
            if deviation == 0.0 { 0.0 } else { (value - mean) / deviation }
        }));
    };
    sums.means_and_deviations(window(params[0]), append).into()
}

/// Percent rank.
pub(super) static PERCENT_RANK: Indicator = Indicator {
    name: "percent_rank",
    summary: "Percent rank, 0 to 100: how many of the `window` values before this one are less than it, in percent.",
    formula: "percent_rank = 100 * count(x[k] < x[0], k = 1..window) / window",
    source: "TA-Lib 0.8 PERCENTRANK; also for a window of 1.",
    numerics: "A count, divided once. Short windows are counted directly, long ones in a tree of counts: the time grows with \
               the logarithm of the bars, not with the window.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let window = window(p[0]);
        vec![by_run(source.series.values, |run, out| {
            if run.len() > window {
                for (out, less) in out[window..].iter_mut().zip(ranks(run, window)) {
                    *out = f64::from(less) / window as f64 * 100.0;
                }
            }
        })]
    },
};

/// Bars since the highest value.
pub(super) static ARGMAX: Indicator = Indicator {
    name: "argmax",
    summary: "Bars since the highest of the last `window` values: 0 when the current one is the highest.",
    formula: "argmax[i] = the least k from 0 to window - 1 with x[i-k] = highest(x, window)[i]",
    source: "TA-Lib MAXINDEX gives the index in the array, which depends on where the data begins: i less that index. Of equal \
             values the newest counts (TA-Lib: now the newest, now the oldest).",
    numerics: "A count; found in a time that does not grow with the window.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        vec![bars_since(source.series.values, window(p[0]), f64::NEG_INFINITY, |old, new| old <= new)]
    },
};

/// Bars since the lowest value.
pub(super) static ARGMIN: Indicator = Indicator {
    name: "argmin",
    summary: "Bars since the lowest of the last `window` values: 0 when the current one is the lowest.",
    formula: "argmin[i] = the least k from 0 to window - 1 with x[i-k] = lowest(x, window)[i]",
    source: "TA-Lib MININDEX gives the index in the array, which depends on where the data begins: i less that index. Of equal \
             values the newest counts (TA-Lib: now the newest, now the oldest).",
    numerics: "A count; found in a time that does not grow with the window.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        vec![bars_since(source.series.values, window(p[0]), f64::INFINITY, |old, new| old >= new)]
    },
};

/// Bars since the best value of each window, of which none is as bad as `worst`; `gives_way(old, new)` where a newer value
/// takes the place of an older one.
fn bars_since(values: &[f64], window: usize, worst: f64, gives_way: impl Fn(f64, f64) -> bool) -> Vec<f64> {
    by_run(values, |run, out| {
        let mut full = out.iter_mut().skip(window - 1);
        newest_extremes(run, window, worst, &gives_way, |bars| {
            if let Some(out) = full.next() {
                *out = bars;
            }
        });
    })
}
