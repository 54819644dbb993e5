//! Averages made of exponential averages of exponential averages.

use super::super::common::{WINDOW, by_run, ema_alpha, smooth};
use super::super::{Domain, Indicator, Memory, Over, Param, Source, bars_to_forget, window};

/// Weight of the correction in T3 when none is given, as in TA-Lib.
pub(super) const T3_FACTOR: f64 = 0.7;

/// Double exponential moving average.
pub(super) static DEMA: Indicator = Indicator {
    name: "dema",
    summary: "Double exponential moving average: an ema, corrected by how far its own ema lags behind it.",
    formula: "e1 = ema(x, window); e2 = ema(e1, window); dema = 2 * e1 - e2",
    source: "Mulloy 1994; TA-Lib DEMA, with its seeds. After an unknown value it is unknown and seeds anew.",
    numerics: "The averages of ema in one pass, written as e1 + (e1 - e2), which keeps a flat series exactly flat.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| 2 * (window(p[0]) - 1),
    memory: |p, _| Memory::Recursive(2 * bars_to_forget(ema_alpha(window(p[0])))),
    compute: |source, p| of_series(source, [window(p[0]); 2], |[e1, e2]| e1 + (e1 - e2)),
};

/// Triple exponential moving average.
pub(super) static TEMA: Indicator = Indicator {
    name: "tema",
    summary: "Triple exponential moving average: an ema, corrected twice by how far its own emas lag behind it.",
    formula: "e1 = ema(x, window); e2 = ema(e1, window); e3 = ema(e2, window); tema = 3 * e1 - 3 * e2 + e3",
    source: "Mulloy 1994; TA-Lib TEMA, with its seeds. After an unknown value it is unknown and seeds anew.",
    numerics: "The averages of ema in one pass, written as e3 + 3 * (e1 - e2), which keeps a flat series exactly flat.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| 3 * (window(p[0]) - 1),
    memory: |p, _| Memory::Recursive(3 * bars_to_forget(ema_alpha(window(p[0])))),
    compute: |source, p| of_series(source, [window(p[0]); 3], |[e1, e2, e3]| e3 + 3.0 * (e1 - e2)),
};

/// Tillson's T3.
pub(super) static T3: Indicator = Indicator {
    name: "t3",
    summary: "Tillson's T3: a generalised dema applied three times; `factor` 0 is a triple ema, 1 three demas.",
    formula: "gd(x) = ema(x, window) + factor * (ema(x, window) - ema(ema(x, window), window)); t3 = gd(gd(gd(x)))",
    source: "Tillson 1998; TA-Lib T3, with its seeds. After an unknown value it is unknown and seeds anew.",
    numerics: "Six averages of ema in one pass, combined by their differences, which keeps a flat series exactly flat.",
    over: Over::Series,
    params: &[WINDOW, Param { name: "factor", domain: Domain::Between(0.0, 1.0), default: Some(T3_FACTOR) }],
    outputs: &["value"],
    lookback: |p| 6 * (window(p[0]) - 1),
    memory: |p, _| Memory::Recursive(6 * bars_to_forget(ema_alpha(window(p[0])))),
    compute: t3,
};

fn t3(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let factor = params[1];
    of_series(source, [window(params[0]); 6], |e| {
        // gd is ema * (1 + factor * (1 - ema)); its cube by the powers of (1 - ema), applied to the third average.
        let (d1, d2, d3) = (e[2] - e[3], e[3] - e[4], e[4] - e[5]);
        let (once, twice, thrice) = (d1, d1 - d2, (d1 - d2) - (d2 - d3));
        e[2] + factor * (3.0 * once + factor * (3.0 * twice + factor * thrice))
    })
}

fn of_series<const N: usize>(
    source: &Source<'_>,
    windows: [usize; N],
    value: impl Fn([f64; N]) -> f64,
) -> Vec<Vec<f64>> {
    vec![by_run(source.series.values, |run, out| fill(run, windows, out, &value))]
}

/// `value` of the averages of each bar of `run`, from the first on at which all of them are there; `out` is as long.
pub(in crate::indicators) fn fill<const N: usize>(
    run: &[f64],
    windows: [usize; N],
    out: &mut [f64],
    value: impl Fn([f64; N]) -> f64,
) {
    let Some(mut cascade) = Cascade::seeded(run, windows) else { return };
    let first = Cascade::lookback(&windows);
    out[first] = value(cascade.averages);
    for (out, &x) in out[first + 1..].iter_mut().zip(&run[first + 1..]) {
        *out = value(cascade.next(x));
    }
}

/// Exponential averages, each of the one before, in one pass: a bar's second average needs nothing but its first, so a
/// processor works on several of them at a time.
pub(in crate::indicators) struct Cascade<const N: usize> {
    alphas: [f64; N],
    /// The averages at the last bar.
    pub(in crate::indicators) averages: [f64; N],
}

impl<const N: usize> Cascade<N> {
    /// Bars before the last of the averages has its first value.
    pub(in crate::indicators) fn lookback(windows: &[usize; N]) -> usize {
        windows.iter().map(|window| window - 1).sum()
    }

    /// The averages at the first bar where all of them are there, each seeded as `ema` is; `None` if there is no such
    /// bar.
    pub(in crate::indicators) fn seeded(values: &[f64], windows: [usize; N]) -> Option<Self> {
        let mut level = values.get(..=Self::lookback(&windows))?.to_vec();
        let mut averages = [0.0; N];
        for (average, window) in averages.iter_mut().zip(windows) {
            let mut next = level.clone();
            smooth(&level, window, ema_alpha(window), &mut next);
            level = next.split_off(window - 1);
            *average = *level.last()?;
        }
        Some(Self { alphas: windows.map(ema_alpha), averages })
    }

    /// Adds the value of the next bar.
    pub(in crate::indicators) fn next(&mut self, value: f64) -> [f64; N] {
        let mut below = value;
        for (average, alpha) in self.averages.iter_mut().zip(self.alphas) {
            *average += alpha * (below - *average);
            below = *average;
        }
        self.averages
    }
}
