//! Disks of workers that are full, not there, or rotten. A disk that is full fails writes as a path does that cannot be.

use crate::rig::{JOB, Rig};

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
