//! The whole mesh among miners who mean harm: each way of answering badly ends in its own cause, counts for the miner who did it, and
//! for nobody else.
#![allow(clippy::unwrap_used)]

#[path = "../../../libs/policy/tests/hostile/server.rs"]
#[allow(dead_code, reason = "the policies of another crate's tests, down to the byte")]
mod server;
mod support;

use std::{collections::BTreeMap, time::Duration};

use kinitro_proto::scheduling::v1::Cycle;
use serde_json::Value;
use server::{GOOD_ACTION, Reply, Server, good, status};
use sqlx::{Connection as _, PgConnection, Row as _};
use support::{ALONE, API_KEY, Backend, Options, client, eventually};
use tokio::net::TcpSocket;

/// Long enough for the good policy on a busy machine. It is also how long each hanging episode takes.
const ACTION_TIMEOUT: Duration = Duration::from_secs(10);
const EPISODES: u32 = 2;
const STEPS: u32 = 25;
/// Leases before an unreachable policy's task is given up: between two of them it waits a quarter of a minute.
const ATTEMPTS: i32 = 2;
/// uid 0 plays fair.
const GOOD_UID: i32 = 0;

type Play = fn(&str) -> Reply;

/// What is done, and the cause that it must end in.
const MISDEEDS: &[(&str, &str, Play)] = &[
    ("answers late", "action_timeout", |path| {
        on("/act", path, Reply::Late(3 * ACTION_TIMEOUT, GOOD_ACTION.to_owned()))
    }),
    ("hangs", "action_timeout", |path| on("/act", path, Reply::Silence)),
    ("hangs before anything was said", "policy_unreachable", |_| Reply::Silence),
    ("drips its answer", "action_timeout", |path| {
        on("/act", path, Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"acti".to_vec()))
    }),
    ("says NaN", "action_not_finite", |path| act(path, &GOOD_ACTION.replacen("[0,", "[NaN,", 1))),
    ("says 1e999", "action_not_finite", |path| act(path, &GOOD_ACTION.replacen("[0,", "[1e999,", 1))),
    ("has a wrong shape", "action_shape", |path| act(path, &GOOD_ACTION.replacen("[0,", "[0,0,", 1))),
    ("sends 100 MB", "response_too_large", |path| {
        on("/act", path, Reply::Raw(status("200 OK", "", &vec![b'['; 100 << 20])))
    }),
    ("sends chunks without end", "response_too_large", |path| {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        on("/act", path, Reply::Endless(head, [b"10000\r\n", vec![b' '; 0x10000].as_slice(), b"\r\n"].concat()))
    }),
    ("sends headers without end", "response_too_large", |path| {
        on("/act", path, Reply::Endless(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n".repeat(100)))
    }),
    ("redirects into our network", "redirect", |path| {
        let headers = "Location: http://169.254.169.254/latest/meta-data\r\n";
        on("/act", path, Reply::Raw(status("307 Temporary Redirect", headers, b"")))
    }),
    ("says no JSON", "invalid_response", |path| act(path, "{\"action\": {\"continuous\"")),
    ("nests without end", "invalid_response", |path| act(path, &"[".repeat(60_000))),
    ("speaks no HTTP", "invalid_response", |path| on("/act", path, Reply::Raw(b"\0\xff no http\r\n\r\n".to_vec()))),
    ("refuses to begin", "invalid_response", |path| on("/reset", path, Reply::Json(r#"{"status":"busy"}"#.to_owned()))),
    ("has an error of its own", "http_status", |path| on("/act", path, Reply::Raw(status("500 Oh", "", b"<html>")))),
    ("closes when it sees the scene", "connection_closed", |path| on("/act", path, Reply::Close)),
    ("closes when it hears the task", "connection_closed", |path| on("/reset", path, Reply::Close)),
    ("closes every connection", "policy_unreachable", |_| Reply::Close),
];

fn on(bad: &str, path: &str, reply: Reply) -> Reply {
    if path == bad { reply } else { good(path) }
}

fn act(path: &str, answer: &str) -> Reply {
    on("/act", path, Reply::Json(answer.to_owned()))
}

/// A task as the database has it.
#[derive(Debug)]
struct Task {
    uid: i32,
    state: String,
    verdict: Option<String>,
    cause: Option<String>,
    error: Option<String>,
    attempt: i32,
    timesteps: Option<i32>,
}

async fn tasks(backend: &Backend, cycle: &Cycle) -> Vec<Task> {
    let mut database = PgConnection::connect(&backend.postgres.url()).await.unwrap();
    let query = "SELECT uid, state::text AS state, verdict, cause, error, attempt, timesteps FROM scheduling.tasks WHERE cycle_id = $1 ORDER BY uid, episode";
    let rows = sqlx::query(query).bind(i64::try_from(cycle.id).unwrap()).fetch_all(&mut database).await.unwrap();
    rows.into_iter()
        .map(|row| Task {
            uid: row.get("uid"),
            state: row.get("state"),
            verdict: row.get("verdict"),
            cause: row.get("cause"),
            error: row.get("error"),
            attempt: row.get("attempt"),
            timesteps: row.get("timesteps"),
        })
        .collect()
}

/// Plays a cycle to its end and looks at every task, every score and the weights.
async fn play_a_cycle(backend: &Backend, misdeeds: &[(&str, &str)]) {
    let cycle = backend.start_cycle(EPISODES).await;
    let ended = |cycle: &Cycle| ["completed", "timed_out", "unscored", "cancelled"].contains(&cycle.status.as_str());
    let cycle = backend.cycle_when(cycle.id, "the cycle ends", ended).await;
    assert_eq!(cycle.status, "completed", "{cycle:?}");
    assert_eq!(cycle.disagreements, 0);

    let tasks = tasks(backend, &cycle).await;
    assert_eq!(tasks.len(), (misdeeds.len() + 1) * EPISODES as usize);
    for task in &tasks {
        let cause = task.cause.as_deref().unwrap();
        let Some(index) = usize::try_from(task.uid).unwrap().checked_sub(1) else {
            assert!(["environment", "step_limit"].contains(&cause), "the good policy is unharmed: {task:?}");
            assert_eq!((task.state.as_str(), task.attempt), ("completed", 1), "{task:?}");
            continue;
        };
        let (misdeed, expected) = misdeeds[index];
        assert_eq!(cause, expected, "{misdeed}: {task:?}");
        let told = task.error.as_deref().unwrap_or_default();
        assert!(!told.is_empty() && told.len() <= 4096, "{misdeed}: {task:?}");
        assert!(!told.contains("127.0.0.1"), "the evidence tells no address: {task:?}");
        if expected == "policy_unreachable" {
            assert_eq!((task.state.as_str(), task.attempt, &task.verdict), ("failed", ATTEMPTS, &None), "{misdeed}");
        } else {
            let verdict = task.verdict.as_deref();
            assert_eq!(
                (task.state.as_str(), task.attempt, verdict),
                ("completed", 1, Some("policy_fault")),
                "{misdeed}"
            );
            assert_eq!(task.timesteps, Some(0), "{misdeed}");
        }
    }
    let verdicts = u32::try_from(tasks.iter().filter(|task| task.verdict.as_deref() == Some("policy_fault")).count());
    assert_eq!(Ok(cycle.policy_faults), verdicts);
    let solved = tasks.iter().filter(|task| task.verdict.as_deref() == Some("success")).count();
    assert_scored(backend, &cycle, misdeeds, solved as f64 / f64::from(EPISODES)).await;
}

/// Every miner has all of its episodes counted, also those of a policy that was never reached, and only the good one has a rate.
async fn assert_scored(backend: &Backend, cycle: &Cycle, misdeeds: &[(&str, &str)], good_rate: f64) {
    let (code, scores) = backend.get(&format!("/v1/scores/{}", cycle.id)).await;
    assert_eq!(code, 200, "{scores}");
    let details = scores["details"].as_array().unwrap();
    assert_eq!(details.len(), misdeeds.len() + 1);
    for detail in details {
        let rate = if detail["uid"] == GOOD_UID { good_rate } else { 0.0 };
        assert_eq!(detail["success_rate"], rate, "{detail}");
        assert_eq!(
            (&detail["episodes_completed"], &detail["episodes_failed"]),
            (&EPISODES.into(), &0.into()),
            "{detail}"
        );
    }
    let (code, weights) = backend.get("/v1/weights/latest").await;
    assert_eq!((code, &weights["cycle_id"]), (200, &Value::from(cycle.id)), "{weights}");
    let weights: BTreeMap<String, f64> = serde_json::from_value(weights["weights"].clone()).unwrap();
    assert!((weights.values().sum::<f64>() - 1.0).abs() < 1e-9, "{weights:?}");
    let good = weights[&GOOD_UID.to_string()];
    assert!(weights.values().all(|weight| *weight <= good), "nobody earns more by misbehaving: {weights:?}");
}

/// Every slot is free again: none was lost to a policy that would not let go.
async fn assert_no_slot_is_held(backend: &Backend) {
    let url = format!("http://127.0.0.1:{}/metrics", backend.ports["execution"]);
    eventually("every slot is free", || async {
        let text = client().get(&url).send().await.unwrap().text().await.unwrap();
        let busy = |line: &&str| line.starts_with("kinitro_slots{") && line.contains("state=\"busy\"");
        let busy = text.lines().find(busy).unwrap().to_owned();
        if busy.ends_with(" 0") { Ok(()) } else { Err(busy) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_misdeed_has_its_cause_and_harms_only_its_own_miner() {
    let _alone = ALONE.lock().await;
    let (mut endpoints, mut misdeeds, mut servers) = (Vec::new(), Vec::new(), Vec::new());
    for (misdeed, cause, play) in MISDEEDS {
        let server = Server::start(play).await;
        endpoints.push(server.url());
        misdeeds.push((*misdeed, *cause));
        servers.push(server);
    }
    // Bound and never listening: nobody else can come to live there.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoints.push(format!("http://{}", closed.local_addr().unwrap()));
    misdeeds.push(("was never there", "policy_unreachable"));

    let variables = vec![
        ("KINITRO_EXECUTOR_ACTION_TIMEOUT", ACTION_TIMEOUT.as_secs().to_string()),
        ("KINITRO_EXECUTOR_MAX_TIMESTEPS", STEPS.to_string()),
        ("KINITRO_EXECUTOR_WARM_UP_SECONDS", "3".to_owned()),
        ("KINITRO_SCHEDULER_MAX_ATTEMPTS", ATTEMPTS.to_string()),
        ("KINITRO_SCHEDULER_NO_SUCCESS", "published".to_owned()),
    ];
    let backend =
        Backend::start_with(Options { policies: vec![("push", 0)], variables, ..Options::default() }, &endpoints).await;
    play_a_cycle(&backend, &misdeeds).await;
    assert_no_slot_is_held(&backend).await;
    // The executor lives, and what was true is true again.
    play_a_cycle(&backend, &misdeeds).await;
    assert_no_slot_is_held(&backend).await;

    let leaked = |server: &Server| server.requests.lock().unwrap().iter().any(|(head, _)| head.contains(API_KEY));
    assert!(!servers.iter().any(leaked), "no policy is sent the operator's key");
}
