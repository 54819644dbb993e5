//! `blockgrid indicators`: the reference, printed from the records that the engine computes with.

use std::fmt::Write;

use blockgrid_engine::Interval;
use blockgrid_engine::expr::nearest;
use blockgrid_engine::graph::{FUNCTIONS, FunctionInfo, usage};
use blockgrid_engine::indicators::{Domain, FAMILIES, Indicator, Memory, Over, Param, all, find};

use crate::failure::Failure;
use crate::show;

pub(crate) fn indicators(name: Option<&str>, markdown: bool) -> Result<(), Failure> {
    let text = match name {
        None if markdown => page(),
        None => list(),
        Some(name) => {
            match (find(name), FUNCTIONS.iter().find(|function| names(function).any(|n| n == name))) {
                (Some(indicator), _) => details(indicator),
                (None, Some(function)) => format!("{}\n  {}\n", function.usage, function.summary),
                (None, None) => {
                    let known = all().map(|i| i.name).chain(FUNCTIONS.iter().flat_map(names));
                    let remedy = nearest(name, known)
                        .map_or("`blockgrid indicators` lists them all".to_owned(), |n| {
                            format!("did you mean `{n}`?")
                        });
                    return Err(Failure::input(
                        "unknown indicator",
                        "",
                        format!("`{name}` is none: {remedy}"),
                    ));
                }
            }
        }
    };
    show::print(&text);
    Ok(())
}

fn list() -> String {
    let usages = all().map(usage).chain(FUNCTIONS.iter().map(|f| f.usage.to_owned()));
    let width = usages.filter(|u| u.len() <= 44).map(|u| u.len()).max().unwrap_or(0);
    let mut out = String::from("Indicators (blockgrid indicators NAME for formula, source and warm-up):\n");
    for family in FAMILIES {
        let _ = writeln!(out, "\n{}:", family.title);
        for indicator in family.indicators {
            let _ = writeln!(out, "  {:width$}  {}", usage(indicator), indicator.summary);
        }
    }
    out.push_str("\nFunctions:\n");
    for function in FUNCTIONS {
        let _ = writeln!(out, "  {:width$}  {}", function.usage, function.summary);
    }
    out
}

/// The names in a function's usage: `crosses_above(a, b), crosses_below(a, b)` has two.
fn names(function: &FunctionInfo) -> impl Iterator<Item = &'static str> {
    let words = function.usage.split(['(', ')']).step_by(2).flat_map(|outside| outside.split(", "));
    words
        .map(str::trim)
        .filter(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn details(indicator: &Indicator) -> String {
    let mut out = format!("{}\n  {}\n\n", usage(indicator), indicator.summary);
    for (label, text) in facts(indicator) {
        let _ = writeln!(out, "  {label:11} {text}");
    }
    out
}

/// What there is to know about an indicator.
fn facts(indicator: &Indicator) -> Vec<(&'static str, String)> {
    let over = match indicator.over {
        Over::Series => "a series, its first argument",
        Over::Pair => "two series, its first arguments",
        Over::Candle => "the candle",
    };
    let params: Vec<_> = indicator
        .params
        .iter()
        .map(|param| {
            let domain = match param.domain {
                Domain::Window(least) => format!("whole number of bars, at least {least}"),
                Domain::Above(bound) => format!("number above {bound}"),
                Domain::From(least) => format!("number of at least {least}"),
                Domain::Between(least, most) => format!("number from {least} to {most}"),
                Domain::Choice(words) => format!("one of \"{}\"", words.join("\", \"")),
                Domain::Instant => "a moment, RFC 3339 or a date".to_owned(),
            };
            let default =
                param.default.map(|d| format!(", default {}", written(param, d))).unwrap_or_default();
            format!("{} ({domain}{default})", param.name)
        })
        .collect();
    let mut facts = vec![("over", over.to_owned())];
    if !params.is_empty() {
        facts.push(("parameters", params.join("; ")));
    }
    if indicator.outputs.len() > 1 {
        facts.push(("outputs", format!("{} (the first is the default)", indicator.outputs.join(", "))));
    }
    facts.push(("formula", indicator.formula.to_owned()));
    facts.push(("source", indicator.source.to_owned()));
    facts.push(("numerics", indicator.numerics.to_owned()));
    facts.push(("warm-up", warm_up(indicator)));
    facts
}

/// The value of a parameter as a person writes it.
fn written(param: &Param, value: f64) -> String {
    match param.domain {
        Domain::Choice(words) => {
            words.get(value as usize).map_or(String::new(), |word| format!("\"{word}\""))
        }
        _ => value.to_string(),
    }
}

/// The warm-up at typical parameters: defaults, and 14 for windows without one.
fn warm_up(indicator: &Indicator) -> String {
    let params: Vec<f64> = indicator.params.iter().map(|param| param.default.unwrap_or(14.0)).collect();
    let lookback = (indicator.lookback)(&params);
    // No moment is typical.
    let numbers = indicator.params.iter().zip(&params).filter(|(p, _)| p.domain != Domain::Instant);
    let shown: Vec<_> = numbers.map(|(p, v)| format!("{}={}", p.name, written(p, *v))).collect();
    let at = if shown.is_empty() { String::new() } else { format!(" at {}", shown.join(", ")) };
    let memory = match (indicator.memory)(&params, Interval::DAY) {
        Memory::Finite => "the window is all it sees".to_owned(),
        Memory::Recursive(bars) => format!("then {bars} bars until its seed no longer counts"),
        Memory::Anchored => "a running total, anchored at the run's first bar".to_owned(),
        Memory::Everything => "it needs all the history there is".to_owned(),
    };
    format!("first value after {lookback} bars{at}; {memory}")
}

/// The reference page, `docs/indicators.md`.
fn page() -> String {
    let mut out = String::from(
        "# Indicators\n\nWritten by `blockgrid indicators --markdown` from the records that the engine computes with; \
         `make generated` checks that it is.\n\nIndicators over a series take it first (`rsi(close, 14)`), those over the \
         candle take parameters only (`atr(14)`). A last argument names another interval (`ema(close, 200, \"1d\")`). Of \
         several outputs the first is the default; the others are members (`macd(close, 12, 26, 9).signal`).\n\n## \
         Functions\n\n| usage | what it gives |\n|---|---|\n",
    );
    for function in FUNCTIONS {
        let _ = writeln!(out, "| `{}` | {} |", function.usage, function.summary.replace('|', "\\|"));
    }
    for family in FAMILIES {
        let _ = writeln!(out, "\n## {}", family.title);
        let shared = shared_numerics(family.indicators);
        if let Some(numerics) = shared {
            let _ = writeln!(out, "\n{numerics}");
        }
        for indicator in family.indicators {
            let _ =
                writeln!(out, "\n### {}\n\n`{}`: {}\n", indicator.name, usage(indicator), indicator.summary);
            let told = |label: &str| label == "numerics" && shared.is_some();
            for (label, text) in facts(indicator).into_iter().filter(|(label, _)| !told(label)) {
                let text = if label == "formula" { format!("`{text}`") } else { text };
                let _ = writeln!(out, "- **{label}**: {text}");
            }
        }
    }
    out
}

/// The numerics of a family in which all have the same: the page tells them once.
fn shared_numerics(family: &[&Indicator]) -> Option<&'static str> {
    let (first, rest) = family.split_first()?;
    (!rest.is_empty() && rest.iter().all(|other| other.numerics == first.numerics)).then_some(first.numerics)
}
