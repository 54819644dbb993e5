//! A tree of values read field by field, collecting every error with its path instead of stopping at the first.

use std::cell::RefCell;
use std::collections::BTreeSet;

use blockgrid_engine::expr::nearest;
use serde_json::{Map, Value};

/// What is wrong with a manifest, and in which field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if .path.is_empty() { String::new() } else { format!("{}: ", .path) })]
pub struct FieldError {
    /// Field path, such as `spec.data.interval`; empty for the manifest itself.
    pub path: String,
    /// What is wrong, the value, and what to do about it.
    pub message: String,
}

impl FieldError {
    /// An error of the field `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// Where errors are collected.
#[derive(Debug, Default)]
pub(crate) struct Errors(RefCell<Vec<FieldError>>);

impl Errors {
    pub(crate) fn push(&self, path: impl Into<String>, message: impl Into<String>) {
        self.0.borrow_mut().push(FieldError::new(path, message));
    }

    pub(crate) fn into_vec(self) -> Vec<FieldError> {
        self.0.into_inner()
    }
}

/// A field: its value, its path, and where errors go.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) path: String,
    pub(crate) value: &'a Value,
    pub(crate) errors: &'a Errors,
}

/// A value as a message shows it, cut to a readable length.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

impl<'a> Field<'a> {
    /// Reports that the value is not what was wanted.
    pub(crate) fn wanted(&self, what: &str) {
        self.errors.push(&self.path, format!("is {}, but must be {what}", shown(self.value)));
    }

    pub(crate) fn object(&self) -> Option<Object<'a>> {
        match self.value {
            Value::Object(map) => Some(Object::new(self, map)),
            _ => {
                self.wanted("an object (fields with values)");
                None
            }
        }
    }

    pub(crate) fn text(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.wanted("a text");
                None
            }
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self.value.as_f64() {
            Some(number) => Some(number),
            None => {
                self.wanted("a number");
                None
            }
        }
    }

    /// A number in a range given by `check`.
    pub(crate) fn number_where(&self, what: &str, check: impl Fn(f64) -> bool) -> Option<f64> {
        let number = self.number()?;
        if check(number) {
            return Some(number);
        }
        self.wanted(what);
        None
    }

    /// An amount of dollars above zero, in micro-USD: less than one counts as none.
    pub(crate) fn micro_usd(&self, most: f64) -> Option<u64> {
        let what = format!("an amount of dollars above 0 (a millionth at least) and at most {most}");
        self.number_where(&what, |usd| (1e-6..=most).contains(&usd)).map(|usd| (usd * 1e6).round() as u64)
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(*flag),
            _ => {
                self.wanted("true or false");
                None
            }
        }
    }

    pub(crate) fn list(&self) -> Option<Vec<Field<'a>>> {
        match self.value {
            Value::Array(items) => {
                let item =
                    |(i, value)| Field { path: format!("{}[{i}]", self.path), value, errors: self.errors };
                Some(items.iter().enumerate().map(item).collect())
            }
            _ => {
                self.wanted("a list");
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let found = self.value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            let near = self.value.as_str().and_then(|text| nearest(text, names.iter().copied()));
            let hint = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
            self.wanted(&format!("one of {}{hint}", names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }
}

/// An object whose fields are asked for one by one; [`Object::done`] reports the ones nobody asked for.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    pub(crate) path: String,
    pub(crate) map: &'a Map<String, Value>,
    pub(crate) errors: &'a Errors,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Object<'a> {
    pub(crate) fn new(field: &Field<'a>, map: &'a Map<String, Value>) -> Self {
        Self { path: field.path.clone(), map, errors: field.errors, asked: RefCell::default() }
    }

    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The field, unless it is missing or null.
    pub(crate) fn get(&self, key: &'static str) -> Option<Field<'a>> {
        self.asked.borrow_mut().insert(key);
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(Field { path: self.path_of(key), value, errors: self.errors })
    }

    /// The field; an error when it is missing.
    pub(crate) fn require(&self, key: &'static str, remedy: &str) -> Option<Field<'a>> {
        let field = self.get(key);
        if field.is_none() {
            self.errors.push(self.path_of(key), format!("is missing: {remedy}"));
        }
        field
    }

    /// Every field, for objects whose keys are names of the user's.
    pub(crate) fn entries(&self) -> Vec<(String, Field<'a>)> {
        let entry = |(key, value): (&'a String, &'a Value)| {
            (key.clone(), Field { path: self.path_of(key), value, errors: self.errors })
        };
        self.map.iter().map(entry).collect()
    }

    /// Reports fields that do not exist, with the nearest that does.
    pub(crate) fn done(self) {
        let asked = self.asked.borrow();
        for key in self.map.keys().filter(|key| !asked.contains(key.as_str())) {
            let remedy = match nearest(key, asked.iter().copied()) {
                // A rest of an expression.
                _ if key.contains(['(', ')', '<', '>', '&', '|', '*']) => {
                    "within {} a comma ends a value: quote an expression that has one".to_owned()
                }
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", asked.iter().copied().collect::<Vec<_>>().join(", ")),
            };
            self.errors.push(self.path_of(key), format!("is no field here: {remedy}"));
        }
    }
}
