//! What becomes of a result that is handed in twice, late, wrong, or for nothing.

use insta::assert_snapshot;
use kinitro_commitment::write_commitment;
use tokio::sync::OnceCell;

use crate::{
    house::{House, Plan, run},
    wire::Answer,
};

static OPEN: OnceCell<House> = OnceCell::const_new();

/// A cycle that no test plays to its end.
async fn open() -> &'static House {
    OPEN.get_or_init(|| async {
        let house = House::build(Plan { miners: 1, env_ids: &["metaworld/reach-v3"], private_key: None }).await;
        let endpoint = "http://policy-0.example:9000".parse().unwrap();
        house.commit(0, &write_commitment("miner/zero", "v1", &endpoint).unwrap()).await;
        house.finalize().await;
        house.start_cycle(40).await;
        house
    })
    .await
}

/// Leases one task for a test.
async fn lease(house: &House) -> String {
    let fetched = house.post("/v1/tasks/fetch", r#"{"executor_id":"executor-1","batch_size":1}"#).await;
    fetched.json()["tasks"][0]["task_uuid"].as_str().unwrap().to_owned()
}

async fn submit(house: &House, results: &[String]) -> Answer {
    let body = format!(r#"{{"executor_id":"executor-1","results":[{}]}}"#, results.join(","));
    house.post("/v1/tasks/submit", &body).await
}

/// A result with these members beside the task's id.
fn result(task: &str, members: &str) -> String {
    format!(r#"{{"task_uuid":"{task}",{members}}}"#)
}

const SUCCESS: &str = r#""success":true,"score":1.0,"total_reward":12.5,"timesteps":50"#;
const UNKNOWN: &str = "01900000-0000-7000-8000-000000000000";

/// The answer's text with the id of the test's task made exact.
fn about(task: &str, answer: &Answer) -> String {
    answer.shown().replace(task, "<task>")
}

#[test]
fn a_second_identical_result_is_accepted_without_effect() {
    run(async {
        let house = open().await;
        let task = lease(house).await;
        let first = submit(house, &[result(&task, SUCCESS)]).await;
        assert_snapshot!(about(&task, &first), @r#"
        200 application/json no-store
        {"accepted":1,"rejected":0,"errors":[],"duplicates":0,"disagreements":0}
        "#);
        let second = submit(house, &[result(&task, SUCCESS)]).await;
        assert_snapshot!(about(&task, &second), @r#"
        200 application/json no-store
        {"accepted":1,"rejected":0,"errors":[],"duplicates":1,"disagreements":0}
        "#);
    });
}

#[test]
fn a_result_that_disagrees_with_the_first_is_rejected_and_recorded() {
    run(async {
        let house = open().await;
        let task = lease(house).await;
        submit(house, &[result(&task, SUCCESS)]).await;
        let other = r#""success":false,"score":0.0,"total_reward":1.5,"timesteps":500"#;
        let second = submit(house, &[result(&task, other)]).await;
        assert_snapshot!(about(&task, &second), @r#"
        200 application/json no-store
        {"accepted":0,"rejected":1,"errors":["<task>: a different outcome was recorded before; the first one stays"],
        "duplicates":0,"disagreements":1}
        "#);
        assert_eq!(house.cycle().await.disagreements, 1);
    });
}

#[test]
fn an_unknown_task_is_rejected_by_name_and_the_others_are_taken() {
    run(async {
        let house = open().await;
        let task = lease(house).await;
        let results = [result(UNKNOWN, SUCCESS), result(&task, SUCCESS), result("7", SUCCESS)];
        let answer = submit(house, &results).await;
        assert_snapshot!(about(&task, &answer), @r#"
        200 application/json no-store
        {"accepted":1,"rejected":2,"errors":["7: task_uuid is no UUID","01900000-0000-7000-8000-000000000000: there is no such task"],
        "duplicates":0,"disagreements":0}
        "#);
    });
}

#[test]
fn numbers_that_are_none_are_refused() {
    run(async {
        let house = open().await;
        let task = lease(house).await;
        let members = |reward: &str| format!(r#""success":true,"score":1.0,"total_reward":{reward},"timesteps":50"#);
        let bare = submit(house, &[result(&task, &members("NaN"))]).await;
        assert_snapshot!(about(&task, &bare), @r#"
        400 application/problem+json no-store
        {"type":"urn:kinitro:problem:invalid-json","title":"Invalid json","status":400,"detail":"the body is not JSON: expected value at line 1 column 134",
        "field":"results[0].total_reward","request_id":"r-1"}
        "#);
        let quoted = submit(house, &[result(&task, &members(r#""NaN""#))]).await;
        assert_snapshot!(about(&task, &quoted), @r#"
        400 application/problem+json no-store
        {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"\"NaN\" is not a finite number",
        "field":"results[0].total_reward","request_id":"r-1"}
        "#);
        let endless = submit(house, &[result(&task, &members(r#""Infinity""#))]).await;
        assert_snapshot!(about(&task, &endless), @r#"
        400 application/problem+json no-store
        {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"\"Infinity\" is not a finite number",
        "field":"results[0].total_reward","request_id":"r-1"}
        "#);
        let overflow = submit(house, &[result(&task, &members("1e999"))]).await;
        assert_snapshot!(about(&task, &overflow), @r#"
        400 application/problem+json no-store
        {"type":"urn:kinitro:problem:invalid-json","title":"Invalid json","status":400,"detail":"the body is not JSON: number out of range at line 1 column 138",
        "field":"results[0].total_reward","request_id":"r-1"}
        "#);
        let score =
            submit(house, &[result(&task, r#""success":true,"score":1.5,"total_reward":1.0,"timesteps":50"#)]).await;
        assert_snapshot!(about(&task, &score), @r#"
        200 application/json no-store
        {"accepted":0,"rejected":1,"errors":["<task>: score must be a number in [0, 1]"],
        "duplicates":0,"disagreements":0}
        "#);
        let sound = submit(house, &[result(&task, SUCCESS)]).await;
        assert!(sound.body.starts_with(r#"{"accepted":1,"#), "nothing of it was recorded: {}", sound.body);
    });
}

#[test]
fn verification_and_verdict_are_taken_with_a_result() {
    run(async {
        let house = open().await;
        let task = lease(house).await;
        let members = r#""success":false,"score":0.0,"total_reward":0.0,"timesteps":3,"error":"too slow","verification_passed":true,
            "verification_score":0.999,"verdict":"policy_fault","cause":"action_timeout","attempt":1,"duration_seconds":2.5,"policy_seconds":1.5"#;
        assert_snapshot!(submit(house, &[result(&task, members)]).await.shown(), @r#"
        200 application/json no-store
        {"accepted":1,"rejected":0,"errors":[],"duplicates":0,"disagreements":0}
        "#);
        assert_eq!(house.cycle().await.policy_faults, 1);
    });
}

#[test]
fn environments_can_be_chosen() {
    run(async {
        let house = open().await;
        let body = r#"{"executor_id":"executor-1","env_ids":["metaworld/push-v3"]}"#;
        let none = house.post("/v1/tasks/fetch", body).await;
        assert!(none.body.starts_with(r#"{"tasks":[],"#), "{}", none.body);
        let body =
            r#"{"executor_id":"executor-1","env_ids":["metaworld/reach-v3","metaworld/push-v3"],"batch_size":1}"#;
        let one = house.post("/v1/tasks/fetch", body).await;
        assert_eq!(one.json()["tasks"][0]["env_id"], "metaworld/reach-v3");
    });
}
