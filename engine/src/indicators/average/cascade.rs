//! Averages made of exponential averages of exponential averages.

use super::super::common::{WINDOW, ema_alpha};
use super::super::smoothing::{PART, Pairwise, Smoother, column, restarting};
use super::super::{Domain, Indicator, Memory, Over, Param, Source, bars_to_forget, window};
use crate::exact::{is_finite, mean};

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
    vec![of_values(source.series.values, windows, value)]
}

/// `value` of the averages of each bar, from the first on at which all of them are there. It starts anew after a value
/// that is not finite.
pub(in crate::indicators) fn of_values<const N: usize>(
    values: &[f64],
    windows: [usize; N],
    value: impl Fn([f64; N]) -> f64,
) -> Vec<f64> {
    restarting(values, |values| {
        let first = Cascade::<N, 1>::lookback(&windows);
        let (lanes, _) = values.as_chunks();
        let mut column = column(values.len(), first);
        let Some(mut cascade) = Cascade::seeded(lanes, windows) else {
            return is_finite(values).then_some(column);
        };
        column.push(value(cascade.averages().map(|[average]| average)));
        for part in lanes[first + 1..].chunks(PART) {
            let averages = cascade.feed(part);
            let bars = 0..part.len();
            column.extend(bars.map(|k| value(std::array::from_fn(|nth| averages[nth][k][0]))));
        }
        cascade.is_finite().then_some(column)
    })
}

/// Exponential averages, each of the one before, of `L` series.
pub(in crate::indicators) struct Cascade<const N: usize, const L: usize> {
    averages: [Smoother<L>; N],
    /// The averages of a part.
    found: [[[f64; L]; PART]; N],
}

impl<const N: usize, const L: usize> Cascade<N, L> {
    /// Bars before the last of the averages has its first value.
    pub(in crate::indicators) fn lookback(windows: &[usize; N]) -> usize {
        windows.iter().map(|window| window - 1).sum()
    }

    /// The averages at the first bar where all of them are there, each seeded as `ema` is; `None` if there is no such
    /// bar.
    pub(in crate::indicators) fn seeded(values: &[[f64; L]], windows: [usize; N]) -> Option<Self> {
        let mut level = values.get(..=Self::lookback(&windows))?.to_vec();
        let averages = windows.map(|window| {
            let lane = |lane: usize| level[..window].iter().map(move |value| value[lane]);
            let seed = std::array::from_fn(|nth| mean(&lane(nth).collect::<Vec<_>>()));
            let mut average = Smoother::new(seed, [ema_alpha(window); L]);
            let mut next = vec![seed; level.len() + 1 - window];
            average.feed(&level[window..], &mut next[1..]);
            level = next;
            average
        });
        Some(Self { averages, found: [[[0.0; L]; PART]; N] })
    }

    /// The averages at the last bar.
    pub(in crate::indicators) fn averages(&self) -> [[f64; L]; N] {
        std::array::from_fn(|nth| self.averages[nth].average())
    }

    /// The averages after each of the next bars, of which there are up to [`PART`]; fewer only in the last call.
    pub(in crate::indicators) fn feed(&mut self, values: &[[f64; L]]) -> &[[[f64; L]; PART]; N] {
        let bars = values.len();
        if let Some(averages) = self.pairwise() {
            let averages = together(averages, values, &mut self.found);
            for (average, found) in self.averages.iter_mut().zip(averages) {
                average.resume(found.average);
            }
            return &self.found;
        }
        for (nth, average) in self.averages.iter_mut().enumerate() {
            match self.found[..=nth].split_last_mut() {
                Some((found, [.., before])) => average.feed(&before[..bars], &mut found[..bars]),
                Some((found, _)) => average.feed(values, &mut found[..bars]),
                None => {}
            }
        }
        &self.found
    }

    /// All averages for two bars at a time, unless one keeps nothing. Fewer than three would wait.
    fn pairwise(&self) -> Option<[Pairwise<L>; N]> {
        if N * L < 3 {
            return None;
        }
        let mut pairwise = [Pairwise::default(); N];
        for (pairwise, average) in pairwise.iter_mut().zip(&self.averages) {
            *pairwise = average.pairwise()?;
        }
        Some(pairwise)
    }

    /// Whether every value so far was finite.
    pub(in crate::indicators) fn is_finite(&self) -> bool {
        self.averages.iter().all(Smoother::is_finite)
    }
}

/// Two bars through all averages, then the next two: while one average waits for its last value another goes on.
#[inline(always)]
fn together<const N: usize, const L: usize>(
    mut averages: [Pairwise<L>; N],
    values: &[[f64; L]],
    found: &mut [[[f64; L]; PART]; N],
) -> [Pairwise<L>; N] {
    let (pairs, rest) = values.as_chunks::<2>();
    for (at, pair) in pairs.iter().take(PART / 2).enumerate() {
        let mut level = *pair;
        for nth in 0..N {
            level = averages[nth].two(level);
            found[nth][2 * at] = level[0];
            found[nth][2 * at + 1] = level[1];
        }
    }
    if let [value] = rest {
        let mut level = *value;
        for (average, found) in averages.iter_mut().zip(found) {
            level = average.one(level);
            found[values.len() - 1] = level;
        }
    }
    averages
}
