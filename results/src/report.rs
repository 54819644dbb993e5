//! The report: one HTML file that opens anywhere, without a network.
//!
//! It answers in the order a person asks: what came out, where in the parameter grid, against buy and hold, trade by
//! trade, month by month, among which competitors, and under which conventions. Everything in it is a function of
//! [`ReportData`]: the same data give the same bytes. A content security policy forbids the page to fetch anything.

use plotly::Plot;

use crate::leaderboard::Objective;
use crate::table::TrialTable;
use crate::top::TopTrial;

pub mod coverage;
mod data;
mod downsample;
mod monthly;
mod sections;
mod summary;
mod tables;

pub use monthly::{MonthlyReturns, monthly_returns};
pub use summary::{Concentration, concentration};

/// Trials whose curves, candles and trades are embedded.
pub const EMBEDDED_TRIALS: usize = 5;

/// Rows of the leaderboards.
pub const LEADERBOARD_ROWS: usize = 50;

/// What the report shows. Plain data, nothing computed yet; timings and dates of the run have no place here, because
/// they would make the bytes differ.
#[derive(Debug, Clone)]
pub struct ReportData<'a> {
    /// Name of the job.
    pub title: String,
    /// Whether the candles are synthetic; the report says so at the top.
    pub synthetic: bool,
    /// The manifest as it was given.
    pub manifest: String,
    /// Digests by name, such as `("data", "sha256:...")`.
    pub digests: Vec<(String, String)>,
    /// What the job ran on, symbol by symbol.
    pub candles: Vec<CandlesUsed>,
    /// Version of the engine that computed.
    pub engine_version: String,
    /// `from` (inclusive) and `to` (exclusive), UTC milliseconds, as far as the manifest gives them.
    pub range: (Option<i64>, Option<i64>),
    /// Every trial.
    pub table: &'a TrialTable,
    /// What the ranks are by.
    pub objective: Objective,
    /// Rows of the table, best first: [`crate::rank`].
    pub ranked: &'a [usize],
    /// The best trials with all they did, best first. The first [`EMBEDDED_TRIALS`] are embedded.
    pub top: &'a [TopTrial<'a>],
    /// What the reader should know beyond what the report finds itself (missing candles under the top trials, rejected
    /// orders, deficits, shorts without funding, trials that were never warm).
    pub warnings: Vec<String>,
}

/// The candles of one symbol: how many there were, and what the checks found in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CandlesUsed {
    /// The symbol.
    pub symbol: String,
    /// Candles that were traded and are not filled ones.
    pub candles: usize,
    /// Candles missing between the first and the last, and not filled.
    pub missing: usize,
    /// Candles made to fill gaps.
    pub filled: usize,
    /// Rows that are no candles and were left out.
    pub left_out: u64,
    /// Findings, each with whether it is a violation.
    pub findings: Vec<(bool, String)>,
}

impl ReportData<'_> {
    fn embedded(&self) -> &[TopTrial<'_>] {
        &self.top[..self.top.len().min(EMBEDDED_TRIALS)]
    }

    /// Symbols and windows with more than one of either are worth a column.
    fn several_windows(&self) -> bool {
        self.table.windows().len() > 1
    }
}

/// How tables and pictures head their months.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const CSS: &str = include_str!("report/report.css");
const JS: &str = include_str!("report/report.js");
const JS_CANDLES: &str = include_str!("report/candles.js");

/// The whole report as one HTML document.
pub fn html(data: &ReportData<'_>) -> String {
    let json = data::json(data).to_string();
    let title = escape(&data.title);
    let body = sections::body(data);
    let plotly = plotly_script();
    let mut page = String::with_capacity(plotly.len() + json.len() + body.len() + 64 * 1024);
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ");
    page.push_str("script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:\">\n");
    page.push_str(&format!(
        "<title>{title} - backtest report</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n"
    ));
    page.push_str(&body);
    page.push_str("<script type=\"application/json\" id=\"data\">");
    page.push_str(&script_safe(&json));
    page.push_str("</script>\n<script>");
    page.push_str(&plotly);
    page.push_str("</script>\n<script>\n");
    page.push_str(JS_CANDLES);
    page.push_str("</script>\n<script>\n");
    page.push_str(JS);
    page.push_str("</script>\n</body>\n</html>\n");
    page
}

/// The bundled plotly.js alone: the crate hands it out with MathJax behind it, which is left away here.
fn plotly_script() -> String {
    let tags = Plot::offline_js_sources();
    let start = tags.find("<script").and_then(|at| tags[at..].find('>').map(|end| at + end + 1)).unwrap_or(0);
    let end = tags[start..].find("</script>").map_or(tags.len(), |at| start + at);
    tags[start..end].to_owned()
}

/// JSON that cannot end its `<script>`, nor open a comment in it.
fn script_safe(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Text for HTML, in content and in quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escape("<b a='\"&"), "&lt;b a=&#39;&quot;&amp;");
        assert_eq!(script_safe("\"</script><!--\""), "\"\\u003c/script\\u003e\\u003c!--\"");
    }

    #[test]
    fn only_plotly_is_taken() {
        let script = plotly_script();
        assert!(script.contains("plotly.js v"));
        assert!(script.len() < 5_000_000 && !script.contains("<script type"), "MathJax stays out");
    }
}
