//! A backend after one cycle that an executor played over REST.

use insta::assert_snapshot;
use kinitro_chain::{write_commitment, write_sealed_commitment};
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

/// Two miners have a plain endpoint, in either spelling, one a sealed one, one committed nonsense, and the others nothing.
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
            house.finalize().await;
            house.start_cycle(4).await;
            let moments = play(&house, SCRIPT).await;
            house.get_when("/v1/status", "the cycle is scored", |it| it.body.contains(r#""is_evaluating":false"#)).await;
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
    assert_snapshot!(get("/v1/weights/latest").shown(), @"");
}

#[test]
fn weights_of_a_block_are_those_of_the_cycle_at_it() {
    let (latest, block) = (get("/v1/weights/latest"), get("/v1/weights/9"));
    assert_eq!(block.body, latest.body);
    assert_snapshot!(block.shown().lines().next().unwrap(), @"");
    assert_snapshot!(get("/v1/weights/8").shown(), @"");
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
    assert_snapshot!(get("/v1/scores/latest").shown(), @"");
}

#[test]
fn scores_of_a_cycle_are_found_by_its_id() {
    let (latest, cycle) = (get("/v1/scores/latest"), get("/v1/scores/1"));
    assert_eq!(cycle.body, latest.body);
    assert_snapshot!(cycle.shown().lines().next().unwrap(), @"");
    assert_snapshot!(get("/v1/scores/2").shown(), @"");
}

#[test]
fn a_cycle_ends_at_the_same_moment_wherever_it_is_shown() {
    let (scores, status) = (get("/v1/scores/latest").json(), get("/v1/status").json());
    assert_eq!(scores["cycle"], status["last_completed_cycle"]);
    let miners = get("/v1/miners").json();
    assert_eq!(miners["miners"][0]["last_evaluated"], scores["cycle"]["completed_at"]);
    let weights = get("/v1/weights/latest").json();
    assert_eq!(weights["metadata"]["evaluation_duration_seconds"], scores["cycle"]["duration_seconds"]);
}

#[test]
fn status_shows_the_last_cycle() {
    assert_snapshot!(get("/v1/status").shown(), @"");
}

#[test]
fn status_shows_the_running_cycle() {
    assert_snapshot!(moments().status_before, @"");
}

#[test]
fn miners_are_listed_with_what_the_public_may_see() {
    let miners = get("/v1/miners");
    assert_snapshot!(miners.shown(), @"");
    assert!(!miners.body.contains(SEALED) && !miners.body.contains("basilica"));
}

#[test]
fn environments_have_the_averages_of_all_cycles() {
    assert_snapshot!(get("/v1/environments").shown(), @"");
}

#[test]
fn an_executor_is_told_all_it_needs() {
    assert_snapshot!(moments().fetched_first, @"");
}

#[test]
fn an_executor_without_verdicts_and_attempts_is_understood() {
    assert_snapshot!(moments().submitted_first, @"");
    assert_snapshot!(moments().fetched_last, @"");
}

#[test]
fn task_stats_follow_the_cycle() {
    assert_snapshot!(moments().stats_before, @"");
    assert_snapshot!(moments().stats_leased, @"");
    assert_snapshot!(get("/v1/tasks/stats").shown(), @"");
}
