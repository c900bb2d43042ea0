//! The processes of the families: they crash, stand still, fail to start, and are never left behind.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kinitro_execution::{Config, WorkerCommand};
use kinitro_proto::execution::v1::{DrainRequest, RunEpisodeRequest};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use support::{
    ENVIRONMENTS, Executor, WORKER, config, free_address,
    policy::{Act, PolicyServer, STAY},
    scheduling::Scheduling,
    until,
};
use tonic::Code;

const REACH: &str = ENVIRONMENTS[0];

/// One executor at a time, so that the children of this process are its own; the lock is the test's first line.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The processes that this one started and that have not ended.
fn children() -> Vec<Pid> {
    let own = std::process::id().to_string();
    let ids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |id: &i32| {
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
        let mut fields = stat.rsplit_once(") ").unwrap().1.split(' ');
        fields.next() != Some("Z") && fields.next() == Some(&own)
    };
    ids.filter(is_child).map(Pid::from_raw).collect()
}

fn only_child() -> Pid {
    let children = children();
    assert_eq!(children.len(), 1, "one family, one process: {children:?}");
    children[0]
}

/// A policy that hangs until it is told to play.
async fn hanging() -> (PolicyServer, Arc<AtomicBool>) {
    let plays = Arc::new(AtomicBool::new(false));
    let told = plays.clone();
    let policy = PolicyServer::start(move |_, _| if told.load(Ordering::SeqCst) { STAY } else { Act::Hang }).await;
    (policy, plays)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_costs_its_running_episodes_one_attempt_and_the_next_one_plays() {
    let _alone = ALONE.lock().await;
    let scheduling = Scheduling::start().await;
    let executor = Executor::start(config(&scheduling.url())).await;
    let (policy, plays) = hanging().await;
    let honest = PolicyServer::start(|_, _| STAY).await;
    let before = scheduling.put(REACH, &honest.url(), 0);
    until("a first result", || scheduling.completed() == 1).await;
    let running: BTreeSet<_> = (1..4).map(|seed| scheduling.put(REACH, &policy.url(), seed)).collect();
    until("three episodes to hang", || policy.acts() == 3).await;
    let first = only_child();

    plays.store(true, Ordering::SeqCst);
    kill(first, Signal::SIGKILL).unwrap();
    until("all results", || scheduling.completed() == 4).await;
    let second = only_child();
    assert_ne!(first, second);
    executor.stop().await.unwrap();
    assert_eq!(children(), [], "the process ends with its executor");

    let table = scheduling.table();
    assert_eq!(table.given_back.iter().map(|result| result.task_uuid.clone()).collect::<BTreeSet<_>>(), running);
    // What was leased for the process that was gone was released unspent, as the attempts below show.
    assert_eq!((table.given_back.len(), table.again), (3, 0));
    for fault in &table.given_back {
        assert_eq!((fault.verdict.as_str(), fault.cause.as_str()), ("infrastructure_fault", "executor"));
        let evidence = fault.error.as_deref().unwrap();
        assert!(evidence.contains("family metaworld") && evidence.contains("SIGKILL"), "{evidence}");
    }
    for result in &table.completed {
        let attempt = if result.task_uuid == before { 1 } else { 2 };
        assert_eq!((result.attempt, result.verdict.as_str()), (attempt, "failure"), "{result:?}");
    }
    let metrics = kinitro_chassis::render_metrics();
    for name in ["kinitro_family_restarts_total{family=\"metaworld\"}", "kinitro_family_memory_bytes{"] {
        assert!(metrics.contains(name), "no {name} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_gets_no_variable_that_it_does_not_need() {
    let _alone = ALONE.lock().await;
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "cargo sets it for tests");
    let executor = Executor::alone(|_| {}).await;
    let variables = fs::read(format!("/proc/{}/environ", only_child())).unwrap();
    let variables = String::from_utf8_lossy(&variables);
    let names: BTreeSet<&str> =
        variables.split('\0').filter_map(|variable| Some(variable.split_once('=')?.0)).collect();
    assert!(names.contains("PATH") && !names.iter().any(|name| name.starts_with("CARGO_")), "{names:?}");
    executor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stands_still_is_noticed_and_replaced() {
    let _alone = ALONE.lock().await;
    let scheduling = Scheduling::start().await;
    let executor = Executor::start(config(&scheduling.url())).await;
    let (policy, plays) = hanging().await;
    scheduling.put(REACH, &policy.url(), 1);
    until("the episode to hang", || policy.acts() == 1).await;
    plays.store(true, Ordering::SeqCst);
    kill(only_child(), Signal::SIGSTOP).unwrap();
    until("the result", || scheduling.completed() == 1).await;
    executor.stop().await.unwrap();
    let table = scheduling.table();
    assert_eq!((table.given_back.len(), table.completed[0].attempt), (1, 2));
    let evidence = table.given_back[0].error.as_deref().unwrap();
    assert!(evidence.contains("answered nothing"), "{evidence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_plays_on_through_the_signals_that_its_executor_drains_at() {
    let _alone = ALONE.lock().await;
    let scheduling = Scheduling::start().await;
    let executor = Executor::start(Config { drain_seconds: 0.5, ..config(&scheduling.url()) }).await;
    let (policy, plays) = hanging().await;
    scheduling.put(REACH, &policy.url(), 1);
    until("the episode to hang", || policy.acts() == 1).await;
    let child = only_child();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(child, signal).unwrap();
    }
    plays.store(true, Ordering::SeqCst);
    let next = scheduling.put(REACH, &policy.url(), 2);
    until("the result of the next one", || scheduling.completed() == 1).await;
    assert_eq!((only_child(), &scheduling.table().completed[0].task_uuid), (child, &next));
    // The first one still hangs: the drain hands it back, and ends the process.
    let drained = executor.client.clone().drain(DrainRequest {}).await.unwrap().into_inner();
    assert_eq!(drained.leases_returned, 1);
    until("no process is left", || children().is_empty()).await;
    executor.stop().await.unwrap();
    assert!(scheduling.table().given_back.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_leased_while_a_process_cannot_be_started() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let (broken, program) = (folder.path().join("broken"), folder.path().join("worker"));
    fs::write(&program, format!("#!/bin/sh\ntest -e {} && exit 3\nexec {WORKER}\n", broken.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let scheduling = Scheduling::start().await;
    let executor = Executor::start_with(config(&scheduling.url()), WorkerCommand::new(&program)).await.unwrap();
    let policy = PolicyServer::start(|_, _| STAY).await;

    fs::write(&broken, "").unwrap();
    kill(only_child(), Signal::SIGKILL).unwrap();
    let request = RunEpisodeRequest { env_id: REACH.to_owned(), endpoint: policy.url(), ..Default::default() };
    let mut client = executor.client.clone();
    let refused = loop {
        match client.run_episode(request.clone()).await {
            // Not yet noticed.
            Ok(result) => assert!(["step_limit", "executor"].contains(&result.get_ref().cause.as_str()), "{result:?}"),
            Err(status) => break status,
        }
    };
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert!(refused.message().contains("family metaworld"), "{refused}");

    // A request for work may have been on its way; what it brings is released unspent, and then there is no other.
    scheduling.put(REACH, &policy.url(), 1);
    let calls = scheduling.table().lease_calls;
    tokio::time::sleep(Duration::from_secs(2)).await;
    {
        let table = scheduling.table();
        assert!(table.lease_calls <= calls + 1, "{} requests", table.lease_calls - calls);
        assert_eq!((table.pending.len(), table.pending[0].attempt, table.leased.len()), (1, 0, 0));
        assert!(table.released.len() <= 1 && table.given_back.is_empty() && table.completed.is_empty());
    }
    fs::remove_file(&broken).unwrap();
    until("the result", || scheduling.completed() == 1).await;
    assert_eq!(scheduling.table().completed[0].attempt, 1);
    executor.stop().await.unwrap();
    assert_eq!(children(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_whose_families_cannot_play_does_not_start() {
    let _alone = ALONE.lock().await;
    let address = free_address().await;
    for (program, said) in [("/nowhere/kinitro", "could not be started"), ("/bin/false", "ended (exit status: 1)")] {
        let config = config(&format!("http://{address}"));
        let error = Executor::start_with(config, WorkerCommand::new(program)).await.err().unwrap().to_string();
        assert!(error.contains("family metaworld") && error.contains(said), "{error}");
    }
    assert_eq!(children(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_has_the_slots_that_are_set_for_it() {
    let _alone = ALONE.lock().await;
    let scheduling = Scheduling::start().await;
    let (policy, plays) = hanging().await;
    (0..6).for_each(|seed| drop(scheduling.put(REACH, &policy.url(), seed)));
    let slots = [("metaworld".to_owned(), 2), ("genesis".to_owned(), 9)];
    let executor =
        Executor::start(Config { max_concurrent_per_family: slots.into(), ..config(&scheduling.url()) }).await;
    until("two episodes to hang", || policy.acts() == 2).await;
    until("heartbeats", || scheduling.table().heartbeats.values().any(|beats| *beats >= 3)).await;
    {
        let table = scheduling.table();
        assert_eq!((table.leased.len(), table.largest_request), (2, 2));
    }
    plays.store(true, Ordering::SeqCst);
    kill(only_child(), Signal::SIGKILL).unwrap();
    until("all results", || scheduling.completed() == 6).await;
    executor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_miner_has_more_episodes_in_flight_than_the_limit_even_when_more_are_leased() {
    let _alone = ALONE.lock().await;
    for ignores_full_miners in [false, true] {
        let scheduling = Scheduling::start().await;
        scheduling.table().ignores_full_miners = ignores_full_miners;
        let (slow, plays) = hanging().await;
        let quick = PolicyServer::start(|_, _| STAY).await;
        let crowd: BTreeSet<_> = (0..9).map(|seed| scheduling.put_of(7, REACH, &slow.url(), seed)).collect();
        let others: Vec<_> = (0..5).map(|seed| scheduling.put_of(8, REACH, &quick.url(), seed)).collect();
        let executor = Executor::start(Config { max_concurrent_per_miner: 2, ..config(&scheduling.url()) }).await;
        until("all episodes of the other miner", || scheduling.completed() == others.len()).await;
        until("two episodes to hang", || slow.acts() == 2).await;
        until("heartbeats", || scheduling.table().heartbeats.values().any(|beats| *beats >= 3)).await;
        assert_eq!(slow.acts(), 2, "and no more");
        // An episode on demand is nobody's.
        let request = RunEpisodeRequest { env_id: REACH.to_owned(), endpoint: quick.url(), ..Default::default() };
        assert!(executor.client.clone().run_episode(request).await.is_ok());
        plays.store(true, Ordering::SeqCst);
        kill(only_child(), Signal::SIGKILL).unwrap();
        until("all results", || scheduling.completed() == crowd.len() + others.len()).await;
        executor.stop().await.unwrap();

        let table = scheduling.table();
        assert_eq!(table.released.is_empty(), !ignores_full_miners, "{:?}", table.released);
        assert_eq!(table.given_back.len(), 2, "the two that hung");
        let mut attempts: Vec<_> = table.completed.iter().map(|result| result.attempt).collect();
        attempts.sort();
        assert_eq!(attempts[..12], [1; 12], "what could not start at once spent no attempt");
    }
}
