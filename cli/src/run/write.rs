//! The files of a run: result tables, the report, and `job.json`.

use std::path::Path;

use blockgrid_datasets::quality::Severity;
use blockgrid_engine::sweep::Kernel;
use blockgrid_job::Quote;
use blockgrid_results::equity::write_equity;
use blockgrid_results::report::{CandlesUsed, ReportData, html};
use blockgrid_results::trades::write_trades;
use blockgrid_results::{Objective, TopTrial, TrialTable, write_trials};
use serde_json::json;

use super::Timings;
use crate::failure::Failure;
use crate::load::Loaded;
use crate::show;
use blockgrid_planner::{JobCandles, SymbolCandles};

/// Everything that came out of a run.
pub(super) struct Results<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) data: &'a JobCandles,
    pub(super) table: &'a TrialTable,
    pub(super) objective: Objective,
    pub(super) ranked: &'a [usize],
    pub(super) top: &'a [TopTrial<'a>],
}

impl Results<'_> {
    /// Writes tables and report into `out`.
    pub(super) fn write(&self, out: &Path, warnings: &[String]) -> Result<(), Failure> {
        write_trials(&out.join("trials.parquet"), self.table)?;
        write_trades(&out.join("trades.parquet"), self.top)?;
        write_equity(&out.join("equity.parquet"), self.top)?;
        let spec = self.loaded.job.spec();
        let digests =
            self.data.symbols.iter().map(|symbol| (symbol.name.clone(), format!("sha256:{}", symbol.digest)));
        let report = ReportData {
            title: spec.name.clone(),
            synthetic: self.data.synthetic,
            manifest: self.loaded.text.clone(),
            digests: digests.collect(),
            candles: self.data.symbols.iter().map(|symbol| self.used(symbol)).collect(),
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            range: (spec.data.from, spec.data.to),
            table: self.table,
            objective: self.objective,
            ranked: self.ranked,
            top: self.top,
            warnings: warnings.to_vec(),
        };
        std::fs::write(out.join("report.html"), html(&report))?;
        Ok(())
    }

    /// What the job ran on, symbol by symbol.
    fn used(&self, symbol: &SymbolCandles) -> CandlesUsed {
        let traded = symbol.traded();
        let filled = symbol.filled();
        CandlesUsed {
            symbol: symbol.name.clone(),
            candles: traded.len() - filled,
            missing: traded.gaps(),
            filled,
            left_out: symbol.report.bad_rows(),
            findings: symbol
                .report
                .findings
                .iter()
                .map(|finding| (finding.severity == Severity::Violation, finding.to_string()))
                .collect(),
        }
    }
}

/// Writes `job.json`: what was asked, on which data, by which engine; timings apart.
pub(super) fn job_json(
    out: &Path,
    results: &Results<'_>,
    quote: &Quote,
    timings: &Timings,
    kernel: Kernel,
) -> Result<(), Failure> {
    let job = &results.loaded.job;
    let symbols: Vec<_> = results
        .data
        .symbols
        .iter()
        .map(|symbol| {
            let opens = symbol.candles.timestamp();
            json!({
                "symbol": symbol.name,
                "digest": format!("sha256:{}", symbol.digest),
                "interval": results.data.interval,
                "bars": symbol.run.len(),
                "preRollBars": symbol.run.start,
                "from": show::instant(opens[symbol.run.start]),
                "lastOpen": show::instant(opens[symbol.run.end - 1]),
                "gaps": symbol.traded().gaps(),
                "filled": symbol.filled(),
                "badRows": symbol.report.bad_rows(),
                "findings": symbol.report.findings,
            })
        })
        .collect();
    let record = json!({
        "job": job.spec().name,
        "engineVersion": env!("CARGO_PKG_VERSION"),
        "kernel": kernel.id(),
        // Nothing in a sweep is random.
        "seed": null,
        "manifest": job.spec().manifest(),
        "data": { "synthetic": results.data.synthetic, "source": results.data.source, "quality": job.spec().data.quality, "symbols": symbols },
        "trials": results.table.len(),
        "columns": { "computed": results.data.survey.columns, "withoutSharing": results.data.survey.unshared_columns },
        "timings": { "seconds": timings.parts, "computeSeconds": timings.compute.as_secs_f64(), "quotedSeconds": quote.seconds, "threads": rayon::current_num_threads() },
    });
    std::fs::write(out.join("job.json"), format!("{}\n", serde_json::to_string_pretty(&record)?))?;
    Ok(())
}
