//! The whole mesh with a miner's server in Python: FastAPI and pydantic, every field typed and unknown ones refused, as the contract says.
#![allow(clippy::unwrap_used)]

#[path = "../../../libs/policy/tests/hostile/server.rs"]
#[allow(dead_code, reason = "the policies of another crate's tests")]
mod server;
mod support;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use kinitro_proto::scheduling::v1::Cycle;
use serde_json::{Value, json};
use server::{Reply, Server, good, status};
use support::{ALONE, Backend, Options};

const EPISODES: u32 = 2;
const STEPS: u32 = 150;

/// `interop/strict_policy.py`, run by the Python of this machine.
struct StrictPolicy {
    process: Child,
    url: String,
}

impl StrictPolicy {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/strict_policy.py");
        let mut process = Command::new("python3").arg(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(
            url.starts_with("http://"),
            "the policy server did not start (see above; `make setup-tests` fetches FastAPI)"
        );
        Self { process, url: url.trim().to_owned() }
    }
}

impl Drop for StrictPolicy {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// As FastAPI answers, with more that a careless server may add: its address, a second line, a control character.
fn refuses(path: &str) -> Reply {
    if path != "/reset" {
        return good(path);
    }
    let body = b"{\"detail\":\"task_id: Input should be a valid integer\"} at 127.0.0.1 \x1b[2J\nsecond line";
    Reply::Raw(status("422 Unprocessable Entity", "", body))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_python_server_earns_and_a_refusing_one_is_told_what_it_answered() {
    let _alone = ALONE.lock().await;
    let (python, refusing) = (StrictPolicy::start(), Server::start(refuses).await);
    let variables =
        vec![("KINITRO_EXECUTOR_USE_IMAGES", "true".to_owned()), ("KINITRO_EXECUTOR_MAX_TIMESTEPS", STEPS.to_string())];
    let endpoints = [python.url.clone(), refusing.url()];
    let backend = Backend::start_with(Options { variables, ..Options::default() }, &endpoints).await;
    let cycle = backend.start_cycle(EPISODES).await;
    let ended = |cycle: &Cycle| ["completed", "timed_out", "cancelled"].contains(&cycle.status.as_str());
    let cycle = backend.cycle_when(cycle.id, "the cycle ends", ended).await;

    let (_, miners) = backend.get("/v1/miners").await;
    let miners: Vec<&Value> = miners["miners"].as_array().unwrap().iter().collect();
    assert_eq!(miners[0]["last_faults"], json!({}), "{cycle:?} {miners:?}");
    let (_, scores) = backend.get(&format!("/v1/scores/{}", cycle.id)).await;
    assert_eq!(scores["scores"]["0"]["metaworld/drawer-close-v3"], 1.0, "{scores}");
    let (code, weights) = backend.get("/v1/weights/latest").await;
    assert_eq!((code, &weights["cycle_id"]), (200, &Value::from(cycle.id)), "{weights}");
    assert!(weights["weights"]["0"].as_f64().unwrap() > 0.5, "{weights}");

    assert_eq!(miners[1]["last_faults"], json!({ "http_status": EPISODES }), "{miners:?}");
    let told = "/reset answered 422 Unprocessable Entity: \
                {\"detail\":\"task_id: Input should be a valid integer\"} at [endpoint] \\u{1b}[2J";
    assert_eq!(miners[1]["last_fault_messages"], json!({ "http_status": told }), "{miners:?}");
}
