//! `kubectl backtest submit`: a job from a manifest, checked here and created there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use blockgrid_job::crd::Kind;
use blockgrid_job::names::{MAX_TEXT_BYTES, TEXT_ANNOTATION};
use blockgrid_job::quote::grouped;
use blockgrid_job::{DataSource, FieldError, manifest};
use blockgrid_planner::{Refusal, candles};
use blockgrid_results::Objective;
use clap::Args;
use kube::api::{DynamicObject, PostParams, TypeMeta};
use serde_json::{Value, json};

use super::client::{Cluster, MANAGER};
use super::object::{BacktestJob, resource};
use super::{program, results, watch};
use crate::failure::Failure;
use crate::load::load_without_data;
use crate::{ManifestArgs, Output, quote, show};

/// Seconds that fetching the results of a job may take.
const FETCHING_SECONDS: u64 = 60;

#[derive(Args)]
pub(super) struct SubmitArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Another name than the manifest's.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Create it suspended: the operator makes its quote, and nothing runs until `resume`.
    #[arg(long)]
    suspend: bool,
    /// Watch it, and fetch its results when it has ended.
    #[arg(long)]
    watch: bool,
    /// Folder for the results [default: blockgrid-out/NAME].
    #[arg(short, long, value_name = "DIR", requires = "watch")]
    out: Option<PathBuf>,
}

/// A job that is right as far as it can be told here.
pub(super) struct Prepared {
    name: String,
    /// The namespace that the manifest names.
    namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: BTreeMap<String, String>,
    spec: Value,
}

/// Reads the manifest and checks it, as `blockgrid validate` does.
pub(super) fn prepare(args: &SubmitArgs) -> Result<Prepared, Failure> {
    let loaded = load_without_data(&args.manifest, args.name.as_deref())?;
    let cannot = |errors| Failure::fields(format!("{} cannot run", args.manifest.file.display()), errors);
    Objective::of(&loaded.job.spec().sweep.objective)?;
    if args.watch
        && let Some(ttl) = loaded.job.spec().cluster.ttl_seconds.filter(|ttl| *ttl < FETCHING_SECONDS)
    {
        let message = format!(
            "is {ttl} s, and the job would be gone before --watch has fetched its results: say {FETCHING_SECONDS}s or more, or leave --watch out"
        );
        return Err(cannot(vec![FieldError::new("spec.ttl", message)]));
    }
    match &loaded.job.spec().data.source {
        DataSource::File(file) => {
            let message = format!(
                "is `{file}`, but a cluster opens registered data sets only: name one with spec.data.dataset"
            );
            return Err(cannot(vec![FieldError::new("spec.data.file", message)]));
        }
        // What the cluster's data set of this name has, the operator checks. Here it gives a quote where it can.
        DataSource::Dataset(name) => match candles::read(&loaded.job, &loaded.folder) {
            Ok(data) => {
                show::note(&format!("{}: {}", loaded.job.spec().name, quote::of(&loaded.job, &data)));
            }
            Err(Refusal::Input { errors, .. })
                if candles::open_dataset(name, &loaded.folder, "spec.data.dataset").is_ok() =>
            {
                show::note(&format!(
                    "note: it does not fit `{name}` as it is here; the cluster's may differ"
                ));
                errors.iter().for_each(|error| show::note(&format!("  {error}")));
            }
            Err(_) => {}
        },
    }
    // As its author wrote it: what it resolves to is the operator's to say, and leaves out what is said to a cluster.
    let mut tree = manifest::tree(&loaded.text, &args.manifest.overrides()?).map_err(cannot)?;
    if args.suspend {
        tree["spec"]["suspend"] = json!(true);
    }
    let mut metadata = tree["metadata"].take();
    let strings = |value: Value| serde_json::from_value::<BTreeMap<String, String>>(value);
    let mut annotations = match metadata["annotations"].take() {
        Value::Null => BTreeMap::new(),
        annotations => strings(annotations).map_err(|error| {
            cannot(vec![FieldError::new("metadata.annotations", format!("must be texts: {error}"))])
        })?,
    };
    let labels = match metadata["labels"].take() {
        Value::Null => None,
        labels => Some(strings(labels).map_err(|error| {
            cannot(vec![FieldError::new("metadata.labels", format!("must be texts: {error}"))])
        })?),
    };
    if loaded.text.len() < MAX_TEXT_BYTES {
        annotations.insert(TEXT_ANNOTATION.to_owned(), loaded.text);
    } else {
        show::note(&format!(
            "the manifest has {} bytes, of which an annotation takes {}: the report will show it without its comments",
            grouped(loaded.text.len() as u128),
            grouped(MAX_TEXT_BYTES as u128)
        ));
    }
    Ok(Prepared {
        name: loaded.job.spec().name.clone(),
        namespace: metadata["namespace"].as_str().map(str::to_owned),
        labels,
        annotations,
        spec: tree["spec"].take(),
    })
}

pub(super) async fn submit(
    mut cluster: Cluster,
    args: &SubmitArgs,
    prepared: Option<Prepared>,
) -> Result<(), Failure> {
    let Some(prepared) = prepared else { return Ok(()) };
    if let Some(namespace) = &prepared.namespace {
        // As kubectl has it: the manifest's namespace holds, and an option must not say another.
        if cluster.flags.contains(" -n ") && *namespace != cluster.namespace {
            let message =
                format!("is {}, but metadata.namespace of the manifest is {namespace}", cluster.namespace);
            return Err(Failure::input("cannot submit", "--namespace", message));
        }
        if *namespace != cluster.namespace {
            cluster.flags.push_str(&format!(" -n {namespace}"));
            cluster.namespace.clone_from(namespace);
        }
    }
    if args.watch {
        let out = results::folder(args.out.as_deref(), &prepared.name);
        crate::grid::writable(&out, &prepared.name, Some(&cluster.namespace))?;
    }
    let job = create(&cluster, &prepared).await?;
    let name = &job.name;
    show::note(&format!("{name} is created in namespace {} (uid {})", cluster.namespace, job.uid));
    let (program, flags) = (program(), &cluster.flags);
    if !args.watch {
        let next = if args.suspend { "why" } else { "watch" };
        show::note(&format!("`{program} {next} {name}{flags}` says how it is"));
        return Ok(());
    }
    let job = watch::watch(&cluster, name).await?;
    results::fetch(&cluster, &job, args.out.as_deref(), None, Output::Text).await
}

async fn create(cluster: &Cluster, prepared: &Prepared) -> Result<BacktestJob, Failure> {
    let kind = resource(Kind::BacktestJob);
    let mut object = DynamicObject::new(&prepared.name, &kind).within(&cluster.namespace);
    object.types = Some(TypeMeta { api_version: kind.api_version.clone(), kind: kind.kind.clone() });
    object.metadata.labels.clone_from(&prepared.labels);
    object.metadata.annotations = Some(prepared.annotations.clone());
    object.data = json!({ "spec": prepared.spec });
    let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match cluster.jobs().create(&parameters, &object).await {
        Ok(job) => Ok(job.into()),
        Err(kube::Error::Api(status)) if status.is_already_exists() || status.code == 409 => {
            let name = &prepared.name;
            let phase = match cluster.jobs().get(name).await.map(BacktestJob::from) {
                Ok(job) if job.is_deleted => " and is being deleted".to_owned(),
                Ok(job) => format!(" ({})", job.status.phase),
                Err(_) => String::new(),
            };
            let namespace = &cluster.namespace;
            let message = format!(
                "`{name}` exists in namespace {namespace}{phase}: give this one another with --name, or remove that one with `kubectl delete btj {name} -n {namespace}`"
            );
            Err(Failure::input("cannot submit", "--name", message))
        }
        Err(error) => Err(cluster.failure(&error, cluster.call("create", &prepared.name))),
    }
}
