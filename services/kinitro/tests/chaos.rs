//! Processes that really die, in the middle of a cycle: every task is counted exactly once, and nobody is blamed for it.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use kinitro_proto::scheduling::v1::{Cycle, GetTaskStatsRequest};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use support::{
    ALONE, Backend, Options,
    counted::{assert_every_task_counted_once, most_attempts},
    eventually,
    up::{all_gone, descendants},
};

/// Two miners whose policies take a while, so that there is a middle.
async fn slow_backend() -> Backend {
    let policies = vec![("push", 10), ("idle", 10)];
    // Fewer slots than tasks, so that some wait, some run and some are done when the blow comes.
    let variables = vec![
        ("KINITRO_EXECUTOR_DEFAULT_MAX_CONCURRENT", "4".to_owned()),
        // Only what heartbeats is given to others soon.
        ("KINITRO_SCHEDULER_TASK_STALE_THRESHOLD_SECONDS", "900".to_owned()),
        ("KINITRO_SCHEDULER_HEARTBEAT_LEASE_SECONDS", "3".to_owned()),
    ];
    Backend::start(Options { policies, variables, ..Options::default() }).await
}

const EPISODES: u32 = 12;

async fn in_the_middle(backend: &Backend) -> Cycle {
    let cycle = backend.start_cycle(EPISODES).await;
    let middle = |cycle: &Cycle| cycle.tasks_completed >= 4 && cycle.tasks_assigned >= 2;
    let cycle = backend.cycle_when(cycle.id, "the cycle is in its middle", middle).await;
    assert_eq!(cycle.status, "running");
    cycle
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_executor_costs_its_running_episodes_one_attempt_and_nothing_else() {
    let _alone = ALONE.lock().await;
    let mut backend = slow_backend().await;
    let cycle = in_the_middle(&backend).await;
    let families = descendants(backend.pid("execution"));
    assert_eq!(families.len(), 1, "{families:?}");
    backend.signal("execution", Signal::SIGKILL);
    all_gone(&families).await;
    eventually("the dead executor is not listed", || async {
        let stats = backend.scheduling().get_task_stats(GetTaskStatsRequest::default()).await;
        let stats = stats.map_err(|status| status.message().to_owned())?.into_inner();
        if stats.active_executors.is_empty() { Ok(()) } else { Err(format!("{stats:?}")) }
    })
    .await;
    backend.spawn("execution");
    assert_every_task_counted_once(&backend, &cycle).await;
    let most = most_attempts(&backend).await;
    assert_eq!(most, 2, "what ran when the executor died was played once more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_process_that_is_killed_ten_times_in_a_cycle_costs_time_and_no_result() {
    let _alone = ALONE.lock().await;
    // Twenty episodes at a time, of at least 0.65 seconds each: 2,000 of them outlast the ten blows on any machine.
    let variables = vec![
        ("KINITRO_EXECUTOR_MAX_TIMESTEPS", "10".to_owned()),
        ("KINITRO_SCHEDULER_NO_SUCCESS", "published".to_owned()),
    ];
    let backend = Backend::start(Options { policies: vec![("idle", 65); 4], variables, ..Options::default() }).await;
    let cycle = backend.start_cycle(500).await;
    assert_eq!(cycle.tasks_total, 2000);
    let executor = backend.pid("execution");
    for blow in 1..=10 {
        let done = backend.cycle_when(cycle.id, "episodes are played", |_| true).await.tasks_completed;
        let on = |cycle: &Cycle| cycle.tasks_completed > done && cycle.tasks_assigned > 0;
        let cycle = backend.cycle_when(cycle.id, "the next process plays", on).await;
        assert_eq!(cycle.status, "running", "blow {blow}");
        // One that lives for a while is started again soon.
        tokio::time::sleep(Duration::from_millis(5500)).await;
        let family = descendants(executor);
        assert_eq!(family.len(), 1, "blow {blow}: {family:?}");
        kill(Pid::from_raw(family[0].pid), Signal::SIGKILL).unwrap();
        all_gone(&family).await;
    }
    let in_the_middle = backend.cycle_when(cycle.id, "the cycle is asked for", |_| true).await;
    assert_eq!(in_the_middle.status, "running", "all blows came in the middle: {in_the_middle:?}");
    assert_every_task_counted_once(&backend, &cycle).await;
    assert!(most_attempts(&backend).await >= 2, "what ran in a process that died was played again");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_scheduling_resumes_its_cycle() {
    let _alone = ALONE.lock().await;
    let mut backend = slow_backend().await;
    let cycle = in_the_middle(&backend).await;
    backend.signal("scheduling", Signal::SIGKILL);
    // So that executors finish episodes and find nobody who takes the results.
    tokio::time::sleep(Duration::from_secs(2)).await;
    backend.spawn("scheduling");
    assert_every_task_counted_once(&backend, &cycle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_redis_costs_time_and_no_work() {
    let _alone = ALONE.lock().await;
    let backend = slow_backend().await;
    let cycle = in_the_middle(&backend).await;
    let client = redis::Client::open(backend.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let queued: bool = redis::cmd("EXISTS").arg("kinitro:environments").query_async(&mut connection).await.unwrap();
    assert!(queued, "there is something to lose");
    redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
    assert_every_task_counted_once(&backend, &cycle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_what_is_played_is_recorded_and_afterwards_the_rest_is_played() {
    let _alone = ALONE.lock().await;
    let mut backend = slow_backend().await;
    let cycle = in_the_middle(&backend).await;
    backend.redis.kill();
    let idle = |cycle: &Cycle| cycle.tasks_assigned == 0;
    let left = backend.cycle_when(cycle.id, "what was leased is recorded", idle).await;
    assert!(left.tasks_pending > 0 && left.tasks_failed == 0, "{left:?}");
    backend.redis.restart().await.unwrap();
    assert_every_task_counted_once(&backend, &cycle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_come_while_postgres_is_away_are_kept_and_counted() {
    let _alone = ALONE.lock().await;
    let mut backend = slow_backend().await;
    let cycle = in_the_middle(&backend).await;
    backend.postgres.kill();
    // So that executors finish episodes, and leases expire meanwhile.
    tokio::time::sleep(Duration::from_secs(4)).await;
    backend.postgres.restart().await.unwrap();
    assert_every_task_counted_once(&backend, &cycle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_postgres_loses_nothing() {
    let _alone = ALONE.lock().await;
    let mut backend = slow_backend().await;
    let cycle = in_the_middle(&backend).await;
    backend.postgres.restart().await.unwrap();
    assert_every_task_counted_once(&backend, &cycle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_executor_hands_back_or_finishes_what_it_plays() {
    let _alone = ALONE.lock().await;
    let mut backend = slow_backend().await;
    let cycle = in_the_middle(&backend).await;
    backend.signal("execution", Signal::SIGTERM);
    assert_eq!(backend.ended("execution").await, Some(0));
    let left = backend.cycle_when(cycle.id, "no lease is left behind", |cycle| cycle.tasks_assigned == 0).await;
    assert!(left.tasks_completed < left.tasks_total, "the drain came in the middle");
    backend.spawn("execution");
    assert_every_task_counted_once(&backend, &cycle).await;
}
