//! Leases of executors that have enough of some miners: nothing of these is leased, spent or written.
#![allow(clippy::unwrap_used)]

mod tasks_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use kinitro_domain::{EpisodeSeed, MinerUid, TaskId};
use kinitro_proto::scheduling::v1::{LeaseTasksRequest, Task};
use kinitro_scheduling::tasks::{NewTask, Tasks};
use tasks_support::{World, lease_request, success, world};
use tokio_util::sync::CancellationToken;

async fn lease_without(world: &World, executor: &str, count: u32, full: &[u32]) -> Vec<Task> {
    let request = LeaseTasksRequest { full_miner_uids: full.to_vec(), ..lease_request(executor, count) };
    world.tasks.lease(request).await.unwrap().tasks
}

fn uids(tasks: &[Task]) -> BTreeSet<u32> {
    tasks.iter().map(|task| task.miner_uid).collect()
}

/// What every row of the cycle says of its leases, and which version of the row it is.
async fn leases_of(world: &World, uid: i32) -> Vec<(String, i32, i32, String)> {
    sqlx::query_as("SELECT state::text, attempt, released, xmin::text FROM scheduling.tasks WHERE uid = $1 ORDER BY id")
        .bind(uid)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_tasks_of_full_miners_wait_unspent_and_unwritten_and_come_first_later() {
    let world = world().await;
    let (_, tasks) = world.cycle(4, 3, 5).await;
    let before = (leases_of(&world, 1).await, leases_of(&world, 3).await);
    let mut others = Vec::new();
    loop {
        let got = lease_without(&world, "a", 7, &[1, 3]).await;
        if got.is_empty() {
            break;
        }
        others.extend(got);
    }
    assert_eq!((others.len(), uids(&others)), (30, BTreeSet::from([0, 2])));
    assert_eq!((leases_of(&world, 1).await, leases_of(&world, 3).await), before);
    assert_eq!(world.tasks.reconcile().await.unwrap(), 0, "nothing is missing");
    let stats = world.tasks.stats(Default::default()).await.unwrap();
    assert_eq!((stats.pending_tasks, stats.assigned_tasks, stats.queue_depth, stats.queue_leased), (30, 30, 30, 30));

    // Without the filter they come, with their first attempt, each miner in the order of its episodes.
    let mut rest = lease_without(&world, "b", 10, &[3]).await;
    assert_eq!(uids(&rest), BTreeSet::from([1]));
    while rest.len() < 30 {
        let got = world.lease("b", 10).await;
        assert!(!got.is_empty());
        rest.extend(got);
    }
    assert!(rest.iter().all(|task| task.attempt == 1));
    let order: BTreeMap<String, u32> = tasks.iter().map(|task| (task.id.to_string(), task.episode)).collect();
    for uid in [1, 3] {
        for env_id in ["metaworld/reach-v3", "metaworld/push-v3", "metaworld/drawer-close-v3"] {
            let of_pair = rest.iter().filter(|task| task.miner_uid == uid && task.env_id == env_id);
            assert_eq!(of_pair.map(|task| order[&task.task_uuid]).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        }
    }
    let results = others.iter().chain(&rest).map(success).collect();
    assert_eq!(world.complete("a", results).await.accepted, 60);
    assert_eq!(world.queue.depth(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_call_with_only_full_miners_left_waits_like_on_an_empty_queue_and_wakes_for_others() {
    let world = world().await;
    world.cycle(1, 1, 500).await;
    let request = LeaseTasksRequest { full_miner_uids: vec![0], wait_ms: 300, ..lease_request("a", 10) };
    let begun = Instant::now();
    let answer = world.tasks.lease(request.clone()).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!((answer.tasks.len(), answer.total_pending), (0, 500));

    let waiting = {
        let (tasks, request) = (world.tasks.clone(), LeaseTasksRequest { wait_ms: 20_000, ..request });
        tokio::spawn(async move { tasks.lease(request).await.unwrap().tasks })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (_, later) = second_miner(&world).await;
    world.tasks.enqueue(&later).await.unwrap();
    assert_eq!(uids(&waiting.await.unwrap()), BTreeSet::from([9]));
}

/// One task of miner 9 in the running cycle.
async fn second_miner(world: &World) -> (i64, Vec<NewTask>) {
    let cycle: i64 = sqlx::query_scalar("SELECT max(id) FROM scheduling.cycles").fetch_one(&world.pool).await.unwrap();
    sqlx::query(
        "INSERT INTO scheduling.cycle_miners (cycle_id, uid, hotkey, endpoint, repo, revision, first_commit_block)
         VALUES ($1, 9, 'hotkey-9', 'http://miner/9', 'user/repo', 'abc', 1)",
    )
    .bind(cycle)
    .execute(&world.pool)
    .await
    .unwrap();
    let env_id = "metaworld/push-v3".parse().unwrap();
    let task = NewTask { id: TaskId::new(), uid: MinerUid(9), env_id, episode: 0, seed: EpisodeSeed(5) };
    let mut connection = world.pool.acquire().await.unwrap();
    let id = kinitro_domain::CycleId(cycle.unsigned_abs());
    Tasks::insert(&mut connection, id, std::slice::from_ref(&task)).await.unwrap();
    (cycle, vec![task])
}

#[tokio::test]
async fn one_call_gets_past_a_long_head_of_full_miners() {
    let world = world().await;
    let (_, head) = world.cycle(1, 1, 9000).await;
    let (_, tail) = second_miner(&world).await;
    world.tasks.enqueue(&tail).await.unwrap();
    // The same environment: everything of miner 0 is before it.
    let moved: Vec<NewTask> = (0..3)
        .map(|episode| NewTask { id: TaskId::new(), env_id: head[0].env_id.clone(), episode, ..tail[0].clone() })
        .collect();
    let cycle = sqlx::query_scalar::<_, i64>("SELECT max(id) FROM scheduling.cycles").fetch_one(&world.pool).await;
    let mut connection = world.pool.acquire().await.unwrap();
    Tasks::insert(&mut connection, kinitro_domain::CycleId(cycle.unwrap().unsigned_abs()), &moved).await.unwrap();
    world.tasks.enqueue(&moved).await.unwrap();
    let got = [lease_without(&world, "a", 10, &[0]).await, lease_without(&world, "a", 10, &[0]).await].concat();
    assert_eq!((got.len(), uids(&got)), (4, BTreeSet::from([9])));
}

#[tokio::test]
async fn an_answer_has_at_most_so_many_tasks_of_one_miner() {
    let world = world().await;
    world.cycle(3, 2, 20).await;
    let request = LeaseTasksRequest { max_per_miner: 4, full_miner_uids: vec![2], ..lease_request("a", 50) };
    let tasks = world.tasks.lease(request).await.unwrap().tasks;
    let count = |uid| tasks.iter().filter(|task| task.miner_uid == uid).count();
    assert_eq!((count(0), count(1), count(2)), (4, 4, 0));
}

#[tokio::test]
async fn the_expired_lease_of_a_full_miner_spends_its_next_attempt_only_when_it_is_leased() {
    let world = world().await;
    world.cycle(2, 1, 1).await;
    let held = world.lease("dead", 10).await;
    assert_eq!(held.len(), 2);
    world.expire_leases().await;
    let got = lease_without(&world, "b", 10, &[0]).await;
    assert_eq!((got.len(), got[0].miner_uid, got[0].attempt), (1, 1, 2));
    let of_0 = held.iter().find(|task| task.miner_uid == 0).unwrap();
    assert_eq!((world.row(&of_0.task_uuid).await.attempt, lease_without(&world, "b", 10, &[0]).await.len()), (1, 0));
    assert_eq!(world.row(&of_0.task_uuid).await.executor_id.as_deref(), Some("dead"));
    let got = world.lease("b", 10).await;
    assert_eq!((got.len(), got[0].attempt), (1, 2));
    assert_eq!(world.heartbeat("dead", &[of_0]).await, std::slice::from_ref(&of_0.task_uuid));
}

#[tokio::test]
async fn a_holder_that_stood_still_keeps_what_its_own_lease_call_passed_over() {
    let world = world().await;
    world.cycle(2, 1, 2).await;
    let held = lease_without(&world, "a", 2, &[1]).await;
    assert_eq!((held.len(), uids(&held)), (2, BTreeSet::from([0])));
    world.expire_leases().await;
    // It wakes: its lease call comes before its heartbeat, and miner 0 is full because it plays these two.
    assert_eq!(uids(&lease_without(&world, "a", 10, &[0]).await), BTreeSet::from([1]));
    assert!(world.heartbeat("a", &held.iter().collect::<Vec<_>>()).await.is_empty());
    assert!(world.lease("b", 10).await.is_empty(), "nobody else plays them");
    assert_eq!(world.complete("a", held.iter().map(success).collect()).await.accepted, 2);
    assert_eq!(world.tasks.reconcile().await.unwrap(), 0);
}

#[tokio::test]
async fn a_search_past_full_miners_ends_with_the_drain_and_the_next_call_goes_on() {
    let world = world().await;
    world.cycle(1, 1, 3000).await;
    second_miner(&world).await;
    world.tasks.reconcile().await.unwrap();
    let passed_over = async || {
        let mut count = redis::cmd("ZCARD");
        count.arg(world.key("passed")).query_async::<u64>(&mut world.redis().await).await.unwrap()
    };
    let draining = CancellationToken::new();
    draining.cancel();
    let drained = world.tasks.clone().with_draining(draining);
    let request = LeaseTasksRequest {
        full_miner_uids: vec![0],
        env_ids: vec!["metaworld/reach-v3".to_owned()],
        wait_ms: 20_000,
        ..lease_request("a", 1)
    };
    let answer = drained.lease(request.clone()).await.unwrap();
    assert_eq!((answer.tasks.len(), passed_over().await), (0, 1100));
    let answer = world.tasks.lease(LeaseTasksRequest { wait_ms: 0, ..request }).await.unwrap();
    assert_eq!((answer.tasks.len(), passed_over().await), (0, 3000));
}
