//! Numbers as people say them, and how far off a quote was.

use std::fmt;

/// A whole number with a comma every three digits.
pub fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// So many of something: `1 trial`, `2,840 trials`.
pub fn counted(number: u128, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Seconds as a person says them.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.1 => "0.1 s".to_owned(),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s if s < 730.0 * 86_400.0 => format!("{:.0} days", s / 86_400.0),
        s => format!("{:.0} years", s / 86_400.0 / 365.0),
    }
}

/// What was quoted beside what it took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// Seconds quoted.
    pub quoted: f64,
    /// Seconds taken.
    pub took: f64,
}

impl Compared {
    /// How far off the quote was, in percent of it: above zero when it took longer; `None` when nothing was quoted.
    pub fn off_percent(&self) -> Option<f64> {
        (self.quoted > 0.0).then(|| (self.took / self.quoted - 1.0) * 100.0)
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quoted {}, took {}", fine(self.quoted), fine(self.took))?;
        match self.off_percent().map(f64::round) {
            None => Ok(()),
            // What is told as 0 ms is no measure.
            Some(_) if self.quoted < 0.0005 => Ok(()),
            Some(percent) if percent >= 200.0 => {
                write!(f, ": {} times as long", grouped((self.took / self.quoted).round() as u128))
            }
            Some(percent) if percent >= 1.0 => write!(f, ": {} % over", grouped(percent as u128)),
            Some(percent) if percent <= -1.0 => write!(f, ": {} % under", grouped(-percent as u128)),
            Some(_) => f.write_str(", as quoted"),
        }
    }
}

/// Seconds, with milliseconds below one: a small job's quote is told as closely as a large one's.
fn fine(seconds: f64) -> String {
    if seconds < 0.995 { format!("{:.0} ms", seconds * 1e3) } else { duration(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_says_how_far_off_it_was() {
        let said = [
            (0.7, 0.9, "quoted 700 ms, took 900 ms: 29 % over"),
            (100.0, 50.0, "quoted 100.0 s, took 50.0 s: 50 % under"),
            (2.0, 2.004, "quoted 2.0 s, took 2.0 s, as quoted"),
            (0.001, 1.0, "quoted 1 ms, took 1.0 s: 1,000 times as long"),
            (0.000_08, 0.004, "quoted 0 ms, took 4 ms"),
            (0.0, 1.0, "quoted 0 ms, took 1.0 s"),
        ];
        for (quoted, took, text) in said {
            assert_eq!(Compared { quoted, took }.to_string(), text);
        }
        assert_eq!(Compared { quoted: 0.0, took: 1.0 }.off_percent(), None);
    }
}
