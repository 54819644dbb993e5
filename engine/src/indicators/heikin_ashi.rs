//! Heikin-Ashi candles, a source for other indicators: `rsi(heikin_ashi().close, 14)`.

use super::{Indicator, Memory, Over, Source, bars_to_forget};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] = &[&HEIKIN_ASHI, &super::pivot::PIVOT];

/// Heikin-Ashi candles.
pub(super) static HEIKIN_ASHI: Indicator = Indicator {
    name: "heikin_ashi",
    summary: "Heikin-Ashi candles: averaged candles that show a trend with less noise; in price units. Nobody trades at these \
              prices: they are for signals.",
    formula: "close = (O + H + L + C) / 4; open[i] = (open[i-1] + close[i-1]) / 2, the first is (O + C) / 2; high = max(H, open, \
              close); low = min(L, open, close)",
    source: "Valcu 2004; TA-Lib 0.8 HA and TradingView, with their seed.",
    numerics: "Each open halves what the one before owes to the seed.",
    over: Over::Candle,
    params: &[],
    outputs: &["close", "open", "high", "low"],
    lookback: |_| 0,
    memory: |_, _| Memory::Recursive(bars_to_forget(0.5)),
    compute: heikin_ashi,
};

fn heikin_ashi(source: &Source<'_>, _: &[f64]) -> Vec<Vec<f64>> {
    let candles = &source.candles;
    let len = candles.close.len();
    let [mut closes, mut opens, mut highs, mut lows] = [(); 4].map(|()| Vec::with_capacity(len));
    let mut previous = None;
    for i in 0..len {
        let (o, h, l, c) = (candles.open[i], candles.high[i], candles.low[i], candles.close[i]);
        // In pairs: four equal prices give exactly that price.
        let close = ((o + h) + (l + c)) / 4.0;
        let open = previous.map_or((o + c) / 2.0, |(open, close): (f64, f64)| (open + close) / 2.0);
        previous = Some((open, close));
        closes.push(close);
        opens.push(open);
        highs.push(h.max(open).max(close));
        lows.push(l.min(open).min(close));
    }
    vec![closes, opens, highs, lows]
}
