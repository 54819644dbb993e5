//! Nodes of a structural OpenAPI v3 schema, as Kubernetes takes them.

use serde_json::{Map, Value, json};

/// A node of a schema: what may stand in a field, and what the field means.
#[derive(Debug, Clone)]
pub(super) struct Schema(Map<String, Value>);

impl Schema {
    fn of(kind: &str, doc: &str) -> Self {
        let mut map = Map::new();
        map.insert("type".to_owned(), json!(kind));
        if !doc.is_empty() {
            map.insert("description".to_owned(), json!(doc));
        }
        Self(map)
    }

    /// A text of at most so many characters.
    pub(super) fn text(most: usize, doc: &str) -> Self {
        Self::of("string", doc).with("maxLength", json!(most))
    }

    /// One of a few words.
    pub(super) fn choice(words: &[&str], doc: &str) -> Self {
        Self::of("string", doc).with("enum", json!(words))
    }

    /// A moment, RFC 3339 in UTC.
    pub(super) fn time(doc: &str) -> Self {
        Self::of("string", doc).with("format", json!("date-time"))
    }

    /// A whole number from `least` on.
    pub(super) fn integer(least: i64, doc: &str) -> Self {
        Self::of("integer", doc).with("format", json!("int64")).with("minimum", json!(least))
    }

    /// A whole number of either sign.
    pub(super) fn signed(doc: &str) -> Self {
        Self::of("integer", doc).with("format", json!("int64"))
    }

    /// A number.
    pub(super) fn number(doc: &str) -> Self {
        Self::of("number", doc)
    }

    /// True or false.
    pub(super) fn flag(doc: &str) -> Self {
        Self::of("boolean", doc)
    }

    /// An object of fields.
    pub(super) fn object(doc: &str) -> Self {
        Self::of("object", doc)
    }

    /// A list of at most so many items, replaced as a whole: their order counts.
    pub(super) fn list(items: Self, most: usize, doc: &str) -> Self {
        let list = Self::of("array", doc).with("items", items.json()).with("maxItems", json!(most));
        list.with("x-kubernetes-list-type", json!("atomic"))
    }

    /// At most so many values under names of the user's.
    pub(super) fn map(values: Self, most: usize, doc: &str) -> Self {
        Self::of("object", doc).with("additionalProperties", values.json()).with("maxProperties", json!(most))
    }

    /// What may have several shapes: Kubernetes has no type for it. The decoder checks it.
    pub(super) fn any(doc: &str) -> Self {
        let mut any = Self::of("", doc).with("x-kubernetes-preserve-unknown-fields", json!(true));
        any.0.remove("type");
        any
    }

    pub(super) fn with(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }

    /// What stands there if nothing does. The description ends with it, for `kubectl explain` does not show defaults.
    pub(super) fn default(mut self, value: impl Into<Value>) -> Self {
        let value = value.into();
        let shown = value.to_string().replace('"', "").replace(':', ": ").replace(',', ", ");
        if let Some(Value::String(doc)) = self.0.get_mut("description") {
            doc.push_str(&format!(" Default: {shown}."));
        }
        self.with("default", value)
    }

    /// What may stand there, as a regular expression (RE2).
    pub(super) fn pattern(self, pattern: &str) -> Self {
        self.with("pattern", json!(pattern))
    }

    pub(super) fn at_least(self, least: impl Into<Value>) -> Self {
        self.with("minimum", least.into())
    }

    pub(super) fn at_most(self, most: impl Into<Value>) -> Self {
        self.with("maximum", most.into())
    }

    /// For a number, the limit has to be whole: where a whole number stands, a server cuts the fraction off the limit.
    pub(super) fn above(self, limit: impl Into<Value>) -> Self {
        self.at_least(limit).with("exclusiveMinimum", json!(true))
    }

    /// An amount of dollars, of which a millionth is the least: a little more than nothing, so that the whole number 0 is
    /// refused too.
    pub(super) fn dollars(doc: &str) -> Self {
        Self::number(doc).above(9.999_999e-7)
    }

    pub(super) fn below(self, limit: impl Into<Value>) -> Self {
        self.at_most(limit).with("exclusiveMaximum", json!(true))
    }

    /// A field that may be left out.
    pub(super) fn field(mut self, name: &str, schema: Self) -> Self {
        let fields = self.0.entry("properties").or_insert_with(|| json!({}));
        fields[name] = schema.json();
        self
    }

    /// A field that must be there.
    pub(super) fn required(mut self, name: &str, schema: Self) -> Self {
        let required = self.0.entry("required").or_insert_with(|| json!([]));
        required.as_array_mut().into_iter().for_each(|names| names.push(json!(name)));
        self.field(name, schema)
    }

    /// A rule in CEL, and what it says when it is broken.
    pub(super) fn rule(self, rule: &str, message: &str) -> Self {
        self.add_rule(json!({ "rule": rule, "message": message }))
    }

    /// A rule whose fault is one field's.
    pub(super) fn rule_of(self, field: &str, reason: &str, rule: &str, message: &str) -> Self {
        let path = format!(".{field}");
        self.add_rule(json!({ "rule": rule, "message": message, "fieldPath": path, "reason": reason }))
    }

    fn add_rule(mut self, rule: Value) -> Self {
        let rules = self.0.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
        rules.as_array_mut().into_iter().for_each(|rules| rules.push(rule.clone()));
        self
    }

    pub(super) fn json(self) -> Value {
        Value::Object(self.0)
    }
}
