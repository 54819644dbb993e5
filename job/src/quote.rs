//! The quote: what a job will take, before it runs.

use std::fmt;

use crate::plan::{CostModel, Slices, SymbolWork};

/// What a job will take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quote {
    /// Parameter sets.
    pub parameter_sets: u128,
    /// Symbols.
    pub symbols: usize,
    /// Bars traded, over all symbols.
    pub bars: u128,
    /// Bars evaluated: parameter sets times bars.
    pub evaluations: u128,
    /// Seconds expected.
    pub seconds: f64,
}

impl Quote {
    /// The quote of `parameter_sets` over the bars of each symbol, with `nodes` shared columns, on `threads` threads.
    pub fn new(parameter_sets: u128, bars_of_symbols: &[usize], nodes: usize, threads: usize) -> Self {
        let bars: u128 = bars_of_symbols.iter().map(|&bars| bars as u128).sum();
        let evaluations = parameter_sets.saturating_mul(bars);
        let model = CostModel::default();
        let trials = u64::try_from(parameter_sets).unwrap_or(u64::MAX);
        let nanos = |&bars: &usize| {
            let (bars, columns) = (bars as u64, nodes as u64);
            let trials = Slices::all(trials);
            let work = SymbolWork { bars, loaded: bars, columns, columns_a_trial: columns, trials };
            model.of(&work).nanos(work.trials.len())
        };
        let nanos: f64 = bars_of_symbols.iter().map(nanos).sum();
        let seconds = nanos / 1e9 / threads.max(1) as f64;
        Self { parameter_sets, symbols: bars_of_symbols.len(), bars, evaluations, seconds }
    }

    /// Trials: parameter sets times symbols.
    pub fn trials(&self) -> u128 {
        self.parameter_sets.saturating_mul(self.symbols as u128)
    }
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.symbols == 1 { "" } else { "s" };
        write!(
            f,
            "{} trials ({} parameter sets x {} symbol{plural}), {} bar evaluations, about {}",
            grouped(self.trials()),
            grouped(self.parameter_sets),
            self.symbols,
            grouped(self.evaluations),
            duration(self.seconds)
        )
    }
}

/// A whole number with a comma every three digits.
pub fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Seconds as a person says them.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.1 => "0.1 s".to_owned(),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s if s < 730.0 * 86_400.0 => format!("{:.0} days", s / 86_400.0),
        s => format!("{:.0} years", s / 86_400.0 / 365.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_reads_as_a_sentence() {
        let quote = Quote::new(1_000_000_000_000, &[8_784, 8_784], 200, 2);
        assert_eq!(quote.evaluations, 17_568_000_000_000_000);
        let text = quote.to_string();
        assert!(
            text.starts_with("2,000,000,000,000 trials (1,000,000,000,000 parameter sets x 2 symbols)"),
            "{text}"
        );
        assert!(text.ends_with("2 years"), "{text}");
    }
}
