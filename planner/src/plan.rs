//! From a job and its candles to a plan.

use blockgrid_datasets::quality::Severity;
use blockgrid_grid::plan::{Cached, FORMAT, Inputs, MOST_INLINE, SymbolInput};
use blockgrid_grid::{ENGINE, Plan, Tenant};
use blockgrid_job::Job;
use blockgrid_job::plan::{CostModel, Limits, Slices, SymbolWork, count, cuts, shards};
use serde_json::json;

use crate::candles::{JobCandles, SymbolCandles, remarks};

/// Whose a job is, and how it is run.
#[derive(Debug, Clone)]
pub struct Order {
    /// Whose.
    pub tenant: Tenant,
    /// Who asked.
    pub owner: String,
    /// The manifest as its author wrote it.
    pub text: String,
    /// Id of the kernel.
    pub kernel: String,
    /// What shards are sized by.
    pub calibration: CostModel,
    /// How shards are cut.
    pub limits: Limits,
    /// What trials share between jobs, symbol by symbol ([`crate::cache::families`]); empty for a job that shares none.
    pub families: Vec<String>,
}

/// Plans a job on its candles. Nothing is written: parts of a large plan are made when it is committed. `work` is what is
/// to be computed, and `cached` what is not.
pub fn plan(job: &Job, data: &JobCandles, order: Order, work: &[SymbolWork], cached: Vec<Cached>) -> Plan {
    let cuts = cuts(work, &order.calibration, &order.limits);
    let count = count(&cuts);
    let inline = if count <= MOST_INLINE {
        shards(work, &order.calibration, &order.limits).collect()
    } else {
        Vec::new()
    };
    let inputs = inputs(job, data, &order.families);
    let cost_micros: u128 = cuts.iter().map(|cut| cut.total_micros()).sum();
    Plan {
        format: FORMAT,
        tenant: order.tenant,
        owner: order.owner,
        engine: ENGINE.to_owned(),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: order.kernel,
        manifest: job.spec().manifest(),
        text: order.text,
        inputs,
        parameter_sets: job.grid().len() as u64,
        shards: count,
        inline,
        parts: Vec::new(),
        cached,
        calibration: order.calibration,
        cost_micros: u64::try_from(cost_micros).unwrap_or(u64::MAX),
        quoted: None,
    }
}

/// What is to be computed, symbol by symbol.
pub fn work(job: &Job, data: &JobCandles) -> Vec<SymbolWork> {
    let trials = job.grid().len();
    let of = |symbol: &SymbolCandles| {
        let all = Slices::all(trials as u64);
        SymbolWork::new(&data.survey, trials, symbol.run.len(), symbol.candles.len(), all)
    };
    data.symbols.iter().map(of).collect()
}

fn inputs(job: &Job, data: &JobCandles, families: &[String]) -> Inputs {
    let family = |place: usize| families.get(place).cloned().unwrap_or_default();
    Inputs {
        interval: data.interval,
        frames: data.survey.frames.clone(),
        columns: data.survey.columns as u64,
        unshared_columns: data.survey.unshared_columns as u64,
        synthetic: data.synthetic,
        source: data.source.clone(),
        symbols: data.symbols.iter().enumerate().map(|(place, of)| symbol(of, family(place))).collect(),
        remarks: remarks(data),
        notices: notices(job, data),
    }
}

fn symbol(symbol: &SymbolCandles, family: String) -> SymbolInput {
    let (traded, opens) = (symbol.traded(), symbol.candles.timestamp());
    let findings = &symbol.report.findings;
    SymbolInput {
        name: symbol.name.clone(),
        digest: symbol.digest.clone(),
        candles: symbol.unfilled.len() as u64,
        has_whole_history: symbol.has_whole_history,
        family,
        run_start: symbol.run.start as u64,
        run_end: symbol.run.end as u64,
        from: opens[symbol.run.start],
        last_open: opens[symbol.run.end - 1],
        gaps: traded.gaps() as u64,
        filled: symbol.filled() as u64,
        bad_rows: symbol.report.bad_rows(),
        findings: json!(findings),
        findings_text: findings
            .iter()
            .map(|finding| (finding.severity == Severity::Violation, finding.to_string()))
            .collect(),
    }
}

/// What a reader of the leaderboard should know, of what the candles alone tell.
fn notices(job: &Job, data: &JobCandles) -> Vec<String> {
    let mut notices = Vec::new();
    for symbol in &data.symbols {
        let gaps = symbol.traded().gaps();
        if gaps > 0 {
            notices.push(format!(
                "{}: {gaps} candles are missing inside the run; orders were filled over the gaps at the next open",
                symbol.name
            ));
        }
    }
    if let Some(session) = &job.spec().strategy.session {
        for symbol in &data.symbols {
            if !session.mask(&symbol.traded()).contains(&true) {
                notices.push(format!(
                    "{}: no candle closes inside the session, so nothing was entered",
                    symbol.name
                ));
            }
        }
    }
    if job.spec().strategy.short.is_some() {
        notices.push("no funding or borrow cost was charged for shorts: the data has none".to_owned());
    }
    notices
}

/// What is left to compute when `cached` need not be.
pub fn without(work: &[SymbolWork], cached: &[Cached]) -> Vec<SymbolWork> {
    let mut left = work.to_vec();
    for cached in cached {
        if let Some(work) = left.get_mut(cached.symbol as usize) {
            work.trials = work.trials.without(&cached.trials);
        }
    }
    left
}
