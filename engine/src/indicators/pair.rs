//! How two series move together.

use std::collections::VecDeque;

use super::common::{WINDOW, unknown};
use super::{Indicator, Memory, Over, Source, window};
use crate::exact::Double;

/// Correlation.
pub(super) static CORREL: Indicator = Indicator {
    name: "correl",
    summary: "Pearson's correlation of two series over the last `window` values, -1 to 1.",
    formula: "correl = sum((x - mean x) * (y - mean y)) / sqrt(sum((x - mean x)^2) * sum((y - mean y)^2))",
    source: "Pearson; TA-Lib CORREL. It compares levels: for returns write correl(roc(close, 1), roc(volume, 1), 30). When \
             a series is flat over the window it is 0, as there.",
    numerics: "Window sums of x, y, x^2, y^2 and xy in double-double; a series of equal values has exactly no variance.",
    over: Over::Pair,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let column = moments(source.series.values, source.other.values, window(p[0]), |spread| {
            if spread.x == 0.0 || spread.y == 0.0 {
                return 0.0;
            }
            // Two roots: the product of the spreads could leave the range of f64.
            (spread.xy / spread.x.sqrt() / spread.y.sqrt()).clamp(-1.0, 1.0)
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
    numerics: "Window sums of the returns and their products in double-double.",
    over: Over::Pair,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: beta,
};

fn beta(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let [x, y] = [source.series.values, source.other.values].map(returns);
    vec![moments(
        &x,
        &y,
        window(params[0]),
        |spread| if spread.x == 0.0 { 0.0 } else { spread.xy / spread.x },
    )]
}

/// Returns bar by bar; unknown at the first bar.
fn returns(values: &[f64]) -> Vec<f64> {
    let mut column = unknown(values.len());
    for (out, pair) in column.iter_mut().skip(1).zip(values.windows(2)) {
        // No change is no return, even of 0.
        *out = if pair[0] == pair[1] { 0.0 } else { (pair[1] - pair[0]) / pair[0] };
    }
    column
}

/// `n` times the sums of squared and mixed distances from the means, of a window of `n` values.
struct Spread {
    x: f64,
    y: f64,
    xy: f64,
}

/// Sums over the values so far.
#[derive(Clone, Copy, Default)]
struct Moments {
    x: Double,
    y: Double,
    xx: Double,
    yy: Double,
    xy: Double,
    /// How many of the values are not known.
    unknown: usize,
}

impl Moments {
    fn and(mut self, x: f64, y: f64) -> Self {
        if !x.is_finite() || !y.is_finite() {
            self.unknown += 1;
            return self;
        }
        self.x = self.x.plus(x);
        self.y = self.y.plus(y);
        self.xx = self.xx.add(Double::product(x, x));
        self.yy = self.yy.add(Double::product(y, y));
        self.xy = self.xy.add(Double::product(x, y));
        self
    }
}

/// `value` of each window of known values.
fn moments(x: &[f64], y: &[f64], window: usize, value: impl Fn(Spread) -> f64) -> Vec<f64> {
    let mut column = unknown(x.len());
    let size = window as f64;
    let mut so_far = Moments::default();
    // The sums before each bar of the window.
    let mut before = VecDeque::new();
    // How many values up to this bar are equal: rounding must not give a flat window a spread.
    let (mut flat_x, mut flat_y) = (0, 0);
    for i in 0..x.len() {
        before.push_back(so_far);
        if before.len() > window {
            before.pop_front();
        }
        so_far = so_far.and(x[i], y[i]);
        flat_x = if i > 0 && x[i] == x[i - 1] { flat_x + 1 } else { 1 };
        flat_y = if i > 0 && y[i] == y[i - 1] { flat_y + 1 } else { 1 };
        let start = match before.front() {
            Some(start) if before.len() == window && start.unknown == so_far.unknown => *start,
            _ => continue,
        };
        let (sum_x, sum_y) = (so_far.x.sub(start.x), so_far.y.sub(start.y));
        let spread = |squares: Double, sum: Double, flat: usize| {
            if flat >= window { 0.0 } else { squares.times(size).sub(sum.square()).value().max(0.0) }
        };
        column[i] = value(Spread {
            x: spread(so_far.xx.sub(start.xx), sum_x, flat_x),
            y: spread(so_far.yy.sub(start.yy), sum_y, flat_y),
            xy: so_far.xy.sub(start.xy).times(size).sub(sum_x.by(sum_y)).value(),
        });
    }
    column
}
