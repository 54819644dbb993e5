//! `blockgrid completions`.

use clap::CommandFactory;

use crate::{Cli, show};

pub(crate) fn completions(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "blockgrid", &mut script);
    show::print(&String::from_utf8_lossy(&script));
}
