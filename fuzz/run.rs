//! Runs a target so that a panic that is caught, as those of readers of damaged files are, is no failure.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::{Mutex, Once};

static LAST: Mutex<String> = Mutex::new(String::new());
static HOOK: Once = Once::new();

pub(crate) fn run(target: fn(&[u8]), data: &[u8]) {
    // libFuzzer's hook aborts on every panic, caught or not.
    HOOK.call_once(|| {
        set_hook(Box::new(|panic| {
            if let Ok(mut last) = LAST.lock() {
                *last = panic.to_string();
            }
        }));
    });
    if catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
        eprintln!("{}", LAST.lock().map(|last| last.clone()).unwrap_or_default());
        std::process::abort();
    }
}
