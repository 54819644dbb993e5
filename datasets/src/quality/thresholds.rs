//! From where on something is a violation.

use blockgrid_engine::interval::{DAY_MS, Interval};

/// The limits of the checks for one interval; lengths in candles. `docs/candles.md` has the reasons.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// The longest gap that is no violation.
    pub gap_bars: u64,
    /// The largest share of missing candles that is none (only when more is missing than one longest gap).
    pub missing_share: f64,
    /// The longest run of candles without volume that is none.
    pub zero_volume_bars: u64,
    /// The longest run of candles with the four prices of the one before that is none.
    pub frozen_bars: u64,
    /// The shortest run, of either sort, that is told as a note.
    pub note_bars: u64,
    /// Robust z-score from which on a return or a range is told as a note.
    pub outlier_z: f64,
    /// Robust z-score from which on a move that is taken back at once is a violation, when it is also ...
    pub tick_z: f64,
    /// ... of this size at least, as a fraction of the lower price: for closes,
    pub tick_move: f64,
    /// and for highs and lows beyond both closes around them.
    pub wick_move: f64,
    /// How long before the others a series may end.
    pub stale_bars: u64,
}

/// The limits of one class of intervals; lengths in milliseconds.
struct Class {
    /// Intervals below this.
    below: i64,
    gap: i64,
    missing_share: f64,
    zero_volume: i64,
    frozen: i64,
    outlier_z: f64,
    tick_z: f64,
    tick_move: f64,
    wick_move: f64,
    stale: i64,
}

const HOUR_MS: i64 = DAY_MS / 24;

/// Finest first. A limit is a length of time, because an outage or a sleeping market does not care for the interval it
/// is written down in; shares and z-scores loosen where candles are short.
const CLASSES: [Class; 4] = [
    // Seconds: many feeds leave out a second without a trade, and returns are mostly 0 with rare ticks.
    Class {
        below: 60_000,
        gap: 12 * HOUR_MS,
        missing_share: 0.05,
        zero_volume: 6 * HOUR_MS,
        frozen: 6 * HOUR_MS,
        outlier_z: 40.0,
        tick_z: 60.0,
        tick_move: 0.2,
        wick_move: 0.5,
        stale: DAY_MS,
    },
    // Minutes: an exchange's maintenance takes up to ten hours; a hiccup is a candle or two.
    Class {
        below: HOUR_MS,
        gap: 12 * HOUR_MS,
        missing_share: 0.01,
        zero_volume: 6 * HOUR_MS,
        frozen: 6 * HOUR_MS,
        outlier_z: 20.0,
        tick_z: 30.0,
        tick_move: 0.2,
        wick_move: 0.5,
        stale: DAY_MS,
    },
    // Hours.
    Class {
        below: DAY_MS,
        gap: 12 * HOUR_MS,
        missing_share: 0.01,
        zero_volume: 12 * HOUR_MS,
        frozen: 12 * HOUR_MS,
        outlier_z: 15.0,
        tick_z: 20.0,
        tick_move: 0.25,
        wick_move: 0.75,
        stale: DAY_MS,
    },
    // Days and more: no outage swallows one, and a day without a trade is no market.
    Class {
        below: i64::MAX,
        gap: 0,
        missing_share: 0.0,
        zero_volume: 0,
        frozen: 0,
        outlier_z: 10.0,
        tick_z: 15.0,
        tick_move: 0.5,
        wick_move: 1.5,
        stale: 2 * DAY_MS,
    },
];

impl Thresholds {
    /// The limits for candles of an interval.
    pub fn of(interval: Interval) -> Self {
        let ms = interval.millis();
        let [.., days] = &CLASSES;
        let class = CLASSES.iter().find(|class| ms < class.below).unwrap_or(days);
        let bars = |length: i64| u64::try_from(length / ms).unwrap_or(0);
        Self {
            gap_bars: bars(class.gap),
            missing_share: class.missing_share,
            zero_volume_bars: bars(class.zero_volume),
            // One repeat may be chance at any interval.
            frozen_bars: bars(class.frozen).max(1),
            note_bars: bars(HOUR_MS).max(3),
            outlier_z: class.outlier_z,
            tick_z: class.tick_z,
            tick_move: class.tick_move,
            wick_move: class.wick_move,
            stale_bars: bars(class.stale).max(1),
        }
    }
}
