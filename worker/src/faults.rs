//! Faults on purpose, for tests of the grid: `BLOCKGRID_FAULTS=panic:17,slow:200`. Without the variable nothing of it acts.

use std::sync::OnceLock;
use std::time::Duration;

/// What goes wrong, and where.
#[derive(Debug, Default)]
struct Faults {
    panic: Option<u64>,
    abort: Option<u64>,
    stall: Option<u64>,
    eat: Option<u64>,
    slow: Option<Duration>,
    bars: Option<u64>,
    die_before_acknowledge: bool,
    abort_finish: bool,
    eat_finish: Option<u64>,
    container: Option<u64>,
}

fn faults() -> &'static Faults {
    static FAULTS: OnceLock<Faults> = OnceLock::new();
    FAULTS.get_or_init(|| std::env::var("BLOCKGRID_FAULTS").map(|text| read(&text)).unwrap_or_default())
}

fn read(text: &str) -> Faults {
    let mut faults = Faults::default();
    for fault in text.split(',') {
        let (name, value) = fault.split_once(':').unwrap_or((fault, ""));
        let number = value.parse().ok();
        match name {
            "panic" => faults.panic = number,
            "abort" => faults.abort = number,
            "stall" => faults.stall = number,
            "eat" => faults.eat = number,
            "slow" => faults.slow = number.map(Duration::from_millis),
            "bars" => faults.bars = number,
            "abort-finish" => faults.abort_finish = true,
            "eat-finish" => faults.eat_finish = number,
            "container" => faults.container = number,
            "die-before-acknowledge" => faults.die_before_acknowledge = true,
            _ => {}
        }
    }
    faults
}

/// A trial is about to be computed: panics, aborts or never ends where that is asked for.
pub(crate) fn trial(trials: &blockgrid_job::plan::Slices, cancelled: &dyn Fn() -> bool) {
    let faults = faults();
    let hit = |fault: Option<u64>| fault.is_some_and(|trial| trials.contains(trial));
    if let Some(time) = faults.slow {
        std::thread::sleep(time);
    }
    assert!(!hit(faults.panic), "a fault on purpose: trial {} panics", faults.panic.unwrap_or_default());
    if hit(faults.abort) {
        std::process::abort();
    }
    if hit(faults.eat) {
        eat(64, 1 << 30);
    }
    while hit(faults.stall) && !cancelled() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks for memory, so many pieces of so many bytes; where there is as much, the process dies as one that the kernel has
/// chosen. None of it is touched, so that the machine does not run out of it.
fn eat(pieces: u64, bytes: usize) {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    for _ in 0..pieces {
        eaten.push(Vec::with_capacity(std::hint::black_box(bytes)));
    }
    std::process::abort();
}

/// What a job has computed was gathered: aborts, but not where it is done alone; or takes so many bytes, and is then chosen
/// by the kernel.
pub(crate) fn finishing(is_alone: bool) {
    let faults = faults();
    if faults.abort_finish && !is_alone {
        std::process::abort();
    }
    if let Some(bytes) = faults.eat_finish {
        eat(bytes >> 20, 1 << 20);
    }
}

/// Bytes that a container may have, where it is asked for that there is one.
pub(crate) fn container() -> Option<u64> {
    faults().container
}

/// So many bars, or fewer where that is asked for: of small jobs, too, the best trials are then traced by units of their own.
pub(crate) fn bars(most: u64) -> u64 {
    faults().bars.map_or(most, |bars| most.min(bars))
}

/// An outcome was written and not acknowledged.
pub(crate) fn before_acknowledge() {
    if faults().die_before_acknowledge {
        std::process::abort();
    }
}
