//! Money flow: volume weighed by where the candle closed in its range.

use std::ops::Range;

use super::common::{WINDOW, bars, ema_alpha};
use super::smoothing::{PART, column, parts};
use super::windows::sums;
use super::{CandleColumns, Indicator, Memory, Over, Source, bars_to_forget, window};
use crate::exact::{Sums, two_sum};

/// Accumulation/distribution line.
pub(super) static AD: Indicator = Indicator {
    name: "ad",
    summary: "Accumulation/distribution line: a running total of volume, weighed by where the candle closed in its range; in \
              base units.",
    formula: "flow = volume * ((close - low) - (high - close)) / (high - low), 0 when high = low; ad[i] = ad[i-1] + flow[i]; at \
              the first bar of the run ad = flow",
    source: "Chaikin; TA-Lib AD started at the first bar of the run. The bars before it, which warm-ups see, are counted back \
             from that level, so the level does not depend on how much history there is.",
    numerics: "A running total in twice the precision (Ogita, Rump and Oishi 2005), rounded once a bar: no error grows with \
               the length of the run.",
    over: Over::Candle,
    params: &[],
    outputs: &["value"],
    lookback: |_| 0,
    memory: |_, _| Memory::Anchored,
    compute: |source, _| {
        let candles = &source.candles;
        let steps = |bars: Range<usize>, out: &mut [f64]| {
            for (out, flow) in out.iter_mut().zip(flows(candles, bars)) {
                *out = flow;
            }
        };
        vec![anchored_total(candles.close.len(), source.anchor, |i| flow(candles, i), steps)]
    },
};

/// Accumulation/distribution oscillator.
pub(super) static ADOSC: Indicator = Indicator {
    name: "adosc",
    summary: "Accumulation/distribution oscillator (Chaikin): a fast less a slow exponential average of the \
              accumulation/distribution line, in base units.",
    formula: "adosc = average(ad, fast) - average(ad, slow); average[i] = average[i-1] + 2 / (n + 1) * (ad[i] - average[i-1]), \
              both begin with the first ad",
    source: "Chaikin; TA-Lib ADOSC, with its seeds. Its value does not depend on the level of the line.",
    numerics: "The distances of the line from its averages are carried, not the line: g += flow, g -= 2 / (n + 1) * g, four bars a step. So \
               nothing grows with the length of the data, and no large totals cancel.",
    over: Over::Candle,
    params: &[bars("fast", 3.0), bars("slow", 10.0)],
    outputs: &["value"],
    lookback: |p| window(p[0]).max(window(p[1])) - 1,
    memory: |p, _| Memory::Recursive(bars_to_forget(ema_alpha(window(p[0]).max(window(p[1]))))),
    compute: adosc,
};

fn adosc(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let candles = &source.candles;
    let len = candles.close.len();
    let first = window(params[0]).max(window(params[1])) - 1;
    let mut column = column(len, first);
    if len <= first {
        return vec![column];
    }
    // How far the line is above its fast and its slow average: nothing at the first bar, which seeds both.
    let mut above = Distances::new([params[0], params[1]].map(|size| ema_alpha(window(size))));
    for flow in flows(candles, 1..first + 1) {
        above.step(&[flow]);
    }
    column.push(above.apart());
    let (steps, mut found) = (first + 1..len, [0.0; PART]);
    let mut fresh = [0.0; PART];
    for part in parts(steps.len()) {
        let fresh = &mut fresh[..part.len()];
        let bars = steps.start + part.start..steps.start + part.end;
        for (fresh, flow) in fresh.iter_mut().zip(flows(candles, bars)) {
            *fresh = flow;
        }
        let (steps, rest) = fresh.as_chunks::<{ Distances::STEP }>();
        let (whole, last) = found[..part.len()].as_chunks_mut::<{ Distances::STEP }>();
        for (step, found) in steps.iter().zip(whole) {
            *found = above.step(step);
        }
        if !rest.is_empty() {
            // A bar's value does not depend on those after it.
            let mut step = [0.0; Distances::STEP];
            step[..rest.len()].copy_from_slice(rest);
            last.copy_from_slice(&above.step(&step)[..rest.len()]);
        }
        column.extend_from_slice(&found[..part.len()]);
    }
    vec![column]
}

/// How far a line is above a fast and a slow average of it.
struct Distances {
    above: [f64; 2],
    /// `(1 - alpha)^k` for the bars of a step.
    keep: [[f64; 2]; Distances::STEP],
}

impl Distances {
    /// Bars in a step, of which only one waits for the step before.
    const STEP: usize = 4;

    fn new(alpha: [f64; 2]) -> Self {
        let mut keep = [alpha.map(|alpha| 1.0 - alpha); Self::STEP];
        for k in 1..Self::STEP {
            keep[k] = std::array::from_fn(|lane| keep[0][lane] * keep[k - 1][lane]);
        }
        Self { above: [0.0; 2], keep }
    }

    /// `g = (1 - alpha) * (g + flow)` for some bars, written out: what flows after the first bar, and what is kept. Gives the
    /// slow distance less the fast one after each.
    #[inline(always)]
    fn step<const N: usize>(&mut self, flows: &[f64; N]) -> [f64; N] {
        let mut sums = [0.0; 2];
        let before = self.above;
        std::array::from_fn(|k| {
            for lane in 0..2 {
                sums[lane] = self.keep[0][lane] * (sums[lane] + flows[k]);
                self.above[lane] = self.keep[k][lane] * before[lane] + sums[lane];
            }
            self.apart()
        })
    }

    fn apart(&self) -> f64 {
        self.above[1] - self.above[0]
    }
}

/// Chaikin money flow.
pub(super) static CMF: Indicator = Indicator {
    name: "cmf",
    summary: "Chaikin money flow, -1 to 1: the volume of the last `window` bars, weighed by where the candles closed in their \
              ranges, over all their volume.",
    formula: "cmf = sum(flow, window) / sum(volume, window); flow as in ad",
    source: "Chaikin; TA-Lib 0.8 CMF, also for a window of 1. A window without volume gives 0, as there.",
    numerics: "Sums of the window's own values, in pairs, so that no rounding stays behind when a jump leaves it; divided once.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: cmf,
};

fn cmf(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let candles = &source.candles;
    let (len, window) = (candles.close.len(), window(params[0]));
    let append = |_: Range<usize>, [[flows, volumes]]: [[&[f64]; 2]; 1], [column]: &mut [Vec<f64>; 1]| {
        column.extend(flows.iter().zip(volumes).map(|(flow, volume)| {
            let share = flow / volume;
            if *volume == 0.0 { 0.0 } else { share }
        }));
    };
    let terms = |bars: Range<usize>, [flow, volume]: [&mut [f64]; 2]| {
        volume.copy_from_slice(&candles.volume[bars.clone()]);
        for (flow, found) in flow.iter_mut().zip(flows(candles, bars)) {
            *flow = found;
        }
    };
    sums(0..len, [window], terms, append).into()
}

/// Relative volume.
pub(super) static RVOL: Indicator = Indicator {
    name: "rvol",
    summary: "Relative volume: the volume over the mean volume of the `window` bars before; 1 is usual.",
    formula: "rvol[i] = volume[i] / sma(volume, window)[i-1]",
    source: "TA-Lib 0.8 RVOL. A bar without volume has 0, and one with volume after \
             bars without any is unknown.",
    numerics: "An exact window mean, divided once.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: rvol,
};

fn rvol(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let volume = source.candles.volume;
    let window = window(params[0]);
    let append = |means: &[f64], [column]: &mut [Vec<f64>; 1]| {
        if column.len() + 1 == window {
            column.push(f64::NAN);
        }
        // Each mean is for the bar after its window, the last for none.
        let after = volume.get(column.len()..).unwrap_or_default();
        column.extend(after.iter().zip(means).map(|(&volume, &mean)| {
            let share = volume / mean;
            let share = if mean > 0.0 { share } else { f64::NAN };
            if (mean == 0.0) & (volume == 0.0) { 0.0 } else { share }
        }));
    };
    let [mut column] = Sums::default().of(volume).of_means(window, append);
    column.truncate(volume.len());
    vec![column]
}

/// The money flow volume of a candle.
fn flow(candles: &CandleColumns<'_>, i: usize) -> f64 {
    flow_of(candles.high[i], candles.low[i], candles.close[i], candles.volume[i])
}

/// The money flow volumes of some candles.
fn flows(candles: &CandleColumns<'_>, bars: Range<usize>) -> impl Iterator<Item = f64> {
    let (high, low) = (&candles.high[bars.clone()], &candles.low[bars.clone()]);
    let (close, volume) = (&candles.close[bars.clone()], &candles.volume[bars]);
    let candles = high.iter().zip(low).zip(close.iter().zip(volume));
    candles.map(|((&high, &low), (&close, &volume))| flow_of(high, low, close, volume))
}

/// Written without a branch, so that it becomes vector code.
#[inline(always)]
fn flow_of(high: f64, low: f64, close: f64, volume: f64) -> f64 {
    let share = ((close - low) - (high - close)) / (high - low);
    (if high > low { share } else { 0.0 }) * volume
}

/// A running total that is `level(anchor)` at the anchor and changes by `step(i)` from the bar before to bar `i`; `steps`
/// writes those of some bars. The bars before the anchor are counted back.
pub(super) fn anchored_total(
    len: usize,
    anchor: usize,
    level: impl Fn(usize) -> f64,
    steps: impl Fn(Range<usize>, &mut [f64]),
) -> Vec<f64> {
    let Some(last) = len.checked_sub(1) else { return Vec::new() };
    let anchor = anchor.min(last);
    let mut column = column(len, anchor);
    let level = level(anchor);
    let mut total = Total::new(level);
    column.push(total.value());
    let (mut fresh, mut found) = ([0.0; PART], [0.0; PART]);
    for part in parts(last - anchor) {
        let (fresh, found) = (&mut fresh[..part.len()], &mut found[..part.len()]);
        steps(anchor + 1 + part.start..anchor + 1 + part.end, fresh);
        for (found, step) in found.iter_mut().zip(&*fresh) {
            total.add(*step);
            *found = total.value();
        }
        column.extend_from_slice(found);
    }
    let mut total = Total::new(level);
    for i in (0..anchor).rev() {
        let mut step = [0.0];
        steps(i + 1..i + 2, &mut step);
        total.add(-step[0]);
        column[i] = total.value();
    }
    column
}

/// A total and the sum of its rounding errors, which is that of twice the precision.
struct Total {
    sum: f64,
    error: f64,
}

impl Total {
    fn new(sum: f64) -> Self {
        Self { sum, error: 0.0 }
    }

    fn add(&mut self, value: f64) {
        let (sum, error) = two_sum(self.sum, value);
        self.sum = sum;
        self.error += error;
    }

    fn value(&self) -> f64 {
        self.sum + self.error
    }
}
