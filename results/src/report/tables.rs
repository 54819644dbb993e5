//! Tables that are finished HTML: leaderboards, months, conventions.

use std::fmt::Write;

use blockgrid_engine::metrics::{METRICS, MetricInfo};

use crate::format::{self, percent};
use crate::leaderboard::rank_by_median;
use crate::table::metric_index;
use crate::top::TopTrial;

use super::monthly::monthly_returns;
use super::{CandlesUsed, LEADERBOARD_ROWS, MONTHS, ReportData, escape};

const SHOWN: [&str; 7] =
    ["total_return", "cagr", "sharpe", "max_drawdown", "trades", "win_rate", "buy_and_hold_return"];

/// A sortable table being written: what is shown, and beside it what is sorted by.
struct Sortable {
    html: String,
}

impl Sortable {
    fn new(caption: &str, columns: &[(String, bool)]) -> Self {
        let mut html = format!(
            "<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table class=\"sortable\">\
             <caption class=\"hidden\">{caption}</caption><thead><tr>"
        );
        for (name, numeric) in columns {
            let class = if *numeric { " class=\"n\"" } else { "" };
            let _ = write!(
                html,
                "<th scope=\"col\"{class}><button type=\"button\">{}</button></th>",
                escape(name)
            );
        }
        html.push_str("</tr></thead><tbody>");
        Self { html }
    }

    fn text(&mut self, value: &str) {
        let _ = write!(self.html, "<td>{}</td>", escape(value));
    }

    fn number(&mut self, shown: &str, value: Option<f64>) {
        let key = value.map_or(String::new(), |v| v.to_string());
        let _ = write!(self.html, "<td class=\"n\" data-v=\"{key}\">{}</td>", escape(shown));
    }

    fn metric(&mut self, info: &MetricInfo, value: Option<f64>) {
        self.number(&format::metric(info, value), value);
    }

    fn row(&mut self, cells: impl FnOnce(&mut Self)) {
        self.html.push_str("<tr>");
        cells(self);
        self.html.push_str("</tr>");
    }

    fn finish(mut self) -> String {
        self.html.push_str("</tbody></table></div>");
        self.html
    }
}

/// The best rows of the table.
pub(super) fn leaderboard(data: &ReportData<'_>) -> String {
    let table = data.table;
    let objective = data.objective.metric;
    let metrics: Vec<&MetricInfo> = std::iter::once(objective)
        .chain(
            SHOWN
                .iter()
                .filter_map(|id| metric_index(id))
                .map(|at| &METRICS[at])
                .filter(|info| info.id != objective.id),
        )
        .collect();
    let windows = data.several_windows();
    let mut columns = vec![("rank".to_owned(), true), ("symbol".to_owned(), false)];
    columns.extend(windows.then(|| ("window".to_owned(), false)));
    columns.extend(table.parameters.iter().map(|(name, _)| (name.clone(), true)));
    columns.extend(metrics.iter().map(|info| (title(info.id), true)));
    let mut out = Sortable::new("Leaderboard", &columns);
    for (place, &row) in data.ranked.iter().take(LEADERBOARD_ROWS).enumerate() {
        out.row(|out| {
            out.number(&(place + 1).to_string(), Some((place + 1) as f64));
            out.text(&table.symbol[row]);
            if windows {
                out.text(&table.window[row]);
            }
            for (_, values) in &table.parameters {
                out.number(&format::parameter(values[row]), Some(values[row]));
            }
            metrics.iter().for_each(|info| out.metric(info, table.metric(row, info.id)));
        });
    }
    out.finish()
}

/// Parameter sets by their median over symbols.
pub(super) fn medians(data: &ReportData<'_>) -> String {
    let sets = rank_by_median(data.table, &data.objective);
    let objective = data.objective.metric;
    let windows = data.several_windows();
    let mut columns = vec![("rank".to_owned(), true)];
    columns.extend(windows.then(|| ("window".to_owned(), false)));
    columns.extend(data.table.parameters.iter().map(|(name, _)| (name.clone(), true)));
    columns.extend([(format!("median {}", title(objective.id)), true), ("worst symbol".to_owned(), true)]);
    let symbols = data.table.symbols();
    columns.extend(symbols.iter().take(8).map(|symbol| (symbol.to_string(), true)));
    let mut out = Sortable::new("Leaderboard by the median over symbols", &columns);
    for (place, set) in sets.iter().take(LEADERBOARD_ROWS).enumerate() {
        out.row(|out| {
            out.number(&(place + 1).to_string(), Some((place + 1) as f64));
            if windows {
                out.text(&set.window);
            }
            for (_, value) in &set.parameters {
                out.number(&format::parameter(*value), Some(*value));
            }
            out.metric(objective, set.median);
            out.metric(objective, set.worst);
            for symbol in symbols.iter().take(8) {
                let row = set.rows.iter().find(|&&row| data.table.symbol[row] == *symbol);
                out.metric(objective, row.and_then(|&row| data.table.metric(row, objective.id)));
            }
        });
    }
    out.finish()
}

/// Year by month, coloured by size.
pub(super) fn months(trial: &TopTrial<'_>) -> String {
    let years = monthly_returns(trial);
    let largest =
        years.iter().flat_map(|year| year.months.iter().flatten()).fold(0.0_f64, |most, r| most.max(r.abs()));
    let cell = |value: Option<f64>, class: &str| match value {
        None => format!("<td class=\"n {class}\"></td>"),
        Some(v) => {
            let strength = if largest > 0.0 { (v.abs() / largest).min(1.0).sqrt() } else { 0.0 };
            let sign = if v < 0.0 { "loss" } else { "gain" };
            format!(
                "<td class=\"n {class} {sign}\" style=\"--a:{:.0}%\">{}</td>",
                8.0 + strength * 47.0,
                percent(v)
            )
        }
    };
    let mut html = "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Monthly returns\"><table class=\"months\">\
        <caption class=\"hidden\">Monthly returns</caption><thead><tr><th scope=\"col\">Year</th>"
        .to_owned();
    for month in MONTHS {
        let _ = write!(html, "<th scope=\"col\" class=\"n\">{month}</th>");
    }
    html.push_str("<th scope=\"col\" class=\"n\">Total</th></tr></thead><tbody>");
    for year in &years {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", year.year);
        year.months.iter().for_each(|value| html.push_str(&cell(*value, "")));
        html.push_str(&cell(Some(year.total), "total"));
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    html
}

/// Every metric with its convention.
pub(super) fn conventions() -> String {
    let mut html = "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Conventions\"><table class=\"wrap\"><thead><tr><th scope=\"col\">Metric</th>\
        <th scope=\"col\">Convention</th></tr></thead><tbody>"
        .to_owned();
    for info in METRICS {
        let _ = write!(
            html,
            "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td></tr>",
            info.id,
            escape(info.convention)
        );
    }
    html.push_str("</tbody></table></div>");
    html
}

/// What the job ran on: counts by symbol, and what the checks found.
pub(super) fn candles(used: &[CandlesUsed]) -> String {
    let mut html = "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Candles\"><table class=\"wrap\"><thead><tr>\
        <th scope=\"col\">Candles of</th>"
        .to_owned();
    for name in ["Traded", "Missing", "Filled", "Rows left out"] {
        let _ = write!(html, "<th scope=\"col\" class=\"n\">{name}</th>");
    }
    html.push_str("<th scope=\"col\">Findings</th></tr></thead><tbody>");
    for symbol in used {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escape(&symbol.symbol));
        let counts =
            [symbol.candles as f64, symbol.missing as f64, symbol.filled as f64, symbol.left_out as f64];
        for count in counts {
            let _ = write!(html, "<td class=\"n\">{}</td>", format::decimal(count, 0));
        }
        let findings: Vec<String> = symbol
            .findings
            .iter()
            .map(
                |(violation, text)| {
                    if *violation { format!("<strong>{}</strong>", escape(text)) } else { escape(text) }
                },
            )
            .collect();
        let findings = if findings.is_empty() { "none".to_owned() } else { findings.join("<br>") };
        let _ = write!(html, "<td>{findings}</td></tr>");
    }
    html.push_str("</tbody></table></div>\n<p class=\"note\">Findings of the checks over all that was read, warm-up included; violations are bold.</p>\n");
    html
}

/// A metric's id as a heading: `max_drawdown` reads `max drawdown`.
pub(super) fn title(id: &str) -> String {
    match id {
        "buy_and_hold_return" => "buy and hold".to_owned(),
        _ => id.replace('_', " "),
    }
}
