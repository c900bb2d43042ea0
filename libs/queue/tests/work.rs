//! The work queue against a real Redis.
#![allow(clippy::unwrap_used)]

use std::{collections::HashSet, time::Duration};

use kinitro_domain::{EnvId, ExecutorId, MinerUid, TaskId};
use kinitro_queue::{Entry, Holding, LeaseBatch, LeaseRequest, LeaseTime, QueueError, WorkQueue};

const LONG: Duration = Duration::from_secs(600);
/// A lease that has expired by the time of the next call.
const EXPIRED: Duration = Duration::ZERO;

async fn queue() -> WorkQueue {
    queue_and_prefix().await.0
}

async fn queue_and_prefix() -> (WorkQueue, String) {
    let url = kinitro_stores::testing::redis_url().await;
    let prefix = format!("test-{}", TaskId::new());
    (WorkQueue::connect(&url, &prefix).await.unwrap(), prefix)
}

fn executor(name: &str) -> ExecutorId {
    name.to_owned().try_into().unwrap()
}

fn env(name: &str) -> EnvId {
    format!("metaworld/{name}").parse().unwrap()
}

fn tasks(name: &str, count: usize) -> Vec<(TaskId, EnvId)> {
    (0..count).map(|_| (TaskId::new(), env(name))).collect()
}

/// All of miner 0.
fn entries(tasks: &[(TaskId, EnvId)]) -> Vec<Entry> {
    tasks.iter().cloned().map(|(task_id, env_id)| Entry { task_id, env_id, uid: MinerUid(0) }).collect()
}

fn keys(batch: LeaseBatch) -> Vec<(TaskId, EnvId)> {
    batch.leased.into_iter().map(|leased| (leased.entry.task_id, leased.entry.env_id)).collect()
}

async fn lease_batch(queue: &WorkQueue, name: &str, env_ids: &[EnvId], count: usize, lease: Duration) -> LeaseBatch {
    let request = LeaseRequest { env_ids, count, lease: lease.into(), ..LeaseRequest::default() };
    queue.lease(&executor(name), request).await.unwrap()
}

async fn lease(queue: &WorkQueue, name: &str, count: usize, lease: Duration) -> Vec<(TaskId, EnvId)> {
    keys(lease_batch(queue, name, &[], count, lease).await)
}

#[tokio::test]
async fn tasks_are_leased_once_and_in_the_order_given() {
    let queue = queue().await;
    let tasks = tasks("push-v3", 2500);
    assert_eq!(queue.enqueue(&entries(&tasks)).await.unwrap(), 2500);
    let mut leased = Vec::new();
    loop {
        let batch = lease_batch(&queue, "a", &[], 700, LONG).await;
        assert_eq!(batch.waiting as usize, tasks.len() - leased.len() - batch.leased.len());
        if batch.leased.is_empty() {
            break;
        }
        leased.extend(keys(batch));
    }
    assert_eq!(leased, tasks);
}

#[tokio::test]
async fn enqueueing_again_changes_nothing() {
    let queue = queue().await;
    let mut tasks = tasks("push-v3", 10);
    tasks.push(tasks[0].clone());
    assert_eq!(queue.enqueue(&entries(&tasks)).await.unwrap(), 10);
    let held = lease(&queue, "a", 4, LONG).await;
    assert_eq!(queue.enqueue(&entries(&tasks)).await.unwrap(), 0);
    assert_eq!(queue.heartbeat(&executor("a"), &held, LONG.into()).await.unwrap(), vec![Holding::Kept; 4]);
    assert_eq!(lease(&queue, "b", 100, LONG).await, tasks[4..10]);
}

#[tokio::test]
async fn expired_lease_is_redelivered_once() {
    let queue = queue().await;
    let tasks = tasks("push-v3", 1);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    assert_eq!(lease(&queue, "a", 1, LONG).await, tasks);
    assert_eq!(lease(&queue, "b", 1, LONG).await, []);
    let again = lease_batch(&queue, "b", &[], 5, EXPIRED).await;
    assert_eq!(again.leased.len(), 1);
    assert!(again.leased[0].redelivered);
    assert_eq!(lease(&queue, "c", 5, LONG).await, []);
    assert_eq!(queue.heartbeat(&executor("a"), &tasks, LONG.into()).await.unwrap(), [Holding::Taken]);
    assert_eq!(queue.heartbeat(&executor("b"), &tasks, LONG.into()).await.unwrap(), [Holding::Kept]);
}

/// Makes all leases of a stream look as if nothing had been heard of them for an hour.
async fn age_leases(prefix: &str, name: &str) {
    let client = redis::Client::open(kinitro_stores::testing::redis_url().await).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let stream = format!("{prefix}:work:metaworld/{name}");
    let mut list = redis::cmd("XPENDING");
    list.arg(&stream).arg("executors").arg("-").arg("+").arg(100_000);
    let pending: Vec<(String, String, u64, u64)> = list.query_async(&mut connection).await.unwrap();
    for (entry, consumer, ..) in pending {
        let mut claim = redis::cmd("XCLAIM");
        claim.arg(&stream).arg("executors").arg(consumer).arg(0).arg(entry);
        claim.arg("IDLE").arg(3_600_000).arg("JUSTID").exec_async(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn a_heartbeat_keeps_a_lease_alive() {
    let (queue, prefix) = queue_and_prefix().await;
    let tasks = tasks("push-v3", 2);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    assert_eq!(lease(&queue, "a", 2, LONG).await, tasks);
    age_leases(&prefix, "push-v3").await;
    assert_eq!(queue.heartbeat(&executor("a"), &tasks[1..], LONG.into()).await.unwrap(), [Holding::Kept]);
    assert_eq!(lease(&queue, "b", 2, LONG).await, tasks[..1]);
    assert_eq!(queue.heartbeat(&executor("a"), &tasks, LONG.into()).await.unwrap(), [Holding::Taken, Holding::Kept]);
}

#[tokio::test]
async fn expired_leases_behind_many_live_ones_are_found() {
    let (queue, prefix) = queue_and_prefix().await;
    let tasks = tasks("push-v3", 3000);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    for _ in 0..3 {
        lease(&queue, "alive", 999, LONG).await;
    }
    let (alive, dead) = tasks.split_at(2997);
    assert_eq!(lease(&queue, "dead", 3, LONG).await, dead);
    age_leases(&prefix, "push-v3").await;
    queue.heartbeat(&executor("alive"), alive, LONG.into()).await.unwrap();
    let mut found = Vec::new();
    for _ in 0..20 {
        found.extend(lease(&queue, "b", 1, LONG).await);
    }
    assert_eq!(found, dead);
}

#[tokio::test]
async fn completion_takes_a_task_out_whoever_holds_it() {
    let queue = queue().await;
    let tasks = tasks("push-v3", 3);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    lease(&queue, "a", 1, LONG).await;
    assert_eq!(queue.complete(&tasks[..2]).await.unwrap(), kinitro_queue::Completed { removed: 2, empty: false });
    assert_eq!(queue.complete(&tasks[..2]).await.unwrap().removed, 0);
    assert_eq!(lease(&queue, "b", 5, EXPIRED).await, tasks[2..]);
    assert!(queue.complete(&tasks[2..]).await.unwrap().empty);
    assert_eq!(queue.environments().await.unwrap(), []);
    assert_eq!(lease(&queue, "b", 5, EXPIRED).await, []);
    // The stream went with its last entry; work can come again.
    queue.enqueue(&entries(&tasks)).await.unwrap();
    assert_eq!(lease(&queue, "c", 5, LONG).await, tasks);
}

#[tokio::test]
async fn a_released_task_waits_again_at_once() {
    let queue = queue().await;
    let tasks = tasks("push-v3", 2);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    lease(&queue, "a", 2, LONG).await;
    assert_eq!(queue.release(&executor("a"), &entries(&tasks[..1])).await.unwrap(), 1);
    assert_eq!(queue.heartbeat(&executor("a"), &tasks, LONG.into()).await.unwrap(), [Holding::Waiting, Holding::Kept]);
    let batch = lease_batch(&queue, "b", &[], 5, LONG).await;
    assert_eq!(batch.leased.len(), 1);
    assert_eq!((batch.leased[0].entry.task_id, batch.leased[0].redelivered), (tasks[0].0, false));
}

#[tokio::test]
async fn a_release_by_one_who_lost_the_lease_changes_nothing() {
    let queue = queue().await;
    let tasks = tasks("push-v3", 1);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    lease(&queue, "a", 1, LONG).await;
    assert_eq!(lease(&queue, "b", 1, EXPIRED).await, tasks);
    assert_eq!(queue.release(&executor("a"), &entries(&tasks)).await.unwrap(), 0);
    assert_eq!(lease(&queue, "c", 1, LONG).await, []);
    assert_eq!(queue.heartbeat(&executor("b"), &tasks, LONG.into()).await.unwrap(), [Holding::Kept]);
}

#[tokio::test]
async fn only_the_environments_asked_for_are_leased_and_all_are_counted() {
    let queue = queue().await;
    let (push, reach) = (tasks("push-v3", 4), tasks("reach-v3", 3));
    queue.enqueue(&entries(&[push.clone(), reach.clone()].concat())).await.unwrap();
    let batch = lease_batch(&queue, "a", &[env("reach-v3"), env("unknown-v3")], 10, LONG).await;
    let leased: Vec<_> = batch.leased.iter().map(|leased| leased.entry.task_id).collect();
    assert_eq!(leased, reach.iter().map(|task| task.0).collect::<Vec<_>>());
    assert_eq!(batch.waiting, 4);
    let depths = queue.depth(&[]).await.unwrap();
    let counts: Vec<_> = depths.iter().map(|depth| (depth.env_id.name(), depth.waiting, depth.leased)).collect();
    assert_eq!(counts, [("push-v3", 4, 0), ("reach-v3", 0, 3)]);
    assert!(depths[0].oldest_waiting.is_some() && depths[1].oldest_waiting.is_none());
}

#[tokio::test]
async fn a_batch_is_spread_over_the_environments() {
    let queue = queue().await;
    let all = [tasks("push-v3", 50), tasks("reach-v3", 50), tasks("drawer-close-v3", 2)].concat();
    queue.enqueue(&entries(&all)).await.unwrap();
    let leased = lease(&queue, "a", 20, LONG).await;
    let count = |name| leased.iter().filter(|task| task.1 == env(name)).count();
    assert_eq!((count("push-v3"), count("reach-v3"), count("drawer-close-v3")), (9, 9, 2));
    // Single leases come from different environments by turns.
    let single: HashSet<_> = [lease(&queue, "a", 1, LONG).await, lease(&queue, "a", 1, LONG).await]
        .into_iter()
        .flatten()
        .map(|task| task.1)
        .collect();
    assert_eq!(single.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_concurrent_leasers_never_share_a_task() {
    let queue = queue().await;
    let all = [tasks("push-v3", 1000), tasks("reach-v3", 1000)].concat();
    queue.enqueue(&entries(&all)).await.unwrap();
    let leasers = (0..50).map(|i| {
        let queue = queue.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let batch = lease(&queue, &format!("executor-{i}"), 7, LONG).await;
                if batch.is_empty() {
                    return mine;
                }
                mine.extend(batch);
            }
        })
    });
    let mut leased = Vec::new();
    for leaser in leasers.collect::<Vec<_>>() {
        leased.extend(leaser.await.unwrap());
    }
    let different: HashSet<_> = leased.iter().map(|task| task.0).collect();
    assert_eq!((leased.len(), different.len()), (2000, 2000));
    let active = queue.active_executors().await.unwrap();
    assert_eq!(active.len(), 50);
    assert!(active.is_sorted_by_key(|active| active.executor_id.clone()));
}

#[tokio::test]
async fn after_flushall_and_after_a_restart_the_same_work_can_be_enqueued_again() {
    let mut redis = kinitro_stores::testing::private_redis().await;
    let queue = WorkQueue::connect(&redis.url(), "test").await.unwrap();
    let tasks = tasks("push-v3", 5);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    let held = lease(&queue, "a", 2, LONG).await;
    flush(&redis.url()).await;
    assert_eq!(queue.missing(&tasks).await.unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(lease(&queue, "a", 5, EXPIRED).await, []);
    assert_eq!(queue.heartbeat(&executor("a"), &held, LONG.into()).await.unwrap(), vec![Holding::Absent; 2]);
    assert_eq!(queue.complete(&held[..1]).await.unwrap().removed, 0);
    assert_eq!(queue.enqueue(&entries(&tasks[1..])).await.unwrap(), 4);
    assert_eq!(lease(&queue, "b", 9, LONG).await, tasks[1..]);
    redis.kill();
    let error = queue.probe().await.unwrap_err();
    let address = redis.address().replace("redis://", "").replace("/0", "");
    assert!(error.to_string().contains(&address), "{error}");
    redis.restart().await.unwrap();
    queue.probe().await.unwrap();
}

async fn flush(url: &str) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_stream_without_its_group_is_healed() {
    let (queue, prefix) = queue_and_prefix().await;
    let url = kinitro_stores::testing::redis_url().await;
    let tasks = tasks("push-v3", 3);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    lease(&queue, "a", 1, LONG).await;
    let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let stream = format!("{prefix}:work:metaworld/push-v3");
    redis::cmd("XGROUP").arg("DESTROY").arg(stream).arg("executors").exec_async(&mut connection).await.unwrap();
    assert_eq!(queue.heartbeat(&executor("a"), &tasks[..1], LONG.into()).await.unwrap(), [Holding::Waiting]);
    assert_eq!(queue.depth(&[]).await.unwrap()[0].waiting, 3);
    lease(&queue, "b", 5, LONG).await;
    assert_eq!(lease(&queue, "b", 5, EXPIRED).await, tasks);
}

#[tokio::test]
async fn all_tasks_can_be_listed_and_cleared() {
    let queue = queue().await;
    let tasks = tasks("push-v3", 2100);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    lease(&queue, "a", 100, LONG).await;
    let (mut listed, mut cursor) = (HashSet::new(), 0);
    loop {
        let (page, next) = queue.tasks(&env("push-v3"), cursor).await.unwrap();
        listed.extend(page);
        cursor = next;
        if next == 0 {
            break;
        }
    }
    assert_eq!(listed, tasks.iter().map(|task| task.0).collect());
    queue.clear().await.unwrap();
    assert_eq!(queue.missing(&tasks).await.unwrap().len(), 2100);
    assert_eq!(queue.depth(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn an_unreachable_redis_is_named_without_its_password() {
    let queue = WorkQueue::connect("redis://user:secret@127.0.0.1:1/0", "test").await.unwrap();
    let error = queue.probe().await.unwrap_err();
    assert!(matches!(error, QueueError::Unreachable { .. } | QueueError::Timeout { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(!format!("{error:?} {error}").contains("secret"));
    let Err(error) = WorkQueue::connect("http://user:secret@nowhere", "test").await else { panic!("an http url") };
    assert!(!format!("{error:?} {error}").contains("secret"));
}

#[tokio::test]
async fn oversized_calls_are_refused() {
    let queue = queue().await;
    let request = LeaseRequest { count: 1001, lease: LONG.into(), ..LeaseRequest::default() };
    let error = queue.lease(&executor("a"), request).await.unwrap_err();
    assert!(matches!(error, QueueError::TooMany { limit: 1000, .. }), "{error:?}");
}

#[tokio::test]
async fn staged_work_becomes_visible_when_it_is_published_and_beside_other_work_too() {
    let queue = queue().await;
    let (push, reach) = (tasks("push-v3", 1200), tasks("reach-v3", 5));
    let staged = queue.stage(entries(&[push.clone(), reach.clone()].concat())).await.unwrap();
    assert_eq!(queue.environments().await.unwrap(), []);
    assert_eq!(lease(&queue, "a", 10, EXPIRED).await, []);
    // One environment has work already, one task of it the same.
    let other = tasks("reach-v3", 1);
    queue.enqueue(&entries(&[other.clone(), reach[..1].to_vec()].concat())).await.unwrap();
    assert_eq!(queue.publish(&staged).await.unwrap(), 1204);
    assert_eq!(queue.publish(&staged).await.unwrap(), 0);
    let leased = lease_batch(&queue, "a", &[env("push-v3")], 1000, LONG).await.leased;
    assert_eq!(
        leased.iter().map(|task| task.entry.task_id).collect::<Vec<_>>(),
        push[..1000].iter().map(|task| task.0).collect::<Vec<_>>()
    );
    let rest = lease_batch(&queue, "a", &[env("reach-v3")], 1000, LONG).await;
    let ids: Vec<_> = rest.leased.iter().map(|task| task.entry.task_id).collect();
    assert_eq!(ids, other.iter().chain(&reach).map(|task| task.0).collect::<Vec<_>>());
    assert_eq!(rest.waiting, 200);
    assert!(queue.missing(&[push, reach].concat()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_short_lease_expires_beside_long_ones_and_its_executor_is_no_longer_active() {
    let queue = queue().await;
    let tasks = tasks("push-v3", 3);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    let short = LeaseTime { longest: LONG, lives: Duration::from_millis(50) };
    let one = LeaseRequest { count: 1, ..LeaseRequest::default() };
    let leased = |name: &'static str, lease: LeaseTime| {
        let (queue, request) = (queue.clone(), LeaseRequest { lease, ..one });
        async move { keys(queue.lease(&executor(name), request).await.unwrap()) }
    };
    assert_eq!(leased("dies", short).await, tasks[..1]);
    assert_eq!(leased("beats", short).await, tasks[1..2]);
    assert_eq!(leased("silent", LONG.into()).await, tasks[2..]);
    assert_eq!(queue.heartbeat(&executor("beats"), &tasks[1..2], LONG.into()).await.unwrap(), [Holding::Kept]);
    let again = loop {
        let again = leased("next", LONG.into()).await;
        if !again.is_empty() {
            break again;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(again, tasks[..1]);
    assert_eq!(leased("next", LONG.into()).await, [], "the others live");
    let active: Vec<_> =
        queue.active_executors().await.unwrap().into_iter().map(|it| it.executor_id.to_string()).collect();
    assert_eq!(active, ["beats", "next", "silent"]);
    // What a heartbeat of a short lease keeps is short again.
    queue.heartbeat(&executor("next"), &tasks[..1], short).await.unwrap();
    let keep = LeaseRequest { count: 9, lease: LONG.into(), keep_expired: true, ..LeaseRequest::default() };
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(keys(queue.lease(&executor("last"), keep).await.unwrap()), [], "it has expired, and is left");
    assert_eq!(leased("last", LONG.into()).await, tasks[..1]);
}

#[tokio::test]
async fn the_queue_knows_for_how_long_it_was_not_worked_on() {
    let queue = queue().await;
    let tasks = tasks("push-v3", 2);
    queue.enqueue(&entries(&tasks)).await.unwrap();
    assert_eq!(queue.unworked().await.unwrap(), None);
    let lease = LeaseRequest { count: 1, lease: LONG.into(), ..LeaseRequest::default() };
    queue.lease(&executor("a"), LeaseRequest { count: 0, ..lease }).await.unwrap();
    queue.heartbeat(&executor("a"), &tasks, LONG.into()).await.unwrap();
    assert_eq!(queue.unworked().await.unwrap(), None, "nothing is held");
    let longer_than = |least: u64| {
        let queue = queue.clone();
        async move {
            while queue.unworked().await.unwrap().unwrap() <= Duration::from_millis(least) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    queue.lease(&executor("a"), LeaseRequest { busy: LONG, ..lease }).await.unwrap();
    assert_eq!(queue.unworked().await.unwrap(), Some(Duration::ZERO), "it is silent while it plays");
    queue.heartbeat(&executor("a"), &tasks[..1], LONG.into()).await.unwrap();
    longer_than(20).await;
}
