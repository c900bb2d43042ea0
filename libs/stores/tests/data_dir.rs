//! One holder a data directory.
#![allow(clippy::unwrap_used)]

use std::fs;

use kinitro_stores::{DataDir, StoresError};

#[test]
fn a_second_holder_is_told_who_has_the_directory_and_since_when() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("data");
    let held = DataDir::lock(&path).unwrap();
    let error = DataDir::lock(&path).unwrap_err();
    let StoresError::Held { pid, started, .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, std::process::id().to_string());
    assert!(started.parse::<jiff::Timestamp>().is_ok(), "{started}");
    assert!(error.to_string().contains(&held.path().display().to_string()), "{error}");
}

#[test]
fn a_directory_is_free_again_when_its_holder_lets_go() {
    let base = tempfile::tempdir().unwrap();
    drop(DataDir::lock(base.path()).unwrap());
    DataDir::lock(base.path()).unwrap();
}

#[test]
fn a_lock_file_left_by_a_dead_holder_blocks_nobody() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("kinitro.lock"), "1\n2020-01-01T00:00:00Z\n").unwrap();
    let held = DataDir::lock(base.path()).unwrap();
    let text = fs::read_to_string(held.path().join("kinitro.lock")).unwrap();
    assert!(text.starts_with(&format!("{}\n", std::process::id())), "{text}");
}

#[test]
fn a_damaged_lock_file_still_yields_an_error_that_names_the_directory() {
    let base = tempfile::tempdir().unwrap();
    let held = DataDir::lock(base.path()).unwrap();
    fs::write(held.path().join("kinitro.lock"), [0xff; 4096]).unwrap();
    let error = DataDir::lock(base.path()).unwrap_err();
    assert!(matches!(&error, StoresError::Held { pid, .. } if pid == "unknown"), "{error}");
}
