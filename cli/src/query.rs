//! `blockgrid query`: hands over to the program `blockgrid-query`, as git and cargo do with theirs. The tables of a job on
//! a grid are fetched first: they are small beside what it took to make them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use blockgrid_grid::store::keys;
use blockgrid_results::files::TABLES;

use crate::failure::Failure;
use crate::grid::block_on;
use crate::grid::report::open_job;
use crate::show;

const PROGRAM: &str = "blockgrid-query";

pub(crate) fn query(args: &[OsString]) -> ExitCode {
    // Beside this program first, as cargo puts both into one folder; then wherever the shell would find it.
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(|folder| folder.join(PROGRAM)));
    let program = beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(PROGRAM));
    let (args, _folder) = match fetched(args) {
        Ok(fetched) => fetched,
        Err(failure) => return failure.report(false),
    };
    match Command::new(&program).args(args).status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            show::note(&format!(
                "error: `{PROGRAM}` is not installed: it carries a SQL engine and is built apart\n  \
                 in a checkout: cargo build --release -p blockgrid-query\n  \
                 to install:    cargo install --path query"
            ));
            ExitCode::from(1)
        }
        Err(error) => {
            show::note(&format!("error: failed to start {}: {error}", program.display()));
            ExitCode::from(1)
        }
    }
}

/// The arguments with a job on a grid replaced by a folder of its tables, which lasts as long as what is returned.
fn fetched(args: &[OsString]) -> Result<(Vec<OsString>, Option<tempfile::TempDir>), Failure> {
    let job = args.first().and_then(|first| first.to_str()).filter(|first| first.contains("://"));
    let Some(job) = job else { return Ok((args.to_vec(), None)) };
    let (store, id) = open_job(job, std::env::var("BLOCKGRID_S3_ENDPOINT").ok())?;
    let folder = tempfile::tempdir()?;
    block_on(async {
        for file in TABLES {
            let bytes = store.get(&keys::out(&id, file)).await?;
            std::fs::write(folder.path().join(file), bytes)?;
        }
        Ok(())
    })?;
    let rest = args.iter().skip(1).cloned();
    Ok((std::iter::once(folder.path().as_os_str().to_owned()).chain(rest).collect(), Some(folder)))
}
