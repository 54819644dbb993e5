//! The blocking edge of the asynchronous object stores.

use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::DatasetError;

// One for the process and never dropped: a runtime must not be dropped inside another, and a store keeps its
// connections on the runtime that made them.
static RUNTIME: LazyLock<std::io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build());

/// Runs a future to its end, from any thread; inside another runtime on a thread of its own, where blocking is allowed.
pub(crate) fn block_on<T: Send>(
    future: impl Future<Output = Result<T, DatasetError>> + Send,
) -> Result<T, DatasetError> {
    let failed = |message: String| DatasetError::Runtime { message };
    let runtime = RUNTIME.as_ref().map_err(|e| failed(e.to_string()))?;
    if Handle::try_current().is_err() {
        return runtime.block_on(future);
    }
    std::thread::scope(|scope| scope.spawn(|| runtime.block_on(future)).join())
        .unwrap_or_else(|_| Err(failed("the reading thread panicked".to_owned())))
}
