//! Highest and lowest values of windows, and how long ago they were, in a time that hardly grows with the window.

use std::hint::select_unpredictable;
use std::ops::Range;

use super::CandleColumns;
use super::smoothing::{column, restarting};
use crate::exact::is_finite;

/// Van Herk and Gil-Werman: cut the bars in blocks as long as the window; a window is then the end of one block and the
/// start of the next, and both are running.
///
/// Hands each full window of `window` of `len` bars to `each`, the oldest first: its terms joined, of which `none` is the
/// neutral one. Each term is asked for once.
#[inline]
fn fold<T: Copy>(
    len: usize,
    window: usize,
    none: T,
    term: impl Fn(usize) -> T,
    join: impl Fn(T, T) -> T,
    mut each: impl FnMut(T),
) {
    if window == 0 || len < window {
        return;
    }
    // tails[k]: of the block before, from its bar k on.
    let mut tails = vec![none; window + 1];
    for start in (0..len).step_by(window) {
        let bars = window.min(len - start);
        let tails = &mut tails[..=bars];
        let mut head = none;
        for k in 0..bars {
            let term = term(start + k);
            head = join(head, term);
            if start > 0 || k + 1 == window {
                each(join(tails[k + 1], head));
            }
            tails[k] = term;
        }
        // Joined with nothing at the end of the block, where the head is all of the window.
        let mut tail = none;
        tails[bars] = none;
        for term in tails.iter_mut().rev().skip(1) {
            tail = join(*term, tail);
            *term = tail;
        }
    }
}

/// Hands `each` how many bars ago the extreme of each window was. `gives_way(old, new)` says whether an older value is no
/// longer the extreme once the newer one is there. Values are finite, and none is as bad as `worst`.
#[inline]
pub(super) fn newest_extremes(
    values: &[f64],
    window: usize,
    worst: f64,
    gives_way: impl Fn(f64, f64) -> bool,
    mut each: impl FnMut(f64),
) {
    // Which value wins cannot be foreseen, so both are chosen without a branch.
    let newer = |old: (f64, u64), new: (f64, u64)| {
        let won = gives_way(old.0, new.0);
        (select_unpredictable(won, new.0, old.0), select_unpredictable(won, new.1, old.1))
    };
    let mut bar = window as u64 - 1;
    let term = |i: usize| (values[i], i as u64);
    fold(values.len(), window, (worst, 0), term, newer, |(_, best)| {
        each((bar - best) as f64);
        bar += 1;
    });
}

/// Windows up to this one are found by widening.
const SHORT: usize = 64;

/// Windows that are worked on at a time.
const PART: usize = 512;

/// The full windows by their oldest bar, some at a time.
fn parts(len: usize, window: usize) -> impl Iterator<Item = Range<usize>> {
    let windows = (len + 1).saturating_sub(window);
    (0..windows).step_by(PART).map(move |start| start..windows.min(start + PART))
}

/// Which of two values is the extreme one.
pub(super) trait Side: Copy {
    /// As bad as none is.
    const WORST: f64;

    /// The better one of two.
    fn better(a: f64, b: f64) -> f64;
}

/// The higher value is the extreme.
#[derive(Clone, Copy)]
pub(super) struct High;

impl Side for High {
    const WORST: f64 = f64::NEG_INFINITY;

    #[inline(always)]
    fn better(a: f64, b: f64) -> f64 {
        if a > b { a } else { b }
    }
}

/// The lower value is the extreme.
#[derive(Clone, Copy)]
pub(super) struct Low;

impl Side for Low {
    const WORST: f64 = f64::INFINITY;

    #[inline(always)]
    fn better(a: f64, b: f64) -> f64 {
        if a < b { a } else { b }
    }
}

/// Room for the extremes of some short windows.
struct Widening([[f64; PART + SHORT]; 2]);

impl Widening {
    fn new() -> Self {
        Self([[0.0; PART + SHORT]; 2])
    }

    /// Four columns of which the best at each place is the extreme of a window that begins in `part`: those of 1, 4 or 16
    /// values, such that four of them cover the window. It is vector code, and no bar waits for the one before.
    #[inline(always)]
    fn quarters<'a, S: Side>(
        &'a mut self,
        values: &'a [f64],
        window: usize,
        part: &Range<usize>,
    ) -> [&'a [f64]; 4] {
        let [fours, sixteens] = &mut self.0;
        let count = part.len();
        let all = &values[part.start..part.start + count + window - 1];
        if window <= 4 {
            return cover(all, 1, window, count);
        }
        let fours = &mut fours[..all.len() - 3];
        fours_of::<S>(all, fours);
        if window <= 16 {
            return cover(fours, 4, window, count);
        }
        let sixteens = &mut sixteens[..all.len() - 15];
        best_of_four::<S>(cover(fours, 4, 16, sixteens.len()), sixteens);
        cover(sixteens, 16, window, count)
    }
}

/// Four columns of windows of `width` that cover one of `window`.
#[inline(always)]
fn cover(blocks: &[f64], width: usize, window: usize, count: usize) -> [&[f64]; 4] {
    let last = window - width;
    [0, width, 2 * width, last].map(|from| &blocks[from.min(last)..from.min(last) + count])
}

/// The best at each place of four columns.
#[inline(always)]
fn best_of<S: Side>([a, b, c, d]: [&[f64]; 4]) -> impl ExactSizeIterator<Item = f64> {
    let pairs = a.iter().zip(b).zip(c.iter().zip(d));
    pairs.map(|((a, b), (c, d))| S::better(S::better(*a, *b), S::better(*c, *d)))
}

/// The extremes of 4 values from each on: of pairs, each of which two of them share.
fn fours_of<S: Side>(values: &[f64], out: &mut [f64]) {
    const STEP: usize = 8;
    let (steps, rest) = out.as_chunks_mut::<STEP>();
    let whole = steps.len() * STEP;
    for (out, at) in steps.iter_mut().zip((0..).step_by(STEP)) {
        let Some(values) = values[at..].first_chunk::<{ STEP + 3 }>() else { return };
        let mut pairs = [0.0; STEP + 2];
        for k in 0..STEP + 2 {
            pairs[k] = S::better(values[k], values[k + 1]);
        }
        for k in 0..STEP {
            out[k] = S::better(pairs[k], pairs[k + 2]);
        }
    }
    let count = rest.len();
    for (out, best) in rest.iter_mut().zip(best_of::<S>(cover(&values[whole..], 1, 4, count))) {
        *out = best;
    }
}

fn best_of_four<S: Side>(columns: [&[f64]; 4], out: &mut [f64]) {
    for (out, best) in out.iter_mut().zip(best_of::<S>(columns)) {
        *out = best;
    }
}

/// Whether the values are finite that the windows beginning in `part` see and those before it do not.
fn is_known(values: &[f64], window: usize, part: &Range<usize>) -> bool {
    let from = if part.start == 0 { 0 } else { part.start + window - 1 };
    is_finite(&values[from..part.end + window - 1])
}

/// The extreme of each window, never -0; one that holds an unknown value is unknown.
pub(super) fn extremes<S: Side>(values: &[f64], window: usize) -> Vec<f64> {
    restarting(values, |run| {
        let mut found = column(run.len(), window - 1);
        if window > SHORT || run.len() < window {
            if !is_finite(run) {
                return None;
            }
            fold(run.len(), window, S::WORST, |i| run[i], S::better, |best| found.push(best + 0.0));
            return Some(found);
        }
        let mut room = Widening::new();
        for part in parts(run.len(), window) {
            if !is_known(run, window, &part) {
                return None;
            }
            found.extend(best_of::<S>(room.quarters::<S>(run, window, &part)).map(|best| best + 0.0));
        }
        Some(found)
    })
}

/// As [`of_range`], of the highs and lows of candles, which are finite.
pub(super) fn of_candles(
    candles: &CandleColumns<'_>,
    at_end: &[f64],
    window: usize,
    value: impl Fn(f64, f64, f64) -> f64,
) -> Vec<f64> {
    if window <= SHORT
        && let Some(found) = of_short_range::<false>([candles.high, candles.low, at_end], window, &value)
    {
        return found;
    }
    of_range(candles.high, candles.low, at_end, window, value)
}

/// `value(highest, lowest, x)` of each window of two columns, where `x` is the value of a third at the window's end.
pub(super) fn of_range(
    above: &[f64],
    below: &[f64],
    at_end: &[f64],
    window: usize,
    value: impl Fn(f64, f64, f64) -> f64,
) -> Vec<f64> {
    let first = window - 1;
    if window <= SHORT
        && let Some(found) = of_short_range::<true>([above, below, at_end], window, &value)
    {
        return found;
    }
    let mut found = column(above.len(), first);
    let (top, bottom) = (extremes::<High>(above, window), extremes::<Low>(below, window));
    let ranges = top.iter().zip(&bottom).zip(at_end).skip(first);
    found.extend(ranges.map(|((&top, &bottom), &at_end)| value(top, bottom, at_end)));
    found
}

/// As [`of_range`] of short windows, unless a value of the first two columns is unknown. `CHECK` looks whether one is.
fn of_short_range<const CHECK: bool>(
    [above, below, at_end]: [&[f64]; 3],
    window: usize,
    value: impl Fn(f64, f64, f64) -> f64,
) -> Option<Vec<f64>> {
    if above.len() < window {
        return None;
    }
    let mut found = column(above.len(), window - 1);
    let (mut high, mut low) = (Widening::new(), Widening::new());
    for part in parts(above.len(), window) {
        if CHECK && !(is_known(above, window, &part) && is_known(below, window, &part)) {
            return None;
        }
        let at_end = &at_end[part.start + window - 1..part.end + window - 1];
        let top = best_of::<High>(high.quarters::<High>(above, window, &part));
        let bottom = best_of::<Low>(low.quarters::<Low>(below, window, &part));
        let ranges = top.zip(bottom).zip(at_end);
        found.extend(ranges.map(|((top, bottom), at_end)| value(top + 0.0, bottom + 0.0, *at_end)));
    }
    Some(found)
}
