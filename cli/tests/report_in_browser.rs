//! The report in a real browser: it draws its charts and logs no error. Skipped, and said so, without Chromium.

use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn browser() -> Option<&'static str> {
    BROWSERS
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success()))
}

/// The page after its scripts have run, and what the browser logged.
fn rendered(browser: &str, page: &Path, profile: &Path) -> (String, String) {
    let out = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--v=0", "--virtual-time-budget=15000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("a browser that printed its version starts");
    (String::from_utf8_lossy(&out.stdout).into_owned(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn the_report_of_an_example_draws_its_charts_in_a_browser_without_an_error() {
    let Some(browser) = browser() else {
        println!("skipped: no Chromium on this machine (tools/setup.sh installs it)");
        return;
    };
    let folder = tempdir().unwrap();
    let out = folder.path().join("out");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/long-short-reversal.yaml");
    let run = Command::new(env!("CARGO_BIN_EXE_blockgrid"))
        .env("BLOCKGRID_HOME", folder.path())
        .args(["run", "--set", "sweep.parameters.fast=12,24", "--set", "sweep.parameters.slow=96,192", "-o"])
        .arg(&out)
        .arg(example)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let (page, log) = rendered(browser, &out.join("report.html"), &folder.path().join("profile"));
    // Heat map, equity with drawdown, candles: each is drawn as SVG by plotly.
    assert!(page.matches("js-plotly-plot").count() >= 3, "charts are missing; the browser said:\n{log}");
    assert!(page.matches("<svg").count() >= 3, "charts are empty; the browser said:\n{log}");
    let errors: Vec<&str> =
        log.lines().filter(|line| line.contains("CONSOLE") && line.contains("rror")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(page.contains("Equity against buy and hold") && page.contains("synthetic"));
}
