//! Indicators that weigh moves by volume.

use std::ops::Range;

use super::common::{WINDOW, typical_price};
use super::flow::{AD, ADOSC, CMF, RVOL, anchored_total};
use super::momentum::share;
use super::session::{AVWAP, VWAP};
use super::windows::sums;
use super::{Indicator, Memory, Over, Source, window};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] = &[&OBV, &AD, &ADOSC, &CMF, &MFI, &RVOL, &VWAP, &AVWAP];

/// On-balance volume.
pub(super) static OBV: Indicator = Indicator {
    name: "obv",
    summary: "On-balance volume: a running total of volume, added when the close rises and subtracted when it falls; in \
              base units.",
    formula: "obv[i] = obv[i-1] + volume[i] * sign(close[i] - close[i-1]); at the first bar of the run obv = volume",
    source: "Granville; TA-Lib OBV started at the first bar of the run. The bars before it, which warm-ups see, are \
             counted back from that level, so the level does not depend on how much history there is.",
    numerics: "A running total in twice the precision (Ogita, Rump and Oishi 2005), rounded once a bar: no error grows with \
               the length of the run.",
    over: Over::Candle,
    params: &[],
    outputs: &["value"],
    lookback: |_| 0,
    memory: |_, _| Memory::Anchored,
    compute: obv,
};

fn obv(source: &Source<'_>, _: &[f64]) -> Vec<Vec<f64>> {
    let (close, volume) = (source.candles.close, source.candles.volume);
    let steps = |bars: Range<usize>, out: &mut [f64]| {
        let past = &close[bars.start - 1..bars.end - 1];
        let bars = close[bars.clone()].iter().zip(past).zip(&volume[bars]);
        for (out, ((now, past), volume)) in out.iter_mut().zip(bars) {
            // Which way a bar goes cannot be foreseen: factors of 0 or 1 cost less than a branch.
            *out = volume * (f64::from(now > past) - f64::from(now < past));
        }
    };
    vec![anchored_total(close.len(), source.anchor, |anchor| volume[anchor], steps)]
}

/// Money flow index.
pub(super) static MFI: Indicator = Indicator {
    name: "mfi",
    summary: "Money flow index, 0 to 100: the share of turnover on rising typical prices in the last `window` moves.",
    formula: "t = (high + low + close) / 3; flow = t * volume, positive if t rose, negative if it fell, else none; \
              mfi = 100 * positive / (positive + negative)",
    source: "Quong and Soudack; TA-Lib MFI. A window without flow gives 50 (TA-Lib: 0). Typical prices that differ by \
             rounding only are equal.",
    numerics: "Sums of the window's own values, in pairs, so that no rounding stays behind when a jump leaves it; divided once.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: mfi,
};

fn mfi(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    let typical = typical_price(&source.candles);
    let (len, volume) = (typical.len(), &source.candles.volume[..typical.len()]);
    let flows = |bars: Range<usize>, [positive, negative]: [&mut [f64]; 2]| {
        let past = &typical[bars.start - 1..bars.end - 1];
        let bars = typical[bars.clone()].iter().zip(past).zip(&volume[bars]);
        for ((positive, negative), ((now, past), volume)) in positive.iter_mut().zip(negative).zip(bars) {
            let (change, flow, least) = (now - past, now * volume, 1e-14 * now);
            *positive = if change > least { flow } else { 0.0 };
            *negative = if -change > least { flow } else { 0.0 };
        }
    };
    let append = |_: Range<usize>, [[positive, negative]]: [[&[f64]; 2]; 1], [column]: &mut [Vec<f64>; 1]| {
        column.extend(positive.iter().zip(negative).map(|(positive, negative)| share(*positive, *negative)));
    };
    sums(1..len, [window], flows, append).into()
}
