//! The worker's program: see [`blockgrid_worker::program`].

use std::process::ExitCode;

fn main() -> ExitCode {
    blockgrid_worker::program::main(std::env::args_os())
}
