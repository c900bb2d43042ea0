//! `kinitro cycle` and `kinitro dead-letters` against a running deployment, and what they say when there is none.
#![allow(clippy::unwrap_used)]

mod support;

use std::{path::Path, process::Output};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::{
    ALONE, eventually,
    up::{DATA_DIR, Up, folder, kinitro},
};

fn run(arguments: &[&str]) -> Output {
    kinitro(Path::new("/"), arguments).output().unwrap()
}

/// Exit status, stdout and stderr.
fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_starts_sees_and_cancels_a_cycle_and_looks_after_dead_letters() {
    let _alone = ALONE.lock().await;
    let folder = folder();
    let mut up = Up::start(folder.path(), &["--samples", "--no-executor"]).await;
    let data_dir = folder.path().join(DATA_DIR);
    let at = ["--scheduling-url", up.url("scheduling"), "--data-dir", data_dir.to_str().unwrap()];
    let ask = |arguments: &[&str]| run(&[arguments, &at[..]].concat());
    let document = |arguments: &[&str]| -> Value {
        let output = ask(&[arguments, &["--json"][..]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };

    let (code, out, err) = said(&ask(&["cycle", "show"]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("CYCLE_NOT_FOUND"), "{err}");

    // The token of `up` is found in the directory where it was started; elsewhere a command says what to set.
    let show = ["cycle", "show", "--scheduling-url", up.url("scheduling")];
    let (_, _, err) = said(&kinitro(folder.path(), &show).output().unwrap());
    assert!(err.contains("CYCLE_NOT_FOUND"), "{err}");
    let (code, out, err) = said(&run(&show));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("(MESH_TOKEN_") && err.contains("KINITRO_MESH_TOKEN_FILE"), "{err}");
    let (code, _, err) = said(&run(&["cycle", "show", "--data-dir", "/"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("give another --data-dir"), "{err}");

    let start = ["cycle", "start", "--episodes-per-env", "2", "--env-ids", "metaworld/push-v3,metaworld/reach-v3"];
    let started = eventually("a cycle starts", || async {
        let output = ask(&[&start[..], &["--json"][..]].concat());
        if output.status.success() { Ok(output.stdout) } else { Err(format!("{output:?}")) }
    })
    .await;
    let started: Value = serde_json::from_slice(&started).unwrap();
    assert_eq!((&started["id"], &started["status"]), (&json!(1), &json!("running")), "{started}");
    assert_eq!((&started["episodes_per_env"], &started["n_environments"]), (&json!(2), &json!(2)), "{started}");
    let (code, _, err) = said(&ask(&start));
    assert_eq!(code, Some(1));
    assert!(err.contains("CYCLE_RUNNING"), "{err}");

    let (code, out, _) = said(&ask(&["cycle", "show"]));
    assert_eq!(code, Some(0));
    assert!(out.contains("running") && out.contains("metaworld/push-v3, metaworld/reach-v3"), "{out}");
    assert_eq!(document(&["cycle", "show", "1"])["id"], 1);

    let none = document(&["dead-letters", "list"]);
    assert_eq!(none, json!({ "dead_letters": [] }));
    assert_eq!(document(&["dead-letters", "requeue", "1"]), json!({ "requeued": 0 }));
    let task = "01890000-0000-7000-8000-000000000000";
    let (code, _, err) = said(&ask(&["dead-letters", "requeue", "1", task]));
    assert_eq!(code, Some(1));
    assert!(err.contains("1 of 1 tasks are no dead letters of cycle 1"), "{err}");

    assert_eq!(document(&["cycle", "cancel", "1"])["status"], "cancelled");
    let (code, _, err) = said(&ask(&["cycle", "cancel", "1"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("CYCLE_NOT_RUNNING"), "{err}");
    let (code, _, err) = said(&ask(&["dead-letters", "requeue", "7"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("CYCLE_NOT_FOUND"), "{err}");
    up.signal(Signal::SIGINT);
    assert_eq!(up.ended().await.code(), Some(0));
}

#[test]
fn bad_usage_is_2_and_a_service_that_is_away_is_1_with_its_address() {
    for arguments in [
        &["cycle"][..],
        &["cycle", "cancel"],
        &["cycle", "show", "first"],
        &["cycle", "start", "--episodes-per-env", "0"],
        &["dead-letters", "requeue"],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let away = ["--scheduling-url", "http://127.0.0.1:1"];
    for arguments in [&["cycle", "show"][..], &["cycle", "cancel", "1"], &["dead-letters", "list", "--cycle", "1"]] {
        let (code, out, err) = said(&run(&[arguments, &away[..]].concat()));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(err.contains("scheduling cannot be reached at http://127.0.0.1:1"), "{err}");
    }
}
