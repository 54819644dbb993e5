//! What a manifest is to `kubectl apply`. Here YAML is 1.2; kubectl reads the same file by rules of 1.1 (sigs.k8s.io/yaml)
//! and sends JSON, so that a `010` or a parameter `n` would compute something else on a cluster, without a word.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::Value;

use crate::decode::FieldError;

/// How many differences are told: a list of thousands of numbers may have one in each.
const MAX_TOLD: usize = 20;

/// The longest word that either YAML takes for something else than a text (`false`).
const MAX_WORD_BYTES: usize = 5;

/// Where the two read something else, in the order of the text. It has been read within the budgets before; aliases are not
/// followed, since what they stand for was looked at where it is written.
pub(super) fn differences(text: &str) -> Vec<FieldError> {
    let mut walk = Walk { text, ..Walk::default() };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => walk.visit(event, span),
            Err(error) => {
                walk.tell(String::new(), format!("failed to read the manifest as YAML: {error}"));
                break;
            }
        }
    }
    walk.errors
}

/// A collection that is open.
enum Open {
    Sequence { index: usize },
    Mapping { entries: usize, key: Option<String> },
}

/// What a scalar is to kubectl.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reading {
    Null,
    Flag(bool),
    Whole(i128),
    Number(f64),
    Text,
}

#[derive(Default)]
struct Walk<'a> {
    text: &'a str,
    open: Vec<Open>,
    /// Scalars with an anchor: an alias may stand where a name does.
    anchors: BTreeMap<usize, (String, Option<Reading>)>,
    errors: Vec<FieldError>,
}

impl Walk<'_> {
    fn visit(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let reading = by_kubectl(&text, style, tag.as_deref());
                if anchor != 0 {
                    self.anchors.insert(anchor, (text.clone().into_owned(), reading));
                }
                if self.expects_name() {
                    if style == ScalarStyle::Plain {
                        self.check_colon(&text, span);
                    }
                    let merges = text == "<<"
                        && match tag {
                            None => style == ScalarStyle::Plain,
                            Some(tag) => is_core(&tag, "merge"),
                        };
                    self.name(&text, reading, merges, span);
                } else {
                    if let Some(reading) = reading {
                        self.check_value(&text, reading, span);
                    }
                    self.node_ends();
                }
            }
            Event::Alias(anchor) if self.expects_name() => {
                let (text, reading) = self.anchors.get(&anchor).cloned().unwrap_or_default();
                self.name(&text, reading, false, span);
            }
            Event::Alias(_) => self.node_ends(),
            Event::SequenceStart(..) => self.open.push(Open::Sequence { index: 0 }),
            Event::MappingStart(..) => self.open.push(Open::Mapping { entries: 0, key: None }),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.node_ends();
            }
            _ => {}
        }
    }

    fn expects_name(&self) -> bool {
        matches!(self.open.last(), Some(Open::Mapping { key: None, .. }))
    }

    fn node_ends(&mut self) {
        match self.open.last_mut() {
            Some(Open::Sequence { index }) => *index += 1,
            Some(Open::Mapping { key, .. }) => *key = None,
            None => {}
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::Sequence { index } => path.push_str(&format!("[{index}]")),
                Open::Mapping { key: Some(key), .. } if path.is_empty() => path.push_str(key),
                Open::Mapping { key: Some(key), .. } => path.push_str(&format!(".{key}")),
                Open::Mapping { key: None, .. } => {}
            }
        }
        path
    }

    fn tell(&mut self, path: String, message: String) {
        if self.errors.len() < MAX_TOLD {
            self.errors.push(FieldError::new(path, message));
        }
    }

    fn name(&mut self, text: &str, reading: Option<Reading>, merges: bool, span: Span) {
        let Some(Open::Mapping { entries, key }) = self.open.last_mut() else { return };
        *key = Some(text.to_owned());
        *entries += 1;
        let is_first = *entries == 1;
        if merges && !is_first {
            let message = format!(
                "`<<` ({}) stands behind other entries: to kubectl, what it merges replaces them, and here it does not. Let it stand first, once (`<<: [*a, *b]` merges several)",
                place(span)
            );
            self.tell(self.path(), message);
        }
        let name = name_by_kubectl(text, reading.unwrap_or(Reading::Text));
        if name != text {
            let text = cut(text);
            let message = format!(
                "the name `{text}` ({}) is `{name}` to kubectl, which reads YAML 1.1: put it in quotes (\"{text}\") or choose another name",
                place(span)
            );
            self.tell(self.path(), message);
        }
    }

    /// `{len:}` has the name `len` by 1.2, and `len:` by 1.1.
    fn check_colon(&mut self, name: &str, span: Span) {
        let rest = span.end.byte_offset().and_then(|end| self.text.get(end..)).unwrap_or_default();
        let behind = rest.trim_start_matches([' ', '\t']).strip_prefix(':');
        if behind.is_some_and(|behind| behind.starts_with([',', '}', ']'])) {
            let path = self.path();
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let name = cut(name);
            let message = format!(
                "the colon is part of the name `{name}` ({}) to kubectl, which reads YAML 1.1: write a space behind it (`{name}: `)",
                place(span)
            );
            self.tell(path, message);
        }
    }

    fn check_value(&mut self, text: &str, to_kubectl: Reading, span: Span) {
        // What is written as JSON does it is the same to both: most numbers of a long list are.
        if to_kubectl != Reading::Text && serde_json::from_str::<Value>(text).is_ok() {
            return;
        }
        let Some(here) = here(text) else { return };
        if is_same(&here, to_kubectl) {
            return;
        }
        let text = cut(text);
        let quoted = format!("\"{text}\"");
        let as_text = format!("the text {quoted}");
        let shown_here = match &here {
            Value::String(_) => as_text.clone(),
            other => other.as_f64().map_or_else(|| other.to_string(), |number| number.to_string()),
        };
        let shown_there = match to_kubectl {
            Reading::Null => "null".to_owned(),
            Reading::Flag(flag) => flag.to_string(),
            Reading::Whole(number) => number.to_string(),
            Reading::Number(number) => number.to_string(),
            Reading::Text => as_text.clone(),
        };
        let meant: Vec<String> = [&shown_here, &shown_there]
            .into_iter()
            .filter(|shown| **shown != as_text)
            .map(|shown| format!("`{shown}`"))
            .collect();
        let message = format!(
            "`{text}` ({}) is {shown_here} here and {shown_there} to kubectl, which reads YAML 1.1: write {}, or `{quoted}` for the text",
            place(span),
            meant.join(" or ")
        );
        self.tell(self.path(), message);
    }
}

/// A scalar as a message shows it.
fn cut(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    if start.len() < text.len() { format!("{start}…") } else { start }
}

fn place(span: Span) -> String {
    format!("line {}, column {}", span.start.line(), span.start.col() + 1)
}

fn is_same(here: &Value, to_kubectl: Reading) -> bool {
    match to_kubectl {
        Reading::Null => here.is_null(),
        Reading::Flag(flag) => *here == Value::Bool(flag),
        Reading::Whole(number) => here.as_f64() == Some(number as f64),
        Reading::Number(number) => here.as_f64() == Some(number),
        Reading::Text => here.is_string(),
    }
}

/// Whether a tag is `!!NAME`.
fn is_core(tag: &Tag, name: &str) -> bool {
    tag.suffix_in_namespace("tag:yaml.org,2002:").is_some_and(|suffix| suffix == name)
}

/// Whether a tag makes a text of whatever follows, to both: `!!str` and `!`.
fn is_text(tag: &Tag) -> bool {
    is_core(tag, "str") || (tag.handle().is_empty() && tag.suffix() == "!")
}

/// What a plain scalar is here; nothing for one that is a text to both.
fn here(text: &str) -> Option<Value> {
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if text.contains(char::is_whitespace) || (!numeric && text.len() > MAX_WORD_BYTES) {
        return None;
    }
    let mut list: Vec<Value> =
        serde_saphyr::from_str_with_options(&format!("- {text}"), super::options()).ok()?;
    list.pop()
}

/// What a scalar is to kubectl, as go-yaml resolves it; nothing for one that is a text to both, being in quotes or tagged as
/// one.
fn by_kubectl(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Reading> {
    match tag {
        None if style == ScalarStyle::Plain => Some(resolve(text)),
        None => None,
        Some(tag) if is_text(tag) => None,
        Some(tag) if ["null", "bool", "int", "float"].iter().any(|name| is_core(tag, name)) => {
            Some(resolve(text))
        }
        Some(_) => (style == ScalarStyle::Plain).then_some(Reading::Text),
    }
}

/// What go-yaml makes of a scalar by its looks.
fn resolve(text: &str) -> Reading {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Reading::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Reading::Flag(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Reading::Flag(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Reading::Number(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Reading::Number(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Reading::Number(f64::NEG_INFINITY),
        _ => {}
    }
    let digits = text.replace('_', "");
    if text.starts_with('.') {
        // Go's own rule, for numbers that go-yaml does not look into.
        let bytes = text.as_bytes();
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let joined = text.match_indices('_').all(|(at, _)| is_digit(at - 1) && is_digit(at + 1));
        return decimal(&digits).filter(|_| joined).map_or(Reading::Text, Reading::Number);
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c)) {
        return Reading::Text;
    }
    match whole(&digits) {
        Some(number) => Reading::Whole(number),
        None => decimal(&digits).map_or(Reading::Text, Reading::Number),
    }
}

/// Go's `ParseInt` or `ParseUint` of any base; a leading zero is octal.
fn whole(text: &str) -> Option<i128> {
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("-", digits)) => (-1, digits),
        Some(("+", digits)) => (1, digits),
        _ => (1, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.split_at_checked(2) {
        Some(("0x", digits)) => (16, digits),
        Some(("0o", digits)) => (8, digits),
        // Signs behind the prefix are go-yaml's own.
        Some(("0b", digits)) if sign == 1 && !text.starts_with('+') => {
            return i128::from_str_radix(digits, 2).ok().filter(is_in_range);
        }
        Some(("0b", digits)) => (2, digits),
        _ if lower.starts_with('0') => (8, lower.as_str()),
        _ => (10, lower.as_str()),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok().map(|number| sign * number).filter(is_in_range)
}

fn is_in_range(number: &i128) -> bool {
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(number)
}

/// A decimal number; Rust and Go read the same ones, but for the words that Rust knows too.
fn decimal(text: &str) -> Option<f64> {
    let is_decimal = text.bytes().all(|c| c.is_ascii_digit() || b"+-.eE".contains(&c));
    text.parse().ok().filter(|number: &f64| is_decimal && number.is_finite())
}

/// What kubectl makes of a name that is no text to it: names in JSON are texts.
fn name_by_kubectl(text: &str, reading: Reading) -> String {
    match reading {
        Reading::Null | Reading::Text => text.to_owned(),
        Reading::Flag(flag) => flag.to_string(),
        Reading::Whole(number) => number.to_string(),
        Reading::Number(number) if number.is_nan() => ".nan".to_owned(),
        Reading::Number(number) if number.is_infinite() => {
            if number > 0.0 { ".inf" } else { "-.inf" }.to_owned()
        }
        Reading::Number(number) => short(number as f32),
    }
}

/// Go's shortest form of a number (`%g`).
fn short(number: f32) -> String {
    let scientific = format!("{number:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) => match exponent.parse::<i32>() {
            Ok(exponent) if !(-4..6).contains(&exponent) => {
                let sign = if exponent < 0 { '-' } else { '+' };
                format!("{digits}e{sign}{:02}", exponent.abs())
            }
            _ => number.to_string(),
        },
        None => scientific,
    }
}
