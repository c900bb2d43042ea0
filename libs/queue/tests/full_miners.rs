//! Leasing without the tasks of full miners, against a real Redis.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    num::NonZeroU32,
    time::Duration,
};

use kinitro_domain::{EnvId, ExecutorId, MinerUid, TaskId};
use kinitro_queue::{Entry, Holding, LeaseBatch, LeaseRequest, WorkQueue};

const LONG: Duration = Duration::from_secs(600);
/// A lease that has expired by the time of the next call.
const EXPIRED: Duration = Duration::ZERO;

async fn queue_and_prefix() -> (WorkQueue, String) {
    let url = kinitro_stores::testing::redis_url().await;
    let prefix = format!("test-{}", TaskId::new());
    (WorkQueue::connect(&url, &prefix).await.unwrap(), prefix)
}

async fn queue() -> WorkQueue {
    queue_and_prefix().await.0
}

async fn redis() -> redis::aio::MultiplexedConnection {
    let url = kinitro_stores::testing::redis_url().await;
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

fn executor(name: &str) -> ExecutorId {
    name.to_owned().try_into().unwrap()
}

fn env(name: &str) -> EnvId {
    format!("metaworld/{name}").parse().unwrap()
}

/// One after the other, of the miners given, again and again.
fn entries(name: &str, uids: &[u16], count: usize) -> Vec<Entry> {
    let uids = uids.iter().cycle().take(count);
    uids.map(|uid| Entry { task_id: TaskId::new(), env_id: env(name), uid: MinerUid(*uid) }).collect()
}

fn of(entries: &[Entry], uid: u16) -> Vec<Entry> {
    entries.iter().filter(|entry| entry.uid.0 == uid).cloned().collect()
}

fn keys(entries: &[Entry]) -> Vec<(TaskId, EnvId)> {
    entries.iter().map(|entry| (entry.task_id, entry.env_id.clone())).collect()
}

fn full(uids: &[u16]) -> Vec<MinerUid> {
    uids.iter().map(|uid| MinerUid(*uid)).collect()
}

fn leased(batch: LeaseBatch) -> Vec<Entry> {
    batch.leased.into_iter().map(|leased| leased.entry).collect()
}

async fn lease_batch(queue: &WorkQueue, name: &str, count: usize, without: &[u16], lease: Duration) -> LeaseBatch {
    let full = full(without);
    queue
        .lease(&executor(name), LeaseRequest { count, lease: lease.into(), full: &full, ..LeaseRequest::default() })
        .await
        .unwrap()
}

async fn lease(queue: &WorkQueue, name: &str, count: usize, without: &[u16]) -> Vec<Entry> {
    leased(lease_batch(queue, name, count, without, LONG).await)
}

#[tokio::test]
async fn the_others_are_leased_in_order_and_what_was_passed_over_comes_first_afterwards() {
    let queue = queue().await;
    let all = entries("push-v3", &[1, 2, 3], 30);
    queue.enqueue(&all).await.unwrap();
    let batch = lease_batch(&queue, "a", 4, &[2], LONG).await;
    assert_eq!((batch.waiting, batch.cut_short), (26, None));
    let without_2: Vec<Entry> = all.iter().filter(|entry| entry.uid.0 != 2).cloned().collect();
    assert_eq!(leased(batch), without_2[..4]);
    // Two of miner 2 stood before the fourth of the others; one that may have them gets them before anything new.
    let later = lease(&queue, "b", 3, &[]).await;
    assert_eq!(later, [of(&all, 2)[0].clone(), of(&all, 2)[1].clone(), all[6].clone()]);
    assert_eq!(lease(&queue, "a", 100, &[2]).await, without_2[5..], "all[6] is the fifth");
    assert_eq!(lease(&queue, "a", 100, &[2]).await, []);
    assert_eq!(lease(&queue, "c", 100, &[]).await, of(&all, 2)[2..]);
    assert_eq!(lease(&queue, "c", 100, &[]).await, []);
    assert!(queue.complete(&keys(&all)).await.unwrap().empty);
}

#[tokio::test]
async fn a_call_that_finds_only_full_miners_moves_nothing() {
    let (queue, prefix) = queue_and_prefix().await;
    let all = entries("push-v3", &[7, 8], 300);
    queue.enqueue(&all).await.unwrap();
    let nothing = lease_batch(&queue, "a", 10, &[7, 8], LONG).await;
    assert_eq!((nothing.leased.len(), nothing.waiting, nothing.cut_short), (0, 300, None));
    let mut redis = redis().await;
    let mut state = async || {
        let mut dumps: Vec<Option<Vec<u8>>> = Vec::new();
        for key in ["work:metaworld/push-v3", "passed:metaworld/push-v3", "entries:metaworld/push-v3", "cursors"] {
            // A stream's dump has the times at which its consumers were seen: its entries and its group say what matters.
            let key = format!("{prefix}:{key}");
            if key.contains(":work:") {
                let length: u64 = redis::cmd("XLEN").arg(&key).query_async(&mut redis).await.unwrap();
                let pending: redis::Value =
                    redis::cmd("XPENDING").arg(&key).arg("executors").query_async(&mut redis).await.unwrap();
                dumps.push(Some(format!("{length} {pending:?}").into_bytes()));
            } else {
                dumps.push(redis::cmd("DUMP").arg(&key).query_async(&mut redis).await.unwrap());
            }
        }
        dumps
    };
    let before = state().await;
    for _ in 0..5 {
        assert_eq!(lease(&queue, "a", 10, &[8, 7]).await, []);
    }
    assert_eq!(state().await, before);
    assert_eq!(lease(&queue, "a", 1000, &[7]).await, of(&all, 8));
}

#[tokio::test]
async fn many_entries_of_full_miners_at_the_head_are_passed_in_bounded_steps() {
    let queue = queue().await;
    let (head, tail) = (entries("push-v3", &[1, 2, 3, 4], 7000), entries("push-v3", &[5], 10));
    queue.enqueue(&[head.clone(), tail.clone()].concat()).await.unwrap();
    let mut calls = 0;
    let found = loop {
        calls += 1;
        let batch = lease_batch(&queue, "a", 10, &[1, 2, 3, 4], LONG).await;
        assert_eq!(batch.waiting + batch.leased.len() as u64, 7010);
        if !batch.leased.is_empty() {
            break leased(batch);
        }
        assert!(batch.cut_short.is_some(), "there was more to look at");
    };
    assert_eq!((found, calls), (tail, 7));
    // By turns over the miners, each in the order of its tasks.
    let mut rest = Vec::new();
    while rest.len() < 7000 {
        rest.extend(lease(&queue, "b", 1000, &[]).await);
    }
    assert!((1..=4).all(|uid| of(&rest[..1000], uid).len() == 250));
    for uid in 1..=4 {
        assert_eq!(of(&rest, uid), of(&head, uid));
    }
}

#[tokio::test]
async fn single_leases_of_what_was_passed_over_go_round_the_miners() {
    let queue = queue().await;
    let all = entries("push-v3", &[4, 9, 300], 30);
    queue.enqueue(&all).await.unwrap();
    assert_eq!(lease(&queue, "a", 1, &[4, 9, 300]).await, []);
    let mut uids = Vec::new();
    for _ in 0..9 {
        uids.extend(lease(&queue, "b", 1, &[9]).await.into_iter().map(|entry| entry.uid.0));
    }
    assert_eq!(uids, [4, 300, 4, 300, 4, 300, 4, 300, 4]);
    // A miner that had to wait does not catch up before the others have their turn.
    let next: Vec<u16> = lease(&queue, "b", 3, &[]).await.into_iter().map(|entry| entry.uid.0).collect();
    assert_eq!(next, [9, 300, 4]);
}

#[tokio::test]
async fn an_answer_has_at_most_so_many_tasks_of_one_miner() {
    let queue = queue().await;
    let all = [entries("push-v3", &[1], 40), entries("push-v3", &[2], 2), entries("reach-v3", &[1, 3], 40)].concat();
    queue.enqueue(&all).await.unwrap();
    let request = LeaseRequest {
        count: 30,
        lease: LONG.into(),
        full: &full(&[3]),
        max_per_miner: NonZeroU32::new(5),
        ..LeaseRequest::default()
    };
    for (round, expected) in [BTreeMap::from([(1, 5), (2, 2)]), BTreeMap::from([(1, 5)])].into_iter().enumerate() {
        let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
        for entry in leased(queue.lease(&executor("a"), request).await.unwrap()) {
            *counts.entry(entry.uid.0).or_default() += 1;
        }
        assert_eq!(counts, expected, "round {round}");
    }
    let rest = lease(&queue, "b", 1000, &[]).await;
    assert_eq!((rest.len(), of(&rest, 1).len()), (70, 50));
}

#[tokio::test]
async fn what_is_passed_over_is_waiting_in_every_respect() {
    let queue = queue().await;
    let all = entries("push-v3", &[1, 2], 10);
    queue.enqueue(&all).await.unwrap();
    let held = lease(&queue, "a", 10, &[1]).await;
    assert_eq!(held, of(&all, 2));
    let passed = of(&all, 1);
    let depth = queue.depth(&[]).await.unwrap().remove(0);
    assert_eq!((depth.waiting, depth.leased, depth.oldest_waiting), (5, 5, None));
    assert_eq!(queue.enqueue(&all).await.unwrap(), 0, "enqueueing again changes nothing");
    assert!(queue.missing(&keys(&all)).await.unwrap().is_empty());
    assert_eq!(queue.release(&executor("a"), &passed).await.unwrap(), 0, "nobody holds it");
    // Completed while it waits (a late result), it does not come back.
    assert_eq!(queue.complete(&keys(&passed[..2])).await.unwrap().removed, 2);
    // Given back, a task of a miner that is full meanwhile is passed over like any other.
    assert_eq!(queue.release(&executor("a"), &held[..1]).await.unwrap(), 1);
    assert_eq!(lease(&queue, "b", 10, &[1, 2]).await, []);
    assert_eq!(lease(&queue, "b", 10, &[2]).await, passed[2..]);
    assert_eq!(lease(&queue, "b", 10, &[]).await, held[..1]);
    assert!(queue.complete(&keys(&all)).await.unwrap().empty);
    assert_eq!(queue.depth(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn the_expired_lease_of_a_full_miner_is_passed_over_until_it_has_room() {
    let queue = queue().await;
    let all = entries("push-v3", &[1, 2], 4);
    queue.enqueue(&all).await.unwrap();
    assert_eq!(lease(&queue, "dead", 4, &[]).await, all);
    let batch = lease_batch(&queue, "b", 4, &[1], EXPIRED).await;
    assert!(batch.leased.iter().all(|leased| leased.redelivered));
    assert_eq!((batch.waiting, leased(batch)), (2, of(&all, 2)));
    assert_eq!(lease(&queue, "b", 4, &[1]).await, []);
    assert_eq!(lease(&queue, "b", 4, &[2]).await, of(&all, 1));
    assert_eq!(queue.heartbeat(&executor("b"), &keys(&all), LONG.into()).await.unwrap(), [Holding::Kept; 4]);
}

#[tokio::test]
async fn a_stream_without_its_group_is_healed_with_what_was_passed_over() {
    let (queue, prefix) = queue_and_prefix().await;
    let all = entries("push-v3", &[1, 2], 6);
    queue.enqueue(&all).await.unwrap();
    assert_eq!(lease(&queue, "a", 1, &[1]).await, all[1..2]);
    let stream = format!("{prefix}:work:metaworld/push-v3");
    redis::cmd("XGROUP").arg("DESTROY").arg(stream).arg("executors").exec_async(&mut redis().await).await.unwrap();
    assert_eq!(lease(&queue, "b", 10, &[2]).await, of(&all, 1));
    assert_eq!(lease(&queue, "c", 10, &[]).await, of(&all, 2));
    assert_eq!(lease(&queue, "c", 10, &[]).await, [], "nobody's lease was taken");
}

#[tokio::test]
async fn what_was_passed_over_and_lost_its_stream_is_forgotten() {
    let (queue, prefix) = queue_and_prefix().await;
    let all = entries("push-v3", &[1, 2], 6);
    queue.enqueue(&all).await.unwrap();
    assert_eq!(lease(&queue, "a", 10, &[1]).await, of(&all, 2));
    for key in ["work", "entries"] {
        redis::cmd("DEL")
            .arg(format!("{prefix}:{key}:metaworld/push-v3"))
            .exec_async(&mut redis().await)
            .await
            .unwrap();
    }
    assert_eq!(queue.enqueue(&all).await.unwrap(), 6);
    assert_eq!(lease(&queue, "b", 10, &[]).await, all);
}

#[tokio::test]
async fn an_entry_without_a_miner_is_leased_whoever_is_full() {
    let (queue, prefix) = queue_and_prefix().await;
    let all = entries("push-v3", &[0], 2);
    queue.enqueue(&all[..1]).await.unwrap();
    let mut redis = redis().await;
    let id = all[1].task_id.0.as_bytes().as_slice();
    let mut add = redis::cmd("XADD");
    add.arg(format!("{prefix}:work:metaworld/push-v3")).arg("*").arg("t").arg(id);
    let entry: String = add.query_async(&mut redis).await.unwrap();
    let mut index = redis::cmd("HSET");
    index.arg(format!("{prefix}:entries:metaworld/push-v3")).arg(id).arg(entry);
    index.exec_async(&mut redis).await.unwrap();
    for round in 0..2 {
        let got = lease(&queue, "a", 5, &[0, 65535]).await;
        assert_eq!((got.len(), got[0].task_id), (1, all[1].task_id), "round {round}: given back it still names nobody");
        assert_eq!(queue.release(&executor("a"), &got).await.unwrap(), 1);
    }
    assert!(queue.complete(&keys(&all)).await.unwrap().empty);
}

#[tokio::test]
async fn too_many_full_miners_are_refused() {
    let queue = queue().await;
    let full = full(&(0..1025).collect::<Vec<u16>>());
    let request = LeaseRequest { count: 1, lease: LONG.into(), full: &full, ..LeaseRequest::default() };
    assert!(queue.lease(&executor("a"), request).await.unwrap_err().to_string().contains("full miners"));
    assert_eq!(leased(queue.lease(&executor("a"), LeaseRequest { full: &full[..1024], ..request }).await.unwrap()), []);
}

/// Twenty executors, each with at most three tasks of a miner in flight, two environments, and some that die.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn executors_with_limits_play_everything_once_and_never_exceed_them() {
    let queue = queue().await;
    let uids = [1, 2, 3, 4, 5, 6];
    let all = [entries("push-v3", &uids, 1200), entries("reach-v3", &uids, 600)].concat();
    queue.enqueue(&all).await.unwrap();
    let players = (0..20_usize).map(|i| {
        let queue = queue.clone();
        tokio::spawn(async move {
            let (mut played, mut held): (Vec<Entry>, Vec<Entry>) = Default::default();
            for turn in 0_usize.. {
                let mut counts: HashMap<u16, u32> = HashMap::new();
                held.iter().for_each(|entry| *counts.entry(entry.uid.0).or_default() += 1);
                let full: Vec<u16> = counts.iter().filter(|(_, count)| **count >= 3).map(|(uid, _)| *uid).collect();
                let got = lease(&queue, &format!("executor-{i}"), 1, &full).await;
                assert!(got.iter().all(|entry| !full.contains(&entry.uid.0)), "{full:?}");
                let none = got.is_empty();
                held.extend(got);
                if none && held.is_empty() {
                    break;
                }
                // Now and then a task is given back, else the oldest is finished.
                if turn % 11 == 3 {
                    let back = held.split_off(held.len() - 1);
                    assert_eq!(queue.release(&executor(&format!("executor-{i}")), &back).await.unwrap(), 1);
                } else if none || held.len() > 9 {
                    let done: Vec<Entry> = held.drain(..1).collect();
                    assert_eq!(queue.complete(&keys(&done)).await.unwrap().removed, 1);
                    played.extend(done);
                }
            }
            played
        })
    });
    let mut played = Vec::new();
    for player in players.collect::<Vec<_>>() {
        played.extend(player.await.unwrap());
    }
    let different: HashSet<TaskId> = played.iter().map(|entry| entry.task_id).collect();
    assert_eq!((played.len(), different.len()), (1800, 1800));
    assert_eq!(queue.environments().await.unwrap(), []);
}

#[tokio::test]
async fn however_many_miners_are_full_the_one_that_is_not_is_found_by_every_call() {
    let queue = queue().await;
    let uids: Vec<u16> = (0..256).collect();
    let mut all = entries("env-00", &uids, 512);
    for i in 1..20 {
        let others: Vec<u16> = uids.iter().copied().filter(|uid| *uid != 7).collect();
        all.extend(entries(&format!("env-{i:02}"), &others, 510));
    }
    queue.enqueue(&all).await.unwrap();
    let mut request = LeaseRequest { count: 1, lease: LONG.into(), ..LeaseRequest::default() };
    let everybody = full(&uids);
    request.full = &everybody;
    loop {
        let batch = queue.lease(&executor("a"), request).await.unwrap();
        assert_eq!(batch.leased, []);
        request.resume = batch.cut_short;
        if batch.cut_short.is_none() {
            break;
        }
    }
    let others: Vec<u16> = uids.iter().copied().filter(|uid| *uid != 7).collect();
    for turn in 0..20 {
        let got = lease(&queue, "a", 1, &others).await;
        assert_eq!(got.iter().map(|entry| entry.uid.0).collect::<Vec<_>>(), [7], "turn {turn}");
        queue.release(&executor("a"), &got).await.unwrap();
        assert_eq!(lease(&queue, "a", 1, &uids).await, [], "passed over again");
    }
}

#[tokio::test]
async fn a_search_that_is_cut_short_goes_on_until_it_has_looked_everywhere() {
    let queue = queue().await;
    // Every second miner is full: there is no row of full ones to hop over.
    let odd: Vec<u16> = (0..500).map(|i| 2 * i + 1).collect();
    let mut all = Vec::new();
    for i in 0..12 {
        all.extend(entries(&format!("env-{i:02}"), &odd, 500));
    }
    queue.enqueue(&all).await.unwrap();
    let search = async |without: &[u16]| {
        let full = full(without);
        let mut request = LeaseRequest { count: 1, lease: LONG.into(), full: &full, ..LeaseRequest::default() };
        for calls in 1.. {
            let batch = queue.lease(&executor("a"), request).await.unwrap();
            request.resume = batch.cut_short;
            if batch.cut_short.is_none() || !batch.leased.is_empty() {
                return (calls, leased(batch));
            }
        }
        unreachable!("a range without end")
    };
    assert_eq!(search(&odd).await.1, [], "all is passed over now");
    for _ in 0..12 {
        let (calls, got) = search(&odd).await;
        assert!(got.is_empty() && (2..=6).contains(&calls), "{calls} calls to look at 6000 miners");
    }
    let free = entries("env-05", &[400], 1);
    queue.enqueue(&free).await.unwrap();
    for _ in 0..12 {
        let (_, got) = search(&odd).await;
        assert_eq!(got, free);
        queue.release(&executor("a"), &got).await.unwrap();
    }
}

#[tokio::test]
async fn a_heartbeat_takes_back_what_was_passed_over_and_nothing_else() {
    let queue = queue().await;
    let all = entries("push-v3", &[1, 2], 6);
    queue.enqueue(&all).await.unwrap();
    let held = lease(&queue, "a", 2, &[2]).await;
    assert_eq!(held, of(&all, 1)[..2]);
    // After a standstill its own lease call finds its leases expired, and their miner full.
    assert_eq!(leased(lease_batch(&queue, "a", 1, &[1], EXPIRED).await), of(&all, 2)[..1]);
    assert_eq!(queue.heartbeat(&executor("a"), &keys(&held), LONG.into()).await.unwrap(), [Holding::Kept; 2]);
    assert_eq!(lease(&queue, "b", 10, &[2]).await, of(&all, 1)[2..]);
    assert_eq!(queue.heartbeat(&executor("b"), &keys(&held), LONG.into()).await.unwrap(), [Holding::Taken; 2]);
    // What was never read waits on.
    let new = entries("push-v3", &[3], 1);
    queue.enqueue(&new).await.unwrap();
    assert_eq!(queue.heartbeat(&executor("a"), &keys(&new), LONG.into()).await.unwrap(), [Holding::Waiting]);
    assert_eq!(lease(&queue, "c", 10, &[2]).await, new);
    assert!(queue.complete(&keys(&all)).await.unwrap().removed == 6);
}
