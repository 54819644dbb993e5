//! The shape of a candle: its parts, and how they compare with those of the candles before.

use std::cell::OnceCell;
use std::ops::Range;

use crate::indicators::CandleColumns;
use crate::indicators::smoothing::column;

/// Sizes of the same candles differ by this share of the price through the rounding of their prices alone.
const ROUNDING: f64 = 1e-14;

/// A size that candles are measured with.
#[derive(Clone, Copy)]
enum Measure {
    /// The body of the candle itself.
    OwnBody,
    /// The mean body of the 10 candles before.
    Bodies,
    /// The mean of high - low of the 10 candles before.
    Ranges,
    /// The mean of high - low of the 5 candles before.
    LastRanges,
    /// The mean of both shadows together of the 10 candles before.
    Shadows,
}

/// One of TA-Lib's candle settings: `factor` times a measure.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    measure: Measure,
    factor: f64,
}

/// A body is long above it (TA-Lib BodyLong) and short below it (BodyShort).
const BODY: Setting = Setting { measure: Measure::Bodies, factor: 1.0 };
/// A body is that of a doji up to it (BodyDoji).
pub(super) const DOJI: Setting = Setting { measure: Measure::Ranges, factor: 0.1 };
/// A shadow is as good as none below it (ShadowVeryShort).
pub(super) const TINY_SHADOW: Setting = Setting { measure: Measure::Ranges, factor: 0.1 };
/// A shadow is short below it: half the mean of both (ShadowShort).
pub(super) const SHORT_SHADOW: Setting = Setting { measure: Measure::Shadows, factor: 0.5 };
/// A shadow is long above it (ShadowLong).
pub(super) const LONG_SHADOW: Setting = Setting { measure: Measure::OwnBody, factor: 1.0 };
/// A shadow is very long above it (ShadowVeryLong).
pub(super) const VERY_LONG_SHADOW: Setting = Setting { measure: Measure::OwnBody, factor: 2.0 };
/// Prices are near within it (Near).
pub(super) const NEAR: Setting = Setting { measure: Measure::LastRanges, factor: 0.2 };
/// Prices are far beyond it (Far).
pub(super) const FAR: Setting = Setting { measure: Measure::LastRanges, factor: 0.6 };
/// Prices are equal within it (Equal).
pub(super) const EQUAL: Setting = Setting { measure: Measure::LastRanges, factor: 0.05 };

/// A run of candles, and the means that a pattern asks for, each column made once.
pub(super) struct Shapes<'a> {
    candles: CandleColumns<'a>,
    bodies: OnceCell<Vec<f64>>,
    ranges: OnceCell<Vec<f64>>,
    last_ranges: OnceCell<Vec<f64>>,
    shadows: OnceCell<Vec<f64>>,
}

impl<'a> Shapes<'a> {
    pub(super) fn new(candles: &CandleColumns<'a>, at: Range<usize>) -> Self {
        let [bodies, ranges, last_ranges, shadows] = [const { OnceCell::new() }; 4];
        let candles = CandleColumns {
            timestamp: &candles.timestamp[at.clone()],
            open: &candles.open[at.clone()],
            high: &candles.high[at.clone()],
            low: &candles.low[at.clone()],
            close: &candles.close[at.clone()],
            volume: &candles.volume[at],
        };
        Self { candles, bodies, ranges, last_ranges, shadows }
    }

    /// Each `N` candles in a row, oldest first.
    #[inline]
    pub(super) fn windows<const N: usize>(&self) -> impl Iterator<Item = [Bar<'_>; N]> {
        let CandleColumns { open, high, low, close, .. } = self.candles;
        let prices = (open.array_windows().zip(high.array_windows()))
            .zip(low.array_windows().zip(close.array_windows()))
            .enumerate();
        prices.map(|(start, ((open, high), (low, close)))| {
            let [open, high, low, close]: [&[f64; N]; 4] = [open, high, low, close];
            let bar = |k: usize| Bar {
                open: open[k],
                high: high[k],
                low: low[k],
                close: close[k],
                i: start + k,
                shapes: self,
            };
            std::array::from_fn(bar)
        })
    }

    /// The size that a setting stands for at a candle.
    #[inline]
    fn size(&self, setting: Setting, bar: &Bar<'_>) -> f64 {
        let means = match setting.measure {
            Measure::OwnBody => return setting.factor * bar.body(),
            Measure::Bodies => self.bodies.get_or_init(|| self.means::<10>(|bar| bar.body())),
            Measure::Ranges => self.ranges.get_or_init(|| self.means::<10>(|bar| bar.range())),
            Measure::LastRanges => self.last_ranges.get_or_init(|| self.means::<5>(|bar| bar.range())),
            Measure::Shadows => self.shadows.get_or_init(|| self.means::<10>(|bar| bar.shadows())),
        };
        setting.factor * means[bar.i]
    }

    /// The mean of a part over the `N` candles before each, NaN where there are not as many.
    fn means<const N: usize>(&self, part: impl Fn(&Bar<'_>) -> f64) -> Vec<f64> {
        let parts: Vec<f64> = self.windows().map(|[bar]| part(&bar)).collect();
        let mut means = column(parts.len(), N);
        // Value by value for many windows at a time, which is vector code and adds in the order of the candles.
        let mut sums = [0.0; 256];
        for start in (0..parts.len().saturating_sub(N)).step_by(sums.len()) {
            let sums = &mut sums[..256.min(parts.len() - N - start)];
            sums.fill(0.0);
            for k in start..start + N {
                for (sum, part) in sums.iter_mut().zip(&parts[k..]) {
                    *sum += part;
                }
            }
            means.extend(sums.iter().map(|sum| sum / N as f64));
        }
        means
    }
}

/// A candle.
#[derive(Clone, Copy)]
pub(super) struct Bar<'a> {
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) close: f64,
    i: usize,
    shapes: &'a Shapes<'a>,
}

impl Bar<'_> {
    /// A close at the open counts as white.
    #[inline]
    pub(super) fn is_white(&self) -> bool {
        self.close >= self.open
    }

    #[inline]
    pub(super) fn is_black(&self) -> bool {
        !self.is_white()
    }

    /// The upper end of the body.
    #[inline]
    pub(super) fn top(&self) -> f64 {
        self.open.max(self.close)
    }

    /// The lower end of the body.
    #[inline]
    pub(super) fn bottom(&self) -> f64 {
        self.open.min(self.close)
    }

    /// The length of the body.
    #[inline]
    pub(super) fn body(&self) -> f64 {
        (self.close - self.open).abs()
    }

    /// From the lowest price to the highest.
    #[inline]
    pub(super) fn range(&self) -> f64 {
        self.high - self.low
    }

    /// The length of the upper shadow.
    #[inline]
    pub(super) fn upper(&self) -> f64 {
        self.high - self.top()
    }

    /// The length of the lower shadow.
    #[inline]
    pub(super) fn lower(&self) -> f64 {
        self.bottom() - self.low
    }

    #[inline]
    fn shadows(&self) -> f64 {
        self.upper() + self.lower()
    }

    /// The size that a setting stands for at this candle.
    #[inline]
    pub(super) fn size(&self, setting: Setting) -> f64 {
        self.shapes.size(setting, self)
    }

    /// Whether `a` is above `b` by more than rounding: for lengths, and for prices that are calculated. Prices of
    /// candles are compared as they are.
    #[inline]
    pub(super) fn above(&self, a: f64, b: f64) -> bool {
        a - b > ROUNDING * self.high
    }

    /// Whether two prices are at most as far apart as a setting says at this candle.
    #[inline]
    pub(super) fn within(&self, setting: Setting, a: f64, b: f64) -> bool {
        !self.above((a - b).abs(), self.size(setting))
    }

    #[inline]
    pub(super) fn is_long(&self) -> bool {
        self.above(self.body(), self.size(BODY))
    }

    #[inline]
    pub(super) fn is_short(&self) -> bool {
        self.above(self.size(BODY), self.body())
    }

    #[inline]
    pub(super) fn is_doji(&self) -> bool {
        !self.above(self.body(), self.size(DOJI))
    }

    /// Whether the upper shadow is longer than a setting says.
    #[inline]
    pub(super) fn upper_exceeds(&self, setting: Setting) -> bool {
        self.above(self.upper(), self.size(setting))
    }

    /// Whether the lower shadow is longer than a setting says.
    #[inline]
    pub(super) fn lower_exceeds(&self, setting: Setting) -> bool {
        self.above(self.lower(), self.size(setting))
    }

    /// Whether the upper shadow is shorter than a setting says.
    #[inline]
    pub(super) fn upper_below(&self, setting: Setting) -> bool {
        self.above(self.size(setting), self.upper())
    }

    /// Whether the lower shadow is shorter than a setting says.
    #[inline]
    pub(super) fn lower_below(&self, setting: Setting) -> bool {
        self.above(self.size(setting), self.lower())
    }

    /// Whether the upper shadow is as good as none.
    #[inline]
    pub(super) fn has_shaven_head(&self) -> bool {
        self.upper_below(TINY_SHADOW)
    }

    /// Whether the lower shadow is as good as none.
    #[inline]
    pub(super) fn has_shaven_bottom(&self) -> bool {
        self.lower_below(TINY_SHADOW)
    }

    /// Whether there is as good as no shadow at the open: below a white body, above a black one.
    #[inline]
    pub(super) fn opens_at_its_end(&self) -> bool {
        if self.is_white() { self.has_shaven_bottom() } else { self.has_shaven_head() }
    }

    /// Whether the body stands above the other's.
    #[inline]
    pub(super) fn gaps_above(&self, other: &Bar<'_>) -> bool {
        self.bottom() > other.top()
    }

    /// Whether the body stands below the other's.
    #[inline]
    pub(super) fn gaps_below(&self, other: &Bar<'_>) -> bool {
        self.top() < other.bottom()
    }

    /// Whether the body stands beyond the other's, on the side to which the other points.
    #[inline]
    pub(super) fn gaps_beyond(&self, other: &Bar<'_>) -> bool {
        if other.is_white() { self.gaps_above(other) } else { self.gaps_below(other) }
    }

    /// Whether it closes below the close of `first`, a white candle, by more than `depth` of its body.
    #[inline]
    pub(super) fn falls_into(&self, first: &Bar<'_>, depth: f64) -> bool {
        first.above(first.close - first.body() * depth, self.close)
    }

    /// Whether it closes above the close of `first`, a black candle, by more than `depth` of its body.
    #[inline]
    pub(super) fn rises_into(&self, first: &Bar<'_>, depth: f64) -> bool {
        first.above(self.close, first.close + first.body() * depth)
    }

    /// Whether a price is inside the body, not at its ends.
    #[inline]
    pub(super) fn body_holds(&self, price: f64) -> bool {
        self.bottom() < price && price < self.top()
    }
}
