//! What an API server does with an object: nulls dropped, defaults filled in, then checked against the structural schema
//! with strict field validation. Rules in CEL are not evaluated; a real server does that in `cli/tests/crds.rs`.

use regex::Regex;
use serde_json::{Map, Value};

/// What a server stores for an object, or what it says.
pub(crate) fn admit(schema: &Value, object: &Value) -> Result<Value, Vec<String>> {
    let mut object = object.clone();
    fill_in(schema, &mut object);
    let mut errors = Vec::new();
    check(schema, &object, "", &mut errors);
    if errors.is_empty() { Ok(object) } else { Err(errors) }
}

/// Drops nulls that are not nullable, and fills defaults in, also in their place.
fn fill_in(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            let nullable = |schema: &Value| schema["nullable"] == true || schema.get("type").is_none();
            map.retain(|key, value| {
                let of_key = schema["properties"].get(key).or(schema.get("additionalProperties"));
                !value.is_null() || of_key.is_none_or(nullable)
            });
            for (key, field) in fields(schema) {
                if let Some(default) = field.get("default") {
                    map.entry(key).or_insert_with(|| default.clone());
                }
            }
            for (key, value) in map.iter_mut() {
                let of_key = schema["properties"].get(key).or(schema.get("additionalProperties"));
                if let Some(of_key) = of_key {
                    fill_in(of_key, value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_in(&schema["items"], item)),
        _ => {}
    }
}

/// The fields of an object's schema.
pub(crate) fn fields(schema: &Value) -> Map<String, Value> {
    schema["properties"].as_object().cloned().unwrap_or_default()
}

fn check(schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
    let mut wrong = |what: &str| errors.push(format!("{path}: {what}: {value}"));
    let size = |bound: &str| schema[bound].as_u64().map(|n| n as usize);
    let outside = |len: usize, least: &str, most: &str| {
        size(least).is_some_and(|least| len < least) || size(most).is_some_and(|most| len > most)
    };
    if value.is_null() && (schema["nullable"] == true || schema.get("type").is_none()) {
        return;
    }
    let fits = match schema["type"].as_str() {
        None => schema["x-kubernetes-preserve-unknown-fields"] == true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        Some(other) => panic!("{path} has the type {other}"),
    };
    if !fits {
        return wrong("is of another type");
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        wrong("is none of the words");
    }
    match value {
        Value::String(text) => {
            if outside(text.chars().count(), "minLength", "maxLength") {
                wrong("has too few or too many characters");
            }
            if let Some(pattern) = schema["pattern"].as_str()
                && !Regex::new(pattern).unwrap().is_match(text)
            {
                wrong("does not match");
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap();
            let least = schema["minimum"].as_f64().unwrap_or(f64::NEG_INFINITY);
            let most = schema["maximum"].as_f64().unwrap_or(f64::INFINITY);
            let above = number > least || (number == least && schema["exclusiveMinimum"] != true);
            let below = number < most || (number == most && schema["exclusiveMaximum"] != true);
            if !(above && below) {
                wrong("is out of range");
            }
        }
        Value::Array(items) => {
            if outside(items.len(), "minItems", "maxItems") {
                wrong("has too few or too many items");
            }
            if let Some(of_items) = schema.get("items") {
                let at = |(i, item): (usize, &Value)| check(of_items, item, &format!("{path}[{i}]"), errors);
                items.iter().enumerate().for_each(at);
            }
        }
        Value::Object(map) => {
            if outside(map.len(), "minProperties", "maxProperties") {
                wrong("has too few or too many fields");
            }
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !map.contains_key(name) {
                    errors.push(format!("{path}.{name}: is missing"));
                }
            }
            let open = schema["x-kubernetes-preserve-unknown-fields"] == true || path == ".metadata";
            for (key, value) in map {
                match schema["properties"].get(key).or(schema.get("additionalProperties")) {
                    Some(field) => check(field, value, &format!("{path}.{key}"), errors),
                    None if open => {}
                    None => errors.push(format!("{path}.{key}: is no field")),
                }
            }
        }
        _ => {}
    }
}
