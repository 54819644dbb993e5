//! All symbols on one line of time, drawn as SVG.

use std::fmt::Write;

use super::{CoverageMonth, CoverageSeries, escape, look};

/// Sizes in the units of the drawing.
const LABEL: usize = 150;
const WIDTH: usize = 1070;
const ROW: usize = 18;
const TOP: usize = 22;

/// A row a series, a rectangle a run of months that look the same.
pub(super) fn overview(out: &mut String, series: &[CoverageSeries]) {
    let every = || series.iter().flat_map(|s| &s.months).filter(|month| month.expected > 0).map(index);
    let (Some(first), Some(last)) = (every().min(), every().max()) else { return };
    let months = (last - first + 1) as f64;
    let x = |month: i32| LABEL as f64 + f64::from(month - first) / months * (WIDTH - LABEL) as f64;
    let height = TOP + ROW * series.len() + 4;
    let _ = write!(
        out,
        "<section aria-labelledby=\"h-all\"><h2 id=\"h-all\">All at a glance</h2><div class=\"scroll glance\" tabindex=\"0\" \
         role=\"region\" aria-labelledby=\"h-all\"><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Coverage of every symbol over time; the table below has the numbers\">"
    );
    // A label needs some 50 units.
    let years = (months / 12.0).ceil() as i32;
    let step = (years * 50 / (WIDTH - LABEL) as i32 + 1).max(1);
    let first_year = first.div_euclid(12) + i32::from(first.rem_euclid(12) > 0);
    for year in (first_year..=last.div_euclid(12)).step_by(usize::try_from(step).unwrap_or(1)) {
        let x = x(year * 12);
        let _ = write!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{height}\"/><text x=\"{:.1}\" y=\"13\">{year}</text>",
            TOP - 6,
            x + 2.0
        );
    }
    for (row, s) in series.iter().enumerate() {
        let y = TOP + row * ROW;
        let _ = write!(
            out,
            "<text x=\"0\" y=\"{}\">{}</text>",
            y + 12,
            escape(&label(&s.symbol, &s.interval.to_string()))
        );
        let asked = |m: &&CoverageMonth| m.expected > 0;
        let shown: Vec<&CoverageMonth> = s.months.iter().filter(asked).collect();
        let alike = |a: &&CoverageMonth, b: &&CoverageMonth| {
            index(b) == index(a) + 1 && look(a.present, a.expected) == look(b.present, b.expected)
        };
        for run in shown.chunk_by(alike) {
            let (from, to) = (x(index(run[0])), x(index(run[run.len() - 1]) + 1));
            let (class, style) = look(run[0].present, run[0].expected);
            let style = if style.is_empty() { String::new() } else { format!(" style=\"{style}\"") };
            let _ = write!(
                out,
                "<rect class=\"{class}\"{style} x=\"{from:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\"/>",
                to - from,
                ROW - 4
            );
        }
    }
    out.push_str("</svg></div></section>\n");
}

/// Months since the year 0.
fn index(month: &CoverageMonth) -> i32 {
    i32::from(month.year) * 12 + i32::from(month.month) - 1
}

/// What fits before the drawing.
fn label(symbol: &str, interval: &str) -> String {
    const LONGEST: usize = 14;
    let short: String = symbol.chars().take(LONGEST).collect();
    let cut = if short.len() < symbol.len() { "…" } else { "" };
    format!("{short}{cut} {interval}")
}
