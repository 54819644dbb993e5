//! The report: self-contained, same bytes, nothing escapes, and its arithmetic.

use blockgrid_engine::sim::{Outcome, Reason};
use blockgrid_engine::{Candles, Interval, RawCandles};
use blockgrid_results::report::{CandlesUsed, ReportData, concentration, html, monthly_returns};
use blockgrid_results::{Objective, TopTrial, TrialTable, rank};

use crate::fixture::{HOUR, START, candles, fill, table, top};

const GRID: [(f64, f64); 4] = [(5.0, 50.0), (10.0, 50.0), (5.0, 80.0), (10.0, 80.0)];

fn report<'a>(table: &'a TrialTable, ranked: &'a [usize], top: &'a [TopTrial<'a>]) -> ReportData<'a> {
    ReportData {
        title: "demo".to_owned(),
        synthetic: true,
        manifest: "kind: BacktestJob".to_owned(),
        digests: vec![("data".to_owned(), "sha256:00".to_owned())],
        candles: vec![CandlesUsed {
            symbol: "SYN-A".to_owned(),
            candles: 15_000,
            missing: 3,
            filled: 2,
            left_out: 0,
            findings: vec![(
                false,
                "2 x gap (5 candles), worst 2024-01-05T04:01:00Z: 4 candles missing".to_owned(),
            )],
        }],
        engine_version: "0.1.0".to_owned(),
        range: (Some(START), None),
        table,
        objective: Objective::new("sharpe", None, None).unwrap(),
        ranked,
        top,
        warnings: vec!["mind the gap".to_owned()],
    }
}

/// The page without plotly's own script, and the text of that script.
fn split(page: &str) -> (String, &str) {
    let start = page.find("/**\n* plotly.js").unwrap();
    let end = start + page[start..].find("</script>").unwrap();
    (page[..start].to_owned() + &page[end..], &page[start..end])
}

fn text(page: &str) -> String {
    split(page).0
}

#[test]
fn the_page_is_whole_and_fetches_nothing() {
    let candles = candles(300);
    let trials = table(&["SYN-A", "SYN-B"], &GRID, |s, t| (s as f64 + t as f64, 12.0));
    let ranked = rank(&trials, &Objective::new("sharpe", None, None).unwrap());
    let tops = [top(1, &candles, &[50.0, -20.0, 5.0])];
    let page = html(&report(&trials, &ranked, &tops));
    assert_eq!(page, html(&report(&trials, &ranked, &tops)), "the same data give the same bytes");
    let (own, plotly) = split(&page);
    assert!(plotly.len() > 4_000_000);
    for fetch in ["http://", "https://", "src=", "href=", "@import", "url(", "fetch(", "XMLHttpRequest"] {
        assert!(!own.contains(fetch), "{fetch}");
    }
    assert!(own.contains("default-src 'none'") && own.contains("width=device-width"));
    assert!(!page.contains("MathJax.loader"), "MathJax stays out");
    for said in [
        "These candles are synthetic",
        "best of 8 tries",
        "mind the gap",
        "2 of 8 trials were never warm",
        "No funding or borrow was charged",
        "Linear interpolation".to_lowercase().as_str(),
        "Parameter sets by their median",
        "kind: BacktestJob",
        "sha256:00",
    ] {
        assert!(own.contains(said), "{said}");
    }
}

#[test]
fn names_and_manifests_cannot_break_out() {
    let evil = "</script><img src=x onerror=alert(1)>\"'&";
    let candles = candles(100);
    let mut trials = table(&[evil, "B"], &GRID, |_, t| (t as f64, 12.0));
    trials.parameters[0].0 = evil.to_owned();
    let ranked = rank(&trials, &Objective::new("sharpe", None, None).unwrap());
    let mut first = top(1, &candles, &[5.0]);
    first.symbol = evil.to_owned();
    first.window = evil.to_owned();
    first.parameters[0].0 = evil.to_owned();
    let tops = [first];
    let plain = table(&["A", "B"], &GRID, |_, t| (t as f64, 12.0));
    let harmless = text(&html(&report(&plain, &ranked, &tops)));
    let mut data = report(&trials, &ranked, &tops);
    data.title = evil.to_owned();
    data.manifest = evil.to_owned();
    data.warnings = vec![evil.to_owned()];
    data.digests = vec![(evil.to_owned(), evil.to_owned())];
    data.candles[0].symbol = evil.to_owned();
    data.candles[0].findings = vec![(true, evil.to_owned()), (false, evil.to_owned())];
    data.engine_version = evil.to_owned();
    let page = text(&html(&data));
    assert!(!page.contains("<img"));
    assert_eq!(page.matches("</script").count(), harmless.matches("</script").count());
    assert_eq!(page.matches("<script").count(), 4);
}

#[test]
fn the_page_says_what_the_job_ran_on() {
    let trials = table(&["A"], &GRID, |_, t| (t as f64, 12.0));
    let mut data = report(&trials, &[0, 1, 2, 3], &[]);
    data.candles[0].left_out = 7;
    data.candles[0].findings.push((true, "7 x duplicate".to_owned()));
    let page = text(&html(&data));
    for part in [
        "<th scope=\"row\">SYN-A</th><td class=\"n\">15,000</td><td class=\"n\">3</td><td class=\"n\">2</td><td class=\"n\">7</td>",
        "2 x gap (5 candles), worst 2024-01-05T04:01:00Z: 4 candles missing<br><strong>7 x duplicate</strong>",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_report_of_nothing_still_reads() {
    let empty = TrialTable::new(["fast"]);
    let page = text(&html(&report(&empty, &[], &[])));
    assert!(page.contains("No trial was run"));
    let undefined = table(&["A"], &GRID[..1], |_, _| (f64::NAN, f64::NAN));
    let candles = candles(10);
    let cold = TopTrial { outcome: Outcome { first_bar: 10, ..Outcome::default() }, ..top(1, &candles, &[]) };
    let tops = [cold];
    let page = text(&html(&report(&undefined, &[0], &tops)));
    assert!(page.contains("No trial has a defined sharpe") && page.contains("It did not trade"));
}

#[test]
fn concentration_adds_up() {
    let profits = [10.0, -5.0, 40.0, 1.0, -20.0, 8.0, 2.0, 3.0, -9.0, 4.0, 6.0];
    let parts = concentration(&profits);
    assert_eq!(parts.net, 40.0);
    assert_eq!(parts.best_five, 68.0, "40 + 10 + 8 + 6 + 4");
    assert_eq!((parts.tenth, parts.best_tenth), (2, 50.0), "a tenth of 11 is rounded up to 2");
    let none = concentration(&[]);
    assert_eq!((none.net, none.best_five, none.tenth), (0.0, 0.0, 0));
}

#[test]
fn the_summary_takes_the_profit_apart() {
    let candles = candles(300);
    let trials = table(&["SYN-A"], &GRID, |_, t| (4.0 - t as f64, 12.0));
    let ranked = [0, 1, 2, 3];
    let said = |profits: &[f64]| {
        let tops = [top(1, &candles, profits)];
        text(&html(&report(&trials, &ranked, &tops)))
    };
    // Returns are sharpe / 10: 40, 30, 20 and 10 %, all above the 5 % of buy and hold.
    let page = said(&[100.0, -50.0, 10.0, 10.0, 10.0, 10.0, 10.0]);
    assert!(page.contains("4 of 4 trials (100.00%) beat buy and hold; the best by sharpe is SYN-A with fast=5 slow=50, with sharpe 4.00"));
    // Seven trades, thirteen fills of 0.5: gross 106.5.
    assert!(page.contains("Fees of 6.50 ate 6.10% of its gross profit of 106.50; its best 5 of 7 trades made 140.00% of the net profit of 100.00, the best tenth (1 trade) 100.00%; without those 5 it would have lost 40.00."), "{page}");
    assert!(said(&[5.0, 5.0]).contains("all its net profit of 10.00 comes from 2 trades"));
    assert!(said(&[1.0, -2.0]).contains(
        "Fees of 1.50 ate all of its gross profit of 0.50; its 2 trades made no net profit (-1.00)"
    ));
    assert!(said(&[-9.0]).contains("It lost 8.50 before fees, and fees took 0.50 more"));
    assert!(said(&[10.0; 8]).contains("its best 5 of 8 trades made 62.50% of the net profit of 80.00"));
}

#[test]
fn months_compound_to_years() {
    // Daily candles over the turn of a year; equity is set by hand.
    let day = 24 * HOUR;
    let first = 1_701_388_800_000; // 2023-12-01
    let n = 31 + 31 + 5;
    let candles = Candles::new(
        Interval::DAY,
        RawCandles {
            timestamp: (0..n).map(|i| first + day * i).collect(),
            open: vec![1.0; 67],
            high: vec![1.0; 67],
            low: vec![1.0; 67],
            close: vec![1.0; 67],
            volume: vec![0.0; 67],
        },
    )
    .unwrap();
    let equity: Vec<f64> = (0..67)
        .map(|i| {
            if i < 31 {
                1100.0
            } else if i < 62 {
                1210.0
            } else {
                1089.0
            }
        })
        .collect();
    let trial = TopTrial {
        outcome: Outcome { first_bar: 0, position: vec![0.0; 67], equity, ..Outcome::default() },
        ..top(1, &candles, &[])
    };
    let years = monthly_returns(&trial);
    assert_eq!(years.iter().map(|year| year.year).collect::<Vec<_>>(), [2023, 2024]);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(
        near(years[0].months[11].unwrap(), 0.1),
        "the bar of the 31st closes in January and counts for December"
    );
    assert!(near(years[0].total, 0.1) && years[0].months[..11].iter().all(Option::is_none));
    assert!(near(years[1].months[0].unwrap(), 0.1) && near(years[1].months[1].unwrap(), -0.1));
    assert!(near(years[1].total, -0.01) && years[1].months[2].is_none());
    assert!(near((1.0 + years[0].total) * (1.0 + years[1].total), 1.089));
}

#[test]
fn long_series_are_thinned_and_say_so() {
    let candles = candles(50_000);
    let trials = table(&["SYN-A"], &GRID, |_, t| (4.0 - t as f64, 12.0));
    let mut first = top(1, &candles, &[10.0, -10.0, 3.0]);
    first.outcome.trades[0].exit = Some(fill(400, 100.0, Reason::Trail));
    let tops = [first];
    let page = text(&html(&report(&trials, &[0, 1, 2, 3], &tops)));
    assert!(
        page.contains("\"thinned\":true") && page.contains("\"factor\":3") && page.contains("\"factor\":1")
    );
    assert!(page.len() < 1_500_000, "{}", page.len());
}

#[test]
fn a_large_grid_keeps_what_can_be_mapped() {
    let grid: Vec<(f64, f64)> =
        (0..160).flat_map(|a| (0..160).map(move |b| (f64::from(a), f64::from(b)))).collect();
    let mut trials = table(&["SYN-A"], &grid, |_, t| (-(t as f64), 12.0));
    trials
        .parameters
        .push(("third".to_owned(), (0..grid.len()).map(|t| f64::from(u8::from(t % 7 == 3))).collect()));
    let ranked = rank(&trials, &Objective::new("sharpe", None, None).unwrap());
    let page = text(&html(&report(&trials, &ranked, &[])));
    assert!(page.contains("\"complete\":false") && page.contains("\"dropped\":0"));
    assert!(page.len() < 4_000_000, "{}", page.len());
}
