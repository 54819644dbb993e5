//! The page from top to bottom, without its script.

use std::fmt::Write;

use blockgrid_engine::metrics::METRICS;

use crate::format;
use crate::table::metric_index;
use crate::top::TopTrial;

use super::{LEADERBOARD_ROWS, ReportData, data, escape, summary, tables};

const TILES: [&str; 8] = [
    "total_return",
    "buy_and_hold_return",
    "sharpe",
    "max_drawdown",
    "trades",
    "win_rate",
    "profit_factor",
    "exposure",
];

/// Header, sections, footer.
pub(super) fn body(data: &ReportData<'_>) -> String {
    let mut out = String::new();
    header(&mut out, data);
    out.push_str("<main>\n");
    came_out(&mut out, data);
    grid(&mut out, data);
    if !data.embedded().is_empty() {
        trials(&mut out, data);
    }
    leaderboards(&mut out, data);
    if !data.embedded().is_empty() {
        out.push_str(
            "<section aria-labelledby=\"h-trades\"><h2 id=\"h-trades\">Trades</h2><p class=\"note\" id=\"trades-note\"></p>\
             <div class=\"scroll tall\" id=\"trades\" tabindex=\"0\" role=\"region\" aria-label=\"Trades\"></div></section>\n",
        );
    }
    provenance(&mut out, data);
    out.push_str(
        "</main>\n<noscript><p class=\"note\">Charts need JavaScript; the tables do not.</p></noscript>\n",
    );
    out
}

fn header(out: &mut String, data: &ReportData<'_>) {
    let mut facts = Vec::new();
    let symbols = data.table.symbols();
    facts.push(match symbols.as_slice() {
        [] => "no symbols".to_owned(),
        few if few.len() <= 4 => few.iter().map(|s| &**s).collect::<Vec<_>>().join(", "),
        many => format!("{} symbols", many.len()),
    });
    if let Some(trial) = data.top.first() {
        facts.push(trial.candles.interval().to_string());
    }
    facts.extend(range(data));
    let n = data.table.len();
    facts.push(format!("{} trial{}", format::decimal(n as f64, 0), if n == 1 { "" } else { "s" }));
    let facts = escape(&facts.join(" \u{b7} "));
    let badge = if data.synthetic { "<span class=\"badge\">synthetic data</span>" } else { "" };
    let _ = writeln!(
        out,
        "<header><div><h1>{}{badge}</h1><p class=\"note\">{facts}</p></div>\
         <button type=\"button\" id=\"theme\" class=\"quiet\" aria-label=\"Switch between light and dark\">Dark</button></header>",
        escape(&data.title)
    );
}

fn range(data: &ReportData<'_>) -> Option<String> {
    let day = |ms: i64| format::instant(ms).replace("T00:00:00Z", "");
    match data.range {
        (Some(from), Some(to)) => Some(format!("{} to {}", day(from), day(to))),
        (Some(from), None) => Some(format!("from {}", day(from))),
        (None, Some(to)) => Some(format!("to {}", day(to))),
        (None, None) => None,
    }
}

fn came_out(out: &mut String, data: &ReportData<'_>) {
    out.push_str("<section aria-labelledby=\"h-out\"><h2 id=\"h-out\">What came out</h2>\n");
    if data.synthetic {
        out.push_str(
            "<p class=\"callout\">These candles are synthetic. The figures show how the engine works; they say nothing about any market.</p>\n",
        );
    }
    for sentence in summary::sentences(data) {
        let _ = writeln!(out, "<p class=\"lead\">{}</p>", escape(&sentence));
    }
    if let Some(line) = summary::multiple_testing(data) {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(&line));
    }
    let warnings = summary::warnings(data);
    if !warnings.is_empty() {
        out.push_str("<ul class=\"warnings\" aria-label=\"Warnings\">");
        warnings.iter().for_each(|warning| {
            let _ = write!(out, "<li>{}</li>", escape(warning));
        });
        out.push_str("</ul>\n");
    }
    out.push_str("</section>\n");
}

fn grid(out: &mut String, data: &ReportData<'_>) {
    let swept =
        data.table.parameters.iter().filter(|(_, values)| values.iter().any(|v| v != &values[0])).count();
    if swept == 0 {
        return;
    }
    out.push_str("<section aria-labelledby=\"h-grid\" id=\"grid\"><h2 id=\"h-grid\">Across the parameters</h2>\n<div class=\"controls\">");
    let select =
        |id: &str, name: &str| format!("<label id=\"l-{id}\">{name}<select id=\"{id}\"></select></label>");
    out.push_str(&select("g-metric", "Metric"));
    out.push_str(&select("g-run", "Symbol"));
    out.push_str(&select("g-x", "Across"));
    out.push_str(&select("g-y", "Up"));
    out.push_str(&select("g-rest", "Other parameters"));
    out.push_str("</div>\n<div class=\"chart\" id=\"c-grid\"></div>\n<p class=\"note\" id=\"grid-note\"></p></section>\n");
}

fn trials(out: &mut String, data: &ReportData<'_>) {
    let embedded = data.embedded();
    out.push_str("<div class=\"picker\"><label>Trial<select id=\"trial\">");
    for (i, trial) in embedded.iter().enumerate() {
        let _ = write!(out, "<option value=\"{i}\">{}</option>", escape(&name(data, trial)));
    }
    out.push_str("</select></label></div>\n<section aria-labelledby=\"h-equity\"><h2 id=\"h-equity\">Equity against buy and hold</h2>\n");
    for (i, trial) in embedded.iter().enumerate() {
        let _ = write!(out, "<dl class=\"tiles\" data-trial=\"{i}\"{}>", if i > 0 { " hidden" } else { "" });
        for at in TILES.iter().filter_map(|id| metric_index(id)) {
            let info = &METRICS[at];
            let value = format::metric(info, data.table.metric(trial.row, info.id));
            let _ = write!(out, "<div><dt>{}</dt><dd>{value}</dd></div>", tables::title(info.id));
        }
        out.push_str("</dl>");
    }
    out.push_str(
        "\n<div class=\"chart tall\" id=\"c-equity\"></div><p class=\"note\" id=\"equity-note\"></p></section>\n\
         <section aria-labelledby=\"h-candles\"><h2 id=\"h-candles\">Trade by trade</h2>\n\
         <div class=\"controls buttons\" role=\"group\" aria-label=\"What the candles show\">\
         <button type=\"button\" data-view=\"win\">Largest win</button>\
         <button type=\"button\" data-view=\"loss\">Largest loss</button>\
         <button type=\"button\" data-view=\"all\">All</button>\
         <button type=\"button\" data-view=\"previous\" aria-label=\"Earlier trade\">&larr; Earlier</button>\
         <button type=\"button\" data-view=\"next\" aria-label=\"Later trade\">Later &rarr;</button></div>\n\
         <p class=\"note\" id=\"candles-trade\" aria-live=\"polite\"></p>\
         <div class=\"chart tall\" id=\"c-candles\"></div><p class=\"note\" id=\"candles-note\"></p></section>\n\
         <section aria-labelledby=\"h-months\"><h2 id=\"h-months\">Month by month</h2>\n",
    );
    for (i, trial) in embedded.iter().enumerate() {
        let hidden = if i > 0 { " hidden" } else { "" };
        let _ = write!(out, "<div data-trial=\"{i}\"{hidden}>{}</div>", tables::months(trial));
    }
    out.push_str("<p class=\"note\">UTC months, a bar counted in the month it opens in; years compound their months.</p></section>\n");
}

/// How the selector names a trial.
fn name(data: &ReportData<'_>, trial: &TopTrial<'_>) -> String {
    let objective = data.objective.metric;
    let value = format::metric(objective, data.table.metric(trial.row, objective.id));
    let parameters = format::parameters(&trial.parameters);
    let label = data::label(&trial.symbol, &trial.window);
    format!("#{} {label} {parameters} ({} {value})", trial.rank, tables::title(objective.id))
        .replace("  ", " ")
}

fn leaderboards(out: &mut String, data: &ReportData<'_>) {
    let objective = &data.objective;
    let least = objective.min_trades.map_or(String::new(), |n| format!(", at least {n} trades"));
    let shown = data.ranked.len().min(LEADERBOARD_ROWS);
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"h-board\"><h2 id=\"h-board\">Leaderboard</h2><p class=\"note\">By {} ({}{least}); the first {shown} of {}. \
         Press a heading to sort.</p>{}",
        tables::title(objective.metric.id),
        objective.direction.id(),
        format::decimal(data.ranked.len() as f64, 0),
        tables::leaderboard(data)
    );
    if data.table.symbols().len() > 1 {
        let _ = writeln!(
            out,
            "<h3>Parameter sets by their median over symbols</h3><p class=\"note\">A set that is undefined on a symbol counts as worst there. \
             What holds on several symbols is less likely to be chance.</p>{}",
            tables::medians(data)
        );
    }
    out.push_str("</section>\n");
}

fn provenance(out: &mut String, data: &ReportData<'_>) {
    out.push_str("<section aria-labelledby=\"h-from\"><h2 id=\"h-from\">Where this comes from</h2><dl class=\"facts\">");
    let mut fact = |name: &str, value: &str| {
        let _ = write!(out, "<div><dt>{}</dt><dd><code>{}</code></dd></div>", escape(name), escape(value));
    };
    fact("Engine", &data.engine_version);
    if let Some(range) = range(data) {
        fact("Range (UTC)", &range);
    }
    data.digests.iter().for_each(|(name, value)| fact(&format!("Digest of {name}"), value));
    out.push_str("</dl>\n");
    if !data.candles.is_empty() {
        out.push_str(&tables::candles(&data.candles));
    }
    let _ = write!(
        out,
        "<details><summary>Manifest</summary><pre tabindex=\"0\"><code>{}</code></pre></details>\n\
         <details><summary>Conventions of the metrics</summary>{}</details></section>\n",
        escape(&data.manifest),
        tables::conventions()
    );
}
