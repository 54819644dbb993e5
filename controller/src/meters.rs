//! What the operator counts, for Prometheus.

use blockgrid_job::budget::BudgetStatus;
use blockgrid_job::status::Phase;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// What is told of a budget.
const BUDGET_KINDS: [&str; 4] = ["limit", "spent", "unattributed", "reserved"];

/// Counters and gauges, all named `blockgrid_operator_...`.
pub struct Meters {
    registry: Registry,
    reconciles: HistogramVec,
    failures: IntCounterVec,
    jobs: IntGaugeVec,
    budgets: IntGaugeVec,
    leader: IntGauge,
    replicas: IntGauge,
    queued: IntGaugeVec,
    outdated: IntGauge,
}

impl Meters {
    /// All at nothing.
    ///
    /// # Errors
    /// Two of one name, which the tests exclude.
    pub fn new() -> Result<Self, prometheus::Error> {
        let name = |name: &str| format!("blockgrid_operator_{name}");
        let gauges = |metric: &str, help: &str, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name(metric), help), labels)
        };
        let buckets = vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
        let meters = Self {
            registry: Registry::new(),
            reconciles: HistogramVec::new(
                HistogramOpts::new(
                    name("reconcile_duration_seconds"),
                    "Time of a look at a job, what is done for it included, by whether anything was done or told.",
                )
                .buckets(buckets),
                &["acted"],
            )?,
            failures: IntCounterVec::new(
                Opts::new(
                    name("reconcile_failures_total"),
                    "Looks at a job that failed and are tried again.",
                ),
                &["kind"],
            )?,
            jobs: gauges("jobs", "BacktestJobs by phase.", &["phase"])?,
            budgets: gauges(
                "budget_micro_usd",
                "Micro-USD of a budget: its limit, spent, how much of that is no job's, and held for jobs.",
                &["budget", "kind"],
            )?,
            leader: IntGauge::new(name("leader"), "Whether this replica leads.")?,
            replicas: IntGauge::new(
                name("interactive_replicas"),
                "Workers of the interactive lane that there should be.",
            )?,
            outdated: IntGauge::new(
                name("outdated_crds"),
                "CustomResourceDefinitions that are missing or of another version, as the leader found them.",
            )?,
            queued: gauges("queue_vcpu_seconds", "Quoted work that waits, by lane.", &["lane"])?,
        };
        let registry = &meters.registry;
        registry.register(Box::new(meters.reconciles.clone()))?;
        registry.register(Box::new(meters.failures.clone()))?;
        registry.register(Box::new(meters.jobs.clone()))?;
        registry.register(Box::new(meters.budgets.clone()))?;
        registry.register(Box::new(meters.leader.clone()))?;
        registry.register(Box::new(meters.replicas.clone()))?;
        registry.register(Box::new(meters.queued.clone()))?;
        registry.register(Box::new(meters.outdated.clone()))?;
        Ok(meters)
    }

    /// A look at a job took so long. Whether anything was done for it or told of it: one that fails has tried to.
    pub fn reconciled(&self, seconds: f64, acted: bool) {
        self.reconciles.with_label_values(&[if acted { "true" } else { "false" }]).observe(seconds);
    }

    /// A look at a job failed.
    pub fn failed(&self, kind: &str) {
        self.failures.with_label_values(&[kind]).inc();
    }

    /// How many jobs there are in each phase.
    pub fn phases(&self, count: impl Fn(Phase) -> i64) {
        for phase in Phase::ALL {
            self.jobs.with_label_values(&[phase.id()]).set(count(phase));
        }
    }

    /// What a budget holds.
    pub fn budget(&self, name: &str, status: &BudgetStatus) {
        let told = [
            status.limit_micro_usd,
            status.spent_micro_usd,
            status.unattributed_micro_usd,
            status.reserved_micro_usd,
        ];
        for (kind, micro_usd) in BUDGET_KINDS.into_iter().zip(told) {
            let gauge = self.budgets.with_label_values(&[name, kind]);
            gauge.set(i64::try_from(micro_usd).unwrap_or(i64::MAX));
        }
    }

    /// A budget that is no more.
    pub fn forget_budget(&self, name: &str) {
        for kind in BUDGET_KINDS {
            // One that was never told is not there.
            let _ = self.budgets.remove_label_values(&[name, kind]);
        }
    }

    /// Whether this replica leads. Who leads no more knows nothing: what it told last would stand beside what the next one
    /// tells, and alerts take the higher of both.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
        if !leads {
            self.jobs.reset();
            self.budgets.reset();
            self.queued.reset();
            self.replicas.set(0);
            self.outdated.set(0);
        }
    }

    /// How the interactive lane is.
    pub fn lane(&self, replicas: i32, queued_micros: u64) {
        self.replicas.set(replicas.into());
        let seconds = i64::try_from(queued_micros / 1_000_000).unwrap_or(i64::MAX);
        self.queued.with_label_values(&["interactive"]).set(seconds);
    }

    /// A CustomResourceDefinition is not this program's.
    pub fn outdated(&self) {
        self.outdated.inc();
    }

    /// As Prometheus reads it.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        // A buffer takes everything.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let meters = Meters::new().unwrap();
        meters.reconciled(0.003, true);
        meters.failed("store");
        meters.phases(|phase| i64::from(phase == Phase::Running));
        meters.budget("blockgrid/grid", &BudgetStatus { spent_micro_usd: 3, ..BudgetStatus::default() });
        let text = meters.text();
        for line in [
            "blockgrid_operator_reconcile_duration_seconds_count{acted=\"true\"} 1",
            "blockgrid_operator_reconcile_failures_total{kind=\"store\"} 1",
            "blockgrid_operator_jobs{phase=\"Running\"} 1",
            "blockgrid_operator_jobs{phase=\"Failed\"} 0",
            "blockgrid_operator_budget_micro_usd{budget=\"blockgrid/grid\",kind=\"spent\"} 3",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    /// Two replicas are scraped, and an alert takes the higher of what they tell.
    #[test]
    fn who_leads_no_more_tells_nothing_of_jobs_and_budgets() {
        let meters = Meters::new().unwrap();
        let lead = || {
            meters.leads(true);
            meters.outdated();
            meters.phases(|_| 1);
            meters.lane(3, 5_000_000);
            for name in ["grid/a", "team/b"] {
                meters.budget(name, &BudgetStatus::default());
            }
        };
        lead();
        meters.forget_budget("team/b");
        meters.forget_budget("team/never");
        let text = meters.text();
        assert!(text.contains("budget=\"grid/a\"") && !text.contains("team/"), "{text}");
        meters.leads(false);
        let text = meters.text();
        for left in
            ["blockgrid_operator_jobs{", "blockgrid_operator_budget_micro_usd{", "queue_vcpu_seconds{"]
        {
            assert!(!text.contains(left), "{left} in {text}");
        }
        for none in ["blockgrid_operator_interactive_replicas 0", "outdated_crds 0", "operator_leader 0"] {
            assert!(text.contains(none), "{none} in {text}");
        }
        lead();
        assert!(meters.text().contains("outdated_crds 1"), "counted anew");
    }
}
