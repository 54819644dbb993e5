//! Bad manifests: each ends with exit code 2 and a message of field, value and remedy, before any work.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use serde_json::{Value, json};
use support::{folder, run_in, small, with, write};

/// What is wrong, where (below `spec`, or with a `/` from the top), what stands there, and what the message must hold.
type Case = (&'static str, Value, &'static [&'static str]);

/// Runs a manifest of text; it must end with exit 2, say `parts`, and write nothing.
fn refused(text: impl AsRef<[u8]>, more: &[&str], parts: &[&str]) -> support::Ran {
    let folder = folder();
    std::fs::write(folder.path().join("job.yaml"), text).unwrap();
    let ran = run_in(folder.path(), ["run", "job.yaml", "-o", "out"].iter().chain(more)).fails(2, parts);
    assert!(!folder.path().join("out").exists(), "nothing is written before the input is known to be good");
    assert_eq!(ran.stdout, "");
    ran
}

/// The small job with one field replaced.
fn replaced(field: &str, value: Value) -> Value {
    match field.strip_prefix('/') {
        Some(_) => with(small(), field, value),
        None => with(small(), &format!("/spec/{field}"), value),
    }
}

fn check(cases: &[Case]) {
    for (field, value, parts) in cases {
        refused(replaced(field, value.clone()).to_string(), &[], parts);
    }
}

const ENTER: &str = "strategy/long/enter";

#[test]
fn expressions_that_mean_nothing() {
    check(&[
        (
            ENTER,
            json!("smaa(close, 5) > close"),
            &["spec.strategy.long.enter: unknown function `smaa`: did you mean `sma`?"],
        ),
        (
            ENTER,
            json!("frobnicate(close) > 1"),
            &["unknown function `frobnicate`", "`blockgrid indicators` lists"],
        ),
        (ENTER, json!("fastMA > slowMa"), &["spec.strategy.long.enter", "`fastMA`: did you mean `fastMa`?"]),
        (ENTER, json!("rsi(close) > 30"), &["`rsi` takes 2 arguments, got 1: rsi(series, window)"]),
        (ENTER, json!("crosses_above(fastMa)"), &["`crosses_above` takes 2 series", "crosses_above(a, b)"]),
        (ENTER, json!("fastMa + slowMa"), &["must be a condition (true or false), but this is a number"]),
        (ENTER, json!("(fastMa > slowMa) + 1 > 2"), &["the left side of `+` must be a number", "column 2"]),
        (ENTER, json!("close > \"abc\""), &["\"abc\" is a text: only an interval"]),
        (ENTER, json!("close > close[-1]"), &["spec.strategy.long.enter: [-1] looks into the future"]),
        (ENTER, json!("close > close[1.5]"), &["[1.5]: the look-back must be a whole number of bars"]),
        (ENTER, json!("close > close[fastMa]"), &["the look-back must be a constant number of bars"]),
        (
            ENTER,
            json!("bbands(close, 20, 2).uper > close"),
            &["no output `uper`: it has middle, upper, lower"],
        ),
        (ENTER, json!("close.upper > 2"), &["`.upper`: only an indicator with several outputs has members"]),
        (ENTER, json!("tf(\"15m\", close) > close"), &["interval 15m is finer than the candles", "(1h)"]),
        (ENTER, json!("tf(\"90m\", close) > close"), &["interval 90m is no multiple of 1h"]),
        (
            ENTER,
            json!("tf(\"7x\", close) > close"),
            &["`7x` is not an interval", "such as 1m, 15m, 4h, 1d or 1w"],
        ),
        (ENTER, json!("barsInPosition() > 3"), &["`barsInPosition()` stands in `exit` and `risk` only"]),
        (ENTER, json!("close.max(3) > 2"), &["`.max(...)` is a method call: write `max(x, ...)`"]),
        (ENTER, json!("close in [1, 2]"), &["`in` is not part of strategy expressions"]),
        (ENTER, json!("close >"), &["spec.strategy.long.enter: failed to parse the expression", "column 8"]),
        (ENTER, json!("close > 1/0"), &["1 / 0 is not a number"]),
        (ENTER, json!(""), &["spec.strategy.long.enter: the expression is empty"]),
        (
            ENTER,
            json!(["close > 1"]),
            &["spec.strategy.long.enter: is [\"close > 1\"], but must be an expression"],
        ),
        (
            "strategy/define/slowMa",
            json!("slowMa"),
            &["spec.strategy.define.slowMa: `slowMa` is defined by itself"],
        ),
        ("strategy/define/close", json!("open"), &["`close` is a column of the candle: choose another name"]),
        (
            "strategy/define/fast",
            json!("open"),
            &["`fast` is a parameter too: give one of them another name"],
        ),
    ]);
}

#[test]
fn expressions_made_to_break_the_parser() {
    let nested = format!("{}close{} > 1", "(".repeat(3_500), ")".repeat(3_500));
    let terms = |count: usize, term: &str| format!("{} > 1", vec![term; count].join("+"));
    let calls = format!("{}close{} > 1", "abs(".repeat(1_500), ")".repeat(1_500));
    for (text, parts) in [
        (nested, &["spec.strategy.long.enter: "][..]),
        (calls, &["spec.strategy.long.enter: "]),
        (terms(4_000, "a"), &["nests deeper than 100: name parts of it under `define`"]),
        (terms(100_000, "close"), &["has 600003 bytes, the limit is 8192: name parts of it under `define`"]),
    ] {
        let ran = refused(replaced(ENTER, json!(text)).to_string(), &[], parts);
        assert!(ran.stderr.len() < 2_000, "a message, not the text again: {} bytes", ran.stderr.len());
    }
    // Blocks of blocks: each is short, together they are 2^40 terms. Shared, they are 40 nodes.
    let mut manifest = small();
    manifest["spec"]["strategy"]["define"]["b0"] = json!("close");
    for i in 1..400 {
        manifest["spec"]["strategy"]["define"][format!("b{i}")] = json!(format!("b{} + b{}", i - 1, i - 1));
    }
    manifest["spec"]["strategy"]["long"]["enter"] = json!("b399 > 1");
    refused(manifest.to_string(), &[], &["nest deeper than"]);
}

#[test]
fn parameters_and_grids_that_cannot_be() {
    let sweep = "sweep/parameters/fast";
    let range = |from: f64, to: f64, step: f64| json!({"from": from, "to": to, "step": step});
    check(&[
        ("strategy/parameters/extra", json!(3), &["spec.strategy.parameters.extra: is never used: use it"]),
        (
            "strategy/parameters/stop",
            json!("0.03"),
            &["spec.strategy.parameters.stop: is \"0.03\", but must be a number"],
        ),
        ("strategy/parameters/a b", json!(1), &["`a b` is no name: letters, digits and _ only"]),
        (
            "strategy/parameters/sharpe",
            json!(1),
            &["spec.strategy.parameters.sharpe: `sharpe` is a column of the results"],
        ),
        (
            "strategy/parameters/symbol",
            json!(1),
            &["`symbol` is a column of the results: choose another name"],
        ),
        ("strategy/parameters/close", json!(1), &["`close` is a column of the candle: choose another name"]),
        ("strategy/parameters/stop", json!(2), &["spec.strategy.risk.stopLoss: 2 is out of range", "(0, 1)"]),
        (
            sweep,
            json!([5, 2.5]),
            &[
                "spec.strategy.define.fastMa",
                "is 2.5, but a window is a whole number",
                "[in the trial with fast = 2.5, slow = 20]",
            ],
        ),
        (sweep, json!([0, 5]), &["`window` of `sma` is 0", "[in the trial with fast = 0, slow = 20]"]),
        (sweep, json!([]), &["spec.sweep.parameters.fast: is an empty list, so the grid is empty"]),
        (sweep, json!([5, 6, 5]), &["spec.sweep.parameters.fast: holds 5 twice"]),
        (sweep, json!([0, -0.0]), &["holds 0 twice"]),
        (sweep, json!(["5"]), &["spec.sweep.parameters.fast[0]: is \"5\", but must be a number"]),
        (sweep, json!("5..50"), &["is \"5..50\", but must be {from, to, step}", "5..50/5"]),
        (sweep, range(1.0, 5.0, 0.0), &["spec.sweep.parameters.fast: step is 0, but must be above 0"]),
        (sweep, range(1.0, 5.0, -1.0), &["step is -1, but must be above 0"]),
        (sweep, range(9.0, 5.0, 1.0), &["from 9 is above to 5, so the grid is empty"]),
        (sweep, json!({"from": 1, "to": 5}), &["spec.sweep.parameters.fast.step: is missing: the distance"]),
        (
            "sweep/parameters/fastt",
            json!([1]),
            &["spec.sweep.parameters.fastt: is no parameter of the strategy: did you mean `fast`?"],
        ),
        (
            "sweep/where",
            json!("fast > slow * 9"),
            &["spec.sweep.where: `fast > slow * 9` leaves none of 4 parameter sets", "loosen it"],
        ),
        (
            "sweep/where",
            json!("fast < close"),
            &["spec.sweep.where: this must be a condition on parameters: no columns"],
        ),
        ("sweep/where", json!("fast + slow"), &["spec.sweep.where", "must be a condition"]),
        ("sweep/where", json!("fst < slow"), &["spec.sweep.where: unknown name `fst`: did you mean `fast`?"]),
        (
            "sweep/objective",
            json!("sharp"),
            &["spec.sweep.objective: `sharp` is no metric: did you mean `sharpe`?"],
        ),
        (
            "sweep/objective",
            json!("zzzzzzzz"),
            &["`zzzzzzzz` is no metric: the metrics are total_return, cagr"],
        ),
        (
            "sweep/objective",
            json!({"metric": "sharpe", "direction": "up"}),
            &["spec.sweep.objective.direction: is \"up\", but must be one of max, min"],
        ),
        (
            "sweep/objective",
            json!({"metric": "sharpe", "minTrades": -1}),
            &["minTrades: is -1, but must be a whole number"],
        ),
    ]);
    // A parameter without a value that is not swept either.
    let manifest = with(small(), "/spec/strategy/parameters/extra", Value::Null);
    let manifest = with(manifest, "/spec/strategy/long/enter", json!("fastMa > extra"));
    let part = "spec.strategy.parameters.extra: has no value: give it one here, or sweep it";
    refused(manifest.to_string(), &[], &[part]);
}

#[test]
fn grids_too_large_are_refused_with_their_quote() {
    let axis = |to: f64| json!({"from": 1, "to": to, "step": 1});
    let many = with(
        small(),
        "/spec/sweep/parameters",
        json!({"fast": axis(1e4), "slow": axis(1e4), "stop": axis(1e4)}),
    );
    let quote = [
        "spec.sweep.parameters: has 1,000,000,000,000 parameter sets",
        "limit",
        "8,760,000,000,000,000 bar evaluations",
        "years on one core",
        "Take fewer values",
    ];
    refused(many.to_string(), &[], &quote);
    // One range of as many values, and six that would fill the memory before they are multiplied.
    let one = with(small(), "/spec/sweep/parameters/fast", axis(1e12));
    refused(
        one.to_string(),
        &[],
        &["spec.sweep.parameters.fast: has 1,000,000,000,000 values", "years on one core"],
    );
    let mut six = small();
    for i in 0..6 {
        six["spec"]["strategy"]["parameters"][format!("p{i}")] = json!(1);
        six["spec"]["sweep"]["parameters"][format!("p{i}")] = axis(4e6);
    }
    refused(six.to_string(), &[], &["spec.sweep.parameters.p1: has 4,000,000 values"]);
}

#[test]
fn fields_that_do_not_exist_or_hold_the_wrong_thing() {
    check(&[
        ("strategy/longg", json!({}), &["spec.strategy.longg: is no field here: did you mean `long`?"]),
        ("wibble", json!(1), &["spec.wibble: is no field here: known are analysis, cancel, compute, data"]),
        (
            "/apiVersion",
            json!("grid.blockbuilders.app/v1"),
            &["apiVersion: is \"grid.blockbuilders.app/v1\", but must be grid.blockbuilders.app/v1alpha1"],
        ),
        ("/kind", json!("Job"), &["kind: is \"Job\", but must be BacktestJob"]),
        ("/metadata", json!({}), &["metadata.name: is missing: name the job, such as sma-crossover"]),
        ("/metadata", Value::Null, &["metadata: is missing: write metadata: {name: my-job}"]),
        ("/metadata/name", json!("My Job"), &["metadata.name: is \"My Job\", but must be a Kubernetes name"]),
        ("/spec", json!([]), &["spec: is [], but must be an object"]),
        (
            "analysis",
            json!({"walkForward": {"train": "90d"}}),
            &["spec.analysis: this build has no analysis yet", "remove it"],
        ),
        ("output/top", json!(1.5), &["spec.output.top: is 1.5, but must be a whole number from 0 to 1000"]),
        ("strategy/long", Value::Null, &["neither `long` nor `short` is given: add one with its `enter`"]),
        (
            "strategy/long",
            json!({"exit": "close > 1"}),
            &["spec.strategy.long.enter: is missing: a condition such as"],
        ),
        (
            "strategy/long/order",
            json!({"type": "limit"}),
            &["spec.strategy.long.order.price: is missing: the order's price"],
        ),
        (
            "strategy/long/order",
            json!({"type": "lmit", "price": 1}),
            &["order.type: is \"lmit\"", "did you mean `limit`?"],
        ),
        (
            "strategy/size",
            json!("allin"),
            &["spec.strategy.size: is \"allin\", but must be allIn, or one of"],
        ),
        (
            "strategy/size",
            json!({"equityPercent": 150}),
            &["spec.strategy.size.equityPercent: 150 is out of range"],
        ),
        (
            "strategy/risk/stopLoss",
            json!({"percent": 3, "atr": 2}),
            &["spec.strategy.risk.stopLoss: is {\"atr\":2,\"percent\":3}, but must be"],
        ),
        (
            "strategy/risk/maxBars",
            json!(0),
            &["spec.strategy.risk.maxBars: 0 is out of range: a whole number of bars, at least 1"],
        ),
        (
            "strategy/session",
            json!({"zone": "Mars/Olympus"}),
            &["spec.strategy.session", "`Mars/Olympus`, which is no IANA time zone: write one such as UTC"],
        ),
        (
            "strategy/session",
            json!({"zone": "UTC", "days": ["monday"]}),
            &["`days` holds `monday`: write mon, tue"],
        ),
        (
            "strategy/session",
            json!({"zone": "UTC", "from": "25:00"}),
            &["`from` is `25:00`: write a time of day as HH:MM"],
        ),
        (
            "execution/fees",
            json!({"takerBps": -1}),
            &["spec.execution.fees.takerBps: is -1, but must be basis points from 0"],
        ),
        (
            "execution/initialCash",
            json!(0),
            &["spec.execution.initialCash: is 0, but must be an amount above 0"],
        ),
    ]);
    // Risk-based size without a stop to measure the risk by.
    let manifest = with(small(), "/spec/strategy/risk", Value::Null);
    let manifest = with(manifest, "/spec/strategy/parameters", json!({"fast": 5, "slow": 20}));
    let manifest = with(manifest, "/spec/strategy/size", json!({"riskPercent": 1}));
    let part = "spec.strategy.size.riskPercent: riskPercent needs an initial stop: add `risk.stopLoss` or `risk.trail`";
    refused(manifest.to_string(), &[], &[part]);
}

#[test]
fn what_contradicts_profile_vectorbt() {
    let manifest = with(small(), "/spec/execution", json!({"semantics": "vectorbt", "fill": "nextOpen"}));
    let manifest = with(manifest, "/spec/strategy/size", json!({"equityPercent": 50}));
    let manifest = with(manifest, "/spec/strategy/risk/maxBars", json!(3));
    refused(
        manifest.to_string(),
        &[],
        &[
            "3 problems",
            "spec.execution.fill: contradicts `semantics: vectorbt`: it fills at the signal bar's close (fill: close)",
            "spec.strategy.risk.maxBars: contradicts",
            "spec.strategy.size: contradicts `semantics: vectorbt`: it is always all in (allIn)",
        ],
    );
}

#[test]
fn several_problems_are_reported_at_once() {
    let mut manifest = small();
    manifest["kind"] = json!("Job");
    let spec = &mut manifest["spec"];
    spec["data"]["interval"] = json!("7m");
    spec["data"]["from"] = json!("01/02/2024");
    spec["output"] = json!({"topp": 3});
    spec["sweep"]["objective"] = json!("sharp");
    spec["sweep"]["where"] = json!("fst > slow");
    spec["strategy"]["long"]["enter"] = json!("smaa(close, 5) > 1");
    spec["strategy"]["define"]["fastMa"] = json!("sma(close)");
    let ran = refused(
        manifest.to_string(),
        &[],
        &[
            "kind: is \"Job\"",
            "spec.data.interval: `7m`",
            "spec.data.from: is \"01/02/2024\"",
            "spec.output.topp: is no field",
            "spec.sweep.objective: `sharp`",
            "spec.sweep.where: unknown name `fst`",
        ],
    );
    assert!(ran.stderr.starts_with("error: job.yaml cannot run: 6 problems\n"), "{}", ran.stderr);
    // The grid is known once `where` is right, and with it what every trial says.
    manifest["spec"]["sweep"]["where"] = json!("fast < slow");
    let ran = refused(
        manifest.to_string(),
        &[],
        &[
            "kind: is \"Job\"",
            "spec.strategy.long.enter: unknown function `smaa`",
            "spec.strategy.define.fastMa: `sma` takes 2",
        ],
    );
    assert!(
        !ran.stderr.contains("in the trial"),
        "errors of all trials are not blamed on one: {}",
        ran.stderr
    );
    assert_eq!(ran.stderr.lines().count(), 8, "{}", ran.stderr);
    // For machines: the same, as JSON on standard output.
    let folder = folder();
    write(&folder.path().join("job.yaml"), &manifest);
    for command in ["run", "validate"] {
        let ran = run_in(folder.path(), [command, "job.yaml", "--output", "json"]).fails(2, &[]);
        let errors = ran.json()["errors"].as_array().unwrap().clone();
        assert_eq!(errors.len(), 7);
        assert!(errors.iter().any(|e| e["field"] == "spec.data.interval" && e["message"].is_string()));
    }
}

#[test]
fn manifests_that_are_no_manifests() {
    let nested = |open: &str, close: &str| format!("spec: {}1{}", open.repeat(10_000), close.repeat(10_000));
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..10 {
        bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(",")));
    }
    let twice = format!("{}\n---\n{}", small(), small());
    for (text, part) in [
        ("", "the manifest is empty: `blockgrid init` writes one"),
        ("# only a comment\n", "the manifest is empty"),
        ("- 1\n- 2\n", "the manifest is [1,2], but must have the fields apiVersion, kind, metadata and spec"),
        ("hello", "the manifest is \"hello\", but must have the fields"),
        ("apiVersion: [1, 2\nkind: {", "failed to read the manifest as YAML"),
        ("spec:\n\tdata: 1", "tabs disallowed within this context (block indentation) at line 2, column 2"),
        ("a: 1\na: 2\n", "duplicate mapping key: a at line 2, column 1"),
        (&*twice, "it holds several documents (`---`), but a job is one"),
        (&*bomb, "it is too large once its aliases (`*name`) are written out"),
        (&*nested("[", "]"), "it nests too deep: the deepest field of a job lies eight levels down"),
        (&*nested("{a: ", "}"), "it nests too deep"),
    ] {
        refused(text, &[], &["error: job.yaml cannot run: 1 problem", part]);
    }
    refused(
        b"\xff\xfe\x00a",
        &[],
        &["error: cannot read job.yaml", "it is not UTF-8 text: save it as UTF-8"],
    );
    refused(
        format!("#{}", "x".repeat(10_000_000)),
        &[],
        &["the manifest has 10000001 bytes, the limit is 1048576"],
    );
}

#[test]
fn a_list_of_a_hundred_thousand_values_is_read_in_no_time() {
    let mut manifest = replaced("sweep/parameters/fast", json!((0..100_000).collect::<Vec<i64>>()));
    manifest["kind"] = json!("Job");
    refused(manifest.to_string(), &[], &["kind: is \"Job\"", "`window` of `sma` is 0"]);
}

#[test]
fn a_manifest_that_is_not_there_or_is_a_folder() {
    let folder = folder();
    run_in(folder.path(), ["run", "no.yaml"])
        .fails(2, &["cannot read no.yaml", "it does not exist", "blockgrid init"]);
    run_in(folder.path(), ["run", "."])
        .fails(2, &["cannot read .", "it is a folder: name the manifest in it"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn options_that_cannot_be() {
    let job = small().to_string();
    for (args, parts) in [
        (&["--threads", "0"][..], &["--threads: is 0, but must be from 1 to 1024"][..]),
        (&["--threads", "99999999"], &["--threads: is 99999999, but must be from 1 to 1024"]),
        (&["--threads", "x"], &["invalid value 'x' for '--threads <N>'"]),
        (
            &["--set", "fast", "--set", "=1"],
            &["bad --set: 2 problems", "`fast` has no `=`: write FIELD=VALUE", "`=1` names no field"],
        ),
        (&["--set", "a..b=3"], &["--set: `a..b=3` names no field"]),
        (&["--set", "sweep.parameters.fast=5..50"], &["spec.sweep.parameters.fast: is \"5..50\"", "5..50/5"]),
        (&["--set", "sweep.parameters.fast=5..50/0"], &["step is 0, but must be above 0"]),
        (&["--set", "sweep.parameters.fast.from=3"], &["spec.sweep.parameters.fast: has no field `from`"]),
        (
            &["--set", "strategy.parametres.fast=3"],
            &["spec.strategy.parametres: is no field here: did you mean `parameters`?"],
        ),
        (&["--set", "strategy.long.enter=close >"], &["spec.strategy.long.enter: failed to parse"]),
        (&["--objective", "sharpe"], &["unexpected argument '--objective'"]),
    ] {
        refused(&job, args, parts);
    }
    let folder = folder();
    write(&folder.path().join("job.yaml"), &small());
    std::fs::write(folder.path().join("taken"), "").unwrap();
    run_in(folder.path(), ["run", "job.yaml", "-o", "taken"])
        .fails(2, &["--out: `taken` is a file, not a folder: name another"]);
    std::fs::create_dir(folder.path().join("theirs")).unwrap();
    let record = folder.path().join("theirs/job.json");
    std::fs::write(&record, r#"{"job":"theirs"}"#).unwrap();
    run_in(folder.path(), ["run", "job.yaml", "-o", "theirs"])
        .fails(2, &["--out: `theirs` has results of another job, theirs: name another"]);
    // Of its own, and whole or not.
    for own in [r#"{"job":"small"}"#, "{"] {
        std::fs::write(&record, own).unwrap();
        run_in(folder.path(), ["run", "job.yaml", "-o", "theirs"]).ok();
    }
}
