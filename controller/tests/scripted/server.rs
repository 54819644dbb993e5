//! An API server in memory: objects with resource versions, watches, merge patches, finalizers, the conflicts of the real
//! one. It notes at once what must never be.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use blockgrid_grid::JobId;
use futures::stream;
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::call::{Call, Fault, Rule};
use crate::merge::merge;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Resource, namespace, name.
type Path = (String, String, String);
type Line = Result<String, BoxError>;
/// A code, and what it says.
type Answer = (u16, Value);

#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<Path, Value>,
    history: Vec<(u64, &'static str, Path, Value)>,
    /// Versions up to this one are forgotten.
    compacted: u64,
    watchers: Vec<(Call, mpsc::UnboundedSender<Line>)>,
    rules: Vec<Rule>,
    calls: Vec<Call>,
    made: HashMap<Path, usize>,
    wrong: Vec<String>,
}

fn path(resource: &str, namespace: &str, name: &str) -> Path {
    (resource.to_owned(), namespace.to_owned(), name.to_owned())
}

fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn refusal(code: u16) -> Answer {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": format!("the script says {code}"),
    });
    (code, status)
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        kube::Client::new(service, "default")
    }

    async fn answer(&self, request: Request<kube::client::Body>) -> Result<Response<Body>, BoxError> {
        let (parts, body) = request.into_parts();
        let call = Call::read(&parts, &body.collect_bytes().await?);
        let fault = self.lock().meet(&call);
        match fault {
            Some(Fault::Refused) => return Err("the connection is refused".into()),
            Some(Fault::Code(code)) => return Ok(response(refusal(code))),
            Some(Fault::Late(pause)) => tokio::time::sleep(pause).await,
            _ => {}
        }
        if call.verb == "watch" {
            return Ok(self.watch(&call, fault));
        }
        let answer = self.lock().serve(&call);
        if call.is("delete jobs") && answer.0 == 200 {
            self.collect(call.namespace.clone().unwrap_or_default(), call.name.clone());
        }
        match fault {
            Some(Fault::Lost) => Err("the connection is reset".into()),
            Some(Fault::Cut) => {
                let text = answer.1.to_string();
                let half: Vec<Line> =
                    vec![Ok(text[..text.len() / 2].to_owned()), Err("it breaks off".into())];
                Ok(Response::new(Body::from_stream(stream::iter(half))))
            }
            Some(Fault::Garbage) => Ok(Response::new(Body::from("<html>a proxy was here"))),
            _ => Ok(response(answer)),
        }
    }

    /// As the garbage collector: a Job is there until its pods are gone.
    fn collect(&self, namespace: String, name: String) {
        let server = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            server.lock().remove(&path("jobs", &namespace, &name));
        });
    }

    fn watch(&self, call: &Call, fault: Option<Fault>) -> Response<Body> {
        let mut state = self.lock();
        let (sender, receiver) = mpsc::unbounded_channel::<Line>();
        let from: u64 = call.asked("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
        if from < state.compacted {
            let _ = sender.send(Ok(line("ERROR", &refusal(410).1)));
        } else {
            match fault {
                Some(Fault::Garbage) => drop(sender.send(Ok("<html>a proxy was here\n".to_owned()))),
                Some(Fault::Cut) => drop(sender.send(Ok("{\"type\":\"MODIF".to_owned()))),
                Some(Fault::Lost) => drop(sender.send(Err("the connection is reset".into()))),
                _ => {
                    for (version, kind, path, object) in &state.history {
                        if *version > from && wanted(call, path, object) {
                            let _ = sender.send(Ok(line(kind, object)));
                        }
                    }
                    state.watchers.push((call.clone(), sender));
                }
            }
        }
        let lines = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|line| (line, receiver))
        });
        Response::new(Body::from_stream(lines))
    }

    /// The next requests of a kind meet a fault.
    pub(crate) fn script(&self, times: usize, fault: Fault, is: impl Fn(&Call) -> bool + Send + 'static) {
        self.lock().rules.push(Rule { is: Box::new(is), fault, times });
    }

    /// No request meets a fault any more.
    pub(crate) fn be_well(&self) {
        self.lock().rules.clear();
    }

    /// Ends all watches of a resource, after some last words.
    pub(crate) fn end_watches(&self, resource: &str, last: Option<&str>) {
        self.lock().watchers.retain(|(call, sender)| {
            let is = call.resource == resource;
            if let (true, Some(last)) = (is, last) {
                let _ = sender.send(Ok(last.to_owned()));
            }
            !is
        });
    }

    /// Says something to all who watch a resource.
    pub(crate) fn say(&self, resource: &str, words: &str) {
        self.lock().say(resource, words);
    }

    pub(crate) fn watchers(&self, resource: &str) -> usize {
        let open = |(call, sender): &&(Call, mpsc::UnboundedSender<Line>)| {
            call.resource == resource && !sender.is_closed()
        };
        self.lock().watchers.iter().filter(open).count()
    }

    /// What was before is forgotten.
    pub(crate) fn compact(&self) {
        let mut state = self.lock();
        state.compacted = state.version;
    }

    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    /// As [`Server::compact`], when all who watch a resource have been told of all that was.
    pub(crate) fn compact_after_a_bookmark(&self, resource: &str, kind: &str) {
        let mut state = self.lock();
        let metadata = json!({ "resourceVersion": state.version.to_string() });
        let object = json!({ "kind": kind, "apiVersion": "v1", "metadata": metadata });
        let bookmark = json!({ "type": "BOOKMARK", "object": object });
        state.say(resource, &format!("{bookmark}\n"));
        state.compacted = state.version;
    }

    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&path(resource, namespace, name)).cloned()
    }

    /// Makes an object, as somebody else does; its uid.
    pub(crate) fn create(&self, resource: &str, namespace: &str, object: Value) -> String {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let (code, made) = self.lock().create(path(resource, namespace, &name), object);
        assert_eq!(code, 201, "{made}");
        made["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// Changes an object, as somebody else does.
    pub(crate) fn patch(&self, resource: &str, namespace: &str, name: &str, body: &Value) {
        let (code, answer) = self.lock().patch(&path(resource, namespace, name), "", body);
        assert_eq!(code, 200, "{answer}");
    }

    /// Removes an object whatever holds it back.
    pub(crate) fn remove(&self, resource: &str, namespace: &str, name: &str) {
        self.lock().remove(&path(resource, namespace, name));
    }

    pub(crate) fn count(&self, resource: &str) -> usize {
        self.lock().objects.keys().filter(|path| path.0 == resource).count()
    }

    /// How often an object was made.
    pub(crate) fn made(&self, resource: &str, namespace: &str, name: &str) -> usize {
        self.lock().made.get(&path(resource, namespace, name)).copied().unwrap_or(0)
    }

    pub(crate) fn calls(&self, is: impl Fn(&Call) -> bool) -> usize {
        self.lock().calls.iter().filter(|call| is(call)).count()
    }

    /// What was that must never be.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.lock().wrong.clone()
    }
}

fn line(kind: &str, object: &Value) -> String {
    // In this order: a client that hears the type first need not keep the object for later.
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn response((code, body): Answer) -> Response<Body> {
    let mut response = Response::builder().status(code).header("content-type", "application/json");
    if code == 429 {
        response = response.header("retry-after", "1");
    }
    response.body(Body::from(body.to_string())).unwrap()
}

fn wanted(call: &Call, path: &Path, object: &Value) -> bool {
    let label = call.asked("labelSelector").and_then(|text| text.split_once('='));
    call.resource == path.0
        && call.namespace.as_ref().is_none_or(|namespace| *namespace == path.1)
        && label.is_none_or(|(name, value)| object["metadata"]["labels"][name] == value)
}

impl State {
    fn say(&self, resource: &str, words: &str) {
        for (_, sender) in self.watchers.iter().filter(|(call, _)| call.resource == resource) {
            let _ = sender.send(Ok(words.to_owned()));
        }
    }

    fn meet(&mut self, call: &Call) -> Option<Fault> {
        self.calls.push(call.clone());
        let rule = self.rules.iter_mut().find(|rule| rule.times > 0 && (rule.is)(call))?;
        rule.times -= 1;
        Some(rule.fault)
    }

    fn serve(&mut self, call: &Call) -> Answer {
        let named =
            if call.name.is_empty() { call.says("/metadata/name").as_str() } else { Some(&*call.name) };
        let path = path(&call.resource, call.namespace.as_deref().unwrap_or(""), named.unwrap_or_default());
        match call.verb {
            "list" => {
                let items: Vec<&Value> = self
                    .objects
                    .iter()
                    .filter(|(path, it)| wanted(call, path, it))
                    .map(|(_, it)| it)
                    .collect();
                let metadata = json!({ "resourceVersion": self.version.to_string() });
                (200, json!({ "kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items }))
            }
            "create" => self.create(path, call.body.clone()),
            "get" => self.objects.get(&path).map_or_else(|| refusal(404), |object| (200, object.clone())),
            "update" => {
                // It keeps its tags: spec and status are told anew.
                let version = call.says("/metadata/resourceVersion");
                let body = json!({ "metadata": { "resourceVersion": version }, "replaced": call.body });
                self.patch(&path, &call.part, &body)
            }
            "patch" => self.patch(&path, &call.part, &call.body),
            _ => self.delete(&path, &call.body),
        }
    }

    fn create(&mut self, path: Path, mut object: Value) -> Answer {
        if self.objects.contains_key(&path) {
            return refusal(409);
        }
        *self.made.entry(path.clone()).or_default() += 1;
        let metadata = &mut object["metadata"];
        metadata["namespace"] = json!(path.1);
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(JobId::random());
        }
        metadata["generation"] = json!(1);
        metadata["creationTimestamp"] = json!(Timestamp::from_second(Timestamp::now().as_second()).unwrap());
        if path.0 == "jobs" {
            self.check_pool(&object);
        }
        (201, self.store("ADDED", path, object))
    }

    fn patch(&mut self, path: &Path, part: &str, body: &Value) -> Answer {
        let Some(old) = self.objects.get(path).cloned() else { return refusal(404) };
        let asked = |pointer: &str| body.pointer(pointer).filter(|asked| !asked.is_null());
        let conflicts =
            |pointer: &str| asked(pointer).is_some_and(|asked| old.pointer(pointer) != Some(asked));
        if conflicts("/metadata/uid") || conflicts("/metadata/resourceVersion") {
            return refusal(409);
        }
        let mut new = old.clone();
        match body.get("replaced") {
            Some(body) => ["spec", "status"].into_iter().for_each(|field| new[field] = body[field].clone()),
            None => merge(&mut new, body),
        }
        if part == "status" {
            let status = new["status"].take();
            new = old.clone();
            new["status"] = status;
        } else if new["spec"] != old["spec"] {
            new["metadata"]["generation"] = json!(number(&old, "/metadata/generation") + 1);
        }
        if new == old {
            return (200, old);
        }
        if path.0 == "backtestjobs" {
            self.check_end(&old, &new);
        }
        let is_let_go = new["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        if is_let_go && !new["metadata"]["deletionTimestamp"].is_null() {
            self.remove(path);
            return (200, new);
        }
        (200, self.store("MODIFIED", path.clone(), new))
    }

    fn delete(&mut self, path: &Path, body: &Value) -> Answer {
        let Some(mut object) = self.objects.get(path).cloned() else { return refusal(404) };
        let uid = &body["preconditions"]["uid"];
        if !uid.is_null() && *uid != object["metadata"]["uid"] {
            return refusal(409);
        }
        let is_held = object["metadata"]["finalizers"].as_array().is_some_and(|held| !held.is_empty());
        if !is_held && path.0 != "jobs" {
            self.remove(path);
        } else if object["metadata"]["deletionTimestamp"].is_null() {
            object["metadata"]["deletionTimestamp"] = json!(Timestamp::now());
            self.store("MODIFIED", path.clone(), object.clone());
        }
        (200, object)
    }

    fn remove(&mut self, path: &Path) {
        if let Some(mut object) = self.objects.remove(path) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.tell("DELETED", path.clone(), object);
        }
    }

    fn store(&mut self, kind: &'static str, path: Path, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.clone(), object.clone());
        if path.0.starts_with("backtest") {
            self.check_money();
        }
        self.tell(kind, path, object.clone());
        object
    }

    fn tell(&mut self, kind: &'static str, path: Path, object: Value) {
        for (call, sender) in &self.watchers {
            if wanted(call, &path, &object) {
                let _ = sender.send(Ok(line(kind, &object)));
            }
        }
        self.history.push((self.version, kind, path, object));
    }

    /// Workers are made for a job that holds money, and for no other.
    fn check_pool(&mut self, pool: &Value) {
        let uid = &pool["metadata"]["labels"]["grid.blockbuilders.app/job-uid"];
        let mut jobs = self.objects.iter().filter(|(path, _)| path.0 == "backtestjobs").map(|(_, job)| job);
        let is_ours = |job: &&Value| job["metadata"]["uid"] == *uid;
        if !uid.is_null()
            && jobs.find(is_ours).is_some_and(|job| number(job, "/status/reservedMicroUsd") == 0)
        {
            self.wrong.push(format!("workers without money: {}", pool["metadata"]["name"]));
        }
    }

    /// What a job has cost is not known before its workers are gone.
    fn check_end(&mut self, old: &Value, new: &Value) {
        let holds = |job: &Value| number(job, "/status/reservedMicroUsd") > 0;
        let uid = old["metadata"]["uid"].as_str().unwrap_or_default();
        let pool = self.objects.get(&path("jobs", "platform", &format!("bt-{uid}")));
        let is_ours = |pool: &Value| pool["metadata"]["labels"]["grid.blockbuilders.app/job-uid"] == uid;
        if holds(old) && !holds(new) && pool.is_some_and(is_ours) {
            self.wrong.push(format!("settled before its workers are gone: {uid}"));
        }
    }

    /// What jobs hold that may run is held by their budgets, and no limit is passed.
    fn check_money(&mut self) {
        let runs = |job: &Value| {
            job["metadata"]["deletionTimestamp"].is_null() && job["status"]["completionTime"].is_null()
        };
        let mut wrong = Vec::new();
        for (path, budget) in self.objects.iter().filter(|(path, _)| path.0 == "backtestbudgets") {
            let jobs = self.objects.iter().filter(|(job, object)| {
                job.0 == "backtestjobs" && runs(object) && (path.1 == "platform" || path.1 == job.1)
            });
            let held: u64 = jobs.map(|(_, job)| number(job, "/status/reservedMicroUsd")).sum();
            let status = &budget["status"];
            let reserved = number(status, "/reservedMicroUsd");
            if reserved < held {
                wrong.push(format!("jobs hold {held}, but {}'s budget {reserved}", path.1));
            }
            if reserved + number(status, "/spentMicroUsd") > number(status, "/limitMicroUsd") {
                wrong.push(format!("{}'s limit is passed: {status}", path.1));
            }
        }
        self.wrong.extend(wrong);
    }
}
