//! What a worker counts, for Prometheus.

use std::time::Duration;

use blockgrid_grid::{Depth, Outcome};
use prometheus::{
    Counter, Encoder, GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Counters of one worker.
#[derive(Debug, Clone)]
pub struct Meters {
    registry: Registry,
    claimed: IntCounter,
    done: IntCounter,
    failed: IntCounterVec,
    failed_trials: IntCounterVec,
    reclaimed: IntCounter,
    lost: IntCounter,
    abandoned_seconds: Counter,
    evaluations: IntCounter,
    trials: IntCounter,
    cpu_seconds: Counter,
    alone: IntCounter,
    audits: IntCounter,
    finished: IntCounter,
    queue_errors: IntCounter,
    store_errors: IntCounter,
    candle_hits: IntCounter,
    candle_reads: IntCounter,
    queued: IntGaugeVec,
    pending: IntGaugeVec,
    oldest: GaugeVec,
}

impl Default for Meters {
    fn default() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(format!("blockgrid_worker_{name}"), help);
            let counter = counter.unwrap_or_else(|error| unreachable!("{error}"));
            registry.register(Box::new(counter.clone())).unwrap_or_else(|error| unreachable!("{error}"));
            counter
        };
        let seconds = |name: &str, help: &str| {
            let counter = Counter::new(format!("blockgrid_worker_{name}"), help);
            let counter = counter.unwrap_or_else(|error| unreachable!("{error}"));
            registry.register(Box::new(counter.clone())).unwrap_or_else(|error| unreachable!("{error}"));
            counter
        };
        let by_reason = |name: &str, help: &str| {
            let counter =
                IntCounterVec::new(Opts::new(format!("blockgrid_worker_{name}"), help), &["reason"]);
            let counter = counter.unwrap_or_else(|error| unreachable!("{error}"));
            registry.register(Box::new(counter.clone())).unwrap_or_else(|error| unreachable!("{error}"));
            counter
        };
        let by_stream = |name: &str, help: &str| {
            let gauge = IntGaugeVec::new(Opts::new(format!("blockgrid_queue_{name}"), help), &["stream"]);
            let gauge = gauge.unwrap_or_else(|error| unreachable!("{error}"));
            registry.register(Box::new(gauge.clone())).unwrap_or_else(|error| unreachable!("{error}"));
            gauge
        };
        let oldest = Opts::new("blockgrid_queue_oldest_seconds", "Age of the oldest unit that waits.");
        let oldest = GaugeVec::new(oldest, &["stream"]).unwrap_or_else(|error| unreachable!("{error}"));
        registry.register(Box::new(oldest.clone())).unwrap_or_else(|error| unreachable!("{error}"));
        Self {
            candle_hits: counter("candle_hit_bytes_total", "Bytes of candles that were there already."),
            candle_reads: counter(
                "candle_read_bytes_total",
                "Bytes of candles that were read from the store.",
            ),
            queued: by_stream("queued_units", "Units that wait."),
            pending: by_stream("pending_units", "Units in somebody's hands."),
            oldest,
            claimed: counter("units_claimed_total", "Units of work taken from the queue."),
            done: counter("units_done_total", "Outcomes written for units that are done."),
            failed: by_reason("units_failed_total", "Outcomes written for units that cannot be done."),
            failed_trials: by_reason("trials_failed_total", "Trials that failed while their shard did not."),
            reclaimed: counter("leases_reclaimed_total", "Leases of silent workers taken over."),
            lost: counter("leases_lost_total", "Leases that another worker had taken over."),
            abandoned_seconds: seconds(
                "abandoned_seconds_total",
                "Seconds of work that was dropped unfinished.",
            ),
            evaluations: counter("bar_evaluations_total", "Bars evaluated: trials times bars."),
            trials: counter("trials_total", "Trials computed."),
            cpu_seconds: seconds("billed_cpu_seconds_total", "CPU time of computed units."),
            alone: counter("units_alone_total", "Units computed in a process of their own."),
            audits: counter("audits_total", "Audits of a stream."),
            finished: counter("jobs_finished_total", "Jobs that this worker finished."),
            queue_errors: counter("queue_errors_total", "Times the queue could not be asked."),
            store_errors: counter("store_errors_total", "Units handed back because of the object store."),
            registry,
        }
    }
}

impl Meters {
    /// All of them, in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        encoded.map_or_else(|error| format!("# {error}\n"), |()| String::from_utf8_lossy(&out).into_owned())
    }

    /// What the candles' cache has given and read so far.
    pub(crate) fn candles(&self, hits: u64, read: u64) {
        self.candle_hits.inc_by(hits.saturating_sub(self.candle_hits.get()));
        self.candle_reads.inc_by(read.saturating_sub(self.candle_reads.get()));
    }

    pub(crate) fn depth(&self, stream: &str, depth: &Depth) {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.queued.with_label_values(&[stream]).set(whole(depth.queued));
        self.pending.with_label_values(&[stream]).set(whole(depth.pending));
        self.oldest.with_label_values(&[stream]).set(depth.oldest_ms.unwrap_or(0) as f64 / 1e3);
    }

    pub(crate) fn claimed(&self) {
        self.claimed.inc();
    }

    pub(crate) fn outcome(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Done { failed_trials, .. } => {
                self.done.inc();
                failed_trials
                    .iter()
                    .for_each(|trial| self.failed_trials.with_label_values(&[trial.reason.id()]).inc());
            }
            Outcome::Failed { reason, .. } => self.failed.with_label_values(&[reason.id()]).inc(),
        }
        let spent = outcome.usage().spent;
        self.evaluations.inc_by(spent.evaluations);
        self.trials.inc_by(spent.trials);
        self.cpu_seconds.inc_by(spent.cpu_micros as f64 / 1e6);
    }

    pub(crate) fn reclaimed(&self) {
        self.reclaimed.inc();
    }

    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    pub(crate) fn abandoned(&self, after: Duration) {
        self.abandoned_seconds.inc_by(after.as_secs_f64());
    }

    pub(crate) fn alone(&self) {
        self.alone.inc();
    }

    pub(crate) fn audited(&self) {
        self.audits.inc();
    }

    pub(crate) fn finished(&self) {
        self.finished.inc();
    }

    pub(crate) fn queue_error(&self) {
        self.queue_errors.inc();
    }

    pub(crate) fn store_error(&self) {
        self.store_errors.inc();
    }
}
