//! Disks of workers that are full, not there, or rotten.

use std::path::PathBuf;
use std::process::Command;

use crate::rig::{JOB, Rig};

/// A disk with so little room, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(at));
        }
        println!("skipped: no disk can be mounted here (run as root with CAP_SYS_ADMIN)");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_costs_requests_and_nothing_else() {
    let Some(rig) = Rig::start() else { return };
    let Some(disk) = SmallDisk::mount(rig.folder.path().join("small")) else { return };
    let mut job = rig.submit(JOB, "full");
    let worker = rig.worker_with("w0", &["--cache", disk.0.to_str().unwrap()], "");
    rig.right(&mut job);
    assert!(worker.log().contains("candles cannot be kept on disk"), "{}", worker.log());
    assert_eq!(std::fs::read_dir(&disk.0).unwrap().count(), 0, "no part of a file stays");
}

#[test]
fn candles_that_cannot_be_kept_are_read_again() {
    let Some(rig) = Rig::start() else { return };
    let blocked = rig.folder.path().join("blocked");
    std::fs::write(&blocked, "a file where the folder should be").unwrap();
    let mut job = rig.submit(JOB, "diskless");
    let worker = rig.worker_with("w0", &["--cache", blocked.to_str().unwrap()], "");
    rig.right(&mut job);
    assert!(worker.log().contains("candles cannot be kept on disk"), "{}", worker.log());
}

#[test]
fn kept_candles_that_rot_are_read_again() {
    let Some(rig) = Rig::start() else { return };
    let cache = rig.folder.path().join("cache");
    let options = ["--cache", cache.to_str().unwrap()];
    let mut job = rig.submit(JOB, "fresh");
    let mut worker = rig.worker_with("w0", &options, "");
    rig.right(&mut job);
    worker.signal("TERM");
    worker.ended();
    let files: Vec<_> = std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        // Its end is as it was.
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        std::fs::write(file, bytes).unwrap();
    }
    let mut job = rig.submit(JOB, "rotten");
    let worker = rig.worker_with("w1", &options, "");
    rig.right(&mut job);
    assert!(worker.log().contains("kept candles are damaged"), "{}", worker.log());
}
