//! Slots: threads that compute, one unit at a time each, and keep what the next unit of the same symbol can use.
//!
//! A slot is one thread with a pool of that thread alone, so that the CPU time of a unit is the thread's own, to the
//! microsecond, and a worker of n slots uses n processors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use blockgrid_engine::graph::Graph;
use blockgrid_engine::sweep::SymbolRun;
use blockgrid_grid::JobId;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

/// What a slot keeps from unit to unit: columns are computed once a symbol.
pub struct Bench {
    /// Whose.
    pub job: JobId,
    /// Which symbol.
    pub symbol: usize,
    /// The symbol, with its columns.
    pub run: SymbolRun,
    /// The graph that the columns belong to.
    pub graph: Graph,
}

/// The state of a slot's thread.
#[derive(Default)]
pub struct Slot {
    /// The symbol worked on last.
    pub bench: Option<Bench>,
}

type Task = Box<dyn FnOnce(&mut Slot) + Send>;

/// Threads that compute.
pub struct Slots {
    free: Semaphore,
    idle: std::sync::Mutex<Vec<mpsc::Sender<Task>>>,
}

/// What came of a task, and what it took.
pub struct Computed<T> {
    /// The result, or the words of a panic.
    pub result: Result<T, String>,
    /// CPU time of the thread, microseconds, rounded up.
    pub cpu_micros: u64,
}

/// A slot that is ours until dropped.
pub struct Held<'a> {
    slots: &'a Slots,
    sender: Option<mpsc::Sender<Task>>,
    _permit: SemaphorePermit<'a>,
}

impl Slots {
    /// So many threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(count: usize) -> std::io::Result<Self> {
        let mut idle = Vec::new();
        for number in 0..count {
            let (sender, tasks) = mpsc::channel::<Task>();
            std::thread::Builder::new().name(format!("slot-{number}")).spawn(move || work(&tasks))?;
            idle.push(sender);
        }
        Ok(Self { free: Semaphore::new(count), idle: std::sync::Mutex::new(idle) })
    }

    /// How many do nothing.
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// Waits for a slot.
    pub async fn hold(&self) -> Option<Held<'_>> {
        let permit = self.free.acquire().await.ok()?;
        let sender = self.idle.lock().ok()?.pop();
        Some(Held { slots: self, sender, _permit: permit })
    }
}

impl Held<'_> {
    /// Runs a task on the slot's thread. A panic is caught; what the slot kept is then dropped.
    pub async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Slot) -> T + Send + 'static,
    ) -> Computed<T> {
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |slot| {
            let before = cpu_micros();
            let result = catch_unwind(AssertUnwindSafe(|| task(slot))).map_err(|panic| {
                slot.bench = None;
                words(panic.as_ref())
            });
            let cpu_micros = (cpu_micros() - before).max(1);
            // Nobody listens any more when the unit was abandoned.
            let _ = reply.send(Computed { result, cpu_micros });
        });
        let gone = || Computed { result: Err("the computing thread is gone".to_owned()), cpu_micros: 0 };
        match &self.sender {
            Some(sender) if sender.send(task).is_ok() => answer.await.unwrap_or_else(|_| gone()),
            _ => gone(),
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let (Some(sender), Ok(mut idle)) = (self.sender.take(), self.slots.idle.lock()) {
            // The slot used last is used next: what it keeps is warm.
            idle.push(sender);
        }
    }
}

fn work(tasks: &mpsc::Receiver<Task>) {
    let mut slot = Slot::default();
    // A pool of this very thread: nested parallelism runs here and nowhere else.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
    while let Ok(task) = tasks.recv() {
        match &pool {
            Ok(pool) => pool.install(|| task(&mut slot)),
            Err(_) => task(&mut slot),
        }
    }
}

/// CPU time of this thread so far.
fn cpu_micros() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0).div_ceil(1000)
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slot_computes_counts_and_survives_a_panic() {
        let slots = Slots::new(2).unwrap();
        let held = slots.hold().await.unwrap();
        assert_eq!(slots.free(), 1);
        let computed = held.run(|_| (0..20_000_000u64).fold(0u64, |a, b| a ^ b.wrapping_mul(a | 1))).await;
        assert!(computed.result.is_ok() && computed.cpu_micros > 1000, "{}", computed.cpu_micros);
        let computed = held.run(|_| -> u32 { panic!("trial {} is bad", 7) }).await;
        assert_eq!(computed.result, Err("trial 7 is bad".to_owned()));
        let computed = held.run(|_| rayon::current_num_threads()).await;
        assert_eq!(computed.result, Ok(1));
        drop(held);
        assert_eq!(slots.free(), 2);
    }
}
