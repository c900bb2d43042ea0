//! Several processes of the same service, of which one dies, stands still, or comes too late: every task is counted exactly once.
#![allow(clippy::unwrap_used)]

mod support;

use kinitro_proto::scheduling::v1::Cycle;
use nix::sys::signal::Signal;
use support::{
    ALONE, Backend, Options,
    counted::{assert_every_task_counted_once, assert_one_set_of_weights, ended, most_attempts, recorded, scored},
    eventually,
};

const EPISODES: u32 = 12;

/// Two miners whose policies take a while, and an executor that plays a sixth of a cycle at a time.
async fn slow_backend(more: &[(&'static str, String)]) -> Backend {
    let mut variables = vec![("KINITRO_EXECUTOR_DEFAULT_MAX_CONCURRENT", "4".to_owned())];
    variables.extend_from_slice(more);
    Backend::start(Options { policies: vec![("push", 10), ("idle", 10)], variables, ..Options::default() }).await
}

/// A second process of scheduling, with an executor of its own.
async fn with_second_replica() -> Backend {
    let mut backend = slow_backend(&[]).await;
    backend.spawn_as("scheduling-2", "scheduling", &[]);
    let url = backend.url("scheduling-2");
    backend.spawn_as("execution-2", "execution", &[("KINITRO_EXECUTOR_SCHEDULING_URL", url)]);
    backend
}

/// A cycle that has results and leases, started on a replica.
async fn in_the_middle(backend: &Backend, replica: &str) -> Cycle {
    let cycle = backend.start_cycle_on(replica, EPISODES).await;
    let middle = |cycle: &Cycle| cycle.tasks_completed >= 4 && cycle.tasks_assigned >= 4;
    let cycle = backend.cycle_when(cycle.id, "the cycle is in its middle", middle).await;
    assert_eq!(cycle.status, "running");
    cycle
}

/// An executor hands in what it still has, and nothing of what was counted changes.
async fn assert_last_words_change_nothing(backend: &mut Backend, executor: &str, cycle: &Cycle) {
    let (before, weights) = (recorded(backend, cycle.id).await, backend.get("/v1/weights/latest").await);
    backend.signal(executor, Signal::SIGTERM);
    assert_eq!(backend.ended(executor).await, Some(0));
    let after = ended(backend, cycle.id).await;
    let counts = |cycle: &Cycle| {
        (cycle.status.clone(), cycle.tasks_completed, cycle.tasks_failed, cycle.successes, cycle.disagreements)
    };
    assert_eq!(counts(&after), counts(cycle));
    assert_eq!(recorded(backend, cycle.id).await, before);
    assert_eq!(scored(backend, cycle.id).await, before);
    assert_eq!(backend.get("/v1/weights/latest").await, weights);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_replica_that_started_a_cycle_is_killed_the_other_one_finishes_it() {
    let _alone = ALONE.lock().await;
    let mut backend = with_second_replica().await;
    let cycle = in_the_middle(&backend, "scheduling-2").await;
    backend.signal("scheduling-2", Signal::SIGKILL);
    let cycle = assert_every_task_counted_once(&backend, &cycle).await;

    // Its executor kept what it had finished, and finds somebody to take it at last.
    backend.spawn_as("scheduling-2", "scheduling", &[]);
    assert_last_words_change_nothing(&mut backend, "execution-2", &cycle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stands_still_and_goes_on_later_changes_nothing_any_more() {
    let _alone = ALONE.lock().await;
    let mut backend = with_second_replica().await;
    let cycle = in_the_middle(&backend, "scheduling-2").await;
    backend.signal("scheduling-2", Signal::SIGSTOP);
    let cycle = assert_every_task_counted_once(&backend, &cycle).await;

    backend.signal("scheduling-2", Signal::SIGCONT);
    assert_last_words_change_nothing(&mut backend, "execution-2", &cycle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_outsleeps_its_leases_adds_nothing_and_is_blamed_on_nobody() {
    let _alone = ALONE.lock().await;
    // It is stopped for longer than policies may take to answer, which is not their time.
    let timeout = |seconds: &str| [("KINITRO_EXECUTOR_ACTION_TIMEOUT", seconds.to_owned())];
    let mut backend = slow_backend(&timeout("2")).await;
    let cycle = in_the_middle(&backend, "scheduling").await;
    backend.signal("execution", Signal::SIGSTOP);
    backend.spawn_as("execution-2", "execution", &timeout("60"));
    eventually("the other one has taken over a lease", || async {
        let most = most_attempts(&backend).await;
        if most >= 2 { Ok(()) } else { Err(format!("attempt {most}")) }
    })
    .await;
    // Now both play the same episodes, and either may be the first to finish one.
    backend.signal("execution", Signal::SIGCONT);
    let cycle = assert_every_task_counted_once(&backend, &cycle).await;
    assert_last_words_change_nothing(&mut backend, "execution", &cycle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_whose_executor_is_gone_times_out_and_is_scored_with_its_gap() {
    let _alone = ALONE.lock().await;
    let mut backend = slow_backend(&[
        ("KINITRO_SCHEDULER_CYCLE_TIMEOUT_SECONDS", "12".to_owned()),
        ("KINITRO_SCHEDULER_MIN_PLAYED_SHARE", "0.01".to_owned()),
        ("KINITRO_SCHEDULER_MIN_MINER_SHARE", "0.01".to_owned()),
        ("KINITRO_SCHEDULER_NO_SUCCESS", "published".to_owned()),
    ])
    .await;
    let cycle = backend.start_cycle(EPISODES).await;
    let begun = |cycle: &Cycle| cycle.tasks_completed >= 2 && cycle.tasks_assigned >= 1;
    backend.cycle_when(cycle.id, "some results are there", begun).await;
    backend.signal("execution", Signal::SIGSTOP);

    let cycle = ended(&backend, cycle.id).await;
    assert_eq!(cycle.status, "timed_out", "{cycle:?}");
    assert!(cycle.tasks_completed >= 2 && cycle.tasks_failed >= 1, "{cycle:?}");
    assert_eq!(cycle.tasks_completed + cycle.tasks_failed, cycle.tasks_total, "{cycle:?}");
    assert_eq!((cycle.tasks_pending, cycle.tasks_assigned, cycle.policy_faults), (0, 0, 0), "{cycle:?}");

    let (status, scores) = backend.get("/v1/scores/latest").await;
    assert_eq!((status, &scores["cycle_id"], &scores["cycle"]["status"]), (200, &cycle.id.into(), &"timed_out".into()));
    let sum = |field: &str| -> u64 {
        scores["details"].as_array().unwrap().iter().map(|detail| detail[field].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("episodes_completed"), u64::from(cycle.tasks_completed), "nothing is thrown away");
    assert_eq!(sum("episodes_failed"), u64::from(cycle.tasks_failed), "the gap is told");
    assert_eq!(recorded(&backend, cycle.id).await, scored(&backend, cycle.id).await);
    assert_one_set_of_weights(&backend, &cycle).await;

    // What was being played comes too late, and the next cycle has an executor again.
    backend.signal("execution", Signal::SIGCONT);
    assert_last_words_change_nothing(&mut backend, "execution", &cycle).await;
    backend.spawn("execution");
    let next = backend.start_cycle(1).await;
    assert!(next.id > cycle.id);
    let next = assert_every_task_counted_once(&backend, &next).await;
    assert_eq!(next.tasks_total, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_without_an_executor_publishes_no_weights_and_says_so_everywhere() {
    let _alone = ALONE.lock().await;
    let timeout = ("KINITRO_SCHEDULER_CYCLE_TIMEOUT_SECONDS", "12".to_owned());
    let no_success = ("KINITRO_SCHEDULER_NO_SUCCESS", "published".to_owned());
    let mut backend = slow_backend(&[timeout, no_success]).await;
    backend.signal("execution", Signal::SIGKILL);
    let cycle = backend.start_cycle(EPISODES).await;
    let cycle = ended(&backend, cycle.id).await;
    assert_eq!((cycle.status.as_str(), cycle.tasks_completed), ("unscored", 0), "{cycle:?}");
    let reason = cycle.unpublished_reason.unwrap();
    assert!(reason.starts_with("0 of 24 episodes count"), "{reason}");
    let (code, answer) = backend.get("/v1/weights/latest").await;
    assert_eq!(code, 404, "{answer}");
    let (_, status) = backend.get("/v1/status").await;
    assert_eq!(status["last_ended_cycle"]["unpublished_reason"], reason);
    let (code, health) = backend.get("/health").await;
    assert_eq!((code, &health["status"]), (200, &"healthy".into()), "{health}");
    assert!(health["warning"].as_str().unwrap().contains(&reason), "{health}");

    // The next cycle has an executor.
    backend.spawn("execution");
    let next = backend.start_cycle(1).await;
    let next = assert_every_task_counted_once(&backend, &next).await;
    assert_eq!(
        (next.unpublished_reason, &backend.get("/health").await.1["warnings"]),
        (None, &serde_json::Value::Null)
    );
}
