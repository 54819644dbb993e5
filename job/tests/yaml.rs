//! A manifest is one thing to `blockgrid` and to `kubectl apply`, or it is refused.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod manifests;

use blockgrid_job::{load, manifest};
use manifests::{examples, full};
use serde_json::{Value, json};

/// Plain scalars, and what kubectl sends for `v: SCALAR` and as the name in `SCALAR: 1`; `-` where it refuses them. Printed
/// by a program that gives both to `YAMLToJSON` of sigs.k8s.io/yaml 1.6.0, as kubectl does.
const BY_KUBECTL: &str = r#"
10 10 "10"
010 8 "8"
-010 -8 "-8"
+010 8 "8"
0_7 7 "7"
08 8 "8"
007.5 7.5 "7.5"
00 0 "0"
-0 0 "0"
+5 5 "5"
0o17 15 "15"
0O17 15 "15"
0o_17 15 "15"
0b101 5 "5"
-0b101 -5 "-5"
0b-101 -5 "-5"
0x1F 31 "31"
0x_1F 31 "31"
0x "0x" "0x"
1_000 1000 "1000"
1_000.5 1000.5 "1000.5"
1__0 10 "10"
1_ 1 "1"
_1 "_1" "_1"
1.5_0 1.5 "1.5"
.5 0.5 "0.5"
-.5 -0.5 "-0.5"
5. 5 "5"
.1_0 0.1 "0.1"
._1 "._1" "._1"
1e3 1000 "1000"
1E+3 1000 "1000"
1.5e-3 0.0015 "0.0015"
.5e3 500 "500"
1e-999 0 "0"
e3 "e3" "e3"
1234567.5 1234567.5 "1.2345675e+06"
0.1 0.1 "0.1"
0.00001 0.00001 "1e-05"
1.0 1 "1"
12345678901234567890 12345678901234567890 -
123456789012345678901 123456789012345680000 "1.2345679e+20"
y true "true"
Y true "true"
yes true "true"
Yes true "true"
YES true "true"
yEs "yEs" "yEs"
n false "false"
N false "false"
no false "false"
No false "false"
NO false "false"
on true "true"
On true "true"
ON true "true"
oN "oN" "oN"
off false "false"
Off false "false"
OFF false "false"
true true "true"
True true "true"
TRUE true "true"
tRUE "tRUE" "tRUE"
false false "false"
False false "false"
FALSE false "false"
null null -
Null null -
~ null -
nULL "nULL" "nULL"
NaN "NaN" "NaN"
nan "nan" "nan"
.nan - ".nan"
.NaN - ".nan"
.inf - ".inf"
-.inf - "-.inf"
inf "inf" "inf"
Infinity "Infinity" "Infinity"
1:30 "1:30" "1:30"
190:20:30.15 "190:20:30.15" "190:20:30.15"
09:30 "09:30" "09:30"
2024-01-01 "2024-01-01" "2024-01-01"
2024-01-01T00:00:00Z "2024-01-01T00:00:00Z" "2024-01-01T00:00:00Z"
2001-12-14t21:59:43.10-05:00 "2001-12-14t21:59:43.10-05:00" "2001-12-14t21:59:43.10-05:00"
1h "1h" "1h"
<< "<<" -
= "=" "="
-- "--" "--"
.. ".." ".."
1.2.3 "1.2.3" "1.2.3"
sma "sma" "sma"
"#;

fn rows() -> impl Iterator<Item = (&'static str, Option<Value>, Option<String>)> {
    BY_KUBECTL.trim().lines().map(|line| {
        let mut parts = line.splitn(3, ' ');
        let mut part = || parts.next().unwrap();
        let scalar = part();
        let value = part();
        let value = (value != "-").then(|| serde_json::from_str(value).unwrap());
        let name = part();
        (scalar, value, (name != "-").then(|| serde_json::from_str(name).unwrap()))
    })
}

/// Numbers are the same whether they are written with a point or not.
fn is_same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|a| b.as_f64() == Some(a))
}

/// The tree of a text, or the only thing that is wrong with it.
fn tree(text: &str) -> Result<Value, String> {
    manifest::tree(text, &[]).map_err(|errors| {
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        errors[0].to_string()
    })
}

/// A manifest with parameters as they are written.
fn with_parameters(parameters: &str) -> Vec<String> {
    let text = format!(
        "apiVersion: grid.blockbuilders.app/v1alpha1
kind: BacktestJob
metadata: {{name: two-yamls}}
spec:
  data: {{dataset: sample, interval: 1h, from: 2024-01-01, to: 2024-06-01T00:00:00Z}}
  strategy:
    parameters: {parameters}
    long: {{enter: close > open, exit: close < open}}
"
    );
    let loaded = load(&text, &[], |_| false);
    loaded.err().map(|invalid| invalid.errors.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

#[test]
fn values_are_what_kubectl_sends_or_refused() {
    let mut refused = 0;
    for (scalar, sent, _) in rows() {
        for text in
            [format!("v: {scalar}"), format!("{{v: {scalar} }}"), format!("v: &anchor {scalar} # why")]
        {
            let Ok(here) = serde_saphyr::from_str::<Value>(&text) else {
                assert!(tree(&text).is_err(), "{text}");
                continue;
            };
            let sent = sent.as_ref().unwrap_or_else(|| panic!("kubectl refuses {scalar}"));
            match tree(&text) {
                Ok(read) => {
                    assert!(is_same(&read["v"], sent) && read == here, "{text}: {read} is {sent} to kubectl")
                }
                Err(error) => {
                    refused += 1;
                    assert!(!is_same(&here["v"], sent), "{text}: {error}");
                    assert!(error.starts_with(&format!("v: `{scalar}` (line 1, column ")), "{error}");
                }
            }
        }
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn names_are_what_kubectl_sends_or_refused() {
    let mut refused = 0;
    for (scalar, _, sent) in rows() {
        for text in [format!("{scalar}: 1"), format!("{{&anchor {scalar} : 1}}"), format!("? {scalar}\n: 1")]
        {
            match tree(&text) {
                Ok(read) => {
                    let names: Vec<_> = read.as_object().unwrap().keys().collect();
                    // It refuses what is no whole number of 64 bits with a sign, and says so.
                    assert!(sent.as_ref().is_none_or(|sent| names == [sent]), "{text}: {names:?}, {sent:?}");
                }
                Err(error) if error.contains("to kubectl") => {
                    refused += 1;
                    let sent = sent.as_ref().unwrap();
                    assert_ne!(scalar, sent, "{error}");
                    assert!(error.contains(&format!(") is `{sent}` to kubectl")), "{error}");
                }
                Err(error) => assert!(error.contains("as YAML"), "{error}"),
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn what_is_in_quotes_or_tagged_as_a_text_is_one() {
    for (scalar, ..) in rows() {
        for text in
            [format!("'{scalar}'"), format!("\"{scalar}\""), format!("!!str {scalar}"), format!("! {scalar}")]
        {
            assert_eq!(tree(&format!("v: {text}")).unwrap(), json!({ "v": scalar }));
            assert_eq!(tree(&format!("{text} : 1")).unwrap(), json!({ scalar: 1 }));
        }
        assert_eq!(tree(&format!("v: |-\n  {scalar}\n")).unwrap(), json!({ "v": scalar }));
    }
}

#[test]
fn a_refusal_says_where_what_and_what_to_do() {
    for (parameters, expected) in [
        (
            "{m: 010}",
            "spec.strategy.parameters.m: `010` (line 7, column 21) is 10 here and 8 to kubectl, which reads YAML 1.1: write `10` or `8`, or `\"010\"` for the text",
        ),
        (
            "\n      m: &m -010",
            "spec.strategy.parameters.m: `-010` (line 8, column 13) is -10 here and -8 to kubectl, which reads YAML 1.1: write `-10` or `-8`, or `\"-010\"` for the text",
        ),
        (
            "{m: 1_000.5}",
            "spec.strategy.parameters.m: `1_000.5` (line 7, column 21) is the text \"1_000.5\" here and 1000.5 to kubectl, which reads YAML 1.1: write `1000.5`, or `\"1_000.5\"` for the text",
        ),
        (
            "{m: oN}",
            "spec.strategy.parameters.m: `oN` (line 7, column 21) is true here and the text \"oN\" to kubectl, which reads YAML 1.1: write `true`, or `\"oN\"` for the text",
        ),
        (
            "{m: [1, 2, {a: 010}]}",
            "spec.strategy.parameters.m[2].a: `010` (line 7, column 32) is 10 here and 8 to kubectl, which reads YAML 1.1: write `10` or `8`, or `\"010\"` for the text",
        ),
        (
            "{n: 5}",
            "spec.strategy.parameters.n: the name `n` (line 7, column 18) is `false` to kubectl, which reads YAML 1.1: put it in quotes (\"n\") or choose another name",
        ),
        (
            "\n      Yes: 5",
            "spec.strategy.parameters.Yes: the name `Yes` (line 8, column 7) is `true` to kubectl, which reads YAML 1.1: put it in quotes (\"Yes\") or choose another name",
        ),
        (
            "{m: 5, len:}",
            "spec.strategy.parameters.len: the colon is part of the name `len` (line 7, column 24) to kubectl, which reads YAML 1.1: write a space behind it (`len: `)",
        ),
        (
            "{m: 5, <<: {m: 6}}",
            "spec.strategy.parameters.<<: `<<` (line 7, column 24) stands behind other entries: to kubectl, what it merges replaces them, and here it does not. Let it stand first, once (`<<: [*a, *b]` merges several)",
        ),
    ] {
        assert_eq!(with_parameters(parameters), [expected]);
    }
}

#[test]
fn what_both_read_the_same_is_read() {
    for parameters in
        ["{m: 10}", "{m: 0x1F}", "{m: 1_000}", "{\"n\": 5}", "{'y': 1e3}", "{<<: {m: 6}, m: 5}", "{m: .5}"]
    {
        let errors = with_parameters(parameters);
        assert!(errors.iter().all(|error| error.contains("is never used")), "{errors:?}");
    }
    assert_eq!(tree("a: &a 2024-01-01\nb: *a\n").unwrap(), json!({"a": "2024-01-01", "b": "2024-01-01"}));
}

#[test]
fn names_by_an_alias_are_looked_at_where_they_are_names() {
    assert!(tree("a: &a 1.0\nb: *a\n").is_ok());
    let error = tree("a: &a 1.0\nb: {*a : 2}\n").unwrap_err();
    assert!(error.starts_with("b.1.0: the name `1.0` (line 2, column 5) is `1` to kubectl"), "{error}");
    // Said once, not for each alias.
    assert!(tree(&format!("a: &a 010\nb: [{}]\n", "*a, ".repeat(50))).unwrap_err().starts_with("a: `010`"));
}

#[test]
fn tags_that_kubectl_does_not_know_are_texts_to_it() {
    assert!(tree("v: !mine 10").unwrap_err().contains("is 10 here and the text \"10\" to kubectl"));
    assert!(tree("v: !!float 010").unwrap_err().contains("is 10 here and 8 to kubectl"));
    assert_eq!(tree("v: !mine '10'").unwrap(), json!({"v": "10"}));
    assert_eq!(tree("v: !!float 3").unwrap(), json!({"v": 3.0}));
}

#[test]
fn of_many_differences_some_are_told() {
    let list = format!("v: [{}]", "010, ".repeat(10_000));
    assert_eq!(manifest::tree(&list, &[]).unwrap_err().len(), 20);
    let long = format!("v: 0{}7", "_0".repeat(50_000));
    assert!(tree(&long).is_err_and(|error| error.len() < 1_000));
}

#[test]
fn the_manifests_of_examples_and_tests_are_the_same_to_both() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    for (file, value) in examples() {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        assert_eq!(tree(&text).unwrap(), value, "{file}");
    }
    for text in [full().to_string(), serde_json::to_string_pretty(&full()).unwrap()] {
        assert_eq!(tree(&text).unwrap(), full());
    }
}

#[test]
fn what_came_through_kubectl_says_where_true_and_false_come_from() {
    let mut manifest = full();
    manifest["spec"]["strategy"]["parameters"]["false"] = json!(5);
    let invalid = manifest::of_value(&manifest, |_| false).unwrap_err();
    let errors: Vec<_> = invalid.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "spec.strategy.parameters.false: `false` is a reserved word of the expression language: choose another name. It comes from an unquoted `n`, `no` or `off`, which kubectl reads as false: put it in quotes"
        ]
    );
}

/// kubectl and API servers write -0 as 0: it is no other trial on a laptop.
#[test]
fn zero_is_one_number() {
    let job = |zero: &str| {
        let mut manifest = full();
        manifest["spec"]["strategy"]["parameters"]["zero"] = json!(0.5);
        manifest["spec"]["strategy"]["short"]["enter"] =
            json!("crosses_below(fastMa, slowMa) && close > zero");
        manifest["spec"]["sweep"]["parameters"]["zero"] = serde_json::from_str(zero).unwrap();
        manifest
    };
    let resolved = |manifest: &Value| {
        let job = manifest::of_value(manifest, |_| false).unwrap();
        assert!(job.grid().swept(0).iter().all(|value| value.is_sign_positive()));
        job.spec().manifest().to_string()
    };
    let plain = resolved(&job("[0, 0.5]"));
    assert_eq!(resolved(&job("[-0.0, 0.5]")), plain);
    assert_eq!(resolved(&job("[0.0, 0.5]")), plain);
}
