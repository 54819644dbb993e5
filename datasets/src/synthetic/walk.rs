//! Candles by the million: a random walk of any interval, fast, candle after candle.
//!
//! A longer walk begins as a shorter one, and a symbol does not depend on its neighbours: the numbers that all symbols
//! share come from a generator of their own, one for every slot of time. All of it is arithmetic (no logarithm, no exponential), which has
//! the same bits everywhere.
//!
//! - The return of a slot is drift + volatility * shock. Shocks are near normal (64 coins), partly those of the whole
//!   market, which gives symbols their correlation.
//! - The variance clusters: GARCH(1,1) whose long-run variance is 1, whose half-life is two days (or five candles, if
//!   that is longer) and whose returns have kurtosis 4 at every interval. Volatility follows the hour of the day.
//! - A Markov chain switches between a bull, a bear and a sideways market of 10 to 45 days.
//! - Prices are whole ticks and volumes whole lots: the low is the lowest and the high the highest by construction.

use blockgrid_engine::candles::{CandleError, Candles, RawCandles};
use blockgrid_engine::interval::{DAY_MS, Interval};

use super::rng::Rng;

/// Raised whenever the same seed gives other candles than before.
pub const WALK_VERSION: u32 = 1;

/// What the candles of every symbol of a data set have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Climate {
    /// Length of a candle.
    pub interval: Interval,
    /// Open of the first candle, UTC milliseconds, cut down to a whole candle.
    pub from_ms: i64,
    /// The seed.
    pub seed: u64,
    /// Share of candles that are missing, in runs of 1 to 59: at least 0, below 1.
    pub gaps: f64,
    /// Jumps a year, of two to six daily deviations each.
    pub jumps: f64,
    /// Correlation of the shocks of any two symbols: 0 to 1.
    pub correlation: f64,
}

/// One symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct Asset {
    /// Its name.
    pub symbol: String,
    /// Price at the start; the walk keeps within a factor of some 50 of it.
    pub price: f64,
    /// Decimals of its prices.
    pub decimals: u32,
    /// Volatility a year, as a fraction.
    pub volatility: f64,
    /// Usual base volume of a day.
    pub volume: f64,
    /// Decimals of its volumes.
    pub volume_decimals: u32,
}

impl Asset {
    /// An asset made of its name and the seed: a price between 0.1 and 100,000 with five to six significant digits, a
    /// volatility of 40% to 100% a year.
    pub fn of(symbol: &str, seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ name_hash(symbol));
        let magnitude = (rng.uniform() * 6.0) as u32;
        let price = 0.1 * 10_u64.pow(magnitude) as f64 * (1.0 + 8.0 * rng.uniform());
        let volatility = 0.4 + 0.6 * rng.uniform();
        let turnover = 1e6 * (1.0 + 99.0 * rng.uniform());
        let volume_decimals = [0, 1, 2, 3, 4, 5][magnitude.min(5) as usize];
        Self {
            symbol: symbol.to_owned(),
            price,
            decimals: [6, 5, 4, 3, 2, 2][magnitude.min(5) as usize],
            volatility,
            volume: turnover / price,
            volume_decimals,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Regime {
    Bull,
    Bear,
    Sideways,
}

/// The candles of one symbol, endless.
#[derive(Debug, Clone)]
pub struct Walk {
    interval: Interval,
    at: i64,
    own: Rng,
    market: Rng,
    /// Weights of the own and the market's shock.
    weights: (f64, f64),
    /// Chance of a gap to begin and of a jump, as bounds of 32 random bits.
    gap_below: u64,
    jump_below: u64,
    missing: u32,
    sigma: f64,
    sigma_day: f64,
    /// Volatility of each hour of the day.
    season: [f64; 24],
    alpha: f64,
    beta: f64,
    variance: f64,
    regime: Regime,
    left: i64,
    slots_a_day: f64,
    drift: f64,
    pull: f64,
    anchor: f64,
    start: f64,
    last: f64,
    ticks: f64,
    lots: f64,
    volume: f64,
}

const YEAR_MS: f64 = 365.0 * DAY_MS as f64;
/// Usual length of a gap: the mean of 1 to 59.
const GAP: f64 = 30.0;
/// How far the walk may go from its start before the next regime turns it.
const FAR: f64 = 20.0;

impl Walk {
    /// Begins the walk of an asset.
    pub fn new(asset: &Asset, climate: &Climate) -> Self {
        let ms = climate.interval.millis() as f64;
        let correlation = climate.correlation.clamp(0.0, 1.0);
        let gaps = climate.gaps.clamp(0.0, 0.99);
        let half_life = (2.0 * DAY_MS as f64 / ms).max(5.0);
        let persistence = 1.0 - std::f64::consts::LN_2 / half_life;
        let alpha = 0.35 * libm::sqrt(1.0 - persistence * persistence);
        let bound = |chance: f64| (chance.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
        let ticks = 10_u64.pow(asset.decimals.min(12)) as f64;
        let start = (asset.price * ticks).max(1000.0);
        let mut season = [1.0; 24];
        if climate.interval.millis() < DAY_MS {
            for (hour, season) in season.iter_mut().enumerate() {
                *season = 1.0 + 0.3 * libm::sin((hour as f64 - 8.0) / 24.0 * 2.0 * std::f64::consts::PI);
            }
        }
        let lots = 10_u64.pow(asset.volume_decimals.min(12)) as f64;
        Self {
            interval: climate.interval,
            at: climate.interval.open_of(climate.from_ms),
            own: Rng::new(climate.seed ^ name_hash(&asset.symbol).rotate_left(32)),
            market: Rng::new(climate.seed ^ 0x6d61_726b_6574),
            weights: (libm::sqrt(1.0 - correlation), libm::sqrt(correlation)),
            gap_below: bound(gaps / (GAP * (1.0 - gaps))),
            jump_below: bound(climate.jumps * ms / YEAR_MS),
            missing: 0,
            sigma: asset.volatility * libm::sqrt(ms / YEAR_MS),
            sigma_day: asset.volatility / libm::sqrt(365.0),
            season,
            alpha,
            beta: persistence - alpha,
            variance: 1.0,
            regime: Regime::Sideways,
            left: 0,
            slots_a_day: DAY_MS as f64 / ms,
            drift: 0.0,
            pull: 0.0,
            anchor: start,
            start,
            last: start,
            ticks,
            lots,
            volume: asset.volume * ms / DAY_MS as f64 * lots,
        }
    }

    /// The candles of the next `slots` slots of time, those in gaps left out.
    ///
    /// # Errors
    /// None that has been seen: the candles are checked all the same.
    pub fn next(&mut self, slots: usize) -> Result<Candles, CandleError> {
        let mut raw = RawCandles::default();
        raw.timestamp.reserve_exact(slots);
        for column in [&mut raw.open, &mut raw.high, &mut raw.low, &mut raw.close, &mut raw.volume] {
            column.reserve_exact(slots);
        }
        // By value: what lies in registers need not be stored at every candle.
        let mut walk = self.clone();
        for _ in 0..slots {
            walk.step(&mut raw);
        }
        *self = walk;
        Candles::new(self.interval, raw)
    }

    #[inline(always)]
    fn step(&mut self, raw: &mut RawCandles) {
        if self.left == 0 {
            self.turn();
        }
        self.left -= 1;
        let (coins, dice) = (self.own.next_u64(), self.own.next_u64());
        let (market_coins, events) = (self.market.next_u64(), self.own.next_u64());
        // Sixteen bits each.
        let part = |shift: u32| ((dice >> shift) & 0xffff) as f64 * (1.0 / 65_536.0);
        let shock =
            self.weights.0 * near_normal(coins, part(0)) + self.weights.1 * near_normal(market_coins, 0.5);
        let hour = (self.at.rem_euclid(DAY_MS) / 3_600_000) as usize;
        let deviation = libm::sqrt(self.variance) * self.season[hour % 24];
        let noise = self.sigma * deviation;
        let mut open = self.last * (1.0 + noise * (part(16) - 0.5) * 0.3);
        if (events & 0xffff_ffff) < self.jump_below {
            open *= 1.0 + self.jump();
        }
        let step = noise * shock + self.drift + self.pull * (1.0 - open / self.anchor);
        let close = (open * (1.0 + step.clamp(-0.5, 1.0))).max(1.0);
        // Wicks of half a deviation or so, often none.
        let (up, down) = (part(32), part(48));
        let wick = open * noise * 1.5;
        let (top, bottom) = if open > close { (open, close) } else { (close, open) };
        self.variance = ((1.0 - self.alpha - self.beta)
            + self.variance * (self.alpha * shock * shock + self.beta))
            .min(25.0);
        self.last = close;
        let at = self.at;
        self.at += self.interval.millis();
        if self.missing > 0 {
            self.missing -= 1;
            return;
        }
        if (events >> 32) < self.gap_below {
            // Of these 1 to 59 the first is this one.
            self.missing = (coins.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 % 59;
            return;
        }
        // Whole ticks keep their order, and a whole number divided once is the float nearest to the decimal.
        let whole = |value: f64| ((value + 0.5) as i64).max(1) as f64;
        raw.timestamp.push(at);
        raw.open.push(whole(open) / self.ticks);
        raw.high.push(whole(top + wick * up * up) / self.ticks);
        raw.low.push(whole(bottom - wick * down * down) / self.ticks);
        raw.close.push(whole(close) / self.ticks);
        let activity = (0.3 + 0.7 * shock.abs()) * deviation * (0.4 + 1.8 * up * down);
        raw.volume.push((self.volume * activity + 0.5) as i64 as f64 / self.lots);
    }

    /// A new regime.
    fn turn(&mut self) {
        let u = self.own.uniform();
        let far = self.last / self.start;
        self.regime = match self.regime {
            _ if far > FAR => Regime::Bear,
            _ if far < 1.0 / FAR => Regime::Bull,
            Regime::Bull if u < 0.35 => Regime::Bear,
            Regime::Bear if u < 0.40 => Regime::Bull,
            Regime::Bull | Regime::Bear => Regime::Sideways,
            Regime::Sideways if u < 0.5 => Regime::Bull,
            Regime::Sideways => Regime::Bear,
        };
        self.left = ((10.0 + 35.0 * self.own.uniform()) * self.slots_a_day) as i64 + 1;
        self.anchor = self.last;
        // A month of a trend goes some one and a half of its standard deviations: 0.28 a day * 30 / sqrt(30).
        let day = 0.28 * self.sigma_day / self.slots_a_day;
        (self.drift, self.pull) = match self.regime {
            Regime::Bull => (day, 0.0),
            Regime::Bear => (-day, 0.0),
            // Back to where it began within some two days.
            Regime::Sideways => (0.0, 0.5 / self.slots_a_day.max(1.0)),
        };
    }

    /// Two to six daily deviations, up or down.
    fn jump(&mut self) -> f64 {
        let size = (2.0 + 4.0 * self.own.uniform()) * self.sigma_day;
        if self.own.next_u64() >> 63 == 0 { size.min(1.0) } else { -size.min(0.5) }
    }
}

/// Sixty-four coins, smoothed by a number in 0..1: mean 0, variance 1, excess kurtosis -0.03.
#[inline(always)]
fn near_normal(coins: u64, smooth: f64) -> f64 {
    // The variance of the sum: 64 / 4 + 1 / 12.
    const SCALE: f64 = 0.249_351_490_477_014_83;
    (f64::from(coins.count_ones()) - 32.5 + smooth) * SCALE
}

/// FNV-1a, 64 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn name_hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
