//! The indicators of profile `vectorbt`: the arithmetic of vectorbt's numba code, operation by operation, so that its
//! signals are ours. They stand in for ours under the same names, parameters and outputs.
//!
//! Their sums run from the first bar on and depend on it; the profile has no pre-roll. A window that holds an unknown
//! value is unknown; an exponential average skips it. Divisions by zero give what floating point gives. Checked
//! against vectorbt 0.28.5 bit for bit.

use super::band::around;
use super::common::{WINDOW, bars, highest, lowest, positive, true_range, unknown};
use super::{CandleColumns, Indicator, Memory, Over, bars_to_forget, window};

const NUMBA: &str = "vectorbt 0.28.5, numba";
const AS_NUMBA: &str =
    "Running sums as numba's code makes them, error and all: the signals must be vectorbt's.";

/// `MA(ewm=False)`.
pub(super) static SMA: Indicator = Indicator {
    name: "sma",
    summary: "vectorbt's simple moving average.",
    formula: "sma[i] = (c[i] - c[i-window]) / window; c[i] = c[i-1] + x[i] from the first bar on",
    source: NUMBA,
    numerics: AS_NUMBA,
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| vec![rolling_mean(source.series.values, window(p[0]))],
};

/// `MA(ewm=True)`.
pub(super) static EMA: Indicator = Indicator {
    name: "ema",
    summary: "vectorbt's exponential moving average: seeded with the first value, shown from bar window - 1 on.",
    formula: "ema[i] = ((1 - a) * ema[i-1] + a * x[i]) / ((1 - a) + a), a = 2 / (window + 1)",
    source: NUMBA,
    numerics: AS_NUMBA,
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |p, _| Memory::Recursive(bars_to_forget(2.0 / (window(p[0]) as f64 + 1.0))),
    compute: |source, p| vec![ewm_mean(source.series.values, window(p[0]))],
};

/// `RSI(ewm=False)`.
pub(super) static RSI: Indicator = Indicator {
    name: "rsi",
    summary: "vectorbt's relative strength index: Cutler's, by simple averages of gains and losses.",
    formula: "rsi = 100 - 100 / (1 + sma(gains, window) / sma(losses, window)); unknown on a flat window",
    source: NUMBA,
    numerics: AS_NUMBA,
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let values = source.series.values;
        let (mut up, mut down) = (unknown(values.len()), unknown(values.len()));
        for i in 1..values.len() {
            let change = values[i] - values[i - 1];
            up[i] = if change < 0.0 { 0.0 } else { change };
            down[i] = if change > 0.0 { 0.0 } else { change.abs() };
        }
        let (up, down) = (rolling_mean(&up, window(p[0])), rolling_mean(&down, window(p[0])));
        vec![up.iter().zip(&down).map(|(up, down)| 100.0 - 100.0 / (1.0 + up / down)).collect()]
    },
};

/// `MACD(macd_ewm=False, signal_ewm=False)`.
pub(super) static MACD: Indicator = Indicator {
    name: "macd",
    summary: "vectorbt's MACD: of simple averages. Its line begins before its signal does.",
    formula: "macd = sma(x, fast) - sma(x, slow); signal = sma(macd, signal); histogram = macd - signal",
    source: NUMBA,
    numerics: AS_NUMBA,
    over: Over::Series,
    params: &[bars("fast", 12.0), bars("slow", 26.0), bars("signal", 9.0)],
    outputs: &["macd", "signal", "histogram"],
    lookback: |p| window(p[0]).max(window(p[1])) - 1 + window(p[2]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let minus = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let average = |size: f64| rolling_mean(source.series.values, window(size));
        let line = minus(&average(p[0]), &average(p[1]));
        let signal = rolling_mean(&line, window(p[2]));
        let histogram = minus(&line, &signal);
        vec![line, signal, histogram]
    },
};

/// `MSTD(ewm=False, ddof=0)`.
pub(super) static STDDEV: Indicator = Indicator {
    name: "stddev",
    summary: "vectorbt's standard deviation (ddof 0).",
    formula: "sqrt(|s2 - 2 * s * mean + window * mean^2| / window); s and s2 are differences of running sums",
    source: NUMBA,
    numerics: AS_NUMBA,
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| vec![rolling_std(source.series.values, window(p[0]))],
};

/// `BBANDS(ewm=False, ddof=0)`.
pub(super) static BBANDS: Indicator = Indicator {
    name: "bbands",
    summary: "vectorbt's Bollinger bands.",
    formula: "middle = sma(x, window); upper, lower = middle +- deviations * stddev(x, window)",
    source: NUMBA,
    numerics: AS_NUMBA,
    over: Over::Series,
    params: &[WINDOW, positive("deviations", 2.0)],
    outputs: &["middle", "upper", "lower"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let values = source.series.values;
        around(rolling_mean(values, window(p[0])), &rolling_std(values, window(p[0])), p[1])
    },
};

/// `STOCH(d_ewm=False)`.
pub(super) static STOCH: Indicator = Indicator {
    name: "stoch",
    summary: "vectorbt's stochastic oscillator: k is not smoothed unless slowing is given, and begins before d.",
    formula: "k = 100 * (close - lowest(low, k)) / (highest(high, k) - lowest(low, k)); d = sma(k, d); unknown on a range \
              of zero",
    source: NUMBA,
    numerics: AS_NUMBA,
    over: Over::Candle,
    params: &[bars("k", 14.0), bars("slowing", 1.0), bars("d", 3.0)],
    outputs: &["k", "d"],
    lookback: |p| window(p[0]) + window(p[1]) + window(p[2]) - 3,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let candles = &source.candles;
        let (top, bottom) = (highest(candles.high, window(p[0])), lowest(candles.low, window(p[0])));
        let raw: Vec<f64> = (candles.close.iter().zip(&top).zip(&bottom))
            .map(|((close, top), bottom)| 100.0 * (close - bottom) / (top - bottom))
            .collect();
        let k = if window(p[1]) == 1 { raw } else { rolling_mean(&raw, window(p[1])) };
        let d = rolling_mean(&k, window(p[2]));
        vec![k, d]
    },
};

/// `ATR.tr`.
pub(super) static TR: Indicator = Indicator {
    name: "tr",
    summary: "vectorbt's true range: that of the first bar is high - low.",
    formula: "max(high - low, |high - close[1]|, |low - close[1]|)",
    source: NUMBA,
    numerics: AS_NUMBA,
    over: Over::Candle,
    params: &[],
    outputs: &["value"],
    lookback: |_| 0,
    memory: |_, _| Memory::Finite,
    compute: |source, _| vec![range_from_start(&source.candles)],
};

/// `ATR(ewm=True)`.
pub(super) static ATR: Indicator = Indicator {
    name: "atr",
    summary: "vectorbt's average true range: an exponential average of weight 2 / (window + 1), not Wilder's.",
    formula: "atr = ema(tr, window), seeded with the first true range",
    source: NUMBA,
    numerics: AS_NUMBA,
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |p, _| Memory::Recursive(bars_to_forget(2.0 / (window(p[0]) as f64 + 1.0))),
    compute: |source, p| vec![ewm_mean(&range_from_start(&source.candles), window(p[0]))],
};

/// `OBV`.
pub(super) static OBV: Indicator = Indicator {
    name: "obv",
    summary: "vectorbt's on-balance volume: an equal close counts as a rise.",
    formula: "obv[i] = obv[i-1] - volume[i] if close[i] < close[i-1], else + volume[i]; obv[0] = volume[0]",
    source: NUMBA,
    numerics: AS_NUMBA,
    over: Over::Candle,
    params: &[],
    outputs: &["value"],
    lookback: |_| 0,
    memory: |_, _| Memory::Anchored,
    compute: |source, _| {
        let close = source.candles.close;
        let mut total = 0.0;
        let step = |(i, &volume): (usize, &f64)| {
            total += if i > 0 && close[i] < close[i - 1] { -volume } else { volume };
            total
        };
        vec![source.candles.volume.iter().enumerate().map(step).collect()]
    },
};

fn range_from_start(candles: &CandleColumns<'_>) -> Vec<f64> {
    let mut range = true_range(candles);
    if let (Some(first), Some(high), Some(low)) =
        (range.first_mut(), candles.high.first(), candles.low.first())
    {
        *first = high - low;
    }
    range
}

/// Running totals of the known values, their squares and their number, and what a window of them makes.
fn rolling(values: &[f64], window: usize, finish: impl Fn(f64, f64, f64) -> f64) -> Vec<f64> {
    let mut totals = Vec::with_capacity(values.len());
    let (mut sum, mut squares, mut unknowns) = (0.0, 0.0, 0_usize);
    let mut column = unknown(values.len());
    for (i, &value) in values.iter().enumerate() {
        if value.is_nan() {
            unknowns += 1;
        } else {
            sum += value;
            squares += value * value;
        }
        totals.push((sum, squares, unknowns));
        if i + 1 < window {
            continue;
        }
        // The first window is the running sum itself.
        let (sum, squares, unknowns) = if i < window {
            (sum, squares, unknowns)
        } else {
            let (sum_before, squares_before, unknowns_before) = totals[i - window];
            (sum - sum_before, squares - squares_before, unknowns - unknowns_before)
        };
        if unknowns == 0 {
            column[i] = finish(sum, squares, window as f64);
        }
    }
    column
}

/// `rolling_mean_1d_nb(a, window, minp=window)`.
fn rolling_mean(values: &[f64], window: usize) -> Vec<f64> {
    let mut sum = 0.0;
    let running = |value: &f64| {
        sum += value;
        sum
    };
    let totals: Vec<f64> = values.iter().map(running).collect();
    if totals.last().is_none_or(|last| last.is_nan()) || window > values.len() {
        // With unknown values, or none at all.
        return rolling(values, window, |sum, _, size| sum / size);
    }
    let size = window as f64;
    let mut column = Vec::with_capacity(values.len());
    column.resize(window - 1, f64::NAN);
    // The first window is the running sum itself.
    column.push(totals[window - 1] / size);
    column.extend(totals[window..].iter().zip(&totals).map(|(now, before)| (now - before) / size));
    column
}

/// `rolling_std_1d_nb(a, window, minp=window, ddof=0)`.
fn rolling_std(values: &[f64], window: usize) -> Vec<f64> {
    rolling(values, window, |sum, squares, size| {
        let mean = sum / size;
        ((squares - 2.0 * sum * mean + size * (mean * mean)).abs() / size).sqrt()
    })
}

/// `ewm_mean_1d_nb(a, span=window, minp=window, adjust=False)`.
fn ewm_mean(values: &[f64], window: usize) -> Vec<f64> {
    let center = (window as f64 - 1.0) / 2.0;
    let alpha = 1.0 / (1.0 + center);
    let factor = 1.0 - alpha;
    let mut column = unknown(values.len());
    let mut average = f64::NAN;
    let (mut weight, mut known) = (1.0, 0_usize);
    for (out, &value) in column.iter_mut().zip(values) {
        let is_known = !value.is_nan();
        known += usize::from(is_known);
        if average.is_nan() {
            average = value;
        } else {
            weight *= factor;
            if is_known {
                if average != value {
                    average = (weight * average + alpha * value) / (weight + alpha);
                }
                weight = 1.0;
            }
        }
        if known >= window {
            *out = average;
        }
    }
    column
}
