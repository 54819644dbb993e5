//! The program of the image: whatever runs in pods, in one file, because what the programs share is most of each. The image
//! has it under the name of each, and the name that it is called by says which it is.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

/// `EX_CONFIG`, which both programs exit with where they were told something that cannot be.
const CONFIG: u8 = 78;

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(OsStr::to_str) {
        Some("blockgrid-worker") => blockgrid_worker::program::main(std::env::args_os()),
        Some("blockgrid-controller") => blockgrid_controller::program::main(std::env::args_os()),
        _ => {
            eprintln!(
                "{}: the name that it is called by says what it is: blockgrid-worker or blockgrid-controller",
                Path::new(&name).display()
            );
            ExitCode::from(CONFIG)
        }
    }
}
