//! Moves of a price: the usual size of a series, and what lies far beyond it.
//!
//! A move is counted as the larger price over the smaller, minus 1, which is ascending in the absolute log return and
//! needs no logarithm. Scales are those of log returns: the median of |log return| times 1.4826 (the standard deviation
//! of a normal distribution; Rousseeuw and Croux 1993; the median return itself is taken as 0, which it is within a
//! tick at any interval), and for ranges the median and 1.4826 times the median absolute deviation from it. Both come
//! from histograms, so they are exact to a bin (1.6%) and do not depend on how the candles are cut into batches.

use super::finding::Found;
use super::histogram::{Histogram, median};
use super::row::Row;
use super::worst::Worst;
use super::{Example, Kind, Severity, Thresholds};

/// A median absolute deviation times this is a standard deviation, for normal values.
const MAD_TO_SIGMA: f64 = 1.4826;
/// Moves of fewer candles tell no scale, so nothing is judged by it.
const ENOUGH: u64 = 30;
/// The smallest scale, a basis point: below it ticks make the moves, not the market.
const LEAST_SCALE: f64 = 1e-4;
/// How much of a move may be left for the next close to have taken it back.
const LEFT: f64 = 0.2;

/// Sizes of one sort: all of them counted, the largest kept with their prices.
#[derive(Debug, Clone, Default)]
struct Sizes {
    histogram: Histogram,
    worst: Worst,
}

impl Sizes {
    fn add(&mut self, size: f64, at: i64, values: [f64; 4]) {
        self.histogram.add(size, at);
        self.worst.add(size, at, values);
    }
}

/// All moves of a series.
#[derive(Debug, Clone, Default)]
pub(super) struct Moves {
    returns: Sizes,
    ranges: Sizes,
    /// Closes that the next close took back.
    ticks: Sizes,
    /// Highs and lows beyond the closes before and after.
    wicks: Sizes,
    /// The candle before the one before.
    earlier: Option<Row>,
}

/// How far apart two prices are: 0 when equal, 1 when one is twice the other.
fn distance(a: f64, b: f64) -> f64 {
    (if a > b { a / b } else { b / a }) - 1.0
}

impl Moves {
    /// Takes a candle in; `before` is the one before it when none is missing between.
    pub(super) fn step(&mut self, row: &Row, before: Option<&Row>) {
        let range = row.high / row.low - 1.0;
        self.ranges.add(range, row.at, [row.open, row.high, row.low, row.close]);
        let base = before.map_or(row.open, |before| before.close);
        let wick = (row.high / base.max(row.close)).max(base.min(row.close) / row.low) - 1.0;
        if wick > 0.0 {
            self.wicks.add(wick, row.at, [base, row.high, row.low, row.close]);
        }
        let Some(before) = before else {
            self.earlier = None;
            return;
        };
        self.returns.add(distance(row.close, before.close), row.at, [before.close, row.close, 0.0, 0.0]);
        if let Some(earlier) = self.earlier {
            let there = distance(before.close, earlier.close);
            let left = distance(row.close, earlier.close);
            if there > 0.0 && left <= LEFT * there {
                self.ticks.add(there, before.at, [earlier.close, before.close, row.close, 0.0]);
            }
        }
        self.earlier = Some(*before);
    }

    /// What lies beyond the limits.
    pub(super) fn findings(&self, limits: &Thresholds) -> Vec<(Kind, Found)> {
        let mut out = Vec::new();
        let returns = &self.returns.histogram;
        if returns.total() < ENOUGH {
            return out;
        }
        let sigma = log(median(returns.bins(), returns.total())) * MAD_TO_SIGMA;
        let sigma = sigma.max(LEAST_SCALE);
        let ranges = &self.ranges.histogram;
        let usual = log(median(ranges.bins(), ranges.total()));
        let mut deviations: Vec<(f64, u64)> =
            ranges.bins().map(|(range, count)| ((log(range) - usual).abs(), count)).collect();
        deviations.sort_by(|a, b| a.0.total_cmp(&b.0));
        let spread = median(deviations.into_iter(), ranges.total()) * MAD_TO_SIGMA;
        let spread = spread.max(LEAST_SCALE);

        let z = limits.outlier_z;
        let (far, wide) = (z * sigma, usual + z * spread);
        let tick = (limits.tick_z * sigma).max(log(limits.tick_move));
        let wick = (usual + limits.tick_z * spread).max(log(limits.wick_move));
        let shown = |text: String, floor: f64, edge: f64| {
            if floor > 0.0 {
                format!("{text} and by {}, here {}", percent(floor), percent(edge))
            } else {
                text
            }
        };
        out.extend(
            found(
                &self.ticks,
                tick,
                Severity::Violation,
                |edge| {
                    let text = format!(
                        "closes off by more than {} robust z that the next takes back",
                        limits.tick_z
                    );
                    shown(text, limits.tick_move, edge)
                },
                |[from, there, back, _]| format!("close {from}, {there}, {back}"),
            )
            .map(|found| (Kind::BadTick, found)),
        );
        out.extend(
            found(
                &self.wicks,
                wick,
                Severity::Violation,
                |edge| {
                    let text = format!(
                        "highs and lows beyond both closes by more than {} robust z of the range",
                        limits.tick_z
                    );
                    shown(text, limits.wick_move, edge)
                },
                |[from, high, low, to]| format!("high {high}, low {low} between closes {from} and {to}"),
            )
            .map(|found| (Kind::BadWick, found)),
        );
        out.extend(
            found(
                &self.returns,
                far,
                Severity::Note,
                |edge| format!("moves of more than {z} robust z, here {}", percent(edge)),
                |[from, to, ..]| {
                    format!(
                        "{} in a candle ({:.1} z), close {from} to {to}",
                        signed(to / from - 1.0),
                        log(distance(to, from)) / sigma
                    )
                },
            )
            .map(|found| (Kind::OutlierReturn, found)),
        );
        out.extend(
            found(
                &self.ranges,
                wide,
                Severity::Note,
                |edge| format!("ranges of more than {z} robust z, here {}", percent(edge)),
                |[_, high, low, _]| {
                    format!(
                        "high {} above low ({:.1} z), {low} to {high}",
                        percent(high / low - 1.0),
                        (log(high / low - 1.0) - usual) / spread
                    )
                },
            )
            .map(|found| (Kind::OutlierRange, found)),
        );
        out
    }
}

/// The log return of a move.
fn log(size: f64) -> f64 {
    libm::log1p(size)
}

/// The sizes beyond a limit on log returns.
fn found(
    sizes: &Sizes,
    limit: f64,
    severity: Severity,
    threshold: impl Fn(f64) -> String,
    what: impl Fn([f64; 4]) -> String,
) -> Option<Found> {
    let tail = sizes.histogram.tail(libm::expm1(limit));
    let worst =
        sizes.worst.from(tail.edge).examples(|at, values| Example { at, bars: 1, what: what(values) });
    Some(Found {
        severity,
        first: tail.first?,
        count: tail.count,
        bars: tail.count,
        over: if severity == Severity::Violation { tail.count } else { 0 },
        worst,
        threshold: threshold(tail.edge),
    })
}

fn percent(share: f64) -> String {
    format!("{:.3}%", share * 100.0)
}

fn signed(share: f64) -> String {
    format!("{:+.2}%", share * 100.0)
}
