//! `status` of a `BacktestJob` as a schema: that of [`crate::status::JobStatus`].

use serde_json::json;

use super::schema::Schema;
use crate::status::Phase;

/// The longest text for people.
const MESSAGE: usize = 4096;

/// `status`.
pub(super) fn status() -> Schema {
    let phases = Phase::ALL.map(Phase::id);
    let money = |doc: &str| Schema::integer(0, doc);
    let count = |doc: &str| Schema::integer(0, doc);
    let shards = Schema::object("Its shards.")
        .field("total", count("All of them."))
        .field("done", count("Those that are done."));
    let quote = Schema::object("What it was expected to cost before it ran.")
        .field("vcpuMicros", count("Its work, in vCPU-microseconds."))
        .field("lowMicroUsd", money("What it costs if all goes well, in micro-USD."))
        .field("midMicroUsd", money("What it costs, in micro-USD."))
        .field("highMicroUsd", money("What it costs at most, in micro-USD."))
        .field(
            "leastMicroUsd",
            money("The lowest compute.maxCostUsd with which it is let in, in micro-USD."),
        );
    let results = Schema::object("Its results in the store.")
        .field("location", Schema::text(2048, "Where they are, such as s3://BUCKET/PREFIX/jobs/UID."))
        .field("record", Schema::text(1024, "The record (job.json) within the store."))
        .field("sha256", Schema::text(64, "SHA-256 of the record's bytes."));
    let links = Schema::object("Links that open results for a while.")
        .field("request", Schema::text(256, "The value of the annotation that asked for them."))
        .field("until", Schema::time("Until when they work."))
        .field("files", Schema::map(Schema::text(4096, ""), 16, "A link for each file."));
    let terms = Schema::object(
        "What it was let in by: it is charged by this to its end, whatever prices have become since.",
    )
    .field("microUsdPerVcpuHour", money("Of an hour of a vCPU, in micro-USD."))
    .field("microUsdPer1000Reads", money("Of a thousand requests to the store that read, in micro-USD."))
    .field("microUsdPer1000Writes", money("Of a thousand that write or list, in micro-USD."))
    .field("millicpus", count("Thousandths of a vCPU that a worker of its class has."))
    .field("deadlineSeconds", count("Seconds that it was let in with. A deadline that is changed later counts, a longer one up to the platform's limit."));
    Schema::object("What the grid says about the job. Times are UTC, money is whole micro-USD.")
        .field("observedGeneration", observed_generation())
        .field("phase", Schema::choice(&phases, "Where the job is on its way."))
        .field("message", Schema::text(MESSAGE, "What is going on."))
        .field("progress", Schema::text(32, "Shards that are done, of all: 12/200."))
        .field("best", Schema::text(128, "The best trial so far: metric and value."))
        .field("cost", Schema::text(32, "What it has cost: $0.0123."))
        .field("workers", count("Workers of its own that are ready.").with("format", json!("int32")))
        .field(
            "lane",
            Schema::choice(
                &["interactive", "pool"],
                "Who computes it: the warm workers that small jobs share, or workers of its own.",
            ),
        )
        .field("trials", count("Trials of the job."))
        .field("cachedTrials", count("Trials that an earlier job had computed."))
        .field("shards", shards)
        .field("quote", quote)
        .field("reservedMicroUsd", money("What budgets hold for it, in micro-USD."))
        .field(
            "user",
            Schema::text(64, "Whom it counts for in budgets: its user where the platform believes its label, else its namespace."),
        )
        .field("terms", terms)
        .field("spentMicroUsd", money("What it has cost, in micro-USD; before settledTime without its requests to the store, which cost has when it has ended."))
        .field("spentTime", Schema::time("When that was counted: workers that run cost more since."))
        .field(
            "settledTime",
            Schema::time(
                "When its workers were gone and its cost was written down: from then on it is final.",
            ),
        )
        .field("plannedTime", Schema::time("When its plan was committed."))
        .field("startTime", Schema::time("When it was first let run."))
        .field(
            "restingSince",
            Schema::time("Since when it rests, though it was let run: suspended, drained or in a queue."),
        )
        .field(
            "idleSince",
            Schema::time(
                "Since when money is held for it while no worker is ready; what its budget drains does not count.",
            ),
        )
        .field(
            "idleDeadline",
            Schema::time("When it ends if no worker of it is ready until then: jobs.maxRest of the platform after idleSince."),
        )
        .field("restedSeconds", count("Seconds that it rested before, which count for no deadline."))
        .field("completionTime", Schema::time("When it ended."))
        .field("engine", Schema::text(128, "The engine that its plan is for."))
        .field(
            "image",
            Schema::text(
                1024,
                "The image that its own workers run: the one of the operator that planned it.",
            ),
        )
        .field("results", results)
        .field("links", links)
        .field(
            "conditions",
            conditions(
                "What holds, each with its reason: Finished (of every job in the end), Succeeded, Failed.",
            ),
        )
}

/// The generation of the spec that a status is about.
pub(super) fn observed_generation() -> Schema {
    Schema::integer(0, "The generation of the spec that this was said about.")
}

/// Conditions, as Kubernetes has them.
pub(super) fn conditions(doc: &str) -> Schema {
    let word = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";
    let condition = Schema::object("")
        .required("type", Schema::text(64, "What it is about.").pattern(word))
        .required("status", Schema::choice(&["True", "False", "Unknown"], "Whether it holds."))
        .required("reason", Schema::text(256, "Why, in one word.").pattern(word))
        .required("message", Schema::text(MESSAGE, "Why, for people."))
        .required("lastTransitionTime", Schema::time("When status changed last."))
        .field("observedGeneration", observed_generation());
    Schema::list(condition, 16, doc)
        .with("x-kubernetes-list-type", json!("map"))
        .with("x-kubernetes-list-map-keys", json!(["type"]))
}
