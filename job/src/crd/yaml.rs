//! Values as YAML in block style, keys sorted: the same bytes for the same value, whatever a library thinks is pretty, so
//! that a generated file changes only when what it says does.

use serde_json::Value;

/// A value as a YAML document.
pub(super) fn document(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

/// A value at the start of a line, `depth` levels in.
fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            for (key, value) in fields {
                indent(out, depth);
                out.push_str(&text(key));
                out.push(':');
                after(out, value, depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(out, depth);
                out.push('-');
                match item {
                    // The first field stands behind the dash, the others below it.
                    Value::Object(map) if !map.is_empty() => {
                        let mut fields = String::new();
                        block(&mut fields, item, depth + 1);
                        out.push(' ');
                        out.push_str(fields.trim_start());
                    }
                    _ => after(out, item, depth + 1),
                }
            }
        }
        scalar => {
            indent(out, depth);
            out.push_str(&line(scalar));
            out.push('\n');
        }
    }
}

/// A value behind a key or a dash.
fn after(out: &mut String, value: &Value, depth: usize) {
    let is_block = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        out.push('\n');
        block(out, value, depth);
    } else {
        out.push(' ');
        out.push_str(&line(value));
        out.push('\n');
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn line(value: &Value) -> String {
    match value {
        Value::String(value) => text(value),
        other => other.to_string(),
    }
}

/// A text: plain where every reader of YAML takes it for one, else in double quotes, whose escapes are JSON's.
fn text(text: &str) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || " -_./(),;%$<>=+*'".contains(c);
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(inner)
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_in_block_style_and_sorted() {
        let value = json!({"b": [{"y2": 1, "x": []}, "no", [1.5]], "a": {"k": {}}, "c": "a: b"});
        let expected = "a:\n  k: {}\nb:\n  - x: []\n    y2: 1\n  - \"no\"\n  -\n    - 1.5\nc: \"a: b\"\n";
        assert_eq!(document(&value), expected);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "\\PC{0,12}|[a-z :#'-]{0,8}|yes|~|1e3|0x1f|2024-01-01|\n a".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,8}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_back_as_it_was(value in value()) {
            let read: Value = serde_saphyr::from_str(&document(&value)).unwrap();
            prop_assert_eq!(read, value);
        }
    }
}
