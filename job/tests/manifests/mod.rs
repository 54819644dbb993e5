//! Manifests that tests share.
#![allow(dead_code, reason = "not every test uses all of them")]

use proptest::prelude::*;
use serde_json::{Value, json};

/// A valid manifest that uses as many fields as can stand together.
pub(crate) fn full() -> Value {
    json!({
        "apiVersion": "grid.blockbuilders.app/v1alpha1",
        "kind": "BacktestJob",
        "metadata": {"name": "full", "labels": {"team": "quant"}},
        "spec": {
            "data": {
                "dataset": "sample",
                "symbols": {"SYN-A": {"lot": 0.001, "tick": 0.01, "minNotional": 10}, "SYN-B": {}},
                "interval": "1h", "from": "2024-01-01", "to": "2025-01-01T00:00:00Z", "quality": "warn",
                "fill": {"gaps": "forward", "maxBars": 5}, "columns": ["funding_rate"],
            },
            "strategy": {
                "parameters": {"fast": 10, "slow": 50, "stop": 0.03},
                "define": {"fastMa": "sma(close, fast)", "slowMa": "sma(close, slow)", "trend": "ema(close, 5, \"1d\")"},
                "long": {
                    "enter": "crosses_above(fastMa, slowMa) && close > trend",
                    "exit": "barsInPosition() > 3",
                    "order": {"type": "limit", "price": "close * 0.995", "bars": 3},
                },
                "short": {"enter": "crosses_below(fastMa, slowMa)"},
                "risk": {
                    "stopLoss": "stop", "takeProfit": {"percent": 6},
                    "trail": {"atr": 3, "period": 14, "update": "barClose", "follow": true},
                    "breakEven": {"at": 0.02}, "maxBars": 48, "cooldownBars": 5,
                    "sameBar": "stopFirst", "reentry": "nextBar",
                },
                "size": {"riskPercent": 1},
                "session": {"zone": "America/New_York", "days": ["mon", "tue"], "from": "09:30", "to": "16:00"},
            },
            "execution": {
                "semantics": "native", "fill": "nextOpen", "initialCash": 10000,
                "fees": {"takerBps": 10, "makerBps": 2, "perOrder": 0}, "slippage": {"bps": 2, "rangeShare": 0.05},
            },
            "sweep": {
                "parameters": {"fast": {"from": 5, "to": 15, "step": 5}, "slow": [20, 40], "stop": 0.02},
                "where": "fast < slow",
                "objective": {"metric": "calmar", "direction": "max", "minTrades": 3},
            },
            "compute": {"class": "standard", "maxWorkers": 64, "maxCostUsd": 5, "deadline": "2h"},
            "suspend": false, "cancel": false, "ttl": "7d",
            "output": {"top": 20},
        },
    })
}

/// The examples, by file name.
pub(crate) fn examples() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.file_name().unwrap().to_string_lossy().into_owned(), serde_saphyr::from_str(&text).unwrap())
        })
        .collect();
    found.sort_by(|(a, _): &(String, Value), (b, _)| a.cmp(b));
    assert!(found.len() >= 5, "{}", found.len());
    found
}

/// Paths of every value in a tree, as JSON pointers.
pub(crate) fn pointers(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                found.extend(pointers(inner).into_iter().map(|p| format!("/{}{p}", escaped(key))));
            }
        }
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                found.extend(pointers(inner).into_iter().map(|p| format!("/{i}{p}")));
            }
        }
        _ => {}
    }
    found
}

/// What may stand in a field instead: other types, values at the edges, words that other fields know.
pub(crate) fn replacement() -> impl Strategy<Value = Value> {
    let words = vec![
        "",
        " ",
        "close",
        "close >",
        "1h",
        "2024-01-01",
        "sample",
        "allIn",
        "vectorbt",
        "UTC",
        "fast",
        "x[",
        "((((",
        "é✓",
        "sma(close, 1e9)",
        "tf(\"1d\", close)",
        "close[999999999]",
        "9999-12-31",
        "-1",
        "1e400",
        "sharpe",
        "mon",
        "24:00",
    ];
    let numbers =
        vec![0.0, -0.0, -1.0, 0.5, 1.0, 2.5, 1e-300, 1e18, 1e300, -1e300, f64::MAX, f64::MIN_POSITIVE];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::sample::select(numbers).prop_map(Value::from),
        prop::sample::select(words).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let known = prop::sample::select(vec!["from", "to", "step", "percent", "atr", "type"])
            .prop_map(str::to_owned);
        let key = prop_oneof!["[a-zA-Z]{1,8}", known];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Removes the value at `pointer`, or puts another in its place.
pub(crate) fn mutate(manifest: &mut Value, pointer: &str, with: Option<Value>) {
    let Some(value) = with else {
        let Some((parent, key)) = pointer.rsplit_once('/') else { return };
        match manifest.pointer_mut(parent) {
            Some(Value::Object(map)) => {
                map.remove(&key.replace("~1", "/").replace("~0", "~"));
            }
            Some(Value::Array(items)) => {
                items.remove(key.parse().unwrap());
            }
            _ => {}
        }
        return;
    };
    *manifest.pointer_mut(pointer).unwrap() = value;
}
