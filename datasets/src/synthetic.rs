//! Candles from a seed: the same seed gives the same bits on every platform.
//!
//! The model walks in quarters of an hour. A Markov chain switches between a bull, a bear and a sideways market of some
//! weeks each; trends drift mildly against their noise, sideways markets are pulled back to where they began. The
//! volatility clusters (GARCH(1,1)) and follows the hour of the day. Each candle opens a little off the last close,
//! walks a dozen steps from its open to its close, which give high and low, and trades more the more it moves. Prices
//! and volumes are rounded to decimals. It looks like a market; it is none, and proves nothing about any.

mod rng;
mod walk;

use blockgrid_engine::candles::{CandleError, Candles, RawCandles};
use blockgrid_engine::interval::{DAY_MS, Interval};

use crate::DatasetError;
use crate::manifest::Generator;
use crate::write::{About, Series, encode_dataset};
use rng::Rng;
pub use walk::{Asset, Climate, WALK_VERSION, Walk};

/// Raised whenever the same seed gives other candles than before.
pub const VERSION: u32 = 1;

const STEP_MS: i64 = 900_000;

/// One synthetic market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Market {
    /// Its symbol.
    pub symbol: &'static str,
    /// Price at the start.
    pub price: f64,
    /// Decimals of its prices.
    pub decimals: u32,
    /// Volatility a year, as a fraction.
    pub volatility: f64,
    /// Usual base volume of a quarter of an hour.
    pub volume: f64,
    /// Decimals of its volumes.
    pub volume_decimals: u32,
    /// Mixed into the seed.
    pub stream: u64,
}

/// The markets of the sample.
pub const MARKETS: [Market; 3] = [
    Market {
        symbol: "SYN-A",
        price: 24_000.0,
        decimals: 2,
        volatility: 0.50,
        volume: 30.0,
        volume_decimals: 2,
        stream: 1,
    },
    Market {
        symbol: "SYN-B",
        price: 1_500.0,
        decimals: 2,
        volatility: 0.65,
        volume: 400.0,
        volume_decimals: 1,
        stream: 2,
    },
    Market {
        symbol: "SYN-C",
        price: 0.42,
        decimals: 6,
        volatility: 0.80,
        volume: 900_000.0,
        volume_decimals: 0,
        stream: 3,
    },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Regime {
    Bull,
    Bear,
    Sideways,
}

/// Quarters of an hour of a market from `from_ms` to `to_ms` (exclusive), both cut down to whole quarters.
///
/// # Errors
/// Never for markets with a positive price and sensible decimals; the check of the candles stays.
pub fn quarters(market: &Market, seed: u64, from_ms: i64, to_ms: i64) -> Result<Candles, CandleError> {
    const SUBSTEPS: usize = 12;
    // A year of 35,040 quarters; GARCH with a half-life of some days, its long-run variance is 1.
    const ALPHA: f64 = 0.06;
    const BETA: f64 = 0.93;
    let mut rng = Rng::new(seed ^ market.stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let base = market.volatility / libm::sqrt(35_040.0);
    let mut regime = Regime::Sideways;
    let mut left = 0_i64;
    let mut anchor = libm::log(market.price);
    let mut last = anchor;
    let mut variance = 1.0_f64;
    let mut raw = RawCandles::default();
    let interval = Interval::from_millis(STEP_MS).unwrap_or(Interval::DAY);
    let mut at = interval.open_of(from_ms);
    while at < interval.open_of(to_ms) {
        if left == 0 {
            regime = next_regime(regime, &mut rng);
            // 10 to 45 days.
            left = 960 + (rng.uniform() * 3360.0) as i64;
            anchor = last;
        }
        left -= 1;
        let hour = (at.rem_euclid(DAY_MS) / 3_600_000) as f64;
        let season = 1.0 + 0.3 * libm::sin((hour - 8.0) / 24.0 * 2.0 * std::f64::consts::PI);
        let sigma = base * libm::sqrt(variance) * season;
        let drift = match regime {
            // In units of the usual noise of a quarter: a month of 0.032 drifts some 1.7 standard deviations.
            Regime::Bull => 0.032 * base,
            Regime::Bear => -0.030 * base,
            Regime::Sideways => 0.006 * (anchor - last),
        };
        let open = last + 0.12 * sigma * rng.normal();
        let (mut level, mut high, mut low) = (open, open, open);
        let mut shock = 0.0;
        for _ in 0..SUBSTEPS {
            let step = rng.normal();
            shock += step;
            level += drift / SUBSTEPS as f64 + sigma * step / libm::sqrt(SUBSTEPS as f64);
            high = high.max(level);
            low = low.min(level);
        }
        let shock = shock / libm::sqrt(SUBSTEPS as f64);
        let activity = (0.4 + 0.6 * shock.abs()) * libm::sqrt(variance) * season;
        let volume = market.volume * activity * libm::exp(0.35 * rng.normal());
        let price = |level: f64| decimal(libm::exp(level), market.decimals).max(tick(market));
        raw.timestamp.push(at);
        raw.open.push(price(open));
        raw.high.push(price(high));
        raw.low.push(price(low));
        raw.close.push(price(level));
        raw.volume.push(decimal(volume, market.volume_decimals));
        variance = ((1.0 - ALPHA - BETA) + ALPHA * variance * shock * shock + BETA * variance).min(25.0);
        last = level;
        at += STEP_MS;
    }
    Candles::new(interval, raw)
}

fn next_regime(now: Regime, rng: &mut Rng) -> Regime {
    let u = rng.uniform();
    match now {
        Regime::Bull if u < 0.35 => Regime::Bear,
        Regime::Bear if u < 0.40 => Regime::Bull,
        Regime::Bull | Regime::Bear => Regime::Sideways,
        Regime::Sideways if u < 0.52 => Regime::Bull,
        Regime::Sideways => Regime::Bear,
    }
}

fn tick(market: &Market) -> f64 {
    1.0 / 10_u64.pow(market.decimals) as f64
}

/// The float nearest to a decimal: a whole number divided once by a power of ten.
fn decimal(value: f64, decimals: u32) -> f64 {
    let scale = 10_u64.pow(decimals) as f64;
    (value * scale).round() / scale
}

/// Whole higher candles of candles without gaps; what does not fill one is left out.
fn merge(candles: &Candles, interval: Interval, decimals: u32) -> Result<Candles, CandleError> {
    let per = usize::try_from(interval.millis() / candles.interval().millis()).unwrap_or(1);
    let at = candles.timestamp();
    let start = at.iter().position(|&t| interval.open_of(t) == t).unwrap_or(at.len());
    let mut raw = RawCandles::default();
    for first in (start..at.len()).step_by(per).filter(|first| first + per <= at.len()) {
        let range = first..first + per;
        raw.timestamp.push(at[first]);
        raw.open.push(candles.open()[first]);
        raw.high.push(candles.high()[range.clone()].iter().copied().fold(f64::MIN, f64::max));
        raw.low.push(candles.low()[range.clone()].iter().copied().fold(f64::MAX, f64::min));
        raw.close.push(candles.close()[first + per - 1]);
        raw.volume.push(decimal(candles.volume()[range].iter().sum(), decimals));
    }
    Candles::new(interval, raw)
}

/// The files of the sample data set, as [`encode_dataset`] gives them: hours of SYN-A, SYN-B and SYN-C from 2022 to
/// 2024, and quarters of an hour of SYN-A in the second half of 2024, of which the hours are made.
///
/// # Errors
/// None that has been seen; those of [`encode_dataset`].
pub fn sample_files() -> Result<Vec<(String, Vec<u8>)>, DatasetError> {
    // Chosen by hand: moving-average crossovers of the three mostly lose in 2023, and win and lose in 2024.
    const SEED: u64 = 16;
    // 2022-01-01, 2024-07-01 and 2025-01-01.
    const FROM: i64 = 1_640_995_200_000;
    const FINE_FROM: i64 = 1_719_792_000_000;
    const TO: i64 = 1_735_689_600_000;
    let broken = |e: CandleError| DatasetError::Unwritable { message: format!("the generator: {e}") };
    let hour = Interval::from_millis(3_600_000).unwrap_or(Interval::DAY);
    let mut all = Vec::new();
    for market in &MARKETS {
        let fine = quarters(market, SEED, FROM, TO).map_err(broken)?;
        all.push((market.symbol, merge(&fine, hour, market.volume_decimals).map_err(broken)?));
        if market.stream == 1 {
            let start = fine.timestamp().partition_point(|&t| t < FINE_FROM);
            all.push((market.symbol, fine.slice(start..fine.len())));
        }
    }
    let series: Vec<_> = all.iter().map(|(symbol, candles)| Series { symbol, candles }).collect();
    let about = About {
        name: "sample".to_owned(),
        source: "blockgrid, made from a seed: no market, no vendor".to_owned(),
        licence: "CC0-1.0".to_owned(),
        generator: Some(Generator { name: "blockgrid-synthetic".to_owned(), version: VERSION, seed: SEED }),
    };
    encode_dataset(&about, &series)
}

#[cfg(test)]
mod tests;
