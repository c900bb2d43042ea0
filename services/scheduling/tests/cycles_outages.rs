//! What happens to a cycle when something that scheduling needs goes away and comes back.

#![allow(clippy::unwrap_used)]

mod cycles_support;

use std::{sync::atomic::Ordering, time::Duration};

use cycles_support::{Deployment, Replica, failure, neighbours::HOTKEYS, reason, success};
use kinitro_proto::scheduling::v1::{
    CancelCycleRequest, Cycle, GetEvaluationMetricsRequest, GetStatusRequest, ListEnvironmentsRequest,
    ListMinersRequest, Miner, Task, TaskResult,
};
use kinitro_scheduling::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Status};

#[tokio::test(flavor = "multi_thread")]
async fn while_scoring_is_away_the_cycle_waits_and_is_scored_when_it_is_back() {
    let mut deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    deployment.scoring.go_away().await;
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    let waiting = replica.wait_for(cycle.id, "scoring").await;
    assert!(waiting.secret.is_empty(), "not final yet");
    let refusal = replica.start_cycle().await.unwrap_err();
    assert_eq!(reason(&refusal), "CYCLE_RUNNING");

    deployment.script.refuse(Some(Status::unavailable("the database of scoring is away")));
    deployment.scoring.come_back().await;
    deployment.script.asked_to_score().await;
    assert_eq!(replica.cycle(Some(cycle.id)).await.unwrap().status, "scoring");
    deployment.script.refuse(None);
    replica.wait_for(cycle.id, "completed").await;
    let scored = deployment.script.scored();
    assert!(scored.iter().all(|request| request.tallies == scored[0].tallies), "every try says the same");
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_scoring_refuses_is_kept_and_scored_after_a_restart() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    deployment.script.refuse(Some(Status::invalid_argument("a number is not finite")));
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    deployment.script.asked_to_score().await;
    assert_eq!(replica.cycle(Some(cycle.id)).await.unwrap().status, "scoring");
    replica.drain().await;

    deployment.script.refuse(None);
    let mut replica = deployment.start().await;
    replica.wait_for(cycle.id, "completed").await;
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_scoring_refuses_can_be_cancelled_and_the_next_one_starts() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    deployment.script.refuse(Some(Status::invalid_argument("a number is not finite")));
    deployment.script.hold.send_replace(true);
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    deployment.script.asked_to_score().await;
    let cancel = CancelCycleRequest { cycle_id: cycle.id };
    let refusal = replica.client.cancel_cycle(cancel).await.unwrap_err();
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "CYCLE_BEING_SCORED"));

    deployment.script.hold.send_replace(false);
    let cancelled = loop {
        match replica.client.cancel_cycle(cancel).await {
            Ok(cycle) => break cycle.into_inner(),
            Err(refusal) => assert_eq!(reason(&refusal), "CYCLE_BEING_SCORED"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((cancelled.status.as_str(), cancelled.tasks_completed), ("cancelled", 2));
    assert!(!cancelled.secret.is_empty(), "it has ended");
    let refusal = replica.client.cancel_cycle(cancel).await.unwrap_err();
    assert_eq!(reason(&refusal), "CYCLE_NOT_RUNNING");

    deployment.script.refuse(None);
    let next = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    replica.wait_for(next.id, "completed").await;
    assert_eq!(replica.cycle(Some(cycle.id)).await.unwrap().status, "cancelled");
    replica.drain().await;
}

/// Cancels in spite of being told that scoring is being asked at this moment.
async fn cancel(replica: &mut Replica, cycle_id: u64) -> Result<Cycle, Status> {
    loop {
        match replica.client.cancel_cycle(CancelCycleRequest { cycle_id }).await {
            Err(refusal) if reason(&refusal) == "CYCLE_BEING_SCORED" => {}
            answer => return answer.map(tonic::Response::into_inner),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_whose_scores_stand_although_nobody_heard_the_answer_is_not_cancelled() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    // Scoring commits, and its answer is lost.
    deployment.script.scored_all.store(true, Ordering::SeqCst);
    deployment.script.refuse(Some(Status::internal("the answer was lost")));
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    deployment.script.asked_to_score().await;
    let refusal = cancel(&mut replica, cycle.id).await.unwrap_err();
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "CYCLE_SCORED"));
    assert_eq!(replica.cycle(Some(cycle.id)).await.unwrap().status, "scoring");
    deployment.script.refuse(None);
    replica.wait_for(cycle.id, "completed").await;
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_knows_whether_a_cycle_is_scored_it_is_not_cancelled() {
    let mut deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    deployment.script.refuse(Some(Status::internal("the answer was lost")));
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    deployment.script.asked_to_score().await;
    deployment.scoring.go_away().await;
    let refusal = cancel(&mut replica, cycle.id).await.unwrap_err();
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unavailable, "SCORING_UNAVAILABLE"));
    deployment.scoring.come_back().await;
    assert_eq!(cancel(&mut replica, cycle.id).await.unwrap().status, "cancelled");
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_the_running_cycle() {
    let deployment = Deployment::new(2).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let leased = replica.lease(3).await;
    replica.complete(leased[..1].iter().map(success).collect()).await;
    replica.drain().await;

    let mut replica = deployment.start().await;
    let resumed = replica.cycle(None).await.unwrap();
    assert_eq!((resumed.id, resumed.status.as_str(), resumed.tasks_completed), (cycle.id, "running", 1));
    replica.complete(leased[1..].iter().map(failure).collect()).await;
    replica.play(success, 1).await;
    let done = replica.wait_for(cycle.id, "completed").await;
    assert_eq!((done.successes, done.failures, done.tasks_failed), (2, 2, 0));
    assert_eq!(deployment.script.scored().len(), 1);
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_whose_last_result_came_before_a_crash_is_closed_after_it() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let leased = replica.lease(2).await;
    replica.drain().await;
    // As a process leaves it that dies between recording the last result and closing the cycle.
    let mut postgres = deployment.postgres().await;
    for task in &leased {
        let id: uuid::Uuid = task.task_uuid.parse().unwrap();
        sqlx::query(
            "UPDATE scheduling.tasks SET state = 'completed', verdict = 'success', total_reward = 1, completed_at = now() WHERE id = $1",
        )
        .bind(id)
        .execute(&mut postgres)
        .await
        .unwrap();
    }
    let mut replica = deployment.start().await;
    replica.wait_for(cycle.id, "completed").await;
    assert_eq!(deployment.script.scored()[0].tallies[0].outcomes, "11");
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passed_while_scheduling_was_away_waits_for_the_results_that_executors_hold() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let leased = replica.lease(2).await;
    replica.drain().await;
    let mut postgres = deployment.postgres().await;
    sqlx::query("UPDATE scheduling.cycles SET deadline = now()").execute(&mut postgres).await.unwrap();

    let mut replica = deployment.start().await;
    // Long enough for the closer to have looked at the cycle.
    tokio::time::sleep(Duration::from_secs(2)).await;
    replica.complete(leased.iter().map(success).collect()).await;
    let done = replica.wait_for(cycle.id, "completed").await;
    assert_eq!((done.tasks_completed, done.tasks_failed), (2, 0));
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tasks_of_a_cycle_whose_canceller_died_are_ended_by_another_replica() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    // As a process leaves it that dies between cancelling the cycle and ending its tasks.
    let mut postgres = deployment.postgres().await;
    sqlx::query("UPDATE scheduling.cycles SET state = 'cancelled', closed_at = now(), completed_at = now()")
        .execute(&mut postgres)
        .await
        .unwrap();
    // Even when the next cycle is started before anybody has looked.
    let next = replica.start_cycle().await.unwrap();
    let cancelled = replica.cycle(Some(cycle.id)).await.unwrap();
    assert_eq!((cancelled.tasks_pending, cancelled.tasks_failed), (0, 2));
    replica.play(|task| if task.cycle_id == next.id { success(task) } else { failure(task) }, 2).await;
    let done = replica.wait_for(next.id, "completed").await;
    assert_eq!(done.successes, 2, "none of the cancelled tasks was played");
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_while_scoring_repeats_it_and_counts_it_once() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    deployment.script.hold.send_replace(true);
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    deployment.script.asked_to_score().await;
    let mut postgres = deployment.postgres().await;
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(&mut postgres)
    .await
    .unwrap();
    deployment.script.hold.send_replace(false);
    replica.wait_for(cycle.id, "completed").await;
    let scored = deployment.script.scored();
    assert!(scored.len() >= 2, "the first answer came to nobody");
    assert!(scored.iter().all(|request| *request == scored[0]), "every try says the same");
    let list = replica.client.list_environments(ListEnvironmentsRequest {}).await.unwrap().into_inner();
    assert_eq!(list.environments[0].n_evaluations, 2);
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_while_scoring_leaves_the_cycle_to_the_next_process() {
    let deployment = Deployment::new(1).await;
    let mut replica = deployment.start().await;
    deployment.script.hold.send_replace(true);
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    deployment.script.asked_to_score().await;
    replica.drain().await;
    deployment.script.hold.send_replace(false);
    let mut replica = deployment.start().await;
    replica.wait_for(cycle.id, "completed").await;
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_survives_a_restart_of_postgres_and_of_redis() {
    let mut postgres = kinitro_stores::testing::private_postgres().await;
    let mut redis = kinitro_stores::testing::private_redis().await;
    let deployment = Deployment::over(2, postgres.url(), redis.url()).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let first = replica.lease(1).await;
    replica.complete(first.iter().map(success).collect()).await;

    postgres.restart().await.unwrap();
    let second = replica.lease_in_spite_of_outages().await;
    replica.complete(second[..1].iter().map(success).collect()).await;
    redis.restart().await.unwrap();
    replica.complete(second[1..].iter().map(failure).collect()).await;

    let done = replica.wait_for(cycle.id, "completed").await;
    assert_eq!((done.successes, done.failures, done.tasks_failed), (2, 2, 0));
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_is_played_behind_pgbouncer_in_session_mode_and_the_other_modes_are_refused() {
    let database = kinitro_stores::testing::fresh_database().await;
    let name = database.rsplit_once('/').unwrap().1;
    let bouncer = kinitro_stores::testing::pgbouncer("session", 40).await;
    let redis = kinitro_stores::testing::redis_url().await;
    let mut deployment = Deployment::over(2, bouncer.url_of(name), redis).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 4).await;
    let done = replica.wait_for(cycle.id, "completed").await;
    assert_eq!((done.successes, done.tasks_failed), (4, 0));
    replica.drain().await;

    for mode in ["transaction", "statement"] {
        let bouncer = kinitro_stores::testing::pgbouncer(mode, 40).await;
        deployment.config.database_url = bouncer.url_of(name);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let supervisor = kinitro_chassis::Supervisor::new();
        let refusal = kinitro_scheduling::start(
            deployment.config.clone(),
            &kinitro_chassis::MeshAccess::default(),
            listener,
            &supervisor,
        )
        .await
        .unwrap_err();
        assert!(refusal.to_string().contains("set pool_mode = session"), "{mode}: {refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_redis_lost_are_queued_again() {
    let deployment = Deployment::new(2).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let queue = kinitro_queue::WorkQueue::connect(&deployment.config.redis_url, &deployment.config.queue_prefix);
    queue.await.unwrap().clear().await.unwrap();
    replica.play(success, 4).await;
    replica.wait_for(cycle.id, "completed").await;
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn miners_that_ingestion_only_remembers_are_shown_and_not_evaluated() {
    let deployment = Deployment::new(2).await;
    let mut replica = deployment.start().await;
    deployment.script.stale.store(true, Ordering::SeqCst);
    let refusal = replica.start_cycle().await.unwrap_err();
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unavailable, "INGESTION_UNAVAILABLE"));
    let shown = replica.client.list_miners(ListMinersRequest {}).await.unwrap().into_inner();
    assert_eq!(shown.miners.len(), 2);

    deployment.script.stale.store(false, Ordering::SeqCst);
    assert_eq!(replica.start_cycle().await.unwrap().n_miners, 2);
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_answers_while_ingestion_is_away() {
    let mut deployment = Deployment::new(3).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let status = async || replica.client.clone().get_status(GetStatusRequest {}).await.unwrap().into_inner();
    let there = status().await;
    assert_eq!((there.current_block, there.miners_registered, there.is_evaluating), (Some(4711), 3, true));
    assert_eq!(there.environments_enabled, ["metaworld/push-v3"]);
    assert_eq!(there.current_cycle.as_ref().map(|current| current.id), Some(cycle.id));
    assert_eq!((there.next_eval_in_seconds, there.total_cycles, there.total_miners_evaluated), (None, 1, 0));

    deployment.ingestion.go_away().await;
    let away = loop {
        let status = status().await;
        if status.current_block.is_none() {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((away.miners_registered, away.is_evaluating), (3, true), "as last known");
    let refusal = replica.client.list_miners(ListMinersRequest {}).await.unwrap_err();
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unavailable, "INGESTION_UNAVAILABLE"));
    replica.drain().await;

    let mut restarted = deployment.start().await;
    let status = restarted.client.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.current_block, status.miners_registered), (None, 3), "those of the newest cycle");
    restarted.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_is_due_starts_as_soon_as_ingestion_is_there() {
    let mut deployment = Deployment::new(1).await;
    deployment.config = Config { on_demand: false, ..deployment.config };
    deployment.ingestion.go_away().await;
    let mut replica = deployment.start().await;
    let refusal = replica.start_cycle().await.unwrap_err();
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unavailable, "INGESTION_UNAVAILABLE"));
    deployment.ingestion.come_back().await;
    assert_eq!(replica.wait_for_cycle().await.tasks_total, 2);
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_policy_could_not_be_played_stands_beside_its_miner_until_the_next_cycle() {
    let deployment = Deployment::new(2).await;
    let mut replica = deployment.start().await;
    let refused = |task: &Task| TaskResult {
        verdict: "policy_fault".to_owned(),
        cause: "endpoint_refused".to_owned(),
        error: Some("http://10.0.0.1 is a private address".to_owned()),
        ..failure(task)
    };
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(|task| if task.miner_uid == 1 { refused(task) } else { success(task) }, 4).await;
    replica.wait_for(cycle.id, "completed").await;
    let miners = replica.client.list_miners(ListMinersRequest {}).await.unwrap().into_inner().miners;
    assert_eq!((miners[0].status_reason.as_deref(), miners[0].last_faults.len()), (None, 0));
    let reason = "no episode of the last cycle could be played to its end: endpoint_refused (2)";
    assert_eq!(miners[1].status_reason.as_deref(), Some(reason));
    assert_eq!((miners[1].status.as_str(), miners[1].last_faults["endpoint_refused"]), ("active", 2));

    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 4).await;
    replica.wait_for(cycle.id, "completed").await;
    let miners = replica.client.list_miners(ListMinersRequest {}).await.unwrap().into_inner().miners;
    assert_eq!((miners[1].status_reason.as_deref(), miners[1].last_faults.len()), (None, 0));
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_views_add_up_over_cycles_and_hide_sealed_endpoints() {
    let deployment = Deployment::new(3).await;
    {
        let mut miners = deployment.script.miners.lock().unwrap();
        miners[1].endpoint_encrypted = true;
        miners[2].status = "invalid".to_owned();
        miners[2].status_reason = "no repository is named".to_owned();
        miners[2].endpoint = String::new();
    }
    let mut replica = deployment.start().await;
    for verdict in [success, failure] {
        let cycle = replica.start_cycle().await.unwrap();
        replica.play(verdict, 4).await;
        replica.wait_for(cycle.id, "completed").await;
        let miners = replica.client.list_miners(ListMinersRequest {}).await.unwrap().into_inner().miners;
        assert_eq!(miners[1].avg_success_rate, if cycle.id == 1 { 1.0 } else { 0.0 }, "of the last cycle");
    }
    let miners = replica.client.list_miners(ListMinersRequest {}).await.unwrap().into_inner().miners;
    assert_eq!(miners[0].endpoint.as_deref(), Some("http://policy-0.example"));
    assert_eq!((miners[1].endpoint.as_deref(), miners[1].endpoint_encrypted), (None, true));
    assert_eq!(miners[2].status_reason.as_deref(), Some("no repository is named"));
    let second = replica.cycle(None).await.unwrap();
    let evaluated: Vec<_> = miners.iter().map(|miner| (miner.hotkey.as_str(), miner.last_evaluated)).collect();
    assert_eq!(evaluated, [(HOTKEYS[0], second.completed_at), (HOTKEYS[1], second.completed_at), (HOTKEYS[2], None)]);
    let found =
        |miner: &Miner| (miner.last_evaluated_block, miner.avg_success_rate, miner.environments_evaluated.clone());
    assert_eq!(found(&miners[0]), (Some(4711), 0.0, vec!["metaworld/push-v3".to_owned()]));
    assert_eq!(found(&miners[2]), (None, 0.0, Vec::new()));

    let list = replica.client.list_environments(ListEnvironmentsRequest {}).await.unwrap().into_inner();
    let push = &list.environments[0];
    assert_eq!((push.env_id.as_str(), push.env_name.as_str()), ("metaworld/push-v3", "push-v3"));
    assert_eq!((push.task_name.as_str(), push.family.as_str()), ("Push", "metaworld"));
    assert_eq!((push.n_evaluations, push.avg_success_rate), (8, 0.5));

    let status = replica.client.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.total_cycles, status.total_miners_evaluated, status.is_evaluating), (2, 2, false));
    assert_eq!(status.last_eval_block, Some(4711));
    assert_eq!(status.last_completed_cycle.unwrap().completed_at, second.completed_at);

    let metrics = replica.client.get_evaluation_metrics(GetEvaluationMetricsRequest {}).await.unwrap().into_inner();
    assert_eq!((metrics.eval_cycles_total, metrics.miners_active), (2, 2));
    assert_eq!(metrics.duration_bounds.len(), metrics.duration_counts.len());
    assert!(metrics.duration_counts.is_sorted() && metrics.duration_counts.last() == Some(&2));
    assert!(metrics.duration_sum > 0.0);
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_says_that_the_schema_is_missing() {
    let deployment = Deployment::new(1).await;
    let mut postgres = deployment.postgres().await;
    sqlx::query("DROP SCHEMA scheduling CASCADE").execute(&mut postgres).await.unwrap();
    let replica = deployment.start().await;
    let mut answer = String::new();
    while !answer.contains("kinitro db init") {
        let mut connection = tokio::net::TcpStream::connect(replica.address).await.unwrap();
        let request = b"GET /healthz HTTP/1.1\r\nhost: scheduling\r\nconnection: close\r\n\r\n";
        connection.write_all(request).await.unwrap();
        answer.clear();
        connection.read_to_string(&mut answer).await.unwrap();
    }
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    kinitro_scheduling::migrate(&deployment.config.database_url).await.unwrap();
    let mut replica = replica;
    let cycle = replica.start_cycle().await.unwrap();
    replica.play(success, 2).await;
    replica.wait_for(cycle.id, "completed").await;
    replica.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_of_postgres_the_next_cycle_has_the_next_number() {
    let mut postgres = kinitro_stores::testing::private_postgres().await;
    let redis_url = kinitro_stores::testing::redis_url().await;
    let deployment = Deployment::over(1, postgres.url(), redis_url).await;
    let mut replica = deployment.start().await;
    let first = replica.start_cycle().await.unwrap();
    assert_eq!(first.id, 1);
    replica.client.cancel_cycle(CancelCycleRequest { cycle_id: first.id }).await.unwrap();
    postgres.kill();
    postgres.restart().await.unwrap();
    let second = loop {
        match replica.start_cycle().await {
            Ok(cycle) => break cycle,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(second.id, 2);
    replica.drain().await;
}
