//! How two series move together.

use super::common::WINDOW;
use super::smoothing::column;
use super::windows::{Spread, spreads};
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
        let column = moments(x, y, window(p[0]), |spread| {
            if spread.xx == 0.0 || spread.yy == 0.0 {
                return 0.0;
            }
            // Two roots: the product of the spreads could leave the range of f64.
            (spread.xy / (spread.xx.sqrt() * spread.yy.sqrt())).clamp(-1.0, 1.0)
        });
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
    let beta = |spread: &Spread| if spread.xx == 0.0 { 0.0 } else { spread.xy / spread.xx };
    vec![moments(&x, &y, window(params[0]), beta)]
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

/// `value` of each window of known values.
#[inline(always)]
fn moments(x: &[f64], y: &[f64], window: usize, value: impl Fn(&Spread) -> f64) -> Vec<f64> {
    spreads(
        0..x.len(),
        window,
        |i| [x[i], y[i]],
        |spread, _| {
            // What is not finite makes the products unknown, in a window of one bar the means.
            let known = (spread.mean_x + spread.mean_y + spread.xy).is_finite();
            if known { value(&spread) } else { f64::NAN }
        },
    )
}
