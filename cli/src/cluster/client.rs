//! The API server: how it is found, and what its refusals mean.

use std::time::Duration;

use blockgrid_engine::expr::nearest;
use blockgrid_job::crd::{GROUP, Kind};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::WhichCluster;
use super::object::{BacktestJob, resource};
use crate::failure::Failure;

/// Who writes, as objects remember it.
pub(super) const MANAGER: &str = "kubectl-backtest";

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Names that are listed when one does not exist.
const SHOWN: usize = 8;

/// A cluster, and the namespace that is meant.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) namespace: String,
    url: String,
    /// The options by which the same cluster and namespace are named again.
    pub(super) flags: String,
}

/// Something that is asked of an API server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) verb: &'a str,
    /// As rights name it: `backtestjobs`, `pods/log`.
    pub(super) resource: &'a str,
    /// Its group; empty for those of Kubernetes itself.
    pub(super) group: &'a str,
    /// Where; all namespaces if it is empty.
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// Connects. No request is made yet.
pub(super) async fn connect(which: &WhichCluster) -> Result<Cluster, Failure> {
    let options = KubeConfigOptions { context: which.context.clone(), ..KubeConfigOptions::default() };
    let (kubeconfig, option) = match &which.kubeconfig {
        Some(file) => (Kubeconfig::read_from(file), "--kubeconfig"),
        None => (Kubeconfig::read(), "KUBECONFIG"),
    };
    let bad = |path: &str, message: String| Failure::input("no cluster", path, message);
    let mut config = match kubeconfig {
        Ok(kubeconfig) => {
            let contexts: Vec<String> =
                kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| match error {
                KubeconfigError::LoadContext(name) => {
                    let known = contexts.iter().map(String::as_str);
                    let near = nearest(&name, known).map(|near| format!(": did you mean `{near}`?"));
                    let message = format!(
                        "`{name}` is none (known: {}){}",
                        contexts.join(", "),
                        near.unwrap_or_default()
                    );
                    bad("--context", message)
                }
                error => bad(option, chain(&error)),
            })?
        }
        Err(error) => match Config::incluster() {
            Ok(config) if which.kubeconfig.is_none() && which.context.is_none() => config,
            _ => {
                let remedy = "name a kubeconfig with --kubeconfig FILE or KUBECONFIG";
                return Err(bad(option, format!("{}: {remedy}", chain(&error))));
            }
        },
    };
    config.connect_timeout = Some(CONNECT);
    let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let namespace = which.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| bad(option, chain(&error)))?;
    let mut flags = String::new();
    let kubeconfig = which.kubeconfig.as_ref().map(|file| file.display().to_string());
    let given = [("-n", &which.namespace), ("--context", &which.context), ("--kubeconfig", &kubeconfig)];
    for (option, value) in given {
        if let Some(value) = value {
            flags.push_str(&format!(" {option} {value}"));
        }
    }
    Ok(Cluster { client, namespace, url, flags })
}

impl Cluster {
    /// Jobs of the namespace.
    pub(super) fn jobs(&self) -> Api<DynamicObject> {
        self.of(Kind::BacktestJob, &self.namespace)
    }

    /// Objects of a kind of the grid in a namespace.
    pub(super) fn of(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(kind))
    }

    /// Something about a job.
    pub(super) fn call<'a>(&'a self, verb: &'a str, name: &'a str) -> Call<'a> {
        Call { verb, resource: "backtestjobs", group: GROUP, namespace: &self.namespace, name }
    }

    /// A job; where there is none, with the names that are near.
    pub(super) async fn job(&self, name: &str) -> Result<BacktestJob, Failure> {
        match self.jobs().get(name).await {
            Ok(job) => Ok(job.into()),
            Err(error) => Err(self.failed(error, self.call("get", name)).await),
        }
    }

    /// Changes a job by a merge patch.
    pub(super) async fn patch(&self, name: &str, body: Value) -> Result<BacktestJob, Failure> {
        match self.try_patch(name, body).await {
            Ok(job) => Ok(job),
            Err(error) => Err(self.failed(error, self.call("patch", name)).await),
        }
    }

    /// The same, for who has something to say about the failure.
    pub(super) async fn try_patch(&self, name: &str, body: Value) -> Result<BacktestJob, kube::Error> {
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        Ok(self.jobs().patch(name, &parameters, &Patch::Merge(body)).await?.into())
    }

    /// What a failure means; a job that is not there is looked for among those that are.
    pub(super) async fn failed(&self, error: kube::Error, call: Call<'_>) -> Failure {
        match &error {
            kube::Error::Api(status) if status.code == 404 && is_object(status, call.name) => {
                self.no_such_job(call.name).await
            }
            _ => self.failure(&error, call),
        }
    }

    /// What a failure means.
    pub(super) fn failure(&self, error: &kube::Error, call: Call<'_>) -> Failure {
        let url = &self.url;
        let failed = |message: String| Failure::Failed(anyhow::anyhow!(message));
        let status = match error {
            kube::Error::Api(status) => status,
            kube::Error::Auth(_) => {
                return failed(format!("the credentials of the kubeconfig cannot be had: {}", chain(error)));
            }
            error if is_transient(error) => {
                return failed(format!(
                    "no cluster answers at {url} ({}): check the context, and the network to it",
                    innermost(error)
                ));
            }
            error => return failed(format!("the cluster at {url}: {}", chain(error))),
        };
        let said = status.message.trim();
        let place = match call.namespace {
            "" => "in all namespaces".to_owned(),
            namespace => format!("in namespace {namespace}"),
        };
        match status.code {
            401 => failed(format!("{url} does not know who you are (401): log in to the cluster again")),
            403 if said.contains(" cannot ") => {
                let group = if call.group.is_empty() { String::new() } else { format!(".{}", call.group) };
                let role = if call.group == GROUP {
                    ": with the grid's chart the roles `edit` and `admin` of a namespace have it, `view` to look"
                } else {
                    ""
                };
                failed(format!(
                    "you may not {} {} {place}: ask for the right `{}` on `{}{group}` there{role} (the server: {said})",
                    call.verb, call.resource, call.verb, call.resource
                ))
            }
            403 => failed(format!("the cluster does not allow it: {said}")),
            404 if said.starts_with("namespaces ") => Failure::input(
                "no such namespace",
                "--namespace",
                format!("`{}` does not exist", call.namespace),
            ),
            404 if !is_object(status, call.name) && call.group == GROUP => failed(format!(
                "the cluster at {url} does not know {}: install the chart of the grid there, or its kinds alone with `blockgrid crds | kubectl apply --server-side -f -`",
                call.resource
            )),
            400 | 422 => Failure::input("the cluster refuses it", call.name, without_prefix(said).to_owned()),
            code => failed(format!("{url} answers {code}: {said}")),
        }
    }

    async fn no_such_job(&self, name: &str) -> Failure {
        let mut message = format!("`{name}` is none in namespace {}", self.namespace);
        if let Ok(found) = self.jobs().list_metadata(&ListParams::default()).await {
            let names: Vec<String> = found.items.iter().map(ResourceExt::name_any).collect();
            if let Some(near) = nearest(name, names.iter().map(String::as_str)) {
                message.push_str(&format!(": did you mean `{near}`?"));
            } else if names.is_empty() {
                message.push_str(", where there are no jobs");
            } else {
                let more = names.len().saturating_sub(SHOWN);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                message
                    .push_str(&format!(" (there are {}{more})", names[..names.len().min(SHOWN)].join(", ")));
            }
        }
        // Who may look everywhere is told where it is.
        let everywhere: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource(Kind::BacktestJob));
        let named = ListParams::default().fields(&format!("metadata.name={name}")).limit(1);
        if let Ok(found) = everywhere.list_metadata(&named).await
            && let Some(namespace) = found.items.first().and_then(ResourceExt::namespace)
        {
            message.push_str(&format!("; there is one in namespace {namespace}: -n {namespace}"));
        }
        Failure::input("no such job", "NAME", message)
    }
}

/// Whether it is an object that is missing, not its kind.
fn is_object(status: &kube::core::Status, name: &str) -> bool {
    status.details.as_ref().is_some_and(|details| !details.name.is_empty() && details.name == name)
}

/// Whether the same may go well in a moment.
pub(super) fn is_transient(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 429 || status.code >= 500,
        kube::Error::HyperError(_)
        | kube::Error::Service(_)
        | kube::Error::ReadEvents(_)
        | kube::Error::SerdeError(_)
        | kube::Error::LinesCodecMaxLineLengthExceeded => true,
        _ => false,
    }
}

/// What the API server says of an object that it refuses, without the name that everybody knows.
fn without_prefix(said: &str) -> &str {
    said.split_once(" is invalid: ").map_or(said, |(_, rest)| rest)
}

/// An error with its causes, as far as they say something new.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(&format!(": {said}"));
        }
        cause = error.source();
    }
    text
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
