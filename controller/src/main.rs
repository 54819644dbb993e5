//! The operator's program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    blockgrid_controller::program::main(std::env::args_os())
}
