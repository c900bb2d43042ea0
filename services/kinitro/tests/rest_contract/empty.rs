//! A backend to which nothing has happened yet.

use insta::assert_snapshot;
use tokio::sync::OnceCell;

use crate::house::{House, Plan, run};

static EMPTY: OnceCell<House> = OnceCell::const_new();

/// Nobody is registered, and nothing would be played.
pub async fn empty() -> &'static House {
    EMPTY.get_or_init(|| House::build(Plan::default())).await
}

fn get(path: &str) -> String {
    run(async { empty().await.get(path).await.shown() })
}

#[test]
fn health_is_well_before_anything_happened() {
    assert_snapshot!(get("/health"), @r#"
    200 application/json no-store
    {"status":"healthy","database":"connected","redis":"connected","chain":"connected","services":{"ingestion":"serving",
    "scheduling":"serving","scoring":"serving"}}
    "#);
}

#[test]
fn status_has_nothing_to_tell() {
    assert_snapshot!(get("/v1/status"), @r#"
    200 application/json no-cache
    {"status":"running","current_block":5,"last_eval_block":null,"next_eval_in_seconds":null,"miners_registered":0,
    "environments_enabled":[],"current_cycle":null,"last_completed_cycle":null,"total_cycles":0,
    "total_miners_evaluated":0,"environments":[],"is_evaluating":false,"last_ended_cycle":null,
    "warnings":[]}
    "#);
}

#[test]
fn weights_are_not_found_until_there_are_some() {
    assert_snapshot!(get("/v1/weights/latest"), @r#"
    404 application/problem+json no-store
    {"type":"urn:kinitro:problem:weights-not-found","title":"Weights not found","status":404,"detail":"no weights were computed yet",
    "request_id":"r-1"}
    "#);
    assert_snapshot!(get("/v1/weights/7"), @r#"
    404 application/problem+json no-store
    {"type":"urn:kinitro:problem:weights-not-found","title":"Weights not found","status":404,"detail":"no weights were computed at block 7",
    "request_id":"r-1"}
    "#);
}

#[test]
fn scores_are_not_found_until_there_are_some() {
    assert_snapshot!(get("/v1/scores/latest"), @r#"
    404 application/problem+json no-store
    {"type":"urn:kinitro:problem:scores-not-found","title":"Scores not found","status":404,"detail":"no cycle was scored yet",
    "request_id":"r-1"}
    "#);
    assert_snapshot!(get("/v1/scores/1"), @r#"
    404 application/problem+json no-store
    {"type":"urn:kinitro:problem:scores-not-found","title":"Scores not found","status":404,"detail":"cycle 1 was not scored",
    "request_id":"r-1"}
    "#);
}

#[test]
fn miners_are_an_empty_list() {
    assert_snapshot!(get("/v1/miners"), @r#"
    200 application/json no-cache
    {"miners":[]}
    "#);
}

#[test]
fn environments_are_an_empty_list() {
    assert_snapshot!(get("/v1/environments"), @r#"
    200 application/json no-cache
    {"environments":[]}
    "#);
}

#[test]
fn there_is_nothing_to_fetch() {
    let fetched = run(async { empty().await.post("/v1/tasks/fetch", r#"{"executor_id":"executor-1"}"#).await });
    assert_snapshot!(fetched.shown(), @r#"
    200 application/json no-store
    {"tasks":[],"total_pending":0,"lease_seconds":300}
    "#);
}

#[test]
fn a_submission_without_results_is_accepted() {
    let body = r#"{"executor_id":"executor-1","results":[]}"#;
    let submitted = run(async { empty().await.post("/v1/tasks/submit", body).await });
    assert_snapshot!(submitted.shown(), @r#"
    200 application/json no-store
    {"accepted":0,"rejected":0,"errors":[],"duplicates":0,"disagreements":0}
    "#);
}

#[test]
fn task_stats_are_zero() {
    // Executors that asked for work are active, and another test may have asked.
    let stats = get("/v1/tasks/stats").replace(r#"["executor-1"]"#, "[]");
    assert_snapshot!(stats, @r#"
    200 application/json no-cache
    {"total_tasks":0,"pending_tasks":0,"assigned_tasks":0,"completed_tasks":0,"failed_tasks":0,
    "active_executors":[],"current_cycle_id":null,"queue_depth":0,"queue_leased":0}
    "#);
}
