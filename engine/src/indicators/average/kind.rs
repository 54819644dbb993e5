//! A moving average of a kind that a word names, and what other indicators make of one.

use super::super::common::{WINDOW, runs, unknown};
use super::super::{Domain, Indicator, Memory, Over, Param, Series, Source, window, windows};
use super::adaptive::KAMA;
use super::cascade::{DEMA, T3, T3_FACTOR, TEMA};
use super::weighted::{HMA, TRIMA, ZLEMA};
use super::{EMA, RMA, SMA, WMA};
use crate::exact::Sums;
use crate::interval::Interval;

/// The kinds of averages, in TA-Lib's order. Each takes a window, and t3 a factor after it.
const KINDS: [&Indicator; 11] = [&SMA, &EMA, &WMA, &DEMA, &TEMA, &TRIMA, &KAMA, &T3, &HMA, &ZLEMA, &RMA];

/// Their words: the names of the indicators.
const WORDS: &[&str] = &{
    let mut words = [""; KINDS.len()];
    let mut i = 0;
    while i < words.len() {
        words[i] = KINDS[i].name;
        i += 1;
    }
    words
};

/// The word for a simple average.
pub(in crate::indicators) const SIMPLE: f64 = 0.0;
/// The word for an exponential average.
pub(in crate::indicators) const EXPONENTIAL: f64 = 1.0;
/// The word for Wilder's average.
pub(in crate::indicators) const WILDER: f64 = 10.0;

/// The parameter that names the kind of an average.
pub(in crate::indicators) const fn kind(name: &'static str, default: f64) -> Param {
    Param { name, domain: Domain::Choice(WORDS), default: Some(default) }
}

/// A moving average of any kind.
pub(super) static MA: Indicator = Indicator {
    name: "ma",
    summary: "Moving average of the kind that `type` names, so that a sweep can vary it.",
    formula: "ma(x, window, \"ema\") = ema(x, window), and so on for each word; t3 with its default factor",
    source: "TA-Lib MA without mama. It has the values, warm-up and memory of the indicator of that name.",
    numerics: "Those of the indicator that the word names.",
    over: Over::Series,
    params: &[WINDOW, kind("type", SIMPLE)],
    outputs: &["value"],
    lookback: |p| Average::new(p[0], p[1]).lookback(),
    memory: |p, interval| Average::new(p[0], p[1]).memory(interval),
    compute: |source, p| vec![Average::new(p[0], p[1]).compute(source)],
};

/// A kind of average and its window.
#[derive(Clone, Copy)]
pub(in crate::indicators) struct Average {
    indicator: &'static Indicator,
    params: [f64; 2],
}

impl Average {
    /// The average that a window and a parameter of [`kind`] name.
    pub(in crate::indicators) fn new(window: f64, word: f64) -> Self {
        let indicator = KINDS.get(word as usize).copied().unwrap_or(&SMA);
        Self { indicator, params: [window, T3_FACTOR] }
    }

    /// Bars before its first value.
    pub(in crate::indicators) fn lookback(&self) -> usize {
        (self.indicator.lookback)(&self.params)
    }

    /// Its memory beyond the lookback.
    pub(in crate::indicators) fn memory(&self, interval: Interval) -> Memory {
        (self.indicator.memory)(&self.params, interval)
    }

    /// The average of the source's series.
    pub(in crate::indicators) fn compute(&self, source: &Source<'_>) -> Vec<f64> {
        (self.indicator.compute)(source, &self.params).swap_remove(0)
    }

    /// The average of calculated values, of which the first may be unknown.
    pub(in crate::indicators) fn of(&self, values: &[f64], source: &Source<'_>) -> Vec<f64> {
        // Averages of a window need no sums of the whole column, which nobody else will ask for.
        if std::ptr::eq(self.indicator, &SMA) {
            return windows::means(values, window(self.params[0]));
        }
        if std::ptr::eq(self.indicator, &WMA) {
            return windows::weighted_means(values, window(self.params[0]));
        }
        let sums = Sums::real();
        let series = Series { values, sums: &sums };
        self.compute(&Source { series, other: series, ..*source })
    }

    /// The average of the source's series whose first value is not before index `lookback` of each run of known values:
    /// one that is seeded is seeded late. So TA-Lib begins two averages together.
    pub(in crate::indicators) fn beginning_at(&self, lookback: usize, source: &Source<'_>) -> Vec<f64> {
        let values = source.series.values;
        let late = lookback.saturating_sub(self.lookback());
        if late == 0 {
            return self.compute(source);
        }
        if self.memory(source.interval) == Memory::Finite {
            let mut column = self.compute(source);
            for run in runs(values) {
                let known = run.start.saturating_add(lookback).min(run.end);
                column[run.start..known].fill(f64::NAN);
            }
            return column;
        }
        let mut column = unknown(values.len());
        for run in runs(values).filter(|run| run.len() > late) {
            let from = run.start + late;
            column[from..run.end].copy_from_slice(&self.of(&values[from..run.end], source));
        }
        column
    }
}

/// The memory of one after the other.
pub(in crate::indicators) fn chain(memories: &[Memory]) -> Memory {
    together(memories, |bars, more| bars + more)
}

/// The memory of one beside the other.
pub(in crate::indicators) fn longest(memories: &[Memory]) -> Memory {
    together(memories, usize::max)
}

fn together(memories: &[Memory], join: fn(usize, usize) -> usize) -> Memory {
    if memories.contains(&Memory::Everything) {
        return Memory::Everything;
    }
    let recursions = memories.iter().filter_map(|memory| match memory {
        Memory::Recursive(bars) => Some(*bars),
        Memory::Finite | Memory::Anchored | Memory::Everything => None,
    });
    recursions.reduce(join).map_or(Memory::Finite, Memory::Recursive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_words_they_say() {
        let named = [(SIMPLE, "sma"), (EXPONENTIAL, "ema"), (WILDER, "rma")];
        assert!(named.iter().all(|(word, name)| WORDS[*word as usize] == *name));
    }

    #[test]
    fn memories_add_up_one_after_the_other() {
        let (finite, short, long) = (Memory::Finite, Memory::Recursive(3), Memory::Recursive(5));
        assert_eq!(chain(&[finite, finite]), finite);
        assert_eq!(chain(&[short, finite, long]), Memory::Recursive(8));
        assert_eq!(longest(&[short, finite]), short);
        assert_eq!(longest(&[long, short]), long);
        assert_eq!(chain(&[short, Memory::Everything, finite]), Memory::Everything);
    }

    #[test]
    fn an_average_names_a_window_and_at_most_a_factor() {
        for indicator in KINDS {
            assert_eq!(indicator.over, Over::Series, "{}", indicator.name);
            assert!(indicator.params.len() <= 2 && indicator.outputs.len() == 1, "{}", indicator.name);
        }
    }
}
