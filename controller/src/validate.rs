//! What a job asks of the cluster, judged by its spec and the configuration alone. What is in the strategy, the grid and
//! the candles is judged when the job is planned, by the same code as on a laptop.

use blockgrid_job::FieldError;
use blockgrid_job::spec::ClusterSpec;
use blockgrid_job::status::Terms;
use serde_json::Value;

use crate::config::Config;
use crate::terms::Rates;
use crate::world::{Asked, Refused};

/// The reason of jobs whose spec is no good.
pub const INVALID: &str = "InvalidSpec";

/// Seconds until it is found out that workers have cost enough, which is looked for every ten, and told to them.
const FOUND_OUT_SECONDS: u64 = 20;

/// Judges a manifest. `was_let_in` says that it was good once: limits of the platform that were lowered since are not held
/// against it, nor is it given more than they allow now, but for what stands in its `terms`.
///
/// # Errors
/// Why the job does not run: with the fields and what to do about them.
pub fn validate(
    manifest: &Value,
    namespace: &str,
    config: &Config,
    was_let_in: bool,
    terms: Option<&Terms>,
) -> Result<Asked, Refused> {
    // What stands in place of a spec that is too much says so itself.
    if manifest["spec"].is_string()
        && let Err(found) = blockgrid_job::of_value(manifest, |_| false)
    {
        return Err(invalid(&found.errors));
    }
    let mut errors = Vec::new();
    let cluster = match blockgrid_job::manifest::cluster(manifest) {
        Ok(cluster) => cluster,
        Err(found) => {
            errors.extend(found);
            ClusterSpec::default()
        }
    };
    let is_read = errors.is_empty();
    // What stands there and cannot be read is told already.
    let class = config.classes.get(&cluster.class);
    if class.is_none() && is_read {
        let known: Vec<&str> = config.classes.keys().map(String::as_str).collect();
        let message = format!(
            "is `{}`, which is no compute class here: the platform has {}",
            cluster.class,
            known.join(", ")
        );
        errors.push(FieldError::new("spec.compute.class", message));
    }
    if let Some(file) = manifest.pointer("/spec/data/file").filter(|file| !file.is_null()) {
        let message = format!(
            "is {file}, but a cluster opens registered data sets only: have it registered and name it as spec.data.dataset"
        );
        errors.push(FieldError::new("spec.data.file", message));
    }
    let longest = config.jobs.max_deadline;
    if !was_let_in && cluster.deadline_seconds.is_some_and(|asked| asked > longest.as_secs()) {
        let asked = manifest.pointer("/spec/compute/deadline").cloned().unwrap_or_default();
        let message = format!(
            "is {asked}, but this platform lets a job take {} at most (jobs.maxDeadline of the chart): ask for less, or split the sweep",
            blockgrid_job::quote::duration(longest.as_secs_f64())
        );
        errors.push(FieldError::new("spec.compute.deadline", message));
    }
    // One that is planned has its candles; they were its to read then.
    let unknown = dataset(manifest)
        .filter(|_| !was_let_in)
        .and_then(|name| config.dataset(name, namespace).err())
        .map(|message| FieldError::new("spec.data.dataset", message));
    let class = match (class, errors.is_empty() && unknown.is_none()) {
        (Some(class), true) => class,
        _ => return Err(refused(errors, unknown)),
    };
    let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let let_in = terms.map_or(0, |terms| terms.deadline_seconds);
    let deadline = match cluster.deadline_seconds {
        Some(asked) => asked.min(longest.as_secs().max(let_in)),
        None => config.jobs.deadline.as_secs().max(let_in),
    };
    Ok(Asked {
        suspend: cluster.suspend,
        cancel: cluster.cancel,
        deadline_seconds: i64::try_from(deadline).unwrap_or(i64::MAX),
        start_seconds: seconds(config.workers.start_deadline),
        rest_seconds: seconds(config.jobs.max_rest),
        max_workers: cluster.max_workers.unwrap_or(u32::MAX).min(config.jobs.max_workers),
        slots: class.slots,
        // Checked, as the next, when the configuration was read.
        memory: class.memory_bytes().unwrap_or(u64::MAX),
        offered: Rates {
            price: class.price(&cluster.class),
            costs: config.costs,
            millicpus: (class.vcpus().unwrap_or(1.0) * 1e3).round() as u64,
            stopping_seconds: config.workers.grace.as_secs().saturating_add(FOUND_OUT_SECONDS),
        },
        max_cost: cluster.max_cost_micro_usd,
    })
}

/// All that the cluster has against a job. The rest is judged when it is planned, beside the looks at jobs: it takes up to
/// a second, which a thousand mistakes must not take from everybody.
fn refused(mut errors: Vec<FieldError>, unknown: Option<FieldError>) -> Refused {
    match unknown {
        // Nothing of it is the manifest's fault but for the name.
        Some(unknown) if errors.is_empty() => {
            Refused { reason: "UnknownDataset".into(), message: unknown.to_string() }
        }
        unknown => {
            errors.extend(unknown);
            invalid(&errors)
        }
    }
}

/// The registered data set that a manifest names.
pub fn dataset(manifest: &Value) -> Option<&str> {
    manifest.pointer("/spec/data/dataset")?.as_str()
}

/// Seconds that a job stays after its end: what it says itself, though the rest of it cannot be read, or the platform.
pub fn ttl_seconds(manifest: &Value, config: &Config) -> i64 {
    let asked = blockgrid_job::manifest::cluster(manifest).ok().and_then(|cluster| cluster.ttl_seconds);
    i64::try_from(asked.unwrap_or(config.jobs.ttl.as_secs())).unwrap_or(i64::MAX)
}

/// Bad fields, as `blockgrid validate` tells them.
pub fn invalid(errors: &[FieldError]) -> Refused {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Refused { reason: INVALID.into(), message: lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Config {
        Config::of_text(
            "
workers: {namespace: blockgrid, image: blockgrid:1}
classes:
  standard: {cpu: '2', memory: 4Gi, slots: 2, microUsdPerVcpuHour: 36000}
  spot: {cpu: 500m, memory: 1Gi, slots: 1, microUsdPerVcpuHour: 12000}
datasets: {sample: {location: sample}, own: {location: /data, namespaces: [team-a]}}
jobs: {maxWorkers: 8}
",
        )
        .unwrap()
    }

    fn manifest(mut data: Value, compute: Value) -> Value {
        data["interval"] = json!("1h");
        let strategy = json!({
            "parameters": { "n": 20 },
            "define": { "mean": "sma(close, n)" },
            "long": { "enter": "close > mean", "exit": "close < mean" },
        });
        json!({
            "apiVersion": "grid.blockbuilders.app/v1alpha1", "kind": "BacktestJob", "metadata": { "name": "a" },
            "spec": { "data": data, "strategy": strategy, "compute": compute },
        })
    }

    #[test]
    fn the_platforms_limits_hold() {
        let asked = |compute| {
            validate(&manifest(json!({ "dataset": "sample" }), compute), "t", &config(), false, None)
        };
        let plain = asked(Value::Null).unwrap();
        assert_eq!((plain.max_workers, plain.slots, plain.offered.millicpus), (8, 2, 2000));
        assert_eq!(plain.deadline_seconds, 86_400);
        let spot =
            asked(json!({ "class": "spot", "maxWorkers": 100, "maxCostUsd": 5, "deadline": "2h" })).unwrap();
        assert_eq!((spot.max_workers, spot.offered.millicpus, spot.max_cost), (8, 500, Some(5_000_000)));
        assert_eq!((spot.deadline_seconds, spot.offered.price.micro_usd_a_vcpu_hour), (7200, 12_000));
    }

    #[test]
    fn refusals_name_field_value_and_remedy() {
        let refused =
            |data, compute| validate(&manifest(data, compute), "team-b", &config(), false, None).unwrap_err();
        let sample = json!({ "dataset": "sample" });
        let class = refused(sample.clone(), json!({ "class": "gpu" }));
        assert_eq!(class.reason, INVALID);
        assert!(
            class.message.contains("spec.compute.class: is `gpu`")
                && class.message.contains("spot, standard")
        );
        let file = refused(json!({ "file": "a.csv" }), Value::Null);
        assert!(
            file.message
                .starts_with("spec.data.file: is \"a.csv\", but a cluster opens registered data sets")
        );
        let foreign = refused(json!({ "dataset": "own" }), Value::Null);
        assert_eq!(foreign.reason, "UnknownDataset");
        let late = refused(sample.clone(), json!({ "deadline": "30d" })).message;
        assert!(late.starts_with("spec.compute.deadline: is \"30d\", but this platform"), "{late}");
        let long = manifest(sample.clone(), json!({ "deadline": "30d" }));
        // It is changed while the job waits, or runs: more than the platform allows nobody gets by that.
        let later = |manifest: &Value, terms: Option<u64>| {
            let terms = terms.map(|deadline_seconds| Terms { deadline_seconds, ..Terms::default() });
            validate(manifest, "team-b", &config(), true, terms.as_ref()).unwrap().deadline_seconds
        };
        assert_eq!(later(&long, None), 7 * 86_400);
        // The limits, or the default, were lowered since.
        assert_eq!(later(&long, Some(9 * 86_400)), 9 * 86_400);
        let plain = manifest(sample.clone(), Value::Null);
        assert_eq!((later(&plain, Some(90_000)), later(&plain, Some(7))), (90_000, 86_400));
        let workers = refused(sample, json!({ "maxWorkers": 0 }));
        assert!(workers.message.contains("spec.compute.maxWorkers"), "{}", workers.message);
    }

    #[test]
    fn all_that_the_cluster_lacks_is_told_at_once() {
        let told = |manifest: &Value| validate(manifest, "team-b", &config(), false, None).unwrap_err();
        let paths = |refused: &Refused| -> Vec<String> {
            let path = |line: &str| line.split_once(": ").unwrap().0.to_owned();
            refused.message.lines().map(path).collect()
        };
        let mut wrong = manifest(json!({ "dataset": "own" }), json!({ "class": "gpu", "deadline": "30d" }));
        let refused = told(&wrong);
        let all = ["spec.compute.class", "spec.compute.deadline", "spec.data.dataset"];
        assert_eq!((&*refused.reason, paths(&refused)), (INVALID, all.map(str::to_owned).into()));
        // What stands there and cannot be read is told, and not what stands for it meanwhile.
        wrong["spec"]["compute"] = json!({ "class": 7, "maxWorkers": 0 });
        assert_eq!(
            paths(&told(&wrong)),
            ["spec.compute.class", "spec.compute.maxWorkers", "spec.data.dataset"]
        );
        // Nothing of the strategy is looked at here.
        wrong["spec"]["strategy"]["long"]["exit"] = json!("clse < mean");
        wrong["spec"]["compute"] = json!({ "class": "gpu" });
        assert_eq!(paths(&told(&wrong)), ["spec.compute.class", "spec.data.dataset"]);
    }
}
