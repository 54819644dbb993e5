//! Results without keys of the store: the operator signs links, which stand in the job's status for as long as they are
//! asked for. What they open is laid out in a store in memory, as it lies in the grid's.

use std::collections::BTreeSet;
use std::time::Duration;

use blockgrid_grid::store::{Links as Client, keys, sha256};
use blockgrid_grid::{JobId, Options, Plan, Store};
use blockgrid_job::names::{LINKS_ANNOTATION, LinksRequest, MAX_LINKS};
use blockgrid_job::status::{Links, ResultsRef};
use blockgrid_results::rank;
use blockgrid_results::table::decode_trials;
use blockgrid_results::trace::decode_traces;
use blockgrid_worker::Ready;
use blockgrid_worker::publish::{RECORD, TABLES, TRACES, place_of};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::client::Cluster;
use super::follow::follow;
use super::object::BacktestJob;
use crate::failure::Failure;
use crate::show;

/// How long the operator may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The name of the plan among the links.
const PLAN: &str = "plan.json";

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
        let links = self.ask(&[]).await?;
        let files = download(&client, &links, &names).await?;
        let file = |name: &str| -> Bytes {
            let found = files.iter().find(|(known, _)| known == name);
            found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
        };
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
        let symbols: Vec<usize> = symbols.into_iter().collect();
        for symbols in symbols.chunks(MAX_LINKS) {
            let links = self.ask(symbols).await?;
            let names: Vec<String> =
                symbols.iter().map(|&symbol| LinksRequest::candles_file(symbol)).collect();
            for ((_, bytes), &symbol) in download(&client, &links, &names).await?.into_iter().zip(symbols) {
                let Some(input) = plan.inputs.symbols.get(symbol) else { continue };
                store.put(&keys::candles(&plan.tenant, &input.digest), bytes).await?;
            }
        }
        Ok((store, plan))
    }

    /// Asks the operator for links and waits for them.
    async fn ask(&mut self, candles: &[usize]) -> Result<Links, Failure> {
        for round in 0..TRIES {
            let text = JobId::random().to_string();
            let request = LinksRequest { text, candles: candles.to_vec() }.to_string();
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
            match tokio::time::timeout(PATIENCE, answer).await {
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

/// Fetches files by their links, in the order of their names as given.
async fn download(client: &Client, links: &Links, names: &[String]) -> Result<Vec<(String, Bytes)>, Failure> {
    let fetches = names.iter().map(|name| async move {
        let url = links.files.get(name).ok_or_else(|| {
            anyhow::anyhow!(
                "the operator made no link to {name}: it is older than this program, or has removed the file"
            )
        })?;
        let bytes = client.get(url).await.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        Ok::<_, anyhow::Error>((name.clone(), bytes))
    });
    Ok(stream::iter(fetches).buffered(AT_ONCE).try_collect().await?)
}
