//! `kinitro up` from its screen to its end, however it ends: nothing stays behind but the data.
#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use kinitro_proto::scheduling::v1::{StartCycleRequest, scheduling_service_client::SchedulingServiceClient};
use nix::sys::signal::Signal;
use serde_json::json;
use support::{
    ALONE, client, eventually,
    up::{STDERR, Up, all_gone, body, folder, kinitro},
};

#[tokio::test(flavor = "multi_thread")]
async fn up_shows_where_everything_is_and_ctrl_c_stops_all_of_it() {
    let _alone = ALONE.lock().await;
    let folder = folder();
    let mut up = Up::start(folder.path(), &[]).await;
    let parts: Vec<&str> = up.urls.keys().map(String::as_str).collect();
    let all = ["devchain", "execution", "gateway", "ingestion", "postgres", "redis", "scheduling", "scoring"];
    assert_eq!(parts, all, "{}", up.screen);

    let gateway = up.url("gateway").to_owned();
    assert_eq!(body(&format!("{gateway}/health")).await["status"], "healthy");
    let status = body(&format!("{gateway}/v1/status")).await;
    assert_eq!((&status["total_cycles"], &status["is_evaluating"]), (&json!(0), &json!(false)), "{status}");

    // The key was made for this directory: who has none fetches nothing.
    let key_file = folder.path().join(".kinitro/api-key");
    assert!(up.screen.contains(".kinitro/api-key"), "{}", up.screen);
    assert_eq!(fs::metadata(&key_file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = fs::read_to_string(&key_file).unwrap();
    let fetch = || client().post(format!("{gateway}/v1/tasks/fetch")).json(&json!({ "executor_id": "rest-1" }));
    assert_eq!(fetch().send().await.unwrap().status(), 401);
    assert_eq!(fetch().bearer_auth(key.trim()).send().await.unwrap().status(), 200);

    // So was the token that the services show each other.
    assert!(up.screen.contains(".kinitro/mesh-token"), "{}", up.screen);
    let token_file = folder.path().join(".kinitro/mesh-token");
    assert_eq!(fs::metadata(&token_file).unwrap().permissions().mode() & 0o777, 0o600);

    let second = kinitro(folder.path(), &["up", "--port", "0", "--data-dir", ".kinitro"]).output().unwrap();
    let message = String::from_utf8_lossy(&second.stderr);
    assert_eq!((second.status.code(), second.stdout.len()), (Some(1), 0), "{message}");
    assert!(message.contains(&up.pid().to_string()), "the holder is named: {message}");

    let children = up.descendants();
    let runs = |program: &str| children.iter().any(|child| child.program.contains(program));
    assert!(runs("postgres") && runs("redis"), "{children:?}");
    up.signal(Signal::SIGINT);
    assert_eq!(up.ended().await.code(), Some(0));
    all_gone(&children).await;
    assert!(client().get(format!("{gateway}/health")).send().await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_up_leaves_no_process_behind_and_the_next_one_has_its_results() {
    let _alone = ALONE.lock().await;
    let folder = folder();
    let mut up = Up::start(folder.path(), &["--samples"]).await;
    let gateway = up.url("gateway").to_owned();
    let channel = up.channel("scheduling");
    eventually("all samples are active", || async {
        let miners = body(&format!("{gateway}/v1/miners")).await;
        let active = miners["miners"].as_array().unwrap().iter().filter(|miner| miner["status"] == "active").count();
        if active == 4 { Ok(()) } else { Err(miners.to_string()) }
    })
    .await;
    let drawer = vec!["metaworld/drawer-close-v3".to_owned()];
    eventually("a cycle can be started", || async {
        let request = StartCycleRequest { episodes_per_env: 2, env_ids: drawer.clone() };
        let started = SchedulingServiceClient::new(channel.clone()).start_cycle(request).await;
        started.map(drop).map_err(|status| status.message().to_owned())
    })
    .await;
    let weights = body(&format!("{gateway}/v1/weights/latest")).await;
    let scores = body(&format!("{gateway}/v1/scores/latest")).await;
    assert_eq!(weights["metadata"]["n_miners_evaluated"], 4, "{weights}");

    let children = up.descendants();
    up.signal(Signal::SIGKILL);
    assert_eq!(up.ended().await.code(), None);
    all_gone(&children).await;

    let mut up = Up::start(folder.path(), &["--samples"]).await;
    let gateway = up.url("gateway").to_owned();
    assert_eq!(body(&format!("{gateway}/v1/weights/latest")).await, weights);
    assert_eq!(body(&format!("{gateway}/v1/scores/latest")).await, scores);
    let well = kinitro(folder.path(), &["health", up.url("scoring")]).output().unwrap();
    assert!(well.status.success(), "{well:?}");
    let status = body(&format!("{gateway}/v1/status")).await;
    assert_eq!((&status["total_cycles"], &status["is_evaluating"]), (&json!(1), &json!(false)), "{status}");
    let children = up.descendants();
    up.signal(Signal::SIGTERM);
    assert_eq!(up.ended().await.code(), Some(0));
    all_gone(&children).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_that_ends_while_it_starts_leaves_nothing_behind() {
    let _alone = ALONE.lock().await;
    let folder = folder();
    let mut up = Up::begin(folder.path(), &[]);
    let mut children = eventually("its first child is there", || async {
        let children = up.descendants();
        if children.is_empty() { Err("none".to_owned()) } else { Ok(children) }
    })
    .await;
    up.signal(Signal::SIGINT);
    // What it still starts while it stops must go as well.
    let status = loop {
        children.extend(up.descendants());
        match tokio::time::timeout(Duration::from_millis(5), up.ended()).await {
            Ok(status) => break status,
            Err(_) => continue,
        }
    };
    assert_eq!(status.code(), Some(1), "it ended by itself, and did not do what was asked");
    all_gone(&children).await;

    // Nor does one that is refused in the middle: without authentication the gateway serves loopback only.
    let open = ["up", "--data-dir", ".kinitro", "--no-auth", "--host", "0.0.0.0", "--port", "0", "--chain-port", "0"];
    let refused = kinitro(folder.path(), &open).output().unwrap();
    let message = String::from_utf8_lossy(&refused.stderr);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0), "{message}");
    assert!(message.contains("0.0.0.0"), "{message}");

    // The half-made data directory is none that the next one trips over.
    let mut up = Up::start(folder.path(), &["--no-executor"]).await;
    assert!(!up.urls.contains_key("execution"));
    up.signal(Signal::SIGINT);
    assert_eq!(up.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_are_in_the_first_cycle_and_the_screen_shows_what_goes_on() {
    let _alone = ALONE.lock().await;
    let folder = folder();
    let mut up = Up::start(folder.path(), &["--samples", "--eval-interval", "3600", "--episodes-per-env", "1"]).await;
    let gateway = up.url("gateway").to_owned();
    let cycle = eventually("the first cycle ends by itself", || async {
        let status = body(&format!("{gateway}/v1/status")).await;
        let cycle = status["last_completed_cycle"].clone();
        if cycle.is_null() { Err(status.to_string()) } else { Ok(cycle) }
    })
    .await;
    assert_eq!((&cycle["id"], &cycle["n_miners"]), (&json!(1), &json!(4)), "{cycle}");
    let stats = body(&format!("{gateway}/v1/tasks/stats/?cycle_id=1&verbose=1")).await;
    assert_eq!((&stats["total_tasks"], &stats["completed_tasks"]), (&json!(12), &json!(12)), "{stats}");
    eventually("the screen tells the story of the cycle", || async {
        let screen = fs::read_to_string(folder.path().join(STDERR)).unwrap();
        let told = ["cycle 1 started: 4 miners", "of 12 episodes", "cycle 1 completed", "the next cycle starts in"];
        match told.into_iter().find(|words| !screen.contains(words)) {
            Some(missing) => Err(format!("{missing:?} is not in {screen}")),
            None => Ok(()),
        }
    })
    .await;
    up.signal(Signal::SIGINT);
    assert_eq!(up.ended().await.code(), Some(0));
}
