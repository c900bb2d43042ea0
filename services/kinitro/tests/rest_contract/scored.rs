//! A backend after one cycle that an executor played over REST.

use insta::assert_snapshot;
use kinitro_commitment::{write_commitment, write_sealed_commitment};
use kinitro_crypto::PrivateKey;
use tokio::sync::OnceCell;

use crate::{
    executor::{Moments, Script, play},
    house::{House, Plan, run},
    wire::{Answer, is_time},
};

static SCORED: OnceCell<Scored> = OnceCell::const_new();

const PUSH: &str = "metaworld/push-v3";
const DRAWER: &str = "metaworld/drawer-close-v3";
/// Uid 2 came first and is the worst. Uid 10 is best at pushing, uid 9 at drawers; one of uid 10's episodes cannot be played.
const SCRIPT: Script = &[
    (2, PUSH, "1100"),
    (2, DRAWER, "0000"),
    (9, PUSH, "1101"),
    (9, DRAWER, "1111"),
    (10, PUSH, "1111"),
    (10, DRAWER, "01e1"),
];
const SEALED: &str = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";

pub struct Scored {
    pub house: House,
    moments: Moments,
}

/// Two miners have a plain endpoint, in either spelling, one a sealed one, one a sealed one
/// for another backend, one committed nonsense, and the others nothing.
pub async fn scored() -> &'static Scored {
    SCORED
        .get_or_init(|| async {
            let digits = "0123456789abcdef".repeat(4);
            let key = PrivateKey::from_hex(&digits).unwrap();
            let house = House::build(Plan { miners: 12, env_ids: &[DRAWER, PUSH], private_key: Some(digits) }).await;
            let endpoint = "http://policy-2.example:9002".parse().unwrap();
            house.commit(2, &write_commitment("miner/two", "v1", &endpoint).unwrap()).await;
            let deployment = SEALED.parse().unwrap();
            house.commit(9, &write_sealed_commitment("miner/nine", "v1", &deployment, &key.public()).unwrap()).await;
            house.commit(10, br#"{"m":"miner/ten","r":"v1","d":"https://policy-10.example/"}"#).await;
            house.commit(11, b"no commitment at all").await;
            let other = PrivateKey::generate().public();
            house.commit(8, &write_sealed_commitment("miner/eight", "v1", &deployment, &other).unwrap()).await;
            house.finalize().await;
            house.start_cycle(4).await;
            let moments = play(&house, SCRIPT).await;
            house
                .get_when("/v1/status", "the cycle is scored", |it| it.body.contains(r#""is_evaluating":false"#))
                .await;
            Scored { house, moments }
        })
        .await
}

fn get(path: &str) -> Answer {
    run(async { scored().await.house.get(path).await })
}

fn moments() -> &'static Moments {
    &run(scored()).moments
}

#[test]
fn weights_are_published() {
    assert_snapshot!(get("/v1/weights/latest").shown(), @r#"
    200 application/json no-cache
    {"block":12,"block_number":12,"weights":{"2":0.04201006613406605,"9":0.8437947344813395,"10":0.11419519938459449},
    "created_at":"<time>","timestamp":"<time>","cycle_id":1,"weights_u16":{"uids":[2,9,10],"values":[3263,
    65535,8869]},
    "metadata":{"n_miners_evaluated":3,"n_environments":2,"evaluation_duration_seconds":<seconds>},
    "scheme":"published-1","hotkeys":{"2":"5GKoVmHo6SNP6ESHudCa7mBkf6sj7iwQHi3BiGcmYLdf3kq3","9":"5FviZYPr5oVs9fge1aKcTUdSzbxB72hneySAwWwy3HnnmvYU",
    "10":"5F4gHdZdXNrKb7zaPRKRxkpc7p3DAxGqWN5WwBMa6kmh2Ssi"},
    "burn_uid":null,"episodes_planned":24,"episodes_played":23,"played_share":0.9583333333333334,
    "min_played_share":0.9,"not_evaluated":{}}
    "#);
}

#[test]
fn weights_of_a_block_are_those_of_the_cycle_at_it() {
    let (latest, block) = (get("/v1/weights/latest"), get("/v1/weights/12"));
    assert_eq!(block.body, latest.body);
    assert_snapshot!(block.shown().lines().next().unwrap(), @"200 application/json no-cache");
    assert_snapshot!(get("/v1/weights/11").shown(), @r#"
    404 application/problem+json no-store
    {"type":"urn:kinitro:problem:weights-not-found","title":"Weights not found","status":404,"detail":"no weights were computed at block 11",
    "request_id":"r-1"}
    "#);
}

#[test]
fn both_spellings_of_a_doubled_field_say_the_same() {
    let weights = get("/v1/weights/latest").json();
    assert!(weights["block"].is_u64() && is_time(&weights["created_at"].to_string()));
    assert_eq!((&weights["block"], &weights["created_at"]), (&weights["block_number"], &weights["timestamp"]));
    let status = get("/v1/status").json();
    assert!(!status["environments"].as_array().unwrap().is_empty());
    assert_eq!(status["environments"], status["environments_enabled"]);
}

#[test]
fn weights_sum_to_one_and_follow_the_points() {
    let weights = get("/v1/weights/latest").json();
    let weight = |uid: &str| weights["weights"][uid].as_f64().unwrap();
    // Points 0, 3 and 1 at temperature 1.
    let total = 1.0 + 3.0_f64.exp() + 1.0_f64.exp();
    for (uid, points) in [("2", 0.0_f64), ("9", 3.0), ("10", 1.0)] {
        assert!((weight(uid) - points.exp() / total).abs() < 1e-15, "{uid}: {}", weight(uid));
    }
    assert!((weight("2") + weight("9") + weight("10") - 1.0).abs() < 1e-15);
}

#[test]
fn scores_are_published() {
    assert_snapshot!(get("/v1/scores/latest").shown(), @r#"
    200 application/json no-cache
    {"cycle_id":1,"block":12,"scores":{"2":{"metaworld/drawer-close-v3":0.0,"metaworld/push-v3":0.5},
    "9":{"metaworld/drawer-close-v3":1.0,"metaworld/push-v3":0.75},
    "10":{"metaworld/drawer-close-v3":0.6666666666666666,"metaworld/push-v3":1.0}},
    "pareto_frontier":[9,10],"created_at":"<time>","cycle":{"id":1,"block_number":12,"status":"completed",
    "started_at":"<time>","completed_at":"<time>","n_miners":3,"n_environments":2,"duration_seconds":<seconds>},
    "details":[{"uid":2,"hotkey":"5GKoVmHo6SNP6ESHudCa7mBkf6sj7iwQHi3BiGcmYLdf3kq3","env_id":"metaworld/push-v3",
    "success_rate":0.5,"mean_reward":2.375,"episodes_completed":4,"episodes_failed":0,"success_rate_lower":0.15003898915214947,
    "success_rate_upper":0.8499610108478506},
    {"uid":2,"hotkey":"5GKoVmHo6SNP6ESHudCa7mBkf6sj7iwQHi3BiGcmYLdf3kq3","env_id":"metaworld/drawer-close-v3",
    "success_rate":0.0,"mean_reward":2.375,"episodes_completed":4,"episodes_failed":0,"success_rate_lower":0.0,
    "success_rate_upper":0.4898908364545973},
    {"uid":9,"hotkey":"5FviZYPr5oVs9fge1aKcTUdSzbxB72hneySAwWwy3HnnmvYU","env_id":"metaworld/push-v3",
    "success_rate":0.75,"mean_reward":9.375,"episodes_completed":4,"episodes_failed":0,"success_rate_lower":0.3006418425824019,
    "success_rate_upper":0.9544127391902995},
    {"uid":9,"hotkey":"5FviZYPr5oVs9fge1aKcTUdSzbxB72hneySAwWwy3HnnmvYU","env_id":"metaworld/drawer-close-v3",
    "success_rate":1.0,"mean_reward":9.375,"episodes_completed":4,"episodes_failed":0,"success_rate_lower":0.5101091635454027,
    "success_rate_upper":1.0},
    {"uid":10,"hotkey":"5F4gHdZdXNrKb7zaPRKRxkpc7p3DAxGqWN5WwBMa6kmh2Ssi","env_id":"metaworld/push-v3",
    "success_rate":1.0,"mean_reward":10.375,"episodes_completed":4,"episodes_failed":0,"success_rate_lower":0.5101091635454027,
    "success_rate_upper":1.0},
    {"uid":10,"hotkey":"5F4gHdZdXNrKb7zaPRKRxkpc7p3DAxGqWN5WwBMa6kmh2Ssi","env_id":"metaworld/drawer-close-v3",
    "success_rate":0.6666666666666666,"mean_reward":10.333333333333334,"episodes_completed":3,"episodes_failed":1,
    "success_rate_lower":0.20765960080204768,"success_rate_upper":0.9385080552796037}],"scheme":"published-1",
    "points":{"2":"0","9":"3","10":"1"},
    "points_standard_errors":{},
    "burn_uid":null,"statistics":{"comparisons":[{"ahead":9,"behind":10,"neighbours_in_rank":true,
    "neighbours_in_commit_order":true,"overall":{"env_id":"","episodes":7,"only_ahead":1,"only_behind":1,
    "difference":0.0,"p_value":1.0,"more_episodes":null},
    "environments":[{"env_id":"metaworld/push-v3","episodes":4,"only_ahead":0,"only_behind":1,"difference":-0.25,
    "p_value":1.0,"more_episodes":25},
    {"env_id":"metaworld/drawer-close-v3","episodes":3,"only_ahead":1,"only_behind":0,"difference":0.3333333333333333,
    "p_value":1.0,"more_episodes":19}]},
    {"ahead":10,"behind":2,"neighbours_in_rank":true,"neighbours_in_commit_order":false,"overall":{"env_id":"",
    "episodes":7,"only_ahead":4,"only_behind":0,"difference":0.5714285714285714,"p_value":0.125,
    "more_episodes":5},
    "environments":[{"env_id":"metaworld/push-v3","episodes":4,"only_ahead":2,"only_behind":0,"difference":0.5,
    "p_value":0.5,"more_episodes":10},
    {"env_id":"metaworld/drawer-close-v3","episodes":3,"only_ahead":2,"only_behind":0,"difference":0.6666666666666666,
    "p_value":0.5,"more_episodes":6}]},
    {"ahead":9,"behind":2,"neighbours_in_rank":false,"neighbours_in_commit_order":true,"overall":{"env_id":"",
    "episodes":8,"only_ahead":5,"only_behind":0,"difference":0.625,"p_value":0.0625,"more_episodes":2},
    "environments":[{"env_id":"metaworld/push-v3","episodes":4,"only_ahead":1,"only_behind":0,"difference":0.25,
    "p_value":1.0,"more_episodes":25},
    {"env_id":"metaworld/drawer-close-v3","episodes":4,"only_ahead":4,"only_behind":0,"difference":1.0,
    "p_value":0.125,"more_episodes":2}]}],"dominance":[{"uid":9,"dominates":[2]},
    {"uid":10,"dominates":[2]}]},
    "no_success":null,"weights_kept":null}
    "#);
}

#[test]
fn scores_of_a_cycle_are_found_by_its_id() {
    let (latest, cycle) = (get("/v1/scores/latest"), get("/v1/scores/1"));
    assert_eq!(cycle.body, latest.body);
    assert_snapshot!(cycle.shown().lines().next().unwrap(), @r#"200 application/json public, max-age=31536000, immutable"#);
    assert_snapshot!(get("/v1/scores/2").shown(), @r#"
    404 application/problem+json no-store
    {"type":"urn:kinitro:problem:scores-not-found","title":"Scores not found","status":404,"detail":"cycle 2 was not scored",
    "request_id":"r-1"}
    "#);
}

#[test]
fn a_cycle_ends_at_the_same_moment_wherever_it_is_shown() {
    let (scores, status) = (get("/v1/scores/latest").json(), get("/v1/status").json());
    let mut shown = status["last_completed_cycle"].clone();
    assert_eq!(shown.as_object_mut().unwrap().remove("unpublished_reason"), Some(serde_json::Value::Null));
    assert_eq!((&scores["cycle"], &status["last_ended_cycle"]), (&shown, &status["last_completed_cycle"]));
    let miners = get("/v1/miners").json();
    assert_eq!(miners["miners"][2]["last_evaluated"], scores["cycle"]["completed_at"]);
    let weights = get("/v1/weights/latest").json();
    assert_eq!(weights["metadata"]["evaluation_duration_seconds"], scores["cycle"]["duration_seconds"]);
}

#[test]
fn status_shows_the_last_cycle() {
    assert_snapshot!(get("/v1/status").shown(), @r#"
    200 application/json no-cache
    {"status":"running","current_block":12,"last_eval_block":12,"next_eval_in_seconds":null,"miners_registered":12,
    "environments_enabled":["metaworld/push-v3","metaworld/drawer-close-v3"],"current_cycle":null,
    "last_completed_cycle":{"id":1,"block_number":12,"status":"completed","started_at":"<time>",
    "completed_at":"<time>","n_miners":3,"n_environments":2,"duration_seconds":<seconds>,"unpublished_reason":null},
    "total_cycles":1,"total_miners_evaluated":3,"environments":["metaworld/push-v3","metaworld/drawer-close-v3"],
    "is_evaluating":false,"last_ended_cycle":{"id":1,"block_number":12,"status":"completed","started_at":"<time>",
    "completed_at":"<time>","n_miners":3,"n_environments":2,"duration_seconds":<seconds>,"unpublished_reason":null},
    "warnings":[]}
    "#);
}

#[test]
fn status_shows_the_running_cycle() {
    assert_snapshot!(moments().status_before, @r#"
    200 application/json no-cache
    {"status":"running","current_block":12,"last_eval_block":null,"next_eval_in_seconds":null,"miners_registered":12,
    "environments_enabled":["metaworld/push-v3","metaworld/drawer-close-v3"],"current_cycle":{"id":1,
    "block_number":12,"status":"running","started_at":"<time>","completed_at":null,"n_miners":3,
    "n_environments":2,"duration_seconds":<seconds>,"unpublished_reason":null},
    "last_completed_cycle":null,"total_cycles":1,"total_miners_evaluated":0,"environments":["metaworld/push-v3",
    "metaworld/drawer-close-v3"],"is_evaluating":true,"last_ended_cycle":null,"warnings":[]}
    "#);
}

#[test]
fn miners_are_listed_with_what_the_public_may_see() {
    let miners = get("/v1/miners");
    assert_snapshot!(miners.shown(), @r#"
    200 application/json no-cache
    {"miners":[{"uid":0,"hotkey":"5HYntZzaUZoZG4NdeZcAwt7wH3TfGZzWp6xp9sy2rP3nHbic","endpoint":null,
    "last_evaluated":null,"status":"uncommitted","status_reason":"nothing is committed on the chain",
    "repo":"","revision":"","endpoint_encrypted":false,"first_commit_block":0,"last_faults":{},
    "last_evaluated_block":null,"avg_success_rate":0.0,"environments_evaluated":[],"last_fault_messages":{}},
    {"uid":1,"hotkey":"5FKktvQ9adM6LDucqE4LKnhmc8iQT1w1G5UogB31WNScPbYZ","endpoint":null,"last_evaluated":null,
    "status":"uncommitted","status_reason":"nothing is committed on the chain","repo":"","revision":"",
    "endpoint_encrypted":false,"first_commit_block":0,"last_faults":{},
    "last_evaluated_block":null,"avg_success_rate":0.0,"environments_evaluated":[],"last_fault_messages":{}},
    {"uid":2,"hotkey":"5GKoVmHo6SNP6ESHudCa7mBkf6sj7iwQHi3BiGcmYLdf3kq3","endpoint":"http://policy-2.example:9002",
    "last_evaluated":"<time>","status":"active","status_reason":null,"repo":"miner/two","revision":"v1",
    "endpoint_encrypted":false,"first_commit_block":8,"last_faults":{},
    "last_evaluated_block":12,"avg_success_rate":0.25,"environments_evaluated":["metaworld/push-v3",
    "metaworld/drawer-close-v3"],"last_fault_messages":{}},
    {"uid":3,"hotkey":"5E7UZKaPNf5qCjXbfWCqczv6Gv2WwkvyNRdRbU9gKozki3VN","endpoint":null,"last_evaluated":null,
    "status":"uncommitted","status_reason":"nothing is committed on the chain","repo":"","revision":"",
    "endpoint_encrypted":false,"first_commit_block":0,"last_faults":{},
    "last_evaluated_block":null,"avg_success_rate":0.0,"environments_evaluated":[],"last_fault_messages":{}},
    {"uid":4,"hotkey":"5GbrBqvC9YDikjjcfJ5AmSUiNAhS6QFDvyAX8k11WqZbzXbs","endpoint":null,"last_evaluated":null,
    "status":"uncommitted","status_reason":"nothing is committed on the chain","repo":"","revision":"",
    "endpoint_encrypted":false,"first_commit_block":0,"last_faults":{},
    "last_evaluated_block":null,"avg_success_rate":0.0,"environments_evaluated":[],"last_fault_messages":{}},
    {"uid":5,"hotkey":"5F7StWZp8URuu6K8RPf6AzMsy5Bko1pCNTZxKSDiYEa4wSk8","endpoint":null,"last_evaluated":null,
    "status":"uncommitted","status_reason":"nothing is committed on the chain","repo":"","revision":"",
    "endpoint_encrypted":false,"first_commit_block":0,"last_faults":{},
    "last_evaluated_block":null,"avg_success_rate":0.0,"environments_evaluated":[],"last_fault_messages":{}},
    {"uid":6,"hotkey":"5HMpyi6Dc8CfCJkjQNkCf1U67b12HpbuDvSZh9D4rLvbc771","endpoint":null,"last_evaluated":null,
    "status":"uncommitted","status_reason":"nothing is committed on the chain","repo":"","revision":"",
    "endpoint_encrypted":false,"first_commit_block":0,"last_faults":{},
    "last_evaluated_block":null,"avg_success_rate":0.0,"environments_evaluated":[],"last_fault_messages":{}},
    {"uid":7,"hotkey":"5Gxw8iM8gqLvVempYMGn2nuLymLvdKuyFwWSUtnAznu4XJGC","endpoint":null,"last_evaluated":null,
    "status":"uncommitted","status_reason":"nothing is committed on the chain","repo":"","revision":"",
    "endpoint_encrypted":false,"first_commit_block":0,"last_faults":{},
    "last_evaluated_block":null,"avg_success_rate":0.0,"environments_evaluated":[],"last_fault_messages":{}},
    {"uid":8,"hotkey":"5ERgRrRYHdy3GJ2hBQuiDuj6ECPoYcV7hAD2UoqCXiz3iJLX","endpoint":null,"last_evaluated":null,
    "status":"invalid","status_reason":"the sealed endpoint does not open with this key: it was sealed for another one, or damaged",
    "repo":"miner/eight","revision":"v1","endpoint_encrypted":true,"first_commit_block":0,"last_faults":{},
    "last_evaluated_block":null,"avg_success_rate":0.0,"environments_evaluated":[],"last_fault_messages":{}},
    {"uid":9,"hotkey":"5FviZYPr5oVs9fge1aKcTUdSzbxB72hneySAwWwy3HnnmvYU","endpoint":null,"last_evaluated":"<time>",
    "status":"active","status_reason":null,"repo":"miner/nine","revision":"v1","endpoint_encrypted":true,
    "first_commit_block":9,"last_faults":{},
    "last_evaluated_block":12,"avg_success_rate":0.875,"environments_evaluated":["metaworld/push-v3",
    "metaworld/drawer-close-v3"],"last_fault_messages":{}},
    {"uid":10,"hotkey":"5F4gHdZdXNrKb7zaPRKRxkpc7p3DAxGqWN5WwBMa6kmh2Ssi","endpoint":"https://policy-10.example",
    "last_evaluated":"<time>","status":"active","status_reason":null,"repo":"miner/ten","revision":"v1",
    "endpoint_encrypted":false,"first_commit_block":10,"last_faults":{},
    "last_evaluated_block":12,"avg_success_rate":0.8333333333333333,"environments_evaluated":["metaworld/push-v3",
    "metaworld/drawer-close-v3"],"last_fault_messages":{}},
    {"uid":11,"hotkey":"5EnTEWpNPgJYpBXRbG6TntPjgsUAz2qcBmHeNL71sCxLSMbA","endpoint":null,"last_evaluated":null,
    "status":"invalid","status_reason":"the commitment is neither `user/repo:revision:deployment` nor JSON with `m`, `r` and one of `d`, `e` and `b`",
    "repo":"","revision":"","endpoint_encrypted":false,"first_commit_block":0,"last_faults":{},
    "last_evaluated_block":null,"avg_success_rate":0.0,"environments_evaluated":[],"last_fault_messages":{}}]}
    "#);
}

#[test]
fn a_sealed_endpoint_is_told_to_executors_only() {
    assert_eq!(moments().endpoints[&9], format!("https://{SEALED}.deployments.basilica.ai"));
    let routes = ["/health", "/v1/status", "/v1/weights/latest", "/v1/scores/latest", "/v1/miners", "/v1/environments"];
    for path in routes.into_iter().chain(["/v1/tasks/stats", "/metrics"]) {
        let body = get(path).body;
        assert!(!body.contains(SEALED) && !body.contains("basilica"), "{path}: {body}");
    }
}

#[test]
fn environments_have_the_averages_of_all_cycles() {
    assert_snapshot!(get("/v1/environments").shown(), @r#"
    200 application/json no-cache
    {"environments":[{"env_id":"metaworld/push-v3","env_name":"push-v3","task_name":"Push","family":"metaworld",
    "n_evaluations":12,"avg_success_rate":0.75},
    {"env_id":"metaworld/drawer-close-v3","env_name":"drawer-close-v3","task_name":"Drawer close",
    "family":"metaworld","n_evaluations":11,"avg_success_rate":0.5454545454545454}]}
    "#);
}

#[test]
fn an_executor_is_told_all_it_needs() {
    assert_snapshot!(moments().fetched_first, @r#"
    200 application/json no-store
    {"tasks":[{"task_uuid":"<uuid>","cycle_id":1,"miner_uid":2,"miner_hotkey":"5GKoVmHo6SNP6ESHudCa7mBkf6sj7iwQHi3BiGcmYLdf3kq3",
    "miner_endpoint":"http://policy-2.example:9002","miner_repo":"miner/two","miner_revision":"v1",
    "env_id":"metaworld/push-v3","seed":<seed>,"status":"assigned","created_at":"<time>","attempt":1,
    "traceparent":""},
    {"task_uuid":"<uuid>","cycle_id":1,"miner_uid":9,"miner_hotkey":"5FviZYPr5oVs9fge1aKcTUdSzbxB72hneySAwWwy3HnnmvYU",
    "miner_endpoint":"https://8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d.deployments.basilica.ai","miner_repo":"miner/nine",
    "miner_revision":"v1","env_id":"metaworld/drawer-close-v3","seed":<seed>,"status":"assigned",
    "created_at":"<time>","attempt":1,"traceparent":""}],"total_pending":22,"lease_seconds":300}
    "#);
}

#[test]
fn an_executor_without_verdicts_and_attempts_is_understood() {
    assert_snapshot!(moments().submitted_first, @r#"
    200 application/json no-store
    {"accepted":2,"rejected":0,"errors":[],"duplicates":0,"disagreements":0}
    "#);
    assert_snapshot!(moments().fetched_last, @r#"
    200 application/json no-store
    {"tasks":[],"total_pending":0,"lease_seconds":300}
    "#);
}

#[test]
fn task_stats_follow_the_cycle() {
    assert_snapshot!(moments().stats_before, @r#"
    200 application/json no-cache
    {"total_tasks":24,"pending_tasks":24,"assigned_tasks":0,"completed_tasks":0,"failed_tasks":0,
    "active_executors":[],"current_cycle_id":1,"queue_depth":24,"queue_leased":0}
    "#);
    assert_snapshot!(moments().stats_leased, @r#"
    200 application/json no-cache
    {"total_tasks":24,"pending_tasks":22,"assigned_tasks":2,"completed_tasks":0,"failed_tasks":0,
    "active_executors":["executor-1"],"current_cycle_id":1,"queue_depth":22,"queue_leased":2}
    "#);
    let of_cycle = get("/v1/tasks/stats?cycle_id=1").json();
    assert_eq!((&of_cycle["total_tasks"], &of_cycle["completed_tasks"]), (&24.into(), &23.into()));
    assert_snapshot!(get("/v1/tasks/stats?cycle_id=7").shown(), @r#"
    404 application/problem+json no-store
    {"type":"urn:kinitro:problem:cycle-not-found","title":"Cycle not found","status":404,"detail":"there is no such cycle",
    "request_id":"r-1"}
    "#);
    // The executor is forgotten after a minute.
    let stats = get("/v1/tasks/stats").shown().replace(r#"["executor-1"]"#, "[]");
    assert_snapshot!(stats, @r#"
    200 application/json no-cache
    {"total_tasks":24,"pending_tasks":0,"assigned_tasks":0,"completed_tasks":23,"failed_tasks":1,
    "active_executors":[],"current_cycle_id":null,"queue_depth":0,"queue_leased":0}
    "#);
}
