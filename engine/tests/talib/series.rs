//! The candles of `scripts/talib/series.py`, to the bit.

use std::collections::BTreeMap;

use blockgrid_engine::Interval;
use blockgrid_engine::exact::Sums;
use blockgrid_engine::indicators::{CandleColumns, Indicator, Over, Series, Source};

/// Columns of candles, an hour each.
#[derive(Debug)]
pub struct Bars {
    pub timestamp: Vec<i64>,
    pub open: Vec<f64>,
    pub high: Vec<f64>,
    pub low: Vec<f64>,
    pub close: Vec<f64>,
    pub volume: Vec<f64>,
}

/// Knuth's MMIX generator; `below` takes the high bits.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound) as i64
    }

    fn one_of(&mut self, values: &[i64]) -> i64 {
        values[self.below(values.len() as u64) as usize]
    }
}

type Row = [i64; 5];

fn walk(seed: u64, bars: usize, start: i64, drift: i64, still: bool, jump: Option<(usize, i64)>) -> Vec<Row> {
    let mut rng = Lcg(seed);
    let mut price = start;
    let mut rows = Vec::with_capacity(bars);
    for i in 0..bars {
        if still && (40..=42).contains(&(i % 67)) {
            rows.push([price, price, price, price, 0]);
            continue;
        }
        if let Some((at, by)) = jump
            && i == at
        {
            price += by;
        }
        let open = (price + rng.below(41) - 20).max(500);
        let change = drift + rng.below(501) - 250;
        if !(still && i % 23 == 7) {
            price = (price + change).max(500);
        }
        let high = open.max(price) + rng.below(61);
        let low = open.min(price) - rng.below(61);
        rows.push([open, high, low, price, 1 + rng.below(100_000)]);
    }
    rows
}

// The alphabet of `shapes`, in steps of a quarter, and its seeds: every candle pattern occurs, with each of its signs.
const GAPS: [i64; 10] = [0, 0, 0, 0, 1, -1, 2, -2, 9, -9];
const BODIES: [i64; 14] = [0, 0, 1, -1, 2, -2, 3, -3, 8, -8, 8, -8, 14, -14];
const SHADOWS: [i64; 8] = [0, 0, 0, 0, 1, 2, 8, 16];
const SEEDS: [u64; 33] = [
    1, 542, 3_913, 4_344, 5_498, 7_432, 13_572, 16_477, 22_375, 23_274, 29_335, 29_540, 32_189, 38_843,
    43_132, 43_611, 52_981, 53_416, 62_904, 67_596, 67_603, 74_590, 81_152, 83_343, 94_905, 97_833, 100_424,
    105_632, 106_289, 111_147, 118_198, 122_177, 124_432,
];

fn shapes() -> Vec<Row> {
    let mut rows = Vec::new();
    for seed in SEEDS {
        let mut rng = Lcg(seed);
        let mut price = 4_000;
        for _ in 0..48 {
            let open = price + rng.one_of(&GAPS);
            price = open + rng.one_of(&BODIES);
            let high = open.max(price) + rng.one_of(&SHADOWS);
            let low = open.min(price) - rng.one_of(&SHADOWS);
            rows.push([25 * open, 25 * high, 25 * low, 25 * price, 100]);
        }
    }
    rows
}

/// The series by name.
pub fn all() -> BTreeMap<&'static str, Bars> {
    BTreeMap::from([
        ("mixed", Bars::new(&walk(20_240_229, 300, 10_000, 0, true, None))),
        ("trend", Bars::new(&walk(7, 300, 10_000, 60, false, None))),
        ("flat", Bars::new(&[[33_333, 33_333, 33_333, 33_333, 370]; 200])),
        ("jump", Bars::new(&walk(11, 300, 10_000, 0, false, Some((150, 100_000_000))))),
        ("three", Bars::new(&walk(5, 3, 10_000, 0, false, None))),
        ("shapes", Bars::new(&shapes())),
        ("long", Bars::new(&walk(13, 1_000_100, 100_000, 0, false, None))),
    ])
}

impl Bars {
    fn new(rows: &[Row]) -> Self {
        let column = |k: usize| rows.iter().map(|row| row[k] as f64 / 100.0).collect();
        Bars {
            timestamp: (0..rows.len() as i64).map(|i| i * 3_600_000).collect(),
            open: column(0),
            high: column(1),
            low: column(2),
            close: column(3),
            volume: column(4),
        }
    }

    /// The same bars with other prices.
    pub fn map(&self, prices: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        let [open, high, low, close] = [&self.open, &self.high, &self.low, &self.close].map(|c| prices(c));
        let (timestamp, volume) =
            (self.timestamp[..close.len()].to_vec(), self.volume[..close.len()].to_vec());
        Bars { timestamp, open, high, low, close, volume }
    }

    /// The outputs of an indicator: of one series over the close, of two over high and low.
    pub fn compute(&self, indicator: &Indicator, params: &[f64]) -> Vec<Vec<f64>> {
        let sums = [Sums::default(), Sums::default()];
        let series = match indicator.over {
            Over::Pair => [&self.high, &self.low],
            _ => [&self.close, &self.close],
        };
        let source = Source {
            series: Series { values: series[0], sums: &sums[0] },
            other: Series { values: series[1], sums: &sums[1] },
            candles: CandleColumns {
                timestamp: &self.timestamp,
                open: &self.open,
                high: &self.high,
                low: &self.low,
                close: &self.close,
                volume: &self.volume,
            },
            anchor: 0,
            interval: Interval::from_millis(3_600_000).expect("an hour"),
        };
        (indicator.compute)(&source, params)
    }
}
