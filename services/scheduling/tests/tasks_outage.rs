//! Policies that cannot be reached: what an outage of ours costs, and what miners gain who pretend one.
#![allow(clippy::unwrap_used)]

mod tasks_support;

use kinitro_proto::scheduling::v1::{Task, TaskResult};
use tasks_support::{World, fault, success, world};

fn unreachable(task: &Task, beacon_reached: Option<bool>) -> TaskResult {
    TaskResult { beacon_reached, timesteps: 0, ..fault(task, "policy_unreachable") }
}

async fn give_hosts(world: &World) {
    sqlx::query("UPDATE scheduling.cycle_miners SET endpoint = 'http://host-' || uid || '.example'")
        .execute(&world.pool)
        .await
        .unwrap();
}

/// Has everything that can be leased end like that, once.
async fn round(world: &World, beacon_reached: Option<bool>) -> usize {
    let leased = world.lease("a", 100).await;
    world.complete("a", leased.iter().map(|task| unreachable(task, beacon_reached)).collect()).await;
    // What was not reached waits for a while otherwise.
    world.expire_leases().await;
    leased.len()
}

#[tokio::test]
async fn an_attempt_without_beacon_is_not_spent() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    for _ in 0..20 {
        assert_eq!(round(&world, Some(false)).await, 1);
    }
    // The network is back.
    let task = world.lease_one("a").await;
    assert_eq!(world.complete("a", vec![success(&task)]).await.accepted, 1);
}

#[tokio::test]
async fn with_the_beacon_there_every_attempt_is_spent() {
    let world = world().await;
    world.cycle(5, 1, 1).await;
    give_hosts(&world).await;
    for _ in 0..3 {
        assert_eq!(round(&world, Some(true)).await, 5);
    }
    assert_eq!(round(&world, Some(true)).await, 0);
    assert_eq!(world.dead_letters().await.len(), 5);
}

#[tokio::test]
async fn miners_that_vanish_together_gain_a_delay_and_no_more() {
    let world = world().await;
    world.cycle(5, 1, 1).await;
    give_hosts(&world).await;
    let mut rounds = 0;
    while round(&world, None).await > 0 {
        rounds += 1;
        assert!(rounds < 100, "for ever");
    }
    assert!(rounds > 10, "an outage of ours had no time to end: {rounds} rounds");
    let dead = world.dead_letters().await;
    assert_eq!(dead.len(), 5);
    assert!(dead.iter().all(|dead| dead.cause == "policy_unreachable"));
}

#[tokio::test]
async fn while_any_episode_comes_to_a_result_no_outage_is_believed() {
    let world = world().await;
    world.cycle(6, 1, 1).await;
    give_hosts(&world).await;
    let honest = world.lease_one("a").await;
    world.complete("a", vec![success(&honest)]).await;
    let mut rounds = 0;
    while round(&world, None).await > 0 {
        rounds += 1;
    }
    assert_eq!((rounds, world.dead_letters().await.len()), (3, 5));
}

#[tokio::test]
async fn a_beacon_that_is_away_while_its_executor_brings_results_excuses_nobody() {
    let world = world().await;
    world.cycle(6, 1, 1).await;
    give_hosts(&world).await;
    let honest = world.lease_one("a").await;
    world.complete("a", vec![success(&honest)]).await;
    // The beacon of another executor still says something.
    let task = world.lease_one("b").await;
    world.complete("b", vec![unreachable(&task, Some(false))]).await;
    assert_eq!(world.row(&task.task_uuid).await.released, 1);
    world.expire_leases().await;
    let mut rounds = 0;
    while round(&world, Some(false)).await > 0 {
        rounds += 1;
        assert!(rounds < 10, "dead miners are excused for ever");
    }
    assert_eq!((rounds, world.dead_letters().await.len()), (3, 5));
    let said = "SELECT executor_id FROM scheduling.unreached_attempts WHERE beacon_reached IS NOT NULL";
    assert_eq!(sqlx::query_scalar::<_, String>(said).fetch_all(&world.pool).await.unwrap(), ["b"]);
}
