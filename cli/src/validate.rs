//! `blockgrid validate`.

use crate::failure::Failure;
use crate::load::load;
use crate::{ManifestArgs, Output, quote, show};

pub(crate) fn validate(args: &ManifestArgs, output: Output) -> Result<(), Failure> {
    let loaded = load(args)?;
    let candles = blockgrid_planner::candles::read(&loaded.job, &loaded.folder)?;
    let quote = quote::of(&loaded.job, &candles);
    match output {
        Output::Json => {
            let valid = serde_json::json!({
                "valid": true,
                "manifest": loaded.job.spec().manifest(),
                "trials": quote.trials(),
                "barEvaluations": quote.evaluations,
                "estimatedSeconds": quote.seconds,
            });
            show::print(&format!("{valid}\n"));
        }
        Output::Text => show::print(&format!("{} is valid: {quote}\n", args.file.display())),
    }
    Ok(())
}
