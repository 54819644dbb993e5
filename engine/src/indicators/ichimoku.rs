//! Ichimoku: the middles of three ranges, and the cloud that they draw ahead.

use super::common::{bars, unknown};
use super::extremes::of_candles;
use super::{Indicator, Memory, Over, Source, window};

/// Ichimoku.
pub(super) static ICHIMOKU: Indicator = Indicator {
    name: "ichimoku",
    summary: "Ichimoku: the conversion and base lines, and the two spans of the cloud as the chart shows them at the bar, which \
              were known `displacement` bars ago; in price units.",
    formula: "middle(n) = (highest(high, n) + lowest(low, n)) / 2; conversion = middle(conversion); base = middle(base); \
              span_a[i] = (conversion + base)[i - displacement] / 2; span_b[i] = middle(span)[i - displacement]",
    source: "Hosoda; TA-Lib has none. All outputs begin with the last span. Charts that count the current bar as the first, such \
             as TradingView's, draw the cloud one bar nearer: displacement 25 gives theirs. There is no chikou (lagging span): \
             at a bar it is a close of the future.",
    numerics: "Values of the series; each middle is rounded once.",
    over: Over::Candle,
    params: &[bars("conversion", 9.0), bars("base", 26.0), bars("span", 52.0), bars("displacement", 26.0)],
    outputs: &["conversion", "base", "span_a", "span_b"],
    lookback,
    memory: |_, _| Memory::Finite,
    compute: ichimoku,
};

fn lookback(params: &[f64]) -> usize {
    window(params[0]).max(window(params[1])).max(window(params[2])) - 1 + window(params[3])
}

fn ichimoku(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let high = source.candles.high;
    let middle =
        |window: usize| of_candles(&source.candles, high, window, |top, bottom, _| (top + bottom) / 2.0);
    let lines = [0, 1, 2].map(|nth| middle(window(params[nth])));
    let displacement = window(params[3]);
    let mut columns = vec![unknown(high.len()); 4];
    for i in lookback(params)..high.len() {
        let past = i - displacement;
        columns[0][i] = lines[0][i];
        columns[1][i] = lines[1][i];
        columns[2][i] = (lines[0][past] + lines[1][past]) / 2.0;
        columns[3][i] = lines[2][past];
    }
    columns
}
