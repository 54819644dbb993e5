//! `blockgrid query`: hands over to the program `blockgrid-query`, as git and cargo do with theirs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::show;

const PROGRAM: &str = "blockgrid-query";

pub(crate) fn query(args: &[OsString]) -> ExitCode {
    // Beside this program first, as cargo puts both into one folder; then wherever the shell would find it.
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(|folder| folder.join(PROGRAM)));
    let program = beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(PROGRAM));
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
