//! `--set sweep.parameters.fast=5..50/5`: one field of the manifest, replaced.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::decode::FieldError;

/// A field path below `spec` (or `metadata.name`) and its new value.
///
/// Values are numbers, `true`, `false`, `[1, 2, 3]` or `1,2,3` (a list), `5..50/5` (a range with its step, `to`
/// inclusive), or else a text. Quotes keep a text a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    path: Vec<String>,
    value: Value,
}

impl FromStr for Override {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let (path, value) = text.split_once('=').ok_or_else(|| {
            FieldError::new(
                "--set",
                format!("`{text}` has no `=`: write FIELD=VALUE, such as sweep.parameters.fast=5..50/5"),
            )
        })?;
        let mut path: Vec<String> = path.trim().split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(FieldError::new("--set", format!("`{text}` names no field: write FIELD=VALUE")));
        }
        if path[0] != "spec" && path[0] != "metadata" {
            path.insert(0, "spec".to_owned());
        }
        Ok(Self { path, value: parse_value(value.trim()) })
    }
}

impl Override {
    /// Replaces the field in a manifest; objects on the way are made where they are missing.
    pub(crate) fn apply(&self, manifest: &mut Value) -> Result<(), FieldError> {
        let mut here = manifest;
        for (depth, key) in self.path.iter().enumerate() {
            if here.is_null() {
                *here = Value::Object(Map::new());
            }
            let Value::Object(map) = here else {
                let path = self.path[..depth].join(".");
                return Err(FieldError::new(path, format!("has no field `{key}` that --set could replace")));
            };
            here = map.entry(key.clone()).or_insert(Value::Null);
        }
        *here = self.value.clone();
        Ok(())
    }
}

fn parse_value(text: &str) -> Value {
    if let Some(range) = parse_range(text) {
        return range;
    }
    if let Some(list) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return Value::Array(list.split(',').map(|item| parse_scalar(item.trim())).collect());
    }
    if text.contains(',') && text.split(',').all(|item| item.trim().parse::<f64>().is_ok()) {
        return Value::Array(text.split(',').map(|item| parse_scalar(item.trim())).collect());
    }
    parse_scalar(text)
}

fn parse_range(text: &str) -> Option<Value> {
    let (range, step) = text.split_once('/')?;
    let (from, to) = range.split_once("..")?;
    let [from, to, step] = [from, to, step].map(|part| part.trim().parse::<f64>().ok());
    Some(json!({"from": from?, "to": to?, "step": step?}))
}

fn parse_scalar(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return json!(number);
    }
    match (text, text.parse::<f64>()) {
        ("true", _) => json!(true),
        ("false", _) => json!(false),
        (_, Ok(number)) if number.is_finite() => json!(number),
        _ => {
            let unquoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
            json!(unquoted.unwrap_or(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> (String, Value) {
        let over: Override = text.parse().unwrap();
        (over.path.join("."), over.value)
    }

    #[test]
    fn values_are_read_as_what_they_look_like() {
        let range = json!({"from": 5.0, "to": 50.0, "step": 5.0});
        assert_eq!(set("sweep.parameters.fast=5..50/5"), ("spec.sweep.parameters.fast".into(), range));
        assert_eq!(set("data.symbols=[SYN-A, SYN-B]").1, json!(["SYN-A", "SYN-B"]));
        assert_eq!(set("sweep.parameters.stop=0.01,0.02").1, json!([0.01, 0.02]));
        assert_eq!(set("strategy.long.enter=close > open").1, json!("close > open"));
        assert_eq!(set("metadata.name=\"5\""), ("metadata.name".into(), json!("5")));
        assert_eq!(set("execution.initialCash=1e5").1, json!(100_000.0));
    }

    #[test]
    fn a_field_is_replaced_or_made_and_nonsense_is_refused() {
        let mut manifest = json!({"spec": {"sweep": {"parameters": {"fast": [1]}}}, "kind": "BacktestJob"});
        "sweep.parameters.fast=3".parse::<Override>().unwrap().apply(&mut manifest).unwrap();
        "output.top=7".parse::<Override>().unwrap().apply(&mut manifest).unwrap();
        assert_eq!(manifest["spec"], json!({"sweep": {"parameters": {"fast": 3}}, "output": {"top": 7}}));
        assert!("sweep".parse::<Override>().is_err() && "=3".parse::<Override>().is_err());
        assert!("sweep.parameters.fast.from=3".parse::<Override>().unwrap().apply(&mut manifest).is_err());
    }
}
