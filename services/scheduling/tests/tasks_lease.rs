//! Leases: who gets what, for how long, how often.
#![allow(clippy::unwrap_used)]

mod tasks_support;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use kinitro_proto::scheduling::v1::{HeartbeatRequest, LeaseTasksRequest, RequeueDeadLettersRequest};
use kinitro_scheduling::tasks::{TaskError, TaskSettings};
use tasks_support::{fault, lease_request, leases, success, world};

#[tokio::test]
async fn a_lease_tells_all_about_the_episode() {
    let world = world().await;
    let (cycle, tasks) = world.cycle(1, 1, 2).await;
    let response = world.tasks.lease(lease_request("executor-1", 1)).await.unwrap();
    assert_eq!((response.total_pending, response.lease_seconds), (1, 600));
    let task = &response.tasks[0];
    assert_eq!(task.task_uuid, tasks[0].id.to_string());
    assert_eq!((task.cycle_id, task.miner_uid, task.attempt), (cycle.0, 0, 1));
    assert_eq!((&*task.miner_hotkey, &*task.miner_endpoint), ("hotkey-0", "http://miner/0"));
    assert_eq!((&*task.miner_repo, &*task.miner_revision), ("user/repo", "abc"));
    assert_eq!((&*task.env_id, task.seed), ("metaworld/reach-v3", u32::MAX));
    assert_eq!((&*task.status, &*task.traceparent), ("assigned", "trace"));
    assert!(task.created_at.as_ref().unwrap().seconds > 1_700_000_000);
    let stats = world.tasks.stats(Default::default()).await.unwrap();
    assert_eq!((stats.total_tasks, stats.pending_tasks, stats.assigned_tasks), (2, 1, 1));
    assert_eq!((stats.queue_depth, stats.queue_leased), (1, 1));
    assert_eq!((stats.active_executors, stats.current_cycle_id), (vec!["executor-1".to_owned()], Some(cycle.0)));
}

#[tokio::test]
async fn an_expired_lease_is_redelivered_once_with_the_next_attempt() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    let first = world.lease_one("a").await;
    assert!(world.lease("b", 10).await.is_empty(), "a living lease is not redelivered");
    world.expire_leases().await;
    let second = world.lease_one("b").await;
    assert_eq!((second.task_uuid, first.attempt, second.attempt), (first.task_uuid, 1, 2));
    assert!(world.lease("c", 10).await.is_empty());
    assert!(world.lease("a", 10).await.is_empty());
}

#[tokio::test]
async fn attempts_run_out_into_dead_letters_and_a_requeue_gives_fresh_ones() {
    let world = world().await;
    let (cycle, _) = world.cycle(1, 1, 1).await;
    for attempt in 1..=3 {
        assert_eq!(world.lease_one("a").await.attempt, attempt);
        world.expire_leases().await;
    }
    assert!(world.lease("a", 10).await.is_empty());
    let dead = world.dead_letters().await;
    assert_eq!((dead.len(), dead[0].attempts, &*dead[0].cause), (1, 3, "lease_lost"));
    assert_eq!(dead[0].last_error, "the lease of a expired in attempt 3");
    assert_eq!(world.queue.depth(&[]).await.unwrap(), []);
    assert_eq!(world.tasks.progress(cycle).await.unwrap().failed, 1);

    let request = RequeueDeadLettersRequest { cycle_id: cycle.0, task_uuids: Vec::new() };
    assert_eq!(world.tasks.requeue_dead_letters(request.clone()).await.unwrap().requeued, 1);
    assert_eq!(world.tasks.requeue_dead_letters(request.clone()).await.unwrap().requeued, 0);
    assert!(world.dead_letters().await.is_empty());
    for attempt in 4..=5 {
        assert_eq!(world.lease_one("a").await.attempt, attempt);
        world.expire_leases().await;
    }
    let last = world.lease_one("a").await;
    assert_eq!(world.complete("a", vec![success(&last)]).await.accepted, 1);

    world.set_cycle_state(cycle, "completed").await;
    let error = world.tasks.requeue_dead_letters(request).await.unwrap_err();
    assert!(matches!(error, TaskError::CycleNotRunning { .. }), "{error}");
    let unknown = RequeueDeadLettersRequest { cycle_id: 99, task_uuids: Vec::new() };
    assert!(matches!(world.tasks.requeue_dead_letters(unknown).await.unwrap_err(), TaskError::CycleNotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_concurrent_leasers_never_share_a_task() {
    let world = std::sync::Arc::new(world().await);
    let (_, tasks) = world.cycle(10, 3, 20).await;
    let leasers: Vec<_> = (0..50)
        .map(|i| {
            let world = world.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let batch = world.lease(&format!("executor-{i}"), 7).await;
                    if batch.is_empty() {
                        return mine;
                    }
                    mine.extend(batch);
                }
            })
        })
        .collect();
    let mut leased = Vec::new();
    for leaser in leasers {
        leased.extend(leaser.await.unwrap());
    }
    let different: HashSet<_> = leased.iter().map(|task| &task.task_uuid).collect();
    assert_eq!((leased.len(), different.len()), (tasks.len(), tasks.len()));
    assert!(leased.iter().all(|task| task.attempt == 1));
}

#[tokio::test]
async fn order_is_fair_over_miners_and_environments() {
    let world = world().await;
    world.cycle(5, 3, 8).await;
    let mut served: BTreeMap<u32, u32> = (0..5).map(|uid| (uid, 0)).collect();
    let mut environments: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..8 {
        for task in world.lease("a", 15).await {
            *served.get_mut(&task.miner_uid).unwrap() += 1;
            *environments.entry(task.env_id).or_default() += 1;
        }
        let (least, most) = (served.values().min().unwrap(), served.values().max().unwrap());
        assert!(most - least <= 3, "at most one episode an environment apart: {served:?}");
        assert_eq!(environments.values().collect::<HashSet<_>>().len(), 1, "{environments:?}");
    }
    assert!(served.values().all(|count| *count == 24), "{served:?}");
}

#[tokio::test]
async fn a_release_spends_no_attempt_and_a_stale_one_changes_nothing() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    for attempt in 1..=5 {
        let task = world.lease_one("a").await;
        assert_eq!(task.attempt, attempt);
        assert_eq!(world.release("b", &[&task]).await, 0, "b does not hold it");
        assert_eq!(world.release("a", &[&task]).await, 1);
        assert_eq!(world.release("a", &[&task]).await, 0, "it was given back already");
    }
    let stale = world.lease_one("a").await;
    world.expire_leases().await;
    let current = world.lease_one("b").await;
    let before = world.row(&current.task_uuid).await;
    assert_eq!(world.release("a", &[&stale]).await, 0);
    assert_eq!(world.row(&current.task_uuid).await, before);
    assert!(world.lease("c", 1).await.is_empty());
    assert!(world.heartbeat("b", &[&current]).await.is_empty());
}

#[tokio::test]
async fn a_heartbeat_keeps_leases_and_tells_the_lost_ones() {
    let world = world().await;
    world.cycle(1, 1, 4).await;
    let mine = world.lease("a", 4).await;
    assert!(world.heartbeat("a", &mine.iter().collect::<Vec<_>>()).await.is_empty());
    world.expire_leases().await;
    assert!(world.heartbeat("a", &[&mine[0], &mine[1]]).await.is_empty(), "late, but nobody took them yet");
    let taken = world.lease("b", 10).await;
    let ids = |tasks: &[kinitro_proto::scheduling::v1::Task]| {
        tasks.iter().map(|task| task.task_uuid.clone()).collect::<HashSet<_>>()
    };
    assert_eq!(ids(&taken), ids(&mine[2..]), "only what was not heard of is redelivered");
    let lost: HashSet<_> = world.heartbeat("a", &mine.iter().collect::<Vec<_>>()).await.into_iter().collect();
    assert_eq!(lost, ids(&taken));
    // Somebody else finished it: there is no use in going on.
    world.complete("z", vec![success(&mine[0])]).await;
    assert_eq!(world.heartbeat("a", &[&mine[0], &mine[1]]).await, std::slice::from_ref(&mine[0].task_uuid));
    assert!(world.heartbeat("a", &[]).await.is_empty());
}

#[tokio::test]
async fn a_waiting_lease_gets_work_as_soon_as_there_is_some() {
    let world = world().await;
    let (_, tasks) = world.committed_cycle(1, 1, 1).await;
    let waiting = {
        let (tasks, request) = (world.tasks.clone(), LeaseTasksRequest { wait_ms: 20_000, ..lease_request("a", 1) });
        tokio::spawn(async move { tasks.lease(request).await.unwrap().tasks })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.tasks.enqueue(&tasks).await.unwrap();
    let task = waiting.await.unwrap().remove(0);
    // Given back, it goes to the next one that waits.
    let waiting = {
        let (tasks, request) = (world.tasks.clone(), LeaseTasksRequest { wait_ms: 20_000, ..lease_request("b", 1) });
        tokio::spawn(async move { tasks.lease(request).await.unwrap().tasks })
    };
    world.complete("a", vec![fault(&task, "simulator")]).await;
    assert_eq!(waiting.await.unwrap()[0].attempt, 2);
}

#[tokio::test]
async fn malformed_lease_requests_are_refused_by_field() {
    let world = world().await;
    let refused = async |request: LeaseTasksRequest| match world.tasks.lease(request).await.unwrap_err() {
        TaskError::Invalid { field, .. } => field,
        other => panic!("{other}"),
    };
    assert_eq!(refused(lease_request("", 1)).await, "executor_id");
    assert_eq!(refused(lease_request("a", 0)).await, "batch_size");
    assert_eq!(refused(lease_request("a", 101)).await, "batch_size");
    assert_eq!(refused(LeaseTasksRequest { wait_ms: 20_001, ..lease_request("a", 1) }).await, "wait_ms");
    let full = |full_miner_uids: Vec<u32>| LeaseTasksRequest { full_miner_uids, ..lease_request("a", 1) };
    assert_eq!(refused(full((0..1025).collect())).await, "full_miner_uids");
    assert_eq!(refused(full(vec![65_536])).await, "full_miner_uids");
    let env_ids = vec!["no environment".to_owned()];
    assert_eq!(refused(LeaseTasksRequest { env_ids, ..lease_request("a", 1) }).await, "env_ids");
}

#[tokio::test]
async fn leases_of_executors_that_heartbeat_are_short_and_those_of_others_as_long_as_they_ask() {
    let world = world().await;
    world.cycle(1, 1, 5).await;
    let hour = Duration::from_secs(3600);
    let settings =
        TaskSettings { lease: hour, heartbeat_lease: Duration::from_secs(1), max_attempts: 3, episode_budget: None };
    let tasks = world.tasks_with(settings).await;
    let lease = async |executor: &str, heartbeats: bool, lease_seconds: Option<u32>| {
        let request = LeaseTasksRequest { heartbeats, lease_seconds, ..lease_request(executor, 1) };
        tasks.lease(request).await.unwrap()
    };
    assert_eq!(lease("as-ever", false, None).await.lease_seconds, 3600);
    assert_eq!(lease("through-the-gateway", false, Some(300)).await.lease_seconds, 300);
    assert_eq!(lease("greedy", false, Some(7200)).await.lease_seconds, 3600);
    for seconds in [0, 86_401] {
        let request = LeaseTasksRequest { lease_seconds: Some(seconds), ..lease_request("a", 1) };
        let refused = tasks.lease(request).await.unwrap_err();
        assert!(matches!(refused, TaskError::Invalid { field: "lease_seconds", .. }), "{refused}");
    }
    assert_eq!(lease("fourth", false, None).await.tasks.len(), 1);
    // The last one that is left: however long all this takes, its lease is the only one that ends.
    let dying = lease("dies", true, None).await;
    assert_eq!((dying.tasks.len(), dying.lease_seconds), (1, 1));

    let again = loop {
        let answer = lease("next", true, None).await;
        if let Some(task) = answer.tasks.into_iter().next() {
            break task;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&again.task_uuid, again.attempt), (&dying.tasks[0].task_uuid, 2));
    let mut active = tasks.stats(Default::default()).await.unwrap().active_executors;
    // It heartbeats, too, and not here.
    active.retain(|executor| executor != "next");
    assert_eq!(active, ["as-ever", "fourth", "greedy", "through-the-gateway"], "the dead one is not listed");
    let kept = HeartbeatRequest { executor_id: "next".to_owned(), leases: leases(&[&again]) };
    let kept = tasks.heartbeat(kept).await.unwrap();
    assert_eq!((kept.lost, kept.lease_seconds), (Vec::new(), 1));
}
