//! Highest and lowest values of windows, and how long ago they were, in a time that hardly grows with the window.

use std::hint::select_unpredictable;
use std::ops::Range;

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

/// Windows up to this one are found by doubling.
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
struct Doubling([[f64; PART + SHORT]; 2]);

impl Doubling {
    /// The extremes of the windows that begin in `part`, never -0: those of 2, 4, 8, ... values, and of two such that
    /// overlap. It is vector code, and no bar waits for the one before.
    #[inline]
    fn extremes<S: Side>(&mut self, values: &[f64], window: usize, part: Range<usize>) -> &[f64] {
        let [one, other] = &mut self.0;
        let (mut best, mut next) = (one, other);
        let mut span = part.len() + window - 1;
        best[..span].copy_from_slice(&values[part.start..part.start + span]);
        let mut width = 1;
        while 2 * width <= window {
            span -= width;
            for (out, (&a, &b)) in next[..span].iter_mut().zip(best.iter().zip(&best[width..width + span])) {
                *out = S::better(a, b);
            }
            std::mem::swap(&mut best, &mut next);
            width *= 2;
        }
        let rest = &best[window - width..window - width + part.len()];
        for (out, (&a, &b)) in next[..part.len()].iter_mut().zip(best.iter().zip(rest)) {
            *out = S::better(a, b) + 0.0;
        }
        &next[..part.len()]
    }
}

/// The extreme of each window; one that holds an unknown value is unknown.
pub(super) fn extremes<S: Side>(values: &[f64], window: usize) -> Vec<f64> {
    restarting(values, |run| {
        if !is_finite(run) {
            return None;
        }
        let mut found = column(run.len(), window - 1);
        if window > SHORT {
            fold(run.len(), window, S::WORST, |i| run[i], S::better, |best| found.push(best + 0.0));
            return Some(found);
        }
        let mut room = Doubling([[0.0; PART + SHORT]; 2]);
        for part in parts(run.len(), window) {
            found.extend_from_slice(room.extremes::<S>(run, window, part));
        }
        Some(found)
    })
}

/// `value(highest, lowest, bar)` of each window of two columns.
pub(super) fn of_range(
    above: &[f64],
    below: &[f64],
    window: usize,
    value: impl Fn(f64, f64, usize) -> f64,
) -> Vec<f64> {
    let first = window - 1;
    let mut found = column(above.len(), first);
    let both = |top: &[f64], bottom: &[f64], bar: usize, found: &mut Vec<f64>| {
        let bars = top.iter().zip(bottom).zip(bar..);
        found.extend(bars.map(|((&top, &bottom), bar)| value(top, bottom, bar)));
    };
    if window > SHORT || !is_finite(above) || !is_finite(below) {
        let (top, bottom) = (extremes::<High>(above, window), extremes::<Low>(below, window));
        both(
            top.get(first..).unwrap_or_default(),
            bottom.get(first..).unwrap_or_default(),
            first,
            &mut found,
        );
        return found;
    }
    let [mut high, mut low] = [const { Doubling([[0.0; PART + SHORT]; 2]) }; 2];
    for part in parts(above.len(), window) {
        let top = high.extremes::<High>(above, window, part.clone());
        both(top, low.extremes::<Low>(below, window, part.clone()), part.start + first, &mut found);
    }
    found
}
