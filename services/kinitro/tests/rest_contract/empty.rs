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
    assert_snapshot!(get("/health"), @"");
}

#[test]
fn status_has_nothing_to_tell() {
    assert_snapshot!(get("/v1/status"), @"");
}

#[test]
fn weights_are_not_found_until_there_are_some() {
    assert_snapshot!(get("/v1/weights/latest"), @"");
    assert_snapshot!(get("/v1/weights/7"), @"");
}

#[test]
fn scores_are_not_found_until_there_are_some() {
    assert_snapshot!(get("/v1/scores/latest"), @"");
    assert_snapshot!(get("/v1/scores/1"), @"");
}

#[test]
fn miners_are_an_empty_list() {
    assert_snapshot!(get("/v1/miners"), @"");
}

#[test]
fn environments_are_an_empty_list() {
    assert_snapshot!(get("/v1/environments"), @"");
}

#[test]
fn there_is_nothing_to_fetch() {
    let fetched = run(async { empty().await.post("/v1/tasks/fetch", r#"{"executor_id":"executor-1"}"#).await });
    assert_snapshot!(fetched.shown(), @"");
}

#[test]
fn a_submission_without_results_is_accepted() {
    let body = r#"{"executor_id":"executor-1","results":[]}"#;
    let submitted = run(async { empty().await.post("/v1/tasks/submit", body).await });
    assert_snapshot!(submitted.shown(), @"");
}

#[test]
fn task_stats_are_zero() {
    // Executors that asked for work are active, and another test may have asked.
    let stats = get("/v1/tasks/stats").replace(r#"["executor-1"]"#, "[]");
    assert_snapshot!(stats, @"");
}
