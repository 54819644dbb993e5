//! `spec` of a `BacktestJob` as a schema: the fields that `spec::decode` reads, with its bounds and defaults.
//!
//! Kubernetes has no types for fields of several shapes, and CEL does not see them; those are left untyped, and the
//! decoder checks them. Bounds keep what CEL may cost within the server's limits. A default stands only where it means
//! the same to the decoder as nothing does: never where it depends on another field, as those of `execution` do.

use blockgrid_engine::metrics::METRICS;
use serde_json::json;

use super::schema::Schema;
use crate::spec::cluster::{DEFAULT_CLASS, MAX_COST_USD, MAX_DEADLINE_SECONDS, MAX_TTL_SECONDS, MAX_WORKERS};
use crate::spec::{MAX_FILL, OutputSpec, SweepSpec};

/// The most bytes of an expression, as the parser has it.
const EXPRESSION: usize = blockgrid_engine::expr::MAX_BYTES;

/// What a job is.
pub(super) const ABOUT: &str = "A backtest, or a sweep of many, that the grid computes: candles, a strategy as a document, and the parameters to try. The same file runs on a laptop: blockgrid run FILE.";

/// Everything is as it was, but for what a running job can follow. What holds untyped fields is compared as a whole, for
/// CEL sees them in that alone; optional access (`self.?sweep`) has no estimate of what it costs, and is refused.
const FIXED: &str = "self.data == oldSelf.data && self.strategy == oldSelf.strategy \
    && has(self.execution) == has(oldSelf.execution) && (!has(self.execution) || self.execution == oldSelf.execution) \
    && has(self.sweep) == has(oldSelf.sweep) && (!has(self.sweep) || self.sweep == oldSelf.sweep) \
    && has(self.output) == has(oldSelf.output) && (!has(self.output) || self.output == oldSelf.output) \
    && (has(self.compute) && has(self.compute.class) ? self.compute.class : 'standard') == (has(oldSelf.compute) && has(oldSelf.compute.class) ? oldSelf.compute.class : 'standard')";
const FIXED_SAYS: &str = "a job keeps what it computes: only suspend, cancel, ttl and compute.maxWorkers, compute.maxCostUsd and compute.deadline can be changed. Create a job of another name for the rest; trials that a job of this namespace has results of are not computed again";

/// Two moments that can be compared, in order. Dates and offsets are left to the decoder.
const IN_ORDER: &str = "![self.?from.orValue(''), self.?to.orValue('')].all(t, t.matches('^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?Z$')) || timestamp(self.from) < timestamp(self.to)";

/// `spec`.
pub(super) fn spec() -> Schema {
    let analysis = "Not there yet: walk-forward and Monte Carlo analysis.";
    Schema::object("What is computed, and on what.")
        .required("data", data())
        .required("strategy", strategy())
        .field("execution", execution())
        .field("sweep", sweep())
        .field("output", output())
        .field("analysis", Schema::object(analysis).with("x-kubernetes-preserve-unknown-fields", json!(true)))
        .field("compute", compute())
        .field("suspend", Schema::flag("Whether the job rests: it gives up its workers and keeps what it has computed. Set it back to go on.").default(false))
        .field("cancel", Schema::flag("Whether the job ends without results. This cannot be taken back.").default(false))
        .field("ttl", duration(0, MAX_TTL_SECONDS, "How long this object stays after the job ended, such as 7d; 0s removes it at once. Results stay in the store. Default: the platform's."))
        .rule(FIXED, FIXED_SAYS)
        .rule("!oldSelf.?cancel.orValue(false) || self.?cancel.orValue(false)", "cancel cannot be taken back: create a job of another name")
        .rule_of("analysis", "FieldValueForbidden", "!has(self.analysis)", "this build has no analysis yet (walk-forward, Monte Carlo): remove it to run the sweep alone")
}

/// A whole number and a unit, between two numbers of seconds; the upper end is whole days.
fn duration(least: u64, most: u64, doc: &str) -> Schema {
    let seconds = "int(self.substring(0, self.size() - 1)) * {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}[self.substring(self.size() - 1)]";
    let rule = format!("self.matches('^[0-9]{{1,9}}[smhd]$') && {seconds} >= {least} && {seconds} <= {most}");
    let says = format!("must be a duration such as 90s, 30m, 2h or 7d, from {least}s to {}d", most / 86_400);
    Schema::text(10, doc).rule(&rule, &says)
}

/// An expression, or a number: untyped, because either may stand there.
fn formula(doc: &str) -> Schema {
    Schema::any(doc).with("maxLength", json!(EXPRESSION))
}

fn data() -> Schema {
    let fill = Schema::object("Small gaps that are filled before the run, such as {gaps: forward, maxBars: 5}. Default: none is filled.")
        .required("gaps", Schema::choice(&["forward"], "How: forward repeats the close before the gap, without volume."))
        .required("maxBars", Schema::integer(1, "The longest gap that is filled, in candles; longer ones stay.").at_most(MAX_FILL as u64));
    let instant = |doc: &str| Schema::text(64, doc);
    Schema::object("The candles.")
        .field("dataset", Schema::text(253, "The name of a data set that the platform has registered, such as sample.").with("minLength", json!(1)))
        .field("file", Schema::text(4096, "One CSV or Parquet file: on a laptop only. A cluster refuses it; register a data set instead."))
        .field("symbols", Schema::any("Which symbols: a list such as [BTC-USD, ETH-USD], or symbols with the rules of their orders, such as {BTC-USD: {lot: 0.00001, tick: 0.01, minNotional: 10}}. Default: all that the data set has.").with("maxItems", json!(10_000)).with("maxProperties", json!(10_000)))
        .field("interval", Schema::text(24, "The length of a candle, such as 1m, 5m, 1h, 1d or 1w: as stored, or a multiple of it.").pattern("^[0-9]+(s|m|min|h|d|w)$"))
        .field("from", instant("The first candle that is traded, inclusive, such as 2024-01-01T00:00:00Z; a date such as 2024-01-01 is midnight UTC. Earlier candles warm the indicators up. Default: the first candle there is."))
        .field("to", instant("The end of what is traded, exclusive, in the form of `from`. Default: the last candle there is."))
        .field("quality", Schema::choice(&["strict", "warn"], "What happens to candles with violations: strict refuses them, warn runs and says so.").default("strict"))
        .field("fill", fill)
        .field("columns", Schema::list(Schema::text(128, ""), 256, "Columns beside the candle that expressions may name, such as [funding_rate]. Default: none."))
        .rule_of("file", "FieldValueForbidden", "!has(self.file)", "a cluster job opens registered data sets only: register it, and name it as spec.data.dataset")
        .rule_of("dataset", "FieldValueRequired", "has(self.dataset) || has(self.file)", "names no candles: give dataset, the name of a registered data set such as sample")
        .rule_of("dataset", "FieldValueForbidden", "!has(self.dataset) || !self.dataset.contains('/')", "a cluster job opens registered data sets only, no folder and no location: register it, and give its name")
        .rule_of("interval", "FieldValueRequired", "has(self.interval) || has(self.file)", "is missing: name the candles' length, such as 1h")
        .rule_of("from", "FieldValueInvalid", IN_ORDER, "is not before `to`, which is exclusive: write an earlier `from` or a later `to`")
}

fn strategy() -> Schema {
    let session = Schema::object("When entries are allowed, such as {zone: America/New_York, days: [mon, tue, wed, thu, fri], from: \"09:30\", to: \"16:00\"}. Default: always.")
        .required("zone", Schema::text(64, "An IANA time zone, such as UTC or America/New_York."))
        .field("days", Schema::list(Schema::choice(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ""), 7, "Days on which a session opens. Default: every day."))
        .field("from", time_of_day("When it opens, inclusive, HH:MM.").default("00:00"))
        .field("to", time_of_day("When it closes, exclusive, HH:MM; 24:00 is midnight.").default("24:00"));
    Schema::object("What is tried: entries, exits, stops and sizes, as expressions over the candle (open, high, low, close, volume), parameters and named blocks. blockgrid indicators lists the functions.")
        .field("parameters", Schema::map(Schema::number("").with("nullable", json!(true)), 256, "Parameters with their values, such as {fast: 10, slow: 50}; one without a value must be swept."))
        .field("define", Schema::map(formula("An expression, such as sma(close, fast), or a number."), 1024, "Named blocks, each an expression that others may use, such as {fastMa: \"sma(close, fast)\"}."))
        .field("long", side("How it goes long. At least one of long and short is given."))
        .field("short", side("How it goes short, in the form of long."))
        .field("risk", risk())
        .field("size", Schema::any("How much is bought: allIn, or one of {equityPercent: 25}, {quote: 1000} (in quote currency), {base: 0.1} (in units), {riskPercent: 1} (of equity, lost at the stop). Values may be expressions of parameters.").with("maxProperties", json!(1)).with("maxLength", json!(16)).default("allIn"))
        .field("session", session)
        .rule("has(self.long) || has(self.short)", "neither `long` nor `short` is given: add one with its `enter`")
}

fn time_of_day(doc: &str) -> Schema {
    Schema::text(5, doc).pattern("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")
}

fn side(doc: &str) -> Schema {
    let order = "The order of an entry: {type: market}, or {type: limit, price: \"close * 0.995\", bars: 3}, or stop in the place of limit; bars is how long it rests, 1 if left out.";
    Schema::object(doc)
        .required("enter", formula("When to enter: a condition such as crosses_above(fastMa, slowMa)."))
        .field("exit", formula("When to leave: a condition, which may use barsInPosition(), entryPrice() and unrealizedReturn(). Default: never by a signal."))
        .field("order", Schema::any(order).with("maxProperties", json!(3)).default(json!({"type": "market"})))
}

fn risk() -> Schema {
    let distance = |doc: &str| formula(doc).with("maxProperties", json!(2));
    let words = |words: &[&str], default: &str, doc: &str| Schema::choice(words, doc).default(default);
    let break_even = Schema::object(
        "Moves the stop to the entry price once enough is won, such as {at: 0.02}. Default: none.",
    )
    .required("at", formula("The gain at which it moves, as a fraction of the entry price."));
    Schema::object("What ends a position beside its exit, and what comes after. Everything here is optional.")
        .field("stopLoss", distance("Where a loss ends: a fraction of the entry price such as 0.03, or one of {percent: 3}, {price: EXPRESSION}, {atr: 3, period: 14}. Default: none."))
        .field("takeProfit", distance("Where a gain is taken, in the forms of stopLoss. Default: none."))
        .field("trail", Schema::any("A stop that follows the price: {percent: 2} or {atr: 3, period: 14, follow: false}, with update: barClose (the default) or intrabar. Default: none.").with("maxProperties", json!(4)))
        .field("breakEven", break_even)
        .field("maxBars", formula("The most candles that a position is held, such as 48. Default: no limit."))
        .field("cooldownBars", formula("Candles without an entry after a position ended. Default: none."))
        .field("sameBar", words(&["stopFirst", "targetFirst", "nearerExtreme"], "stopFirst", "Which comes first when a candle touches both stop and target."))
        .field("reentry", words(&["nextBar", "sameBar", "rearm"], "nextBar", "When it may enter again after a stop or a target: on the next candle, on the same one, or once the condition was false in between."))
}

fn execution() -> Schema {
    let bps = |doc: &str| Schema::number(doc).at_least(0).below(10_000);
    let fees = Schema::object("Fees of a fill. Default: {takerBps: 10, makerBps: 2} in the native profile, none in vectorbt's; once written, what is missing is 0, and makerBps is takerBps.")
        .field("takerBps", bps("Basis points of market and stop orders; 10 is 0.1 %.").default(0))
        .field("makerBps", bps("Basis points of limit orders. Default: takerBps."))
        .field("perOrder", Schema::number("An amount of each order, in quote currency.").at_least(0).below(1e15).default(0));
    let slippage = Schema::object("What market and stop orders lose to the market. Default: {bps: 2} in the native profile, none in vectorbt's; once written, what is missing is 0.")
        .field("bps", bps("Basis points of the price.").default(0))
        .field("rangeShare", Schema::number("A share of the candle's range from 0 to 1.").at_least(0).at_most(1).default(0));
    Schema::object("How orders are filled, and what they cost. Left out, it is that of the native profile: fills at the next open, fees of 10 and 2 basis points, slippage of 2, cash of 10000.")
        .field("semantics", Schema::choice(&["native", "vectorbt"], "native is the grid's own meaning; vectorbt computes as vectorbt does, with its defaults (no costs, cash 100, fills at the close).").default("native"))
        .field("fill", Schema::choice(&["nextOpen", "close"], "At which price signals are filled. Default: nextOpen; close in profile vectorbt."))
        .field("fees", fees)
        .field("slippage", slippage)
        .field("initialCash", Schema::number("Cash at the start, in quote currency. Default: 10000; 100 in profile vectorbt.").above(0).at_most(1e15))
}

fn sweep() -> Schema {
    let values = Schema::any(
        "{from: 5, to: 100, step: 5} (decimal steps, `to` inclusive), a list of numbers, or a number.",
    )
    .with("maxItems", json!(100_000))
    .with("maxProperties", json!(3));
    Schema::object("Which parameters are tried: every combination of their values that `where` lets through, 2 million at most. Left out: a single trial.")
        .field("parameters", Schema::map(values, 256, "Swept parameters of the strategy with their values, such as {fast: {from: 5, to: 100, step: 5}, stop: [0.01, 0.02]}."))
        .field("where", formula("A condition on parameters that trials must meet, such as fast < slow. Default: all are tried."))
        .field("objective", Schema::any("What the leaderboard is sorted by: a metric such as sharpe, or {metric: calmar, direction: max, minTrades: 30}. blockgrid metrics lists them.").with("maxLength", json!(64)).with("maxProperties", json!(3)).default(SweepSpec::default().objective.metric))
}

fn output() -> Schema {
    let ids: Vec<_> = METRICS.iter().map(|metric| metric.id).collect();
    Schema::object("What is kept of the results.")
        .field("top", Schema::integer(0, "Trials, from the best on, whose trades and equity curves are kept.").at_most(1000).default(OutputSpec::default().top))
        .field("metrics", Schema::list(Schema::choice(&ids, ""), ids.len(), "Metrics that are computed, such as [sharpe, total_return, max_drawdown]; the other columns are null. Default: all.").with("minItems", json!(1)))
}

fn compute() -> Schema {
    let class = Schema::text(
        63,
        "The compute class, one of the platform's: resources, nodes and price of the workers.",
    )
    .pattern("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$");
    Schema::object("What the job may take of the cluster. Results do not depend on it.")
        .field("class", class.default(DEFAULT_CLASS))
        .field("maxWorkers", Schema::integer(1, "The most workers at once, such as 64. Default: what the platform allows.").at_most(MAX_WORKERS))
        .field("maxCostUsd", Schema::dollars("The most that the job is charged, in dollars, such as 5; with workers of its own it ends before it would cost more. Default: what the budgets allow.").at_most(MAX_COST_USD))
        .field("deadline", duration(1, MAX_DEADLINE_SECONDS, "How long it may take from when it was first let run, such as 2h; time in which it is suspended, drained or in a queue does not count. Default and limit: the platform's."))
}
