//! `kubectl backtest quote`: what a job will take, told here where its candles are here too.

use blockgrid_job::DataSource;
use blockgrid_planner::candles;

use super::program;
use crate::failure::Failure;
use crate::load::load_without_data;
use crate::{ManifestArgs, Output};

pub(super) fn quote(manifest: &ManifestArgs, output: Output) -> Result<(), Failure> {
    let loaded = load_without_data(manifest, None)?;
    if let DataSource::Dataset(name) = &loaded.job.spec().data.source
        && candles::open_dataset(name, &loaded.folder, "spec.data.dataset").is_err()
    {
        let (program, file, job) = (program(), manifest.file.display(), &loaded.job.spec().name);
        let message = format!(
            "`{name}` is no data set of this machine, and what a job takes follows from its candles. The cluster may know it: `{program} submit {file} --suspend` has the operator make the quote and run nothing, `{program} why {job}` shows it (status.quote), `{program} resume {job}` lets the job run"
        );
        return Err(Failure::input("no quote can be made here", "spec.data.dataset", message));
    }
    crate::quote::quote(manifest, output)
}
