//! What the pods of a job take, seen from outside of the operator that charges for them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

/// Since when each pod is on, and until when it was seen to be, by uid.
#[derive(Default)]
pub(crate) struct Witness {
    seen: Mutex<BTreeMap<String, (Timestamp, Timestamp)>>,
    done: AtomicBool,
}

impl Witness {
    /// Looks once a second until it is told to stop.
    pub(crate) fn watch(&self, pods: impl Fn() -> Vec<Value>) {
        while !self.done.load(Ordering::Relaxed) {
            let (now, pods) = (Timestamp::now(), pods());
            let mut seen = self.seen.lock().unwrap();
            for pod in pods {
                let status = &pod["status"];
                let since = status["startTime"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
                // As the API server shows it, not by what containers say of their ends, which the operator goes by.
                let is_on = status["phase"] == "Running" || status["phase"] == "Pending";
                let Some(since) = since.filter(|_| is_on) else { continue };
                seen.insert(pod["metadata"]["uid"].as_str().unwrap().to_owned(), (since, now));
            }
            drop(seen);
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// How many pods there were, and their seconds.
    pub(crate) fn pod_seconds(&self) -> (usize, f64) {
        let seen = self.seen.lock().unwrap();
        let seconds = seen.values().map(|(since, until)| until.duration_since(*since).as_secs_f64());
        (seen.len(), seconds.sum())
    }
}

/// Tells a witness to stop, however a test ends.
pub(crate) struct Stop<'a>(pub(crate) &'a Witness);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Relaxed);
    }
}
