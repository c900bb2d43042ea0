//! The lease loop against a scheduling service in memory.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use kinitro_domain::CATALOGUE;
use kinitro_proto::execution::v1::{DrainRequest, RunEpisodeRequest};
use support::{
    ENVIRONMENTS, Executor, config, free_address,
    policy::{Act, PolicyServer, STAY},
    scheduling::Scheduling,
    until,
};
use tokio::net::TcpListener;
use tonic_health::pb::health_check_response::ServingStatus;

const REACH: &str = ENVIRONMENTS[0];

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_leased_played_and_completed_once() {
    let scheduling = Scheduling::start().await;
    let executor = Executor::start(config(&scheduling.url())).await;
    let policy = PolicyServer::start(|_, _| STAY).await;
    let hostile = PolicyServer::start(|_, _| Act::Body("NaN".to_owned())).await;
    let mut tasks: Vec<String> =
        (0..30).map(|i| scheduling.put(ENVIRONMENTS[i % 3], &policy.url(), i as u32)).collect();
    let bad = scheduling.put(REACH, &hostile.url(), 1);
    let nowhere = scheduling.put(REACH, "gopher://example", 1);
    tasks.extend([bad.clone(), nowhere.clone()]);

    until("all results", || scheduling.completed() == tasks.len()).await;
    let metrics = kinitro_chassis::render_metrics();
    for name in [
        "kinitro_episodes_total{",
        "cause=\"endpoint_refused\"",
        "kinitro_episode_seconds",
        "kinitro_policy_latency_seconds",
        "kinitro_slots{family=\"metaworld\",state=\"free\"}",
        "kinitro_family_up{family=\"metaworld\"}",
        "kinitro_episode_part_seconds",
        "kinitro_env_steps_total{",
    ] {
        assert!(metrics.contains(name), "no {name} in {metrics}");
    }
    executor.stop().await.unwrap();
    let table = scheduling.table();
    let mut done: Vec<_> = table.completed.iter().map(|result| result.task_uuid.clone()).collect();
    done.sort();
    tasks.sort();
    assert_eq!(done, tasks);
    assert_eq!((table.again, table.leased.len(), table.released.len(), table.unannounced), (0, 0, 0, 0));
    assert_eq!(table.env_ids, CATALOGUE.iter().map(|entry| entry.id.to_owned()).collect());
    for result in &table.completed {
        assert_eq!(result.attempt, 1);
        assert!(!result.success && result.score == 0.0);
        match &result.task_uuid {
            task if *task == bad => {
                assert_eq!((result.verdict.as_str(), result.cause.as_str()), ("policy_fault", "invalid_response"));
                assert!(result.error.as_ref().unwrap().contains("the answer begins: NaN"), "{result:?}");
            }
            task if *task == nowhere => {
                assert_eq!((result.verdict.as_str(), result.cause.as_str()), ("policy_fault", "endpoint_refused"));
            }
            _ => {
                assert_eq!((result.verdict.as_str(), result.cause.as_str()), ("failure", "step_limit"), "{result:?}");
                assert_eq!((result.timesteps, result.trajectory_hash.len(), &result.error), (10, 64, &None));
                let parts = [result.policy_seconds, result.simulation_seconds.unwrap()];
                assert!(parts.iter().all(|part| *part > 0.0) && result.render_seconds.unwrap() >= 0.0, "{result:?}");
                let waited = result.queue_seconds.unwrap();
                assert!(result.duration_seconds > parts.iter().sum::<f64>() + waited, "{result:?}");
                let latencies = [result.policy_p50_seconds, result.policy_p99_seconds, result.policy_max_seconds];
                let latencies = [0.0, latencies[0].unwrap(), latencies[1].unwrap(), latencies[2].unwrap()];
                assert!(latencies.is_sorted() && latencies[1] > 0.0, "{result:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_unreachable_once_is_played_in_the_next_attempt() {
    let scheduling = Scheduling::start().await;
    let address = free_address().await;
    scheduling.put(REACH, &format!("http://{address}"), 1);
    let beacon = Some(scheduling.url());
    let executor = Executor::start(kinitro_execution::Config { beacon, ..config(&scheduling.url()) }).await;
    until("a first attempt in vain", || !scheduling.table().given_back.is_empty()).await;
    let _policy = PolicyServer::at(TcpListener::bind(address).await.unwrap(), |_, _| STAY);
    until("the result", || scheduling.completed() == 1).await;
    executor.stop().await.unwrap();
    let table = scheduling.table();
    assert_eq!(table.given_back[0].cause, "policy_unreachable");
    assert_eq!((table.given_back[0].observation_shown, table.given_back[0].beacon_reached), (Some(false), Some(true)));
    assert_eq!((table.completed[0].verdict.as_str(), table.completed[0].timesteps), ("failure", 10));
    assert_eq!(table.completed[0].attempt, 1 + table.given_back.len() as u32);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_leased_than_can_be_played() {
    let scheduling = Scheduling::start().await;
    let hanging = PolicyServer::start(|_, _| Act::Hang).await;
    let tasks: Vec<_> = (0..12).map(|seed| scheduling.put(REACH, &hanging.url(), seed)).collect();
    let executor = Executor::start(kinitro_execution::Config {
        default_max_concurrent: 3,
        drain_seconds: 0.0,
        ..config(&scheduling.url())
    })
    .await;
    until("three episodes to hang", || hanging.acts() == 3).await;
    until("three heartbeats", || tasks[..3].iter().all(|task| scheduling.table().heartbeats.get(task) >= Some(&3)))
        .await;
    {
        let table = scheduling.table();
        assert_eq!((table.leased.len(), table.pending.len()), (3, 9));
        assert!(table.largest_request <= 3, "asked for {} at once", table.largest_request);
    }
    executor.stop().await.unwrap();
    assert_eq!(scheduling.table().released.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_hands_back_what_does_not_finish() {
    let scheduling = Scheduling::start().await;
    let executor = Executor::start(kinitro_execution::Config { drain_seconds: 0.5, ..config(&scheduling.url()) }).await;
    let hanging = PolicyServer::start(|_, _| Act::Hang).await;
    let mut tasks: Vec<_> = (0..4).map(|seed| scheduling.put(REACH, &hanging.url(), seed)).collect();
    until("four episodes to hang", || hanging.acts() == 4).await;

    let answer = executor.client.clone().drain(DrainRequest {}).await.unwrap().into_inner();
    assert_eq!((answer.leases_returned, answer.episodes_finished), (4, 0));
    let calls = {
        let table = scheduling.table();
        let mut released: Vec<_> = table.released.iter().map(|lease| lease.task_uuid.clone()).collect();
        released.sort();
        tasks.sort();
        assert_eq!(released, tasks);
        let mut shown = table.shown.clone();
        shown.sort();
        assert_eq!(shown, tasks, "a second look at the same scene");
        assert!(table.leased.is_empty() && table.completed.is_empty());
        table.lease_calls
    };
    // It is still there, and takes nothing more.
    scheduling.put(REACH, &hanging.url(), 9);
    let request = RunEpisodeRequest { env_id: REACH.to_owned(), endpoint: hanging.url(), ..Default::default() };
    let refused = executor.client.clone().run_episode(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert_eq!(scheduling.table().lease_calls, calls);
    executor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_running_episodes_finish() {
    let scheduling = Scheduling::start().await;
    let executor = Executor::start(config(&scheduling.url())).await;
    let slow = PolicyServer::start(|_, _| Act::Sleep(Duration::from_millis(50))).await;
    (0..4).for_each(|seed| drop(scheduling.put(REACH, &slow.url(), seed)));
    until("four episodes to play", || slow.acts() >= 4).await;
    let answered = scheduling.completed();
    executor.stop().await.unwrap();
    let table = scheduling.table();
    assert!(answered < 4, "the drain came while episodes played");
    assert_eq!((table.completed.len(), table.released.len(), table.leased.len()), (4, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_stops_its_episode() {
    let scheduling = Scheduling::start().await;
    let executor =
        Executor::start(kinitro_execution::Config { default_max_concurrent: 1, ..config(&scheduling.url()) }).await;
    let hanging = PolicyServer::start(|_, _| Act::Hang).await;
    let policy = PolicyServer::start(|_, _| STAY).await;
    let lost = scheduling.put(REACH, &hanging.url(), 1);
    until("the episode to hang", || hanging.acts() == 1).await;
    let next = scheduling.put(REACH, &policy.url(), 2);
    scheduling.table().lost.insert(lost.clone());
    // There is one slot: the next one plays when the lost one has gone.
    until("the next result", || scheduling.completed() == 1).await;
    executor.stop().await.unwrap();
    let table = scheduling.table();
    assert_eq!(table.completed[0].task_uuid, next);
    assert!(table.released.is_empty() && table.given_back.is_empty(), "nothing is said about a lease that was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_delivered_when_scheduling_is_back() {
    let scheduling = Scheduling::start().await;
    scheduling.table().refuse_completions = 5;
    let executor = Executor::start(config(&scheduling.url())).await;
    let policy = PolicyServer::start(|_, _| STAY).await;
    let tasks: Vec<_> = (0..5).map(|seed| scheduling.put(REACH, &policy.url(), seed)).collect();
    until("all results", || scheduling.completed() == 5).await;
    executor.stop().await.unwrap();
    let table = scheduling.table();
    assert_eq!((table.refuse_completions, table.again), (0, 0));
    assert!(
        tasks.iter().all(|task| table.heartbeats.contains_key(task)),
        "kept alive until delivered: {:?}",
        table.heartbeats
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_leased_anew_while_its_result_waits_is_not_played_again() {
    let scheduling = Scheduling::start().await;
    // The database is away.
    scheduling.table().refuse_completions = usize::MAX;
    let executor = Executor::start(config(&scheduling.url())).await;
    let policy = PolicyServer::start(|_, _| STAY).await;
    let task = scheduling.put(REACH, &policy.url(), 1);
    until("a refused result", || scheduling.table().refuse_completions < usize::MAX).await;
    {
        // The lease expires.
        let mut table = scheduling.table();
        let (_, expired) = table.leased.remove(&task).unwrap();
        table.lost.insert(task.clone());
        table.pending.push_back(expired);
    }
    until("the next lease", || scheduling.table().leased.get(&task).is_some_and(|(attempt, _)| *attempt == 2)).await;
    scheduling.table().refuse_completions = 0;
    until("the result", || scheduling.completed() == 1).await;
    executor.stop().await.unwrap();
    let table = scheduling.table();
    assert_eq!((table.completed[0].attempt, table.again), (1, 0));
    assert_eq!(policy.acts(), 10, "ten steps, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_could_not_be_delivered_are_handed_in_by_the_next_process() {
    let scheduling = Scheduling::start().await;
    scheduling.table().refuse_completions = usize::MAX;
    let folder = tempfile::tempdir().unwrap();
    let results_dir = Some(folder.path().to_str().unwrap().to_owned());
    let config = kinitro_execution::Config { results_dir, drain_seconds: 0.0, ..config(&scheduling.url()) };
    let policy = PolicyServer::start(|_, _| STAY).await;
    let mut tasks: Vec<_> = (0..12).map(|seed| scheduling.put(REACH, &policy.url(), seed)).collect();
    let executor = Executor::start(config.clone()).await;
    let kept = || std::fs::read_dir(folder.path()).unwrap().count();
    until("all results to be kept", || kept() == 12).await;
    executor.stop().await.unwrap();
    {
        // Its leases expire.
        let mut table = scheduling.table();
        let expired: Vec<_> = std::mem::take(&mut table.leased).into_values().map(|(_, task)| task).collect();
        assert_eq!((expired.len(), table.completed.len()), (12, 0));
        table.pending.extend(expired);
        table.refuse_completions = 0;
    }
    let next = kinitro_execution::Config { executor_id: Some("the-next-one".to_owned()), ..config };
    let executor = Executor::start(next).await;
    until("all results", || scheduling.completed() == 12 && kept() == 0).await;
    executor.stop().await.unwrap();
    let mut done: Vec<_> = scheduling.table().completed.iter().map(|result| result.task_uuid.clone()).collect();
    done.sort();
    tasks.sort();
    assert_eq!(done, tasks);
    assert_eq!((scheduling.table().again, policy.acts()), (0, 120), "ten steps each, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_does_not_reach_scheduling_does_not_say_that_it_serves() {
    let address = free_address().await;
    let executor = Executor::start(config(&format!("http://{address}"))).await;
    executor.says("scheduling", ServingStatus::NotServing).await;
    executor.says("", ServingStatus::NotServing).await;
    let _scheduling = Scheduling::at(TcpListener::bind(address).await.unwrap());
    executor.says("scheduling", ServingStatus::Serving).await;
    executor.says("", ServingStatus::Serving).await;
    executor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_waits_when_the_drain_begins_is_delivered_before_it_ends() {
    let scheduling = Scheduling::start().await;
    scheduling.table().refuse_completions = 4;
    let executor = Executor::start(config(&scheduling.url())).await;
    let policy = PolicyServer::start(|_, _| STAY).await;
    scheduling.put(REACH, &policy.url(), 1);
    until("the first refusal", || scheduling.table().refuse_completions < 4).await;
    executor.stop().await.unwrap();
    assert_eq!(scheduling.completed(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_comes_up_before_scheduling() {
    let address = free_address().await;
    let executor = Executor::start(config(&format!("http://{address}"))).await;
    let policy = PolicyServer::start(|_, _| STAY).await;
    let request = RunEpisodeRequest { env_id: REACH.to_owned(), endpoint: policy.url(), ..Default::default() };
    assert!(executor.client.clone().run_episode(request).await.is_ok());
    let scheduling = Scheduling::at(TcpListener::bind(address).await.unwrap());
    scheduling.put(REACH, &policy.url(), 1);
    until("the result", || scheduling.completed() == 1).await;
    executor.stop().await.unwrap();
}
