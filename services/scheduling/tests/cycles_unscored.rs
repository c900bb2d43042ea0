//! A cycle in which too little was played publishes no weights, and says so wherever an operator looks.

#![allow(clippy::unwrap_used)]

mod cycles_support;

use std::sync::atomic::Ordering;

use cycles_support::{Deployment, Replica, failure, success};
use kinitro_domain::CycleSecret;
use kinitro_proto::scheduling::v1::{
    Cycle, GetEvaluationMetricsRequest, GetStatusRequest, ListEnvironmentsRequest, Status, TaskResult,
};
use kinitro_queue::{EventBus, EventKind, Start};
use kinitro_scheduling::Config;
use tokio_stream::StreamExt as _;

/// A cycle of which so many tasks are played, the others given up.
async fn played(deployment: &Deployment, replica: &mut Replica, tasks: usize, end: &str) -> Cycle {
    let cycle = replica.start_cycle().await.unwrap();
    let mut left = tasks;
    while left > 0 {
        let leased = replica.lease(u32::try_from(left).unwrap()).await;
        left -= leased.len();
        replica.complete(leased.iter().map(success).collect()).await;
    }
    let mut postgres = deployment.postgres().await;
    sqlx::query("UPDATE scheduling.cycles SET deadline = now() WHERE state = 'running'")
        .execute(&mut postgres)
        .await
        .unwrap();
    replica.wait_for(cycle.id, end).await
}

async fn status(replica: &mut Replica) -> Status {
    replica.client.get_status(GetStatusRequest {}).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_in_which_nothing_was_played_is_not_scored() {
    let deployment = Deployment::new(3).await;
    let mut replica = deployment.start().await;
    let bus = EventBus::connect(&deployment.config.redis_url, &deployment.config.queue_prefix).await.unwrap();
    let mut events = bus.subscribe(Start::Oldest).await.unwrap();
    let ended = played(&deployment, &mut replica, 0, "unscored").await;
    assert_eq!((ended.tasks_completed, ended.tasks_failed), (0, 6));
    let reason = "0 of 6 episodes count, and at least 6 must";
    assert_eq!(ended.unpublished_reason.as_deref(), Some(reason));
    assert!(ended.completed_at.is_some() && !ended.secret.is_empty(), "it has ended");
    assert_eq!(deployment.script.scored(), []);

    let shown = status(&mut replica).await;
    let warning = format!("scheduling: cycle 1 ended unscored without weights, so those of before stand: {reason}");
    assert_eq!((shown.warnings, shown.is_evaluating), (vec![warning], false));
    assert_eq!(shown.last_completed_cycle, None);
    assert_eq!(shown.last_ended_cycle.unwrap().unpublished_reason.as_deref(), Some(reason));
    let metrics = replica.client.get_evaluation_metrics(GetEvaluationMetricsRequest {}).await.unwrap().into_inner();
    assert_eq!((metrics.eval_cycles_total, metrics.eval_cycles_unscored_total), (0, 1));
    let list = replica.client.list_environments(ListEnvironmentsRequest {}).await.unwrap().into_inner();
    assert_eq!(list.environments[0].n_evaluations, 0);
    loop {
        if let EventKind::CycleUnscored { reason: told, .. } = events.next().await.unwrap().event.kind {
            assert_eq!(told, reason);
            break;
        }
    }

    // The next one is played, and nothing is left to warn of.
    let next = replica.start_cycle().await.unwrap();
    replica.play(success, 6).await;
    replica.wait_for(next.id, "completed").await;
    assert_eq!((status(&mut replica).await.warnings, deployment.script.scored().len()), (vec![], 1));
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nine_episodes_in_ten_are_enough_and_the_setting_moves_the_line() {
    let mut deployment = Deployment::new(2).await;
    deployment.config = Config { episodes_per_env: 10, ..deployment.config };
    let mut replica = deployment.start().await;
    played(&deployment, &mut replica, 18, "timed_out").await;
    played(&deployment, &mut replica, 17, "unscored").await;
    replica.drain().await;

    deployment.config = Config { min_played_share: 0.8, min_miner_share: 0.25, ..deployment.config };
    let mut replica = deployment.start().await;
    played(&deployment, &mut replica, 17, "timed_out").await;
    let evidence = |index: usize| deployment.script.scored()[index].evidence.clone().unwrap();
    assert_eq!((evidence(0).min_played_share, evidence(0).min_miner_share), (0.9, 0.5));
    assert_eq!((evidence(1).min_played_share, evidence(1).min_miner_share), (0.8, 0.25));
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_keeps_the_line_that_it_was_started_with() {
    let mut deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let leased = replica.lease(1).await;
    replica.complete(leased.iter().map(success).collect()).await;
    replica.drain().await;
    deployment.config = Config { min_played_share: 0.1, ..deployment.config };
    let mut replica = deployment.start().await;
    let mut postgres = deployment.postgres().await;
    sqlx::query("UPDATE scheduling.cycles SET deadline = now()").execute(&mut postgres).await.unwrap();
    replica.wait_for(cycle.id, "unscored").await;
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_an_earlier_version_had_scored_is_completed_however_little_was_played() {
    let deployment = Deployment::new(1).await;
    deployment.script.scored_all.store(true, Ordering::SeqCst);
    let mut replica = deployment.start().await;
    let ended = played(&deployment, &mut replica, 0, "timed_out").await;
    assert_eq!((ended.unpublished_reason, deployment.script.scored()), (None, vec![]));
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scoring_hears_of_a_cycle_when_it_starts_and_of_its_secret_when_it_is_scored() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let announced = deployment.script.announced.lock().unwrap().clone();
    assert_eq!(announced.len(), 1);
    assert_eq!((announced[0].cycle_id, announced[0].block_number), (cycle.id, 4711));
    assert_eq!(announced[0].secret_hash, cycle.secret_hash);
    replica.play(failure, 2).await;
    replica.wait_for(cycle.id, "completed").await;
    let secret = CycleSecret::from_hex(&deployment.script.scored()[0].secret).unwrap();
    assert_eq!(secret.hash(), cycle.secret_hash);
    assert_eq!(
        *deployment.script.announced.lock().unwrap(),
        vec![announced[0].clone(); 2],
        "once more before it is scored"
    );
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scored_cycle_without_weights_says_why() {
    let deployment = Deployment::new(1).await;
    let why = "no miner that was evaluated succeeded in any episode";
    *deployment.script.kept.lock().unwrap() = Some(why.to_owned());
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(failure, 2).await;
    let ended = replica.wait_for(cycle.id, "completed").await;
    assert_eq!(ended.unpublished_reason.as_deref(), Some(why));
    let warning = format!("scheduling: cycle 1 ended completed without weights, so those of before stand: {why}");
    assert_eq!(status(&mut replica).await.warnings, [warning]);
    replica.drain().await;
}

/// Of one of four miners, five episodes of ten are played when the cycle's time is up.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_miner_does_not_keep_the_others_from_being_paid() {
    let mut deployment = Deployment::new(4).await;
    deployment.config.episodes_per_env = 10;
    let mut replica = deployment.start().await;
    for (policy_seconds, end) in [(119.0, "timed_out"), (1.5, "unscored")] {
        let cycle = replica.start_cycle().await.unwrap();
        let mut leased = Vec::new();
        while leased.len() < 40 {
            leased.extend(replica.lease(100).await);
        }
        let mut results = Vec::new();
        for uid in 0..4 {
            let (episodes, policy_seconds) = if uid < 3 { (10, 1.0) } else { (5, policy_seconds) };
            let of_miner = leased.iter().filter(|task| task.miner_uid == uid).take(episodes);
            results.extend(of_miner.map(|task| TaskResult { policy_seconds, ..success(task) }));
        }
        replica.complete(results).await;
        let mut postgres = deployment.postgres().await;
        sqlx::query("UPDATE scheduling.cycles SET deadline = now() WHERE state = 'running'")
            .execute(&mut postgres)
            .await
            .unwrap();
        let ended = replica.wait_for(cycle.id, end).await;
        assert_eq!((ended.tasks_completed, ended.tasks_failed), (35, 5));
    }
    // In the second one it took no longer than the others: the executors were too few.
    let scored = deployment.script.scored();
    assert_eq!((scored.len(), &scored[0].evidence.as_ref().unwrap().slow_uids), (1, &vec![3]));
    replica.drain().await;
}
