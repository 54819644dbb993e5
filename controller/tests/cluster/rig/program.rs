//! Programs under test, and their processes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::{PATIENCE, until};
use crate::support::metrics::{SERVED, metrics};

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A program of this build; or of `BLOCKGRID_PROGRAMS`, a folder, where several builds share one target folder.
pub(super) fn program(name: &str) -> Command {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        if let Some(folder) = std::env::var_os("BLOCKGRID_PROGRAMS") {
            return folder.into();
        }
        let folder = Path::new(env!("CARGO_BIN_EXE_blockgrid-controller")).parent().unwrap();
        // With the whole workspace under test it is there; alone, this package does not ask for it.
        if !folder.join("blockgrid").is_file() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.current_dir(root()).args(["build", "--package", "blockgrid"]);
            if folder.ends_with("release") {
                cargo.arg("--release");
            }
            assert!(cargo.status().unwrap().success());
        }
        folder.to_owned()
    });
    Command::new(FOLDER.join(name))
}

/// Sends a signal by its name: `kill -9` and its like.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.unwrap().success(), "kill -{name} {pid}");
}

/// An operator's or a worker's process; killed when dropped, its log shown when the case fails.
pub(crate) struct Process {
    pub(super) child: Child,
    pub(super) log: PathBuf,
    pub(super) name: String,
}

impl Process {
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "{} hangs: {}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn has_said(&self, text: &str) -> bool {
        self.log().contains(text)
    }

    pub(crate) fn await_log(&self, text: &str) {
        until(&format!("`{text}` in the log of {}", self.name), || self.has_said(text));
    }

    /// Its metrics.
    pub(crate) fn metrics(&self) -> String {
        self.await_log(SERVED);
        metrics(&self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let from = log.char_indices().rev().nth(20_000).map_or(0, |(at, _)| at);
            eprintln!("--- {}:\n{}", self.name, &log[from..]);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
