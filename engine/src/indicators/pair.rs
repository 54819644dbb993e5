//! How two series move together.

use super::common::WINDOW;
use super::smoothing::column;
use super::windows::{copy, slopes, spreads};
use super::{Indicator, Memory, Over, Source, window};

/// Correlation.
pub(super) static CORREL: Indicator = Indicator {
    name: "correl",
    summary: "Pearson's correlation of two series over the last `window` values, -1 to 1.",
    formula: "correl = sum((x - mean x) * (y - mean y)) / sqrt(sum((x - mean x)^2) * sum((y - mean y)^2))",
    source: "Pearson; TA-Lib CORREL. It compares levels: for returns write correl(roc(close, 1), roc(volume, 1), 30). When \
             a series is flat over the window it is 0, as there.",
    numerics: "Means and spreads of halves of the window are merged (Chan, Golub and LeVeque 1979), so that nothing cancels; \
               a series of equal values has exactly no variance.",
    over: Over::Pair,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let [x, y] = [source.series.values, source.other.values];
        let value = |[_, _, xy, xx, yy]: [f64; 5]| {
            // Two roots: the product of the spreads could leave the range of f64. What is not finite makes the products
            // unknown.
            let share = xy / (xx.sqrt() * yy.sqrt());
            let share = if share > 1.0 { 1.0 } else { share };
            let share = if share < -1.0 { -1.0 } else { share };
            if (xx == 0.0) | (yy == 0.0) { xy } else { share }
        };
        let column = spreads(0..x.len(), window(p[0]), |bars, to| copy([x, y], bars, to), value);
        vec![column]
    },
};

/// Beta.
pub(super) static BETA: Indicator = Indicator {
    name: "beta",
    summary: "Beta: the slope of the second series' returns on those of the first, over the last `window` returns.",
    formula: "x, y = a[i] / a[i-1] - 1 of the first and the second series; beta = cov(x, y) / var(x). The market comes first, \
              the asset second",
    source: "TA-Lib BETA, in its order of the series. A first series without variance gives 0, as there; a return on 0 is \
             unknown (TA-Lib: 0).",
    numerics: "The returns as the series of correl.",
    over: Over::Pair,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: beta,
};

fn beta(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let [x, y] = [source.series.values, source.other.values].map(returns);
    // What is not finite makes the products unknown.
    let beta = |[_, _, xy, xx]: [f64; 4]| if xx == 0.0 { xy } else { xy / xx };
    vec![slopes(0..x.len(), window(params[0]), |bars, to| copy([&x, &y], bars, to), beta)]
}

/// Returns bar by bar; unknown at the first bar, and on 0.
fn returns(values: &[f64]) -> Vec<f64> {
    let mut returns = column(values.len(), 1);
    let change = |past: f64, now: f64| if past == 0.0 { f64::NAN } else { (now - past) / past };
    let pairs = values.iter().zip(values.get(1..).unwrap_or_default());
    // No change is no return, even of 0.
    returns.extend(pairs.map(|(&past, &now)| if past == now { 0.0 } else { change(past, now) }));
    returns
}
