//! Results without keys of the store: the operator signs links, which stand in the job's status for as long as they are
//! asked for. What they open is laid out in a store in memory, as it lies in the grid's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use blockgrid_grid::store::{Links as Client, keys, sha256};
use blockgrid_grid::{JobId, Options, Plan, Store};
use blockgrid_job::names::{LINKS_ANNOTATION, LinksRequest, MAX_LINKS};
use blockgrid_job::status::{Links, ResultsRef};
use blockgrid_results::files::{PLAN, RECORD, TABLES, TRACES};
use blockgrid_results::rank;
use blockgrid_results::table::decode_trials;
use blockgrid_results::trace::decode_traces;
use blockgrid_worker::Ready;
use blockgrid_worker::publish::place_of;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::client::Cluster;
use super::follow::follow;
use super::object::BacktestJob;
use super::suspend::patiently;
use crate::failure::Failure;
use crate::show;

/// How long the operator may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Files that are fetched at a time.
const AT_ONCE: usize = 4;

/// Times that a request is made anew because somebody else's took its place.
const TRIES: u32 = 20;

/// What a job left, fetched by links, and its plan.
pub(super) async fn fetched(
    cluster: &Cluster,
    job: &BacktestJob,
    results: &ResultsRef,
) -> Result<(Store, Plan), Failure> {
    let mut asking = Asking { cluster, job, last: None };
    let fetched = asking.fetch(results).await;
    // Also when it failed: whoever may look at the job could use them.
    asking.take_back().await;
    fetched
}

struct Asking<'a> {
    cluster: &'a Cluster,
    job: &'a BacktestJob,
    /// The request that was made last.
    last: Option<String>,
}

/// What became of a request.
enum Answer {
    Links(Links),
    /// Somebody else's stands in its place.
    Replaced,
}

impl Asking<'_> {
    async fn fetch(&mut self, results: &ResultsRef) -> Result<(Store, Plan), Failure> {
        let id: JobId = self.job.uid.parse()?;
        let client = Client::new()?;
        let store = Store::open("memory:", &Options::default())?;
        let names: Vec<String> =
            [PLAN, RECORD, TRACES].into_iter().chain(TABLES).map(str::to_owned).collect();
        let files = self.files(&client, &names).await?;
        let file = |name: &str| files.get(name).cloned().unwrap_or_default();
        if sha256(&file(RECORD)) != results.sha256 {
            return Err(Failure::Failed(anyhow::anyhow!(
                "the record of {} is not the one that its status names (SHA-256 {}): ask whoever runs the grid",
                self.job.name,
                results.sha256
            )));
        }
        let plan: Plan = serde_json::from_slice(&file(PLAN))?;
        store.put(&results.record, file(RECORD)).await?;
        store.put(&keys::plan(&id), file(PLAN)).await?;
        for name in TABLES.into_iter().chain([TRACES]) {
            store.put(&keys::out(&id, name), file(name)).await?;
        }
        // The candles of the symbols whose trials the report shows. A report of a format that is not known here is not made.
        let Ok(ready) = Ready::of_finished(plan.clone()) else { return Ok((store, plan)) };
        let table = decode_trials(file(TABLES[0]), TABLES[0])?;
        let traced = decode_traces(&file(TRACES))?.len();
        let shown = rank(&table, &ready.objective()).into_iter().take(traced);
        let symbols: BTreeSet<usize> = shown.map(|row| place_of(&ready, row).0).collect();
        let names: Vec<String> = symbols.iter().map(|&symbol| LinksRequest::candles_file(symbol)).collect();
        let candles = self.files(&client, &names).await?;
        for (symbol, name) in symbols.into_iter().zip(&names) {
            let (Some(input), Some(bytes)) = (plan.inputs.symbols.get(symbol), candles.get(name)) else {
                continue;
            };
            store.put(&keys::candles(&plan.tenant, &input.digest), bytes.clone()).await?;
        }
        Ok((store, plan))
    }

    /// Fetches files. An answer has as many links as a status has room for: the others are asked for again.
    async fn files(&mut self, client: &Client, names: &[String]) -> Result<BTreeMap<String, Bytes>, Failure> {
        let mut files = BTreeMap::new();
        loop {
            let missing: Vec<String> =
                names.iter().filter(|name| !files.contains_key(*name)).take(MAX_LINKS).cloned().collect();
            let Some(first) = missing.first() else { return Ok(files) };
            let links = self.ask(missing.clone()).await?;
            let fetched = download(client, &links, &missing).await?;
            if fetched.is_empty() {
                return Err(Failure::Failed(anyhow::anyhow!(
                    "the operator made no link to {first}: it is of another version than this program, or has removed the file"
                )));
            }
            files.extend(fetched);
        }
    }

    /// Asks the operator for links and waits for them.
    async fn ask(&mut self, files: Vec<String>) -> Result<Links, Failure> {
        for round in 0..TRIES {
            let text = JobId::random().to_string();
            let request = LinksRequest { text, files: files.clone() }.to_string();
            // Never into another job of the same name.
            let body =
                json!({ "metadata": { "uid": self.job.uid, "annotations": { LINKS_ANNOTATION: request } } });
            self.cluster.patch(&self.job.name, body).await?;
            self.last = Some(request.clone());
            let answer = follow(self.cluster, &self.job.name, |job| {
                match &job.status.links {
                    Some(links) if links.request == request => return Some(Answer::Links(links.clone())),
                    _ => {}
                }
                (job.asks.as_deref() != Some(&request)).then_some(Answer::Replaced)
            });
            let note = format!(
                "the operator is asked for links to the results, and has not answered yet: waiting for up to {} s",
                PATIENCE.as_secs()
            );
            match tokio::time::timeout(PATIENCE, patiently(answer, &note)).await {
                Ok(answer) => match answer? {
                    Answer::Links(links) => return Ok(links),
                    // Each at another moment, so that both have a turn.
                    Answer::Replaced => {
                        let spread = u64::from(std::process::id() % 7) * 40;
                        tokio::time::sleep(Duration::from_millis(100 * u64::from(round + 1) + spread)).await;
                    }
                },
                Err(_) => {
                    return Err(Failure::Failed(anyhow::anyhow!(
                        "the operator made no links within {} s: does it run? Its log says why. Whoever has keys of the store needs none: --store s3://BUCKET/PREFIX",
                        PATIENCE.as_secs()
                    )));
                }
            }
        }
        let message = "others ask for links to the same job all the time: try again";
        Err(Failure::Failed(anyhow::anyhow!(message)))
    }

    /// Removes the request, and with it the links, unless somebody else has asked meanwhile.
    async fn take_back(&self) {
        let Some(request) = &self.last else { return };
        for _ in 0..5 {
            let Ok(job) = self.cluster.jobs().get(&self.job.name).await.map(BacktestJob::from) else { break };
            if job.uid != self.job.uid || job.asks.as_ref() != Some(request) {
                return;
            }
            let body = json!({ "metadata": {
                "resourceVersion": job.version, "annotations": { LINKS_ANNOTATION: Value::Null },
            } });
            match self.cluster.try_patch(&self.job.name, body).await {
                Ok(_) => return,
                // The operator has written something: look again.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(_) => break,
            }
        }
        show::note("note: the links could not be taken back: they open the results until they run out");
    }
}

/// Fetches those files that there are links to.
async fn download(client: &Client, links: &Links, names: &[String]) -> Result<Vec<(String, Bytes)>, Failure> {
    let there = names.iter().filter_map(|name| Some((name, links.files.get(name)?)));
    let fetches = there.map(|(name, url)| async move {
        let bytes = client.get(url).await.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        Ok::<_, anyhow::Error>((name.clone(), bytes))
    });
    Ok(stream::iter(fetches).buffered(AT_ONCE).try_collect().await?)
}
