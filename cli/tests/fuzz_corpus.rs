//! Every input that the fuzzers keep or once failed on, run as they run it.

#[path = "../../fuzz/harness.rs"]
mod harness;

use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a file");
        if std::panic::catch_unwind(|| run(&bytes)).is_err() {
            panic!("{} fails", path.display());
        }
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", folder.display());
}

#[test]
fn expressions_of_the_corpus_pass() {
    replay("expression", harness::expression);
}

#[test]
fn manifests_of_the_corpus_pass() {
    replay("manifest", harness::manifest);
}

#[test]
fn candles_of_the_corpus_pass() {
    replay("candles", harness::candles);
}
