//! A cycle from its start to its end, over real Postgres and Redis.

#![allow(clippy::unwrap_used)]

mod cycles_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cycles_support::{Deployment, failure, neighbours::miner, reason, success, unreachable};
use kinitro_domain::CycleSecret;
use kinitro_proto::scheduling::v1::{
    CancelCycleRequest, GetStatusRequest, GetTaskStatsRequest, ListTimingsRequest, StartCycleRequest, TaskResult,
    Timing,
};
use kinitro_queue::{EventBus, EventKind, Start};
use kinitro_scheduling::Config;
use tokio_stream::StreamExt as _;
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_completes_when_all_tasks_have_results_and_is_scored_once() {
    let deployment = Deployment::new(2).await;
    let mut replica = deployment.start().await;
    let mut other = deployment.start().await;
    deployment.script.hold.send_replace(true);

    let started = replica.start_cycle().await.unwrap();
    assert_eq!((started.id, started.status.as_str(), started.tasks_total), (1, "running", 4));
    assert_eq!((started.n_miners, started.n_environments, started.block_number), (2, 1, 4711));
    assert_eq!(started.tasks_pending, 4);
    assert!(started.completed_at.is_none());

    replica.play(|task| if task.miner_uid == 0 { success(task) } else { failure(task) }, 4).await;
    deployment.script.asked_to_score().await;
    // Meanwhile both replicas look at the cycle again.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    deployment.script.hold.send_replace(false);
    let done = other.wait_for(1, "completed").await;
    assert_eq!((done.successes, done.failures, done.policy_faults, done.tasks_failed), (2, 2, 0, 0));
    assert_eq!((done.tasks_completed, done.tasks_pending, done.tasks_assigned), (4, 0, 0));
    assert!(done.completed_at.is_some() && done.duration_seconds > 0.0);
    assert!(0.0 < done.creating_seconds && done.creating_seconds <= done.evaluating_seconds);
    assert!(done.evaluating_seconds <= done.scoring_seconds);

    let scored = deployment.script.scored();
    assert_eq!(scored.len(), 1, "two replicas, one scoring");
    let request = &scored[0];
    let cycle = request.cycle.as_ref().unwrap();
    assert_eq!((cycle.id, cycle.block_number, cycle.status.as_str()), (1, 4711, "completed"));
    assert_eq!((cycle.completed_at, cycle.duration_seconds), (done.completed_at, done.duration_seconds));
    assert_eq!(request.env_ids, ["metaworld/push-v3"]);
    assert_eq!(request.miners.iter().map(|m| (m.uid, m.first_commit_block)).collect::<Vec<_>>(), [(0, 100), (1, 101)]);
    let tallies: Vec<_> = request.tallies.iter().map(|t| (t.uid, t.outcomes.as_str(), t.mean_reward)).collect();
    assert_eq!(tallies, [(0, "11", 10.0), (1, "00", 1.0)]);
    replica.drain().await;
    other.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_that_are_due_start_only_one_cycle() {
    let mut deployment = Deployment::new(2).await;
    deployment.config = Config { on_demand: false, ..deployment.config };
    let (mut first, mut second) = (deployment.start().await, deployment.start().await);
    let cycle = first.wait_for_cycle().await;
    first.play(success, cycle.tasks_total as usize).await;
    second.wait_for(cycle.id, "completed").await;

    let mut postgres = deployment.postgres().await;
    let cycles: i64 =
        sqlx::query_scalar("SELECT count(*) FROM scheduling.cycles").fetch_one(&mut postgres).await.unwrap();
    assert_eq!(cycles, 1, "the next one is due in an hour");
    first.drain().await;
    second.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_simultaneous_requests_one_starts_a_cycle() {
    let deployment = Deployment::new(2).await;
    let (first, second) = (deployment.start().await, deployment.start().await);
    let mut calls = tokio::task::JoinSet::new();
    for replica in [&first, &second] {
        for _ in 0..8 {
            let mut client = replica.client.clone();
            calls.spawn(async move { client.start_cycle(StartCycleRequest::default()).await });
        }
    }
    let (started, refused): (Vec<_>, Vec<_>) = calls.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(started.len(), 1);
    for status in refused.into_iter().map(Result::unwrap_err) {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "CYCLE_RUNNING"));
    }
    first.drain().await;
    second.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cycles_follow_each_other_at_the_interval() {
    let mut deployment = Deployment::new(1).await;
    deployment.config = Config { on_demand: false, eval_interval_seconds: 1, ..deployment.config };
    let mut replica = deployment.start().await;
    for id in 1..=2 {
        let cycle = replica.wait_for_cycle_after(id - 1).await;
        replica.play(success, cycle.tasks_total as usize).await;
        replica.wait_for(cycle.id, "completed").await;
    }
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timed_out_cycle_is_scored_with_its_gap() {
    let mut deployment = Deployment::new(2).await;
    deployment.config = Config { episodes_per_env: 20, ..deployment.config };
    let mut replica = deployment.start().await;
    let started = replica.start_cycle().await.unwrap();
    let leased = replica.lease(39).await;
    assert_eq!(leased.len(), 39);
    replica.complete(leased[..38].iter().map(success).collect()).await;
    let mut postgres = deployment.postgres().await;
    sqlx::query("UPDATE scheduling.cycles SET deadline = now()").execute(&mut postgres).await.unwrap();

    let done = replica.wait_for(started.id, "timed_out").await;
    assert_eq!((done.tasks_completed, done.tasks_failed), (38, 2));
    assert_eq!((done.tasks_pending, done.tasks_assigned), (0, 0));
    let scored = deployment.script.scored();
    assert_eq!(scored.len(), 1);
    assert_eq!(scored[0].cycle.as_ref().unwrap().status, "timed_out");
    let outcomes: String = scored[0].tallies.iter().map(|tally| tally.outcomes.as_str()).collect();
    assert_eq!(outcomes.chars().filter(|c| *c == '1').count(), 38);
    assert_eq!(outcomes.chars().filter(|c| *c == '-').count(), 2, "{outcomes}: nobody is blamed for the gap");
    replica.drain().await;
}

/// As in a rolling deployment: a newer replica has written a state that this version does not know.
#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_in_an_unknown_state_is_not_closed_scored_or_cancelled_and_none_starts_beside_it() {
    let mut deployment = Deployment::new(1).await;
    // It would be due at once, and over its deadline.
    deployment.config = Config { on_demand: false, eval_interval_seconds: 1, ..deployment.config };
    let mut replica = deployment.start().await;
    let cycle = replica.wait_for_cycle().await;
    let mut postgres = deployment.postgres().await;
    for statement in [
        "ALTER TABLE scheduling.cycles DROP CONSTRAINT cycles_state_check",
        "UPDATE scheduling.cycles SET state = 'paused', deadline = now()",
    ] {
        sqlx::query(statement).execute(&mut postgres).await.unwrap();
    }
    replica.play(success, cycle.tasks_total as usize).await;

    let unknown = (Code::FailedPrecondition, "CYCLE_STATE_UNKNOWN".to_owned());
    let refused = replica.start_cycle().await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), unknown);
    assert!(refused.message().contains("cycle 1 is `paused`"), "{refused}");
    let refused = replica.client.cancel_cycle(CancelCycleRequest { cycle_id: cycle.id }).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), unknown);
    // The closer and the timer look at it again meanwhile.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let shown = replica.cycle(None).await.unwrap();
    assert_eq!((shown.id, shown.status.as_str(), shown.tasks_completed), (cycle.id, "paused", cycle.tasks_total));
    assert!(shown.secret.is_empty() && shown.completed_at.is_none(), "{shown:?}");
    let status = replica.client.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.is_evaluating && status.warnings.iter().any(|line| line.contains("`paused`")), "{status:?}");
    assert!(deployment.script.scored().is_empty());

    sqlx::query("UPDATE scheduling.cycles SET state = 'running'").execute(&mut postgres).await.unwrap();
    replica.wait_for(cycle.id, "completed").await;
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_cycle_is_not_scored_and_the_next_may_start() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    let started = replica.start_cycle().await.unwrap();
    let leased = replica.lease(1).await;
    replica.complete(leased.iter().map(success).collect()).await;

    let cancel = |cycle_id| CancelCycleRequest { cycle_id };
    let cancelled = replica.client.cancel_cycle(cancel(started.id)).await.unwrap().into_inner();
    assert_eq!((cancelled.status.as_str(), cancelled.tasks_completed, cancelled.tasks_failed), ("cancelled", 1, 1));
    assert!(!cancelled.secret.is_empty());
    let again = replica.client.cancel_cycle(cancel(started.id)).await.unwrap_err();
    assert_eq!((again.code(), reason(&again).as_str()), (Code::FailedPrecondition, "CYCLE_NOT_RUNNING"));
    let unknown = replica.client.cancel_cycle(cancel(99)).await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::NotFound, "CYCLE_NOT_FOUND"));

    let next = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    replica.wait_for(next.id, "completed").await;
    let scored: Vec<_> = deployment.script.scored().iter().map(|request| request.cycle.clone().unwrap().id).collect();
    assert_eq!(scored, [next.id]);
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_is_hidden_until_the_end_and_the_seeds_follow_from_it() {
    let deployment = Deployment::new(2).await;
    let mut replica = deployment.start().await;
    let started = replica.start_cycle().await.unwrap();
    assert_eq!((started.secret.as_str(), started.secret_hash.len()), ("", 64));

    let mut seeds: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    replica
        .play(
            |task| {
                seeds.entry(task.miner_uid).or_default().insert(task.seed);
                success(task)
            },
            4,
        )
        .await;
    let done = replica.wait_for(started.id, "completed").await;
    let secret = CycleSecret::from_hex(&done.secret).unwrap();
    assert_eq!((secret.hash(), done.secret_hash.clone()), (started.secret_hash, done.secret_hash));
    let env_id = "metaworld/push-v3".parse().unwrap();
    let expected: BTreeSet<u32> = (0..2).map(|index| secret.episode_seed(&env_id, index).0).collect();
    assert_eq!(seeds[&0], expected, "every miner meets the same episodes");
    assert_eq!(seeds[&1], expected);
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offline_miner_fails_when_others_were_reached_and_none_is_blamed_when_none_was() {
    let mut deployment = Deployment::new(2).await;
    deployment.config = Config { max_attempts: 1, ..deployment.config };
    let mut replica = deployment.start().await;
    let first = replica.start_cycle().await.unwrap();
    replica.play(|task| if task.miner_uid == 0 { success(task) } else { unreachable(task) }, 4).await;
    let done = replica.wait_for(first.id, "completed").await;
    assert_eq!((done.tasks_completed, done.tasks_failed), (2, 2));

    let second = replica.start_cycle().await.unwrap();
    replica.play(unreachable, 4).await;
    let ended = replica.wait_for(second.id, "unscored").await;
    assert_eq!(ended.unpublished_reason.as_deref(), Some("0 of 4 episodes count, and at least 4 must"));
    let outcomes: Vec<Vec<String>> = deployment
        .script
        .scored()
        .iter()
        .map(|request| request.tallies.iter().map(|tally| tally.outcomes.clone()).collect())
        .collect();
    assert_eq!(outcomes, [["11", "00"]]);
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_cannot_be_started_says_why() {
    let deployment = Deployment::new(0).await;
    let mut replica = deployment.start().await;
    let refusal = replica.start_cycle().await.unwrap_err();
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "NO_MINERS"));
    let missing = replica.cycle(None).await.unwrap_err();
    assert_eq!((missing.code(), reason(&missing).as_str()), (Code::NotFound, "CYCLE_NOT_FOUND"));

    let mut ask = async |episodes_per_env, env_id: &str| {
        let env_ids = vec![env_id.to_owned()];
        replica.client.start_cycle(StartCycleRequest { episodes_per_env, env_ids }).await.unwrap_err()
    };
    for (episodes, env_id, field) in
        [(10_001, "metaworld/push-v3", "episodes_per_env"), (1, "metaworld/fly-v3", "env_ids"), (1, "push", "env_ids")]
    {
        let refusal = ask(episodes, env_id).await;
        assert_eq!(refusal.code(), Code::InvalidArgument);
        assert!(refusal.message().contains(field), "{}", refusal.message());
    }

    *deployment.script.miners.lock().unwrap() = vec![miner(1), miner(1)];
    let refusal = ask(1, "metaworld/push-v3").await;
    assert!(refusal.message().contains("uid 1 is listed twice"), "{}", refusal.message());
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timings_of_a_cycle_are_told_by_miner_and_environment() {
    let deployment = Deployment::new(2).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let mut timings = async |cycle_id| {
        replica.client.list_timings(ListTimingsRequest { cycle_id }).await.map(|answer| answer.into_inner().timings)
    };
    assert_eq!(timings(None).await.unwrap(), []);
    assert_eq!(timings(Some(99)).await.unwrap_err().code(), Code::NotFound);
    let mut slow = 0.0;
    replica
        .play(
            |task| match task.miner_uid {
                0 => {
                    slow += 1.0;
                    TaskResult {
                        policy_p50_seconds: Some(slow),
                        policy_p99_seconds: Some(2.0 * slow),
                        policy_max_seconds: Some(3.0 * slow),
                        ..success(task)
                    }
                }
                // The policy was never asked.
                _ => TaskResult {
                    policy_p50_seconds: Some(0.0),
                    policy_p99_seconds: Some(0.0),
                    policy_max_seconds: Some(0.0),
                    ..failure(task)
                },
            },
            4,
        )
        .await;
    let done = replica.wait_for(cycle.id, "completed").await;
    // One of the two was leased by a version that did not note it.
    sqlx::query(
        "UPDATE scheduling.tasks SET first_leased_at = CASE episode WHEN 0 THEN created_at + interval '7 s' END",
    )
    .execute(&mut deployment.postgres().await)
    .await
    .unwrap();
    let timings =
        replica.client.list_timings(ListTimingsRequest { cycle_id: Some(done.id) }).await.unwrap().into_inner().timings;
    let tell = |t: &Timing| (t.miner_uid, t.episodes, t.policy_p50_seconds, t.policy_p99_seconds, t.policy_max_seconds);
    assert_eq!(timings.iter().map(tell).collect::<Vec<_>>(), [(0, 2, 1.5, 3.0, 6.0), (1, 2, 0.0, 0.0, 0.0)]);
    for timing in &timings {
        assert_eq!(timing.env_id, "metaworld/push-v3");
        let parts = (timing.policy_seconds, timing.simulation_seconds, timing.render_seconds, timing.queue_seconds);
        assert_eq!((timing.duration_seconds, parts), (1.0, (0.5, 0.25, 0.125, 0.0625)));
        assert_eq!(timing.waiting_seconds, 7.0);
    }
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_leaves_no_environment_starts_nothing() {
    let mut deployment = Deployment::new(1).await;
    deployment.config = Config { env_families: Some(vec!["genesis".to_owned()]), env_ids: None, ..deployment.config };
    let mut replica = deployment.start().await;
    let refusal = replica.start_cycle().await.unwrap_err();
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "NO_ENVIRONMENTS"));
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_cycle_are_published() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    let bus = EventBus::connect(&deployment.config.redis_url, &deployment.config.queue_prefix).await.unwrap();
    let mut events = bus.subscribe(Start::Oldest).await.unwrap();
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    replica.wait_for(cycle.id, "completed").await;
    let mut seen = Vec::new();
    while seen.last() != Some(&"weights_published") {
        seen.extend(match events.next().await.unwrap().event.kind {
            EventKind::CycleStarted { tasks_total: 2, miners: 1, .. } => Some("cycle_started"),
            EventKind::CycleClosed { completed: 2, failed: 0, timed_out: false, .. } => Some("cycle_closed"),
            EventKind::WeightsPublished { .. } => Some("weights_published"),
            _ => None,
        });
    }
    assert_eq!(seen, ["cycle_started", "cycle_closed", "weights_published"]);
    let stats = replica.client.get_task_stats(GetTaskStatsRequest::default()).await.unwrap().into_inner();
    assert_eq!((stats.total_tasks, stats.completed_tasks), (2, 2));
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stats_of_an_earlier_cycle_are_asked_for_by_its_id() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    let first = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    replica.wait_for(first.id, "completed").await;
    let second = replica.start_cycle().await.unwrap();
    for (asked, completed) in [(None, 0), (Some(second.id), 0), (Some(first.id), 2)] {
        let request = GetTaskStatsRequest { cycle_id: asked };
        let stats = replica.client.get_task_stats(request).await.unwrap().into_inner();
        assert_eq!((stats.total_tasks, stats.completed_tasks), (2, completed), "{asked:?}");
        assert_eq!(stats.current_cycle_id, Some(second.id), "{asked:?}");
    }
    for absent in [second.id + 1, 0, u64::MAX] {
        let request = GetTaskStatsRequest { cycle_id: Some(absent) };
        let refusal = replica.client.get_task_stats(request).await.unwrap_err();
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::NotFound, "CYCLE_NOT_FOUND"));
    }
    replica.drain().await;
}
