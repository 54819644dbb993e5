//! Outputs that one could ask for, but must not have.

use crate::indicators::{Domain, Indicator};

/// Why an indicator with these parameters does not give an output of this name; `None` when nothing special speaks
/// against it.
pub(super) fn output(indicator: &Indicator, params: &[f64], name: &str) -> Option<String> {
    match (indicator.name, name) {
        ("ichimoku", "chikou" | "chikou_span" | "lagging_span") => Some(
            "`ichimoku` has no `chikou`: it is the close drawn `displacement` bars back, so at a bar it \
             looks ahead; to compare the close with that of 26 bars ago write close > close[26]"
                .to_owned(),
        ),
        ("pivot", "r2" | "s2" | "r3" | "s3") if word(indicator, params, 0) == Some("demark") => {
            Some(format!("`pivot` of method \"demark\" has no `{name}`: it has p, r1, s1"))
        }
        _ => None,
    }
}

/// The word that stands for a parameter.
fn word(indicator: &Indicator, params: &[f64], nth: usize) -> Option<&'static str> {
    match indicator.params.get(nth)?.domain {
        Domain::Choice(words) => words.get(*params.get(nth)? as usize).copied(),
        _ => None,
    }
}
