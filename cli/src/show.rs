//! Printing.

use std::io::Write;

pub(crate) use blockgrid_engine::interval::short_instant as instant;

/// Prints to standard output. A reader that has gone away (`| head`) is no error; a full disk is.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            note(&format!("error: failed to write to standard output: {error}"));
            std::process::exit(1);
        }
        _ => {}
    }
}

/// Prints a line to standard error, which carries everything that is not the result.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Columns of the terminal; wide enough for everything when there is none.
pub(crate) fn width() -> u16 {
    terminal_size::terminal_size().map_or(200, |(terminal_size::Width(columns), _)| columns)
}
