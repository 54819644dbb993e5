//! `spec.data`: quality, filled gaps, columns beside the candle.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

use blockgrid_job::{Fill, Job, Quality, load, read};
use serde_json::{Value, json};

fn manifest(data: &Value) -> Value {
    let mut all = json!({"dataset": "sample", "interval": "1h"});
    all.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    json!({
        "apiVersion": "grid.blockbuilders.app/v1alpha1",
        "kind": "BacktestJob",
        "metadata": {"name": "data"},
        "spec": {
            "data": all,
            "strategy": {
                "parameters": {"length": 24},
                "define": {"usual": "sma(funding_rate, length)"},
                "long": {"enter": "funding_rate < usual", "exit": "funding_rate > usual"},
            },
        },
    })
}

fn job(data: Value) -> Result<Job, Vec<String>> {
    load(&manifest(&data).to_string(), &[], |name| name == "equity")
        .map_err(|invalid| invalid.errors.iter().map(ToString::to_string).collect())
}

#[test]
fn expressions_name_the_columns_that_the_data_names() {
    let job = job(json!({"columns": ["open_interest", "funding_rate"]})).unwrap();
    assert_eq!(job.strategy().columns(), ["open_interest", "funding_rate"]);
    let unnamed = self::job(json!({})).unwrap_err();
    assert!(
        unnamed.iter().any(|error| error.starts_with("spec.strategy.define.usual: ")
            && error.contains("unknown name `funding_rate`")
            && error.contains("spec.data.columns")),
        "{unnamed:?}"
    );
}

#[test]
fn columns_that_cannot_be_named_are_errors_with_a_remedy() {
    for (name, expected) in [
        ("funding rate", "spec.data.columns: `funding rate` is no name: letters, digits and _ only"),
        ("close", "spec.data.columns: `close` is a column of the candle: choose another name"),
        ("sma", "spec.data.columns: `sma` is a function of expressions: give the column another name"),
        ("in", "spec.data.columns: `in` is a reserved word of the expression language"),
        ("equity", "spec.data.columns[1]: `equity` is a column of the results: give the column"),
        ("funding_rate", "spec.data.columns[1]: `funding_rate` is named twice: name it once"),
        ("length", "spec.strategy.parameters.length: `length` is a column of the candles too"),
        ("usual", "spec.strategy.define.usual: `usual` is a column of the candles too"),
    ] {
        let errors = job(json!({"columns": ["funding_rate", name]})).unwrap_err();
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{name}: {errors:?}");
    }
}

#[test]
fn quality_is_strict_and_nothing_is_filled_unless_asked() {
    let data = |data: Value| job(data).unwrap().spec().data.clone();
    let plain = data(json!({"columns": ["funding_rate"]}));
    assert_eq!((plain.quality, plain.fill), (Quality::Strict, None));
    let asked = json!({
        "columns": ["funding_rate"], "quality": "warn", "fill": {"gaps": "forward", "maxBars": 5},
    });
    let found = data(asked.clone());
    assert_eq!(found.quality, Quality::Warn);
    assert!(matches!(found.fill, Some(Fill { max_bars: 5, .. })));
    // The resolved manifest says the same.
    let resolved = job(asked.clone()).unwrap().spec().manifest();
    for key in ["quality", "fill", "columns"] {
        assert_eq!(resolved["spec"]["data"][key], asked[key]);
    }
    assert_eq!(read(&resolved.to_string(), &[]).unwrap().data, found);
}

#[test]
fn a_fill_says_how_and_how_far() {
    for (fill, expected) in [
        (json!({"gaps": "forward"}), "spec.data.fill.maxBars: is missing: say up to which length"),
        (json!({"maxBars": 5}), "spec.data.fill.gaps: is missing: say how: forward"),
        (
            json!({"gaps": "linear", "maxBars": 5}),
            "spec.data.fill.gaps: is \"linear\", but must be one of forward",
        ),
        (
            json!({"gaps": "forward", "maxBars": 0}),
            "spec.data.fill.maxBars: is 0, but must be a whole number",
        ),
        (json!({"gaps": "forward", "maxBars": 1.5}), "spec.data.fill.maxBars: is 1.5, but must be"),
        (json!(5), "spec.data.fill: is 5, but must be an object"),
    ] {
        let errors = job(json!({"columns": ["funding_rate"], "fill": fill})).unwrap_err();
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}");
    }
}
