//! Printing.

use std::io::Write;

use comfy_table::{Table, TableStyle};
use jiff::Timestamp;

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

/// A table as wide as the terminal, and nothing in it yet.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_width(width());
    table
}

/// A table without blanks at the ends of its lines.
pub(crate) fn lines(table: &Table) -> String {
    table.to_string().lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// How long ago something was, as kubectl says it.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_second() - then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        for (then, text) in [
            ("2026-01-10T00:00:05Z", "0s"),
            ("2026-01-09T23:58:01Z", "119s"),
            ("2026-01-09T23:58:00Z", "2m"),
            ("2026-01-09T22:00:00Z", "2h"),
            ("2026-01-01T12:00:00Z", "8d"),
        ] {
            assert_eq!(age(then.parse().unwrap(), now), text);
        }
    }
}
