//! One file, called by the names that the image has it under.

use std::os::unix::fs::symlink;
use std::process::Command;

#[test]
fn the_name_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let call = |name: &str| {
        let path = folder.path().join(name);
        symlink(env!("CARGO_BIN_EXE_blockgrid-pod"), &path).unwrap();
        Command::new(path).arg("--version").output().unwrap()
    };
    for name in ["blockgrid-worker", "blockgrid-controller"] {
        let output = call(name);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!((output.status.code(), said.split(' ').next()), (Some(0), Some(name)), "{said}");
        assert!(said.contains(" (engine "), "{said}");
    }
    let output = call("blockgrid");
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("blockgrid-worker or blockgrid-controller"), "{said}");
}
