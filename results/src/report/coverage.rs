//! The page that shows when there are candles: one HTML file in the look of the report, without scripts.

use std::fmt::Write;

use blockgrid_engine::Interval;

use super::{CSS, MONTHS, escape};
use crate::format::{decimal, instant};

mod overview;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct CoveragePage {
    /// Name of the data set.
    pub title: String,
    /// Whether the candles are made up; the page says so at the top.
    pub synthetic: bool,
    /// What the data set is, as (label, value).
    pub facts: Vec<(String, String)>,
    /// Its symbols and intervals.
    pub series: Vec<CoverageSeries>,
}

/// The candles of a symbol at an interval.
#[derive(Debug, Clone)]
pub struct CoverageSeries {
    /// The symbol.
    pub symbol: String,
    /// The length of its candles.
    pub interval: Interval,
    /// Candles that are there.
    pub present: u64,
    /// Candles that could be from the first to the last.
    pub expected: u64,
    /// First and last open, UTC milliseconds.
    pub range: (i64, i64),
    /// Rows that stand twice or out of order.
    pub disordered: u64,
    /// How many times candles are missing.
    pub gaps: u64,
    /// Where the longest gap begins (UTC milliseconds), and how many candles it lacks.
    pub longest: Option<(i64, u64)>,
    /// The UTC months, oldest first.
    pub months: Vec<CoverageMonth>,
}

/// The candles of one UTC month.
#[derive(Debug, Clone, Copy)]
pub struct CoverageMonth {
    /// The year.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
    /// Candles that open in it.
    pub present: u64,
    /// Candles that could.
    pub expected: u64,
}

const PAGE_CSS: &str = include_str!("coverage.css");

/// The whole page as one HTML document; the same data give the same bytes.
pub fn html(page: &CoveragePage) -> String {
    let title = escape(&page.title);
    let badge = if page.synthetic { "<span class=\"badge\">synthetic data</span>" } else { "" };
    let mut out = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    out.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
    let _ = write!(
        out,
        "<title>{title} - coverage</title>\n<style>\n{CSS}{PAGE_CSS}</style>\n</head>\n<body>\n\
         <header><div><h1>{title}{badge}</h1><p class=\"note\">When there are candles</p></div></header>\n<main>\n\
         <section aria-label=\"What it is\"><dl class=\"tiles facts-row\">"
    );
    for (label, value) in &page.facts {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(label), escape(value));
    }
    out.push_str("</dl>");
    out.push_str(LEGEND);
    out.push_str("</section>\n");
    if page.series.len() > 1 {
        overview::overview(&mut out, &page.series);
    }
    table(&mut out, &page.series);
    out.push_str("<section aria-labelledby=\"h-months\"><h2 id=\"h-months\">Month by month</h2>\n");
    for (i, series) in page.series.iter().enumerate() {
        months(&mut out, i, series);
    }
    out.push_str("</section>\n</main>\n</body>\n</html>\n");
    out
}

const LEGEND: &str = "<p class=\"note legend\"><span class=\"swatch whole\"></span>complete \
    <span class=\"swatch near\"></span>99% or more \
    <span class=\"swatch part\" style=\"--a:14%\"></span>little is missing \
    <span class=\"swatch part\" style=\"--a:62%\"></span>much is missing \
    <span class=\"swatch none\"></span>no candle. UTC months; numbers are percent, cut off, so that only what is whole \
    is 100. Before the first and after the last candle nothing is expected.</p>\n";

fn table(out: &mut String, series: &[CoverageSeries]) {
    out.push_str(
        "<section aria-labelledby=\"h-table\"><h2 id=\"h-table\">In numbers</h2>\
         <div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-table\"><table><thead><tr>",
    );
    for (name, class) in [
        ("Symbol", ""),
        ("Interval", ""),
        ("Candles", " class=\"n\""),
        ("First (UTC)", ""),
        ("Last (UTC)", ""),
        ("Coverage", " class=\"n\""),
        ("Gaps", " class=\"n\""),
        ("Longest gap", ""),
    ] {
        let _ = write!(out, "<th scope=\"col\"{class}>{name}</th>");
    }
    out.push_str("</tr></thead><tbody>\n");
    for (i, s) in series.iter().enumerate() {
        let longest = s.longest.map_or("-".to_owned(), |(from, candles)| {
            let plural = if candles == 1 { "" } else { "s" };
            format!("{} candle{plural} from {}", decimal(candles as f64, 0), moment(from))
        });
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\"><a href=\"#s{i}\">{}</a></th><td>{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td>\
             <td class=\"n\">{}%</td><td class=\"n\">{}</td><td>{longest}</td></tr>",
            escape(&s.symbol),
            s.interval,
            decimal(s.present as f64, 0),
            moment(s.range.0),
            moment(s.range.1),
            percent(s.present, s.expected, 2),
            decimal(s.gaps as f64, 0),
        );
    }
    out.push_str("</tbody></table></div>\n");
    for s in series.iter().filter(|s| s.disordered > 0) {
        let _ = writeln!(
            out,
            "<p class=\"callout\">{} {}: {} rows stand twice or out of order and are not counted.</p>",
            escape(&s.symbol),
            s.interval,
            decimal(s.disordered as f64, 0)
        );
    }
    out.push_str("</section>\n");
}

/// Months across, years down.
fn months(out: &mut String, i: usize, series: &CoverageSeries) {
    let name = format!("{} {}", escape(&series.symbol), series.interval);
    let _ = write!(
        out,
        "<h3 id=\"s{i}\">{name}</h3><div class=\"scroll strip\" tabindex=\"0\" role=\"region\" aria-labelledby=\"s{i}\">\
         <table><caption class=\"hidden\">Share of candles of {name} by month, in percent</caption><thead><tr>\
         <th scope=\"col\">Year</th>"
    );
    for month in MONTHS {
        let _ = write!(out, "<th scope=\"col\">{month}</th>");
    }
    out.push_str("<th scope=\"col\" class=\"n\">Year</th></tr></thead><tbody>\n");
    for year in series.months.chunk_by(|a, b| a.year == b.year) {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", year[0].year);
        for month in 1..=12 {
            match year.iter().find(|m| m.month == month && m.expected > 0) {
                None => out.push_str("<td></td>"),
                Some(m) => cell(out, m),
            }
        }
        let (present, expected) = year.iter().fold((0, 0), |(p, e), m| (p + m.present, e + m.expected));
        let _ = writeln!(out, "<td class=\"n total\">{}%</td></tr>", percent(present, expected, 2));
    }
    out.push_str("</tbody></table></div>\n");
}

fn cell(out: &mut String, month: &CoverageMonth) {
    let (class, style) = look(month.present, month.expected);
    let style = if style.is_empty() { String::new() } else { format!(" style=\"{style}\"") };
    let _ = write!(
        out,
        "<td class=\"{class}\"{style} title=\"{} of {} candles\">{}</td>",
        decimal(month.present as f64, 0),
        decimal(month.expected as f64, 0),
        percent(month.present, month.expected, 1).trim_end_matches(".0")
    );
}

/// The class of a share, and how strong its colour is: the more is missing, the stronger.
fn look(present: u64, expected: u64) -> (&'static str, String) {
    match present {
        0 => ("none", String::new()),
        n if n >= expected => ("whole", String::new()),
        n if u128::from(n) * 100 >= u128::from(expected) * 99 => ("near", String::new()),
        n => {
            let missing = 1.0 - n as f64 / expected as f64;
            ("part", format!("--a:{:.0}%", 14.0 + 48.0 * missing))
        }
    }
}

/// A share in percent, cut off rather than rounded: only what is whole is 100.
fn percent(present: u64, expected: u64, digits: u32) -> String {
    let unit = 10_u128.pow(digits);
    let cut =
        (u128::from(present) * 100 * unit).checked_div(u128::from(expected)).unwrap_or(0).min(100 * unit);
    let (whole, rest) = (cut / unit, cut % unit);
    if digits == 0 { whole.to_string() } else { format!("{whole}.{rest:0width$}", width = digits as usize) }
}

fn moment(ms: i64) -> String {
    let text = instant(ms);
    text.strip_suffix("T00:00:00Z").map_or_else(|| text.replace('T', " ").replace(":00Z", ""), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[&str]) -> String {
        let month = |month, present| CoverageMonth { year: 2024, month, present, expected: 744 };
        let series = |name: &&str| CoverageSeries {
            symbol: (*name).to_owned(),
            interval: "1h".parse().unwrap(),
            present: 1859,
            expected: 2976,
            range: (1_704_067_200_000, 1_711_926_000_000),
            disordered: 2,
            gaps: 2,
            longest: Some((1_706_745_600_000, 744)),
            months: vec![month(1, 744), month(2, 0), month(3, 743), month(4, 372)],
        };
        html(&CoveragePage {
            title: "<b>&".to_owned(),
            synthetic: true,
            facts: vec![("source".to_owned(), "a \"vendor\"".to_owned())],
            series: names.iter().map(series).collect(),
        })
    }

    #[test]
    fn the_page_says_in_words_what_it_shows() {
        let one = page(&["A<i>"]);
        for part in [
            "<title>&lt;b&gt;&amp; - coverage</title>",
            "synthetic data",
            "a &quot;vendor&quot;",
            "A&lt;i&gt; 1h",
            "<td class=\"whole\" title=\"744 of 744 candles\">100</td>",
            "<td class=\"none\" title=\"0 of 744 candles\">0</td>",
            "<td class=\"near\" title=\"743 of 744 candles\">99.8</td>",
            "<td class=\"part\" style=\"--a:38%\" title=\"372 of 744 candles\">50</td>",
            "<td class=\"n total\">62.46%</td>",
            "744 candles from 2024-02-01",
            "2 rows stand twice",
        ] {
            assert!(one.contains(part), "`{part}` is not in the page");
        }
        assert!(!one.contains("<i>") && !one.contains("<script") && !one.contains("http://"));
        assert_eq!(one, page(&["A<i>"]));
        // Only several are worth a look at once.
        assert!(!one.contains("<svg"));
        let two = page(&["A", "B"]);
        assert!(two.contains("<svg") && two.contains("role=\"img\"") && two.contains("href=\"#s1\""));
    }

    #[test]
    fn only_what_is_whole_is_a_hundred() {
        assert_eq!(percent(1, 1, 2), "100.00");
        assert_eq!(percent(999_999, 1_000_000, 2), "99.99");
        assert_eq!(percent(29, 100, 2), "29.00");
        assert_eq!(percent(0, 0, 1), "0.0");
        assert_eq!(percent(7, 5, 0), "100");
    }
}
