//! Completions: what counts, what counts once, what is refused.
#![allow(clippy::unwrap_used)]

mod tasks_support;

use kinitro_proto::scheduling::v1::{CompleteTasksRequest, Task, TaskResult};
use kinitro_scheduling::tasks::TaskError;
use tasks_support::{failure, fault, success, world};

#[tokio::test]
async fn a_late_completion_of_a_still_open_task_counts() {
    let world = world().await;
    let (cycle, _) = world.cycle(1, 1, 2).await;
    // Expired, and nobody took it.
    let late = world.lease_one("a").await;
    world.expire_leases().await;
    assert_eq!(world.complete("a", vec![success(&late)]).await.accepted, 1);
    // Expired, and somebody else plays it already: the first to finish counts, the other one is a duplicate.
    let late = world.lease_one("a").await;
    world.expire_leases().await;
    let current = world.lease_one("b").await;
    assert_eq!(current.task_uuid, late.task_uuid);
    assert_eq!(world.complete("a", vec![success(&late)]).await.accepted, 1);
    assert_eq!(world.heartbeat("b", &[&current]).await, std::slice::from_ref(&current.task_uuid));
    let response = world.complete("b", vec![success(&current)]).await;
    assert_eq!((response.accepted, response.duplicates, response.rejected), (1, 1, 0));
    let progress = world.tasks.progress(cycle).await.unwrap();
    assert_eq!((progress.completed, progress.successes, progress.pending + progress.assigned), (2, 2, 0));
    assert_eq!(world.row(&late.task_uuid).await.executor_id.as_deref(), Some("a"));
}

#[tokio::test]
async fn a_second_completion_has_no_effect_and_a_disagreeing_one_is_recorded() {
    let world = world().await;
    let (cycle, _) = world.cycle(1, 1, 1).await;
    let task = world.lease_one("a").await;
    let first = TaskResult { trajectory_hash: "0f".repeat(32), ..success(&task) };
    world.complete("a", vec![first.clone()]).await;
    let before = world.row(&task.task_uuid).await;

    let response = world.complete("a", vec![first.clone()]).await;
    assert_eq!((response.accepted, response.duplicates), (1, 1));
    // Who does not know the trajectory does not disagree about it.
    let response = world.complete("b", vec![success(&task)]).await;
    assert_eq!((response.accepted, response.duplicates), (1, 1));
    assert_eq!(world.disagreements().await, 0);

    let others = [
        failure(&task),
        TaskResult { total_reward: f64::from_bits(first.total_reward.to_bits() + 1), ..first.clone() },
        TaskResult { timesteps: first.timesteps + 1, ..first.clone() },
        TaskResult { trajectory_hash: "1f".repeat(32), ..first.clone() },
    ];
    for (count, other) in (1..).zip(others) {
        for _ in 0..2 {
            let response = world.complete("b", vec![other.clone()]).await;
            assert_eq!((response.accepted, response.rejected, response.disagreements), (0, 1, 1));
            assert!(response.errors[0].starts_with(&task.task_uuid), "{:?}", response.errors);
            assert_eq!(world.disagreements().await, count, "sent again, it is the same disagreement");
        }
    }
    assert_eq!(world.row(&task.task_uuid).await, before);
    assert_eq!(world.tasks.progress(cycle).await.unwrap().disagreements, 4);
}

#[tokio::test]
async fn an_infrastructure_fault_gives_the_task_back_until_its_attempts_run_out() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    for attempt in 1..=3 {
        let task = world.lease_one("a").await;
        assert_eq!(task.attempt, attempt);
        let response = world.complete("a", vec![fault(&task, "simulator")]).await;
        assert_eq!((response.accepted, response.rejected), (1, 0));
        let row = world.row(&task.task_uuid).await;
        assert_eq!(row.error.as_deref(), Some("simulator: it broke"));
        assert_eq!(row.state, if attempt < 3 { "pending" } else { "failed" });
    }
    assert!(world.lease("a", 1).await.is_empty());
    let dead = world.dead_letters().await;
    assert_eq!((dead.len(), &*dead[0].cause, &*dead[0].last_error), (1, "simulator", "simulator: it broke"));
}

#[tokio::test]
async fn a_stale_failure_changes_nothing() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    let stale = world.lease_one("a").await;
    world.expire_leases().await;
    let current = world.lease_one("b").await;
    let before = world.row(&current.task_uuid).await;
    let unknown_attempt = TaskResult { attempt: 0, ..fault(&stale, "executor") };
    for result in [fault(&stale, "simulator"), fault(&current, "simulator"), unknown_attempt] {
        let response = world.complete("a", vec![result]).await;
        assert_eq!((response.accepted, response.rejected), (0, 1));
        assert_eq!(world.row(&current.task_uuid).await, before);
    }
    assert!(world.lease("c", 1).await.is_empty(), "b still holds it");
    assert!(world.heartbeat("b", &[&current]).await.is_empty());
    // The holder need not know its attempt.
    let response = world.complete("b", vec![TaskResult { attempt: 0, ..fault(&current, "executor") }]).await;
    assert_eq!(response.accepted, 1);
    // The lost lease and the fault have spent two of three.
    let last = world.lease_one("c").await;
    assert_eq!(last.attempt, 3);
    let again = world.complete("b", vec![fault(&current, "executor")]).await;
    assert_eq!((again.accepted, again.rejected), (0, 1));
}

#[tokio::test]
async fn finished_work_for_a_dead_letter_counts_while_the_cycle_runs() {
    let world = world().await;
    let (cycle, _) = world.cycle(1, 1, 2).await;
    let mut dead = Vec::new();
    for _ in 0..6 {
        let task = world.lease_one("a").await;
        world.complete("a", vec![fault(&task, "executor")]).await;
        dead.push(task);
    }
    dead.sort_by(|a, b| a.task_uuid.cmp(&b.task_uuid));
    assert_eq!(world.dead_letters().await.len(), 2);
    assert_eq!(world.complete("late", vec![success(&dead[0])]).await.accepted, 1);
    assert_eq!(world.row(&dead[0].task_uuid).await.state, "completed");
    world.set_cycle_state(cycle, "scoring").await;
    let response = world.complete("late", vec![success(&dead[5])]).await;
    assert_eq!((response.accepted, response.rejected), (0, 1));
    assert_eq!(world.row(&dead[5].task_uuid).await.state, "failed");
}

#[tokio::test]
async fn a_dead_letter_is_unreachable_only_if_every_attempt_was() {
    let world = world().await;
    world.cycle(1, 1, 3).await;
    let causes = [
        ["policy_unreachable", "policy_unreachable", "policy_unreachable"],
        ["simulator", "policy_unreachable", "policy_unreachable"],
        ["policy_unreachable", "policy_unreachable", "executor"],
    ];
    let mut attempts = std::collections::HashMap::<String, usize>::new();
    let mut order = Vec::new();
    for _ in 0..9 {
        let task = world.lease_one("a").await;
        if !order.contains(&task.task_uuid) {
            order.push(task.task_uuid.clone());
        }
        let which = order.iter().position(|id| *id == task.task_uuid).unwrap();
        let attempt = attempts.entry(task.task_uuid.clone()).or_default();
        world.complete("a", vec![fault(&task, causes[which][*attempt])]).await;
        *attempt += 1;
        // What was not reached waits for a while otherwise.
        world.expire_leases().await;
    }
    let mut ended = Vec::new();
    for id in &order {
        ended.push(world.row(id).await.cause.unwrap());
    }
    assert_eq!(ended, ["policy_unreachable", "simulator", "executor"]);
}

#[tokio::test]
async fn a_task_whose_policy_was_not_reached_is_pending_and_is_not_leased_again_at_once() {
    let world = world().await;
    world.cycle(1, 1, 2).await;
    let tasks = world.lease("a", 2).await;
    let results = vec![fault(&tasks[0], "policy_unreachable"), fault(&tasks[1], "executor")];
    assert_eq!(world.complete("a", results).await.accepted, 2);
    assert_eq!(world.row(&tasks[0].task_uuid).await.state, "pending");
    for executor in ["a", "b"] {
        let again = world.lease(executor, 10).await;
        assert!(again.iter().all(|task| task.task_uuid == tasks[1].task_uuid), "{again:?}");
    }
    assert_eq!(world.tasks.reconcile().await.unwrap(), 0, "it is where it should be");
    assert_eq!(world.heartbeat("a", &[&tasks[0]]).await, std::slice::from_ref(&tasks[0].task_uuid));
    // When its time has come it is leased like any other, and its attempt was not lost but spent.
    let idle: Vec<u64> =
        world.pending().await.into_iter().filter(|entry| entry.1 == "\u{1}postponed").map(|e| e.2).collect();
    let left = 600_000 - idle[0];
    assert!(idle.len() == 1 && (1..=15_000).contains(&left), "{left} ms of the lease of 600 s are left");
    world.expire_leases().await;
    let again = world.lease("b", 10).await;
    let again = again.iter().find(|task| task.task_uuid == tasks[0].task_uuid).unwrap();
    assert_eq!((again.attempt, world.row(&again.task_uuid).await.cause.as_deref()), (2, Some("policy_unreachable")));
    // The next time it waits longer.
    world.complete("b", vec![fault(again, "policy_unreachable")]).await;
    let idle: Vec<u64> =
        world.pending().await.into_iter().filter(|entry| entry.1 == "\u{1}postponed").map(|e| e.2).collect();
    assert!((15_001..=60_000).contains(&(600_000 - idle[0])), "{idle:?}");
}

#[tokio::test]
async fn after_flushall_a_postponed_task_is_available_at_once() {
    let redis = kinitro_stores::testing::private_redis().await;
    let world = tasks_support::world_on(&kinitro_stores::testing::fresh_database().await, &redis.url()).await;
    world.cycle(1, 1, 1).await;
    let task = world.lease_one("a").await;
    world.complete("a", vec![fault(&task, "policy_unreachable")]).await;
    assert!(world.lease("a", 1).await.is_empty());
    world.flushall().await;
    assert_eq!(world.tasks.reconcile().await.unwrap(), 1);
    assert_eq!(world.lease_one("a").await.attempt, 2);
}

#[tokio::test]
async fn closing_a_cycle_gives_up_what_is_open_and_later_results_are_refused() {
    let world = world().await;
    let (cycle, _) = world.cycle(2, 1, 2).await;
    let tasks = world.lease("a", 2).await;
    world.complete("a", vec![success(&tasks[0])]).await;
    world.set_cycle_state(cycle, "scoring").await;
    assert_eq!(world.tasks.close(cycle).await.unwrap(), 3);
    assert_eq!(world.tasks.close(cycle).await.unwrap(), 0);
    assert_eq!(world.queue.depth(&[]).await.unwrap(), []);
    let response = world.complete("a", vec![success(&tasks[1])]).await;
    assert_eq!((response.accepted, response.rejected), (0, 1));
    assert!(response.errors[0].contains("takes no results any more"), "{:?}", response.errors);
    assert_eq!(world.heartbeat("a", &[&tasks[1]]).await, std::slice::from_ref(&tasks[1].task_uuid));
    assert!(world.dead_letters().await.is_empty(), "what was not played is no dead letter");
    let progress = world.tasks.progress(cycle).await.unwrap();
    assert_eq!((progress.completed, progress.failed), (1, 3));
}

#[tokio::test]
async fn a_bad_result_does_not_spoil_the_others_of_its_batch() {
    let world = world().await;
    world.cycle(1, 1, 4).await;
    let tasks = world.lease("a", 4).await;
    let unknown = Task { task_uuid: uuid::Uuid::from_u128(1).to_string(), ..tasks[0].clone() };
    let results = vec![
        TaskResult { total_reward: f64::NAN, ..success(&tasks[0]) },
        success(&tasks[1]),
        success(&unknown),
        failure(&tasks[2]),
        TaskResult { task_uuid: "\u{0}'; DROP".to_owned(), ..success(&tasks[0]) },
        success(&tasks[1]),
        failure(&tasks[1]),
        fault(&tasks[3], "renderer"),
    ];
    let response = world.complete("a", results).await;
    assert_eq!((response.accepted, response.duplicates), (4, 1), "{:?}", response.errors);
    assert_eq!((response.rejected, response.disagreements), (4, 1), "{:?}", response.errors);
    assert_eq!(response.errors.len(), 4);
    assert_eq!(world.row(&tasks[0].task_uuid).await.state, "assigned");
    assert_eq!(world.row(&tasks[3].task_uuid).await.state, "pending");
}

#[tokio::test]
async fn the_timing_of_an_episode_is_stored_and_a_malformed_one_is_refused_by_field() {
    let world = world().await;
    world.cycle(1, 1, 3).await;
    let tasks = world.lease("a", 3).await;
    let timed = TaskResult {
        simulation_seconds: Some(1.5),
        render_seconds: Some(0.25),
        queue_seconds: Some(0.125),
        policy_p50_seconds: Some(0.05),
        policy_p99_seconds: Some(0.07),
        policy_max_seconds: Some(0.5),
        ..success(&tasks[0])
    };
    let bad = TaskResult { policy_p99_seconds: Some(-0.07), ..success(&tasks[1]) };
    // An executor of before does not know them.
    let response = world.complete("a", vec![timed, bad, success(&tasks[2])]).await;
    assert_eq!((response.accepted, response.rejected), (2, 1));
    let words = format!("{}: policy_p99_seconds must be a finite number, 0 or more", tasks[1].task_uuid);
    assert_eq!(response.errors, [words]);
    let stored: Vec<Vec<Option<f64>>> = sqlx::query_scalar(
        "SELECT ARRAY[simulation_seconds, render_seconds, queue_seconds,
                      policy_p50_seconds, policy_p99_seconds, policy_max_seconds]
           FROM scheduling.tasks ORDER BY id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(stored[0], [1.5, 0.25, 0.125, 0.05, 0.07, 0.5].map(Some));
    assert_eq!(stored[1], [None; 6]);
    assert_eq!(stored[2], [None; 6]);
}

#[tokio::test]
async fn the_first_lease_of_a_task_stays_its_first() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    let first = async || -> Option<String> {
        let sql = "SELECT first_leased_at::text FROM scheduling.tasks";
        sqlx::query_scalar(sql).fetch_one(&world.pool).await.unwrap()
    };
    assert_eq!(first().await, None);
    let task = world.lease_one("a").await;
    let at = first().await;
    assert!(at.is_some());
    world.complete("a", vec![fault(&task, "executor")]).await;
    world.lease_one("b").await;
    assert_eq!(first().await, at);
}

#[tokio::test]
async fn results_of_executors_without_verdicts_are_understood() {
    let world = world().await;
    world.cycle(1, 1, 3).await;
    let tasks = world.lease("old", 3).await;
    let legacy = |task: &Task, success: bool, error: Option<&str>| TaskResult {
        task_uuid: task.task_uuid.clone(),
        success,
        score: f64::from(u8::from(success)),
        timesteps: 50,
        error: error.map(str::to_owned),
        ..Default::default()
    };
    let results =
        vec![legacy(&tasks[0], true, None), legacy(&tasks[1], false, None), legacy(&tasks[2], false, Some("x"))];
    assert_eq!(world.complete("old", results).await.accepted, 3);
    let ended = |row: tasks_support::Row| (row.state, row.verdict, row.cause);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(ended(world.row(&tasks[0].task_uuid).await), ("completed".into(), text("success"), text("environment")));
    assert_eq!(ended(world.row(&tasks[1].task_uuid).await), ("completed".into(), text("failure"), text("step_limit")));
    assert_eq!(ended(world.row(&tasks[2].task_uuid).await), ("pending".into(), None, text("executor")));
}

#[tokio::test]
async fn oversized_requests_are_refused_as_a_whole() {
    let world = world().await;
    let request = CompleteTasksRequest {
        executor_id: "a".into(),
        results: vec![TaskResult::default(); 1001],
        trajectory_hashes: false,
    };
    let error = world.tasks.complete(request).await.unwrap_err();
    assert!(matches!(error, TaskError::Invalid { field: "results", .. }), "{error}");
    let request = CompleteTasksRequest { executor_id: " ".into(), ..Default::default() };
    assert!(matches!(
        world.tasks.complete(request).await.unwrap_err(),
        TaskError::Invalid { field: "executor_id", .. }
    ));
}

/// As the Python executor hands in the end of an episode in which the policy failed.
fn told(task: &Task, error: &str) -> TaskResult {
    TaskResult { task_uuid: task.task_uuid.clone(), error: Some(error.to_owned()), ..TaskResult::default() }
}

#[tokio::test]
async fn a_policy_fault_told_in_the_words_of_the_python_executor_counts_for_the_miner() {
    let world = world().await;
    let texts = [
        ("Miner reset failed: HTTPStatusError: Client error '422 Unprocessable Entity'", "http_status"),
        ("Miner returned no action at step 7", "invalid_response"),
        ("Miner action timeout at step 12", "action_timeout"),
        ("Miner action failed at step 3: RemoteProtocolError: Server disconnected", "connection_closed"),
    ];
    let (cycle, _) = world.cycle(1, 1, texts.len() as u32 + 1).await;
    for (error, cause) in texts {
        let task = world.lease_one("python").await;
        let answer = world.complete("python", vec![told(&task, error)]).await;
        assert_eq!((answer.accepted, answer.rejected), (1, 0), "{error}: {:?}", answer.errors);
        let row = world.row(&task.task_uuid).await;
        assert_eq!((&*row.state, row.verdict.as_deref()), ("completed", Some("policy_fault")), "{error}");
        assert_eq!((row.cause.as_deref(), row.error.as_deref()), (Some(cause), Some(error)));
    }
    // What is not known stays ours, and so does a policy that could not be reached: played again.
    let task = world.lease_one("python").await;
    world.complete("python", vec![told(&task, "Evaluation timeout")]).await;
    let row = world.row(&task.task_uuid).await;
    assert_eq!((&*row.state, row.cause.as_deref()), ("pending", Some("executor")));
    let task = world.lease_one("python").await;
    world
        .complete("python", vec![told(&task, "Miner reset failed: ConnectError: All connection attempts failed")])
        .await;
    assert_eq!(world.row(&task.task_uuid).await.state, "pending");
    let progress = world.tasks.progress(cycle).await.unwrap();
    assert_eq!((progress.policy_faults, progress.pending), (texts.len() as u32, 1));
}
