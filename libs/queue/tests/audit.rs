//! What becomes of work of which Redis lost a part, and of work that has to wait, against a real Redis.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use kinitro_domain::{EnvId, ExecutorId, MinerUid, TaskId};
use kinitro_queue::{Condition, Entry, Eviction, Holding, LeaseRequest, WorkQueue};

const LONG: Duration = Duration::from_secs(600);

async fn queue_and_prefix() -> (WorkQueue, String) {
    let url = kinitro_stores::testing::redis_url().await;
    let prefix = format!("test-{}", TaskId::new());
    (WorkQueue::connect(&url, &prefix).await.unwrap(), prefix)
}

async fn redis() -> redis::aio::MultiplexedConnection {
    let url = kinitro_stores::testing::redis_url().await;
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

fn executor(name: &str) -> ExecutorId {
    name.to_owned().try_into().unwrap()
}

fn env() -> EnvId {
    "metaworld/push-v3".parse().unwrap()
}

fn entries(uid: u16, count: usize) -> Vec<Entry> {
    (0..count).map(|_| Entry { task_id: TaskId::new(), env_id: env(), uid: MinerUid(uid) }).collect()
}

fn keys(entries: &[Entry]) -> Vec<(TaskId, EnvId)> {
    entries.iter().map(|entry| (entry.task_id, entry.env_id.clone())).collect()
}

async fn lease(queue: &WorkQueue, name: &str, count: usize, full: &[MinerUid], lease: Duration) -> Vec<Entry> {
    let request = LeaseRequest { count, lease: lease.into(), full, ..LeaseRequest::default() };
    let batch = queue.lease(&executor(name), request).await.unwrap();
    batch.leased.into_iter().map(|leased| leased.entry).collect()
}

#[tokio::test]
async fn whatever_the_queue_does_itself_leaves_an_environment_whole() {
    let (queue, _) = queue_and_prefix().await;
    let whole = async || assert_eq!(queue.audit(&env(), true).await.unwrap(), Condition::Whole);
    whole().await;
    let (first, second) = (entries(1, 30), entries(2, 3000));
    queue.publish(&queue.stage([first.clone(), second.clone()].concat()).await.unwrap()).await.unwrap();
    whole().await;
    let held = lease(&queue, "a", 5, &[], LONG).await;
    whole().await;
    // Passed over, completed while new, while passed over and while held; given back, postponed, expired.
    lease(&queue, "a", 5, &[MinerUid(1)], LONG).await;
    whole().await;
    queue.complete(&keys(&second[2000..2900])).await.unwrap();
    queue.complete(&keys(&first[10..12])).await.unwrap();
    queue.complete(&keys(&held[..1])).await.unwrap();
    whole().await;
    queue.release(&executor("a"), &held[1..3]).await.unwrap();
    queue.postpone(&executor("a"), &keys(&held[3..4]), LONG, LONG).await.unwrap();
    whole().await;
    lease(&queue, "b", 500, &[MinerUid(1)], Duration::ZERO).await;
    queue.heartbeat(&executor("a"), &keys(&held), LONG.into()).await.unwrap();
    whole().await;
    loop {
        let rest = lease(&queue, "c", 1000, &[], Duration::ZERO).await;
        whole().await;
        if rest.is_empty() {
            break;
        }
        queue.complete(&keys(&rest)).await.unwrap();
        whole().await;
    }
    queue.clear().await.unwrap();
    whole().await;
}

#[tokio::test]
async fn a_part_that_was_lost_is_seen_and_cleared_when_asked_for() {
    for lost in ["work", "entries", "passed", "a few"] {
        let (queue, prefix) = queue_and_prefix().await;
        let all = [entries(1, 40), entries(2, 40)].concat();
        queue.enqueue(&all).await.unwrap();
        assert_eq!(lease(&queue, "a", 10, &[MinerUid(1)], LONG).await.len(), 10);
        assert_eq!(queue.audit(&env(), true).await.unwrap(), Condition::Whole);
        let mut lose = redis::cmd(if lost == "a few" { "XTRIM" } else { "DEL" });
        match lost {
            "a few" => lose.arg(format!("{prefix}:work:{}", env())).arg("MAXLEN").arg(79),
            kind => lose.arg(format!("{prefix}:{kind}:{}", env())),
        };
        lose.exec_async(&mut redis().await).await.unwrap();
        assert_eq!(queue.audit(&env(), false).await.unwrap(), Condition::Torn, "{lost}");
        assert_eq!(queue.audit(&env(), true).await.unwrap(), Condition::Cleared, "{lost}");
        assert_eq!(queue.audit(&env(), true).await.unwrap(), Condition::Whole, "{lost}");
        assert_eq!(queue.environments().await.unwrap(), []);
        assert_eq!(queue.enqueue(&all).await.unwrap(), 80);
        assert_eq!(lease(&queue, "b", 100, &[], LONG).await, all);
    }
}

#[tokio::test]
async fn a_postponed_task_is_nobodys_until_its_time_and_then_anybodys() {
    let (queue, _) = queue_and_prefix().await;
    let all = entries(1, 3);
    queue.enqueue(&all).await.unwrap();
    let held = lease(&queue, "a", 2, &[], LONG).await;
    let delay = Duration::from_secs(30);
    assert_eq!(queue.postpone(&executor("b"), &keys(&held), delay, LONG).await.unwrap(), 0, "b holds none");
    assert_eq!(queue.postpone(&executor("a"), &keys(&all[1..]), delay, LONG).await.unwrap(), 1);
    assert_eq!(
        queue.heartbeat(&executor("a"), &keys(&all), LONG.into()).await.unwrap(),
        [Holding::Kept, Holding::Taken, Holding::Waiting]
    );
    assert_eq!(lease(&queue, "b", 5, &[], LONG).await, all[2..]);
    // 570 of its 600 seconds are over: to one whose leases live for less it is due.
    assert_eq!(lease(&queue, "b", 5, &[], Duration::from_secs(560)).await, all[1..2]);
    assert!(queue.complete(&keys(&all)).await.unwrap().empty);
}

#[tokio::test]
async fn a_delay_that_is_longer_than_a_lease_is_cut_to_it() {
    let (queue, _) = queue_and_prefix().await;
    let all = entries(1, 1);
    queue.enqueue(&all).await.unwrap();
    let held = lease(&queue, "a", 1, &[], LONG).await;
    assert_eq!(queue.postpone(&executor("a"), &keys(&held), 2 * LONG, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(lease(&queue, "b", 1, &[], Duration::ZERO).await, all);
}

#[tokio::test]
async fn staged_work_expires_even_when_its_writer_dies_in_the_middle() {
    let (queue, prefix) = queue_and_prefix().await;
    let staged = queue.stage(entries(1, 1500)).await.unwrap();
    drop(staged);
    let mut redis = redis().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}:staged:*")).query_async(&mut redis).await.unwrap();
    assert_eq!(keys.len(), 3);
    // What the first of its two calls wrote, before anything else could be said to Redis.
    let script = include_str!("../src/lua/enqueue.lua");
    let half = ["work", "entries", "environments"].map(|kind| format!("{prefix}:staged:half:{kind}"));
    let mut call = redis::cmd("EVAL");
    call.arg(script).arg(3).arg(&half).arg("executors").arg("metaworld/push-v3").arg(&[7_u8; 18][..]).arg(300);
    assert_eq!(call.query_async::<u64>(&mut redis).await.unwrap(), 1);
    for key in keys.iter().chain(&half) {
        let left: i64 = redis::cmd("TTL").arg(key).query_async(&mut redis).await.unwrap();
        assert!((1..=300).contains(&left), "{key}: {left}");
    }
}

#[tokio::test]
async fn a_redis_that_drops_any_key_is_told_from_one_that_does_not() {
    let server = kinitro_stores::testing::private_redis().await;
    let queue = WorkQueue::connect(&server.url(), "test").await.unwrap();
    assert_eq!(queue.eviction().await.unwrap(), Eviction::Harmless);
    let mut redis = redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory-policy").arg("allkeys-lru").exec_async(&mut redis).await.unwrap();
    let any_key = Eviction::AnyKey("allkeys-lru".to_owned());
    assert_eq!(queue.eviction().await.unwrap(), any_key);
    // As managed servers do it.
    let mut forbid = redis::cmd("ACL");
    forbid.arg("SETUSER").arg("default").arg("-config").exec_async(&mut redis).await.unwrap();
    assert_eq!(queue.eviction().await.unwrap(), any_key);
    redis::cmd("ACL").arg("SETUSER").arg("default").arg("-info").exec_async(&mut redis).await.unwrap();
    assert_eq!(queue.eviction().await.unwrap(), Eviction::Unknown);
}
