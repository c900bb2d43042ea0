//! What happens when a store goes away or forgets.
#![allow(clippy::unwrap_used)]

mod tasks_support;

use std::sync::Arc;

use kinitro_proto::scheduling::v1::HeartbeatRequest;
use kinitro_scheduling::tasks::TaskError;
use tasks_support::{World, fault, lease_request, leases, success, world, world_on};
use tonic::{Code, Status};

#[tokio::test]
async fn a_crash_between_commit_and_enqueue_is_healed_in_fair_order() {
    let world = world().await;
    let (_, tasks) = world.committed_cycle(4, 3, 5).await;
    assert!(world.lease("a", 10).await.is_empty());
    assert_eq!(world.tasks.reconcile().await.unwrap(), tasks.len() as u64);
    assert_eq!(world.tasks.reconcile().await.unwrap(), 0);
    let first = world.lease("a", 12).await;
    let mut uids: Vec<_> = first.iter().map(|task| task.miner_uid).collect();
    uids.sort_unstable();
    assert_eq!(uids, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
}

#[tokio::test]
async fn after_flushall_every_task_still_counts_exactly_once() {
    let redis = kinitro_stores::testing::private_redis().await;
    let world = world_on(&kinitro_stores::testing::fresh_database().await, &redis.url()).await;
    let (cycle, tasks) = world.cycle(2, 3, 10).await;
    let playing = world.lease("a", 20).await;
    let done: Vec<_> = playing[..5].iter().map(success).collect();
    assert_eq!(world.complete("a", done).await.accepted, 5);
    world.flushall().await;
    // Who plays need not stop, and what is finished is not refused.
    assert!(world.heartbeat("a", &playing[5..].iter().collect::<Vec<_>>()).await.is_empty());
    assert_eq!(world.complete("a", playing[5..10].iter().map(success).collect()).await.accepted, 5);
    assert_eq!(world.tasks.reconcile().await.unwrap(), 50);
    assert_eq!(world.complete("a", playing[10..12].iter().map(success).collect()).await.accepted, 2);
    let mut accepted = 12;
    loop {
        let batch = world.lease("b", 100).await;
        if batch.is_empty() {
            break;
        }
        let response = world.complete("b", batch.iter().map(success).collect()).await;
        accepted += response.accepted - response.duplicates;
    }
    // What the flush left in a's hands was played twice, and counted once.
    let late = world.complete("a", playing[12..].iter().map(success).collect()).await;
    assert_eq!((late.accepted, late.duplicates), (8, 8));
    assert_eq!(accepted as usize, tasks.len());
    let progress = world.tasks.progress(cycle).await.unwrap();
    assert_eq!((progress.completed as usize, progress.failed, progress.disagreements), (tasks.len(), 0, 0));
}

#[tokio::test]
async fn results_are_accepted_while_redis_is_away_and_leases_say_what_is_missing() {
    let mut redis = kinitro_stores::testing::private_redis().await;
    let world = world_on(&kinitro_stores::testing::fresh_database().await, &redis.url()).await;
    let (cycle, _) = world.cycle(1, 1, 4).await;
    let tasks = world.lease("a", 3).await;
    redis.kill();
    assert_eq!(world.complete("a", vec![success(&tasks[0]), fault(&tasks[1], "executor")]).await.accepted, 2);
    assert_eq!(world.release("a", &[&tasks[2]]).await, 1);
    let status = Status::from(world.tasks.lease(lease_request("b", 1)).await.unwrap_err());
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("redis"), "{status}");
    // It comes back empty.
    redis.restart().await.unwrap();
    world.flushall().await;
    assert_eq!(world.tasks.reconcile().await.unwrap(), 3);
    let rest = world.lease("b", 10).await;
    assert_eq!(world.complete("b", rest.iter().map(success).collect()).await.accepted, 3);
    assert_eq!(world.tasks.progress(cycle).await.unwrap().completed, 4);
}

#[tokio::test]
async fn while_postgres_is_away_nothing_is_lost_and_nothing_is_leased() {
    let mut postgres = kinitro_stores::testing::private_postgres().await;
    let world = world_on(&postgres.url(), &kinitro_stores::testing::redis_url().await).await;
    let (cycle, _) = world.cycle(1, 1, 3).await;
    let task = world.lease_one("a").await;
    postgres.kill();
    let error = world.tasks.lease(lease_request("b", 2)).await.unwrap_err();
    assert!(matches!(error, TaskError::Database(_)), "{error}");
    assert_eq!(Status::from(error).code(), Code::Unavailable);
    postgres.restart().await.unwrap();
    // What the failed lease took from the queue waits again, and has spent no attempt.
    let rest = world.lease("b", 10).await;
    assert_eq!(rest.iter().map(|task| task.attempt).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(world.complete("a", vec![success(&task)]).await.accepted, 1);
    assert_eq!(world.complete("b", rest.iter().map(success).collect()).await.accepted, 2);
    assert_eq!(world.tasks.progress(cycle).await.unwrap().completed, 3);
}

#[tokio::test]
async fn entries_of_tasks_that_are_not_open_are_dropped() {
    let world = world().await;
    let (cycle, tasks) = world.cycle(1, 1, 60).await;
    world.set_cycle_state(cycle, "scoring").await;
    world.tasks.close(cycle).await.unwrap();
    // As if Redis had missed the end of the cycle.
    world.tasks.enqueue(&tasks[..30]).await.unwrap();
    let response = world.tasks.lease(lease_request("a", 1)).await.unwrap();
    assert!(response.tasks.is_empty());
    world.set_cycle_state(cycle, "completed").await;
    let (_, fresh) = world.cycle(1, 1, 1).await;
    world.tasks.reconcile().await.unwrap();
    assert_eq!(world.queue.depth(&[]).await.unwrap()[0].waiting, 1);
    assert_eq!(world.lease_one("a").await.task_uuid, fresh[0].id.to_string());
}

/// Executors that die, lag behind, give back and fail, while Redis is flushed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_executors_do_every_task_counts_exactly_once() {
    let redis = kinitro_stores::testing::private_redis().await;
    let world = Arc::new(world_on(&kinitro_stores::testing::fresh_database().await, &redis.url()).await);
    let (cycle, tasks) = world.cycle(5, 3, 20).await;
    let executors: Vec<_> = (0..8_usize).map(|i| tokio::spawn(play(world.clone(), i))).collect();
    for _ in 0..4 {
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        world.flushall().await;
        world.expire_leases().await;
        world.tasks.reconcile().await.unwrap();
    }
    let mut counted = 0;
    for executor in executors {
        counted += executor.await.unwrap();
    }
    // Whoever is left plays the rest; what ran out of attempts is requeued.
    loop {
        world.expire_leases().await;
        world.tasks.reconcile().await.unwrap();
        let request =
            kinitro_proto::scheduling::v1::RequeueDeadLettersRequest { cycle_id: cycle.0, ..Default::default() };
        world.tasks.requeue_dead_letters(request).await.unwrap();
        let batch = world.lease("last", 100).await;
        if batch.is_empty() {
            break;
        }
        let response = world.complete("last", batch.iter().map(success).collect()).await;
        counted += response.accepted - response.duplicates;
    }
    let progress = world.tasks.progress(cycle).await.unwrap();
    assert_eq!((progress.completed as usize, progress.disagreements), (tasks.len(), 0));
    assert_eq!(counted as usize, tasks.len(), "each task was counted by exactly one call");
}

/// How many results of this executor were the first of their task.
async fn play(world: Arc<World>, i: usize) -> u32 {
    let name = format!("executor-{i}");
    let mut counted = 0;
    for round in 0..30_usize {
        let batch = world.lease(&name, 5).await;
        for (n, task) in batch.iter().enumerate() {
            let response = match (i + round + n) % 6 {
                0 => continue,
                1 => world.complete(&name, vec![fault(task, "simulator")]).await,
                2 => {
                    world.release(&name, &[task]).await;
                    continue;
                }
                3 => {
                    world.release(&name, &[task]).await;
                    world.complete(&name, vec![success(task), success(task)]).await
                }
                _ => world.complete(&name, vec![success(task)]).await,
            };
            let fault = (i + round + n) % 6 == 1;
            counted += if fault { 0 } else { response.accepted - response.duplicates };
        }
    }
    counted
}

/// What is lost in Redis, and how many tasks of the twelve are queued again after a second look: those that are not completed.
async fn is_healed_after_losing(what: &str, lose: redis::Cmd, world: World) {
    let held = world.lease("a", 2).await;
    world.complete("a", vec![success(&held[0])]).await;
    let full = lease_request("b", 1);
    let full = kinitro_proto::scheduling::v1::LeaseTasksRequest { full_miner_uids: vec![0], ..full };
    assert!(world.tasks.lease(full).await.unwrap().tasks.is_empty(), "all is passed over now");
    assert_eq!(world.tasks.reconcile().await.unwrap(), 0);
    lose.exec_async(&mut world.redis().await).await.unwrap();
    assert_eq!(world.tasks.reconcile().await.unwrap(), 0, "{what}: once is not enough");
    assert_eq!(world.tasks.reconcile().await.unwrap(), 11, "{what}");
    assert_eq!(world.tasks.reconcile().await.unwrap(), 0, "{what}");
    let rest = world.lease("b", 100).await;
    assert_eq!(rest.len(), 11, "{what}");
    assert_eq!(world.complete("b", rest.iter().map(success).collect()).await.accepted, 11);
    assert_eq!(world.queue.depth(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_loss_of_one_key_in_redis_is_found_and_healed() {
    for kind in ["passed", "entries", "work"] {
        let world = world().await;
        world.cycle(1, 1, 12).await;
        let mut lose = redis::cmd("DEL");
        lose.arg(world.key(kind));
        is_healed_after_losing(kind, lose, world).await;
    }
    let world = world().await;
    world.cycle(1, 1, 12).await;
    let mut lose = redis::cmd("XTRIM");
    lose.arg(world.key("work")).arg("MAXLEN").arg(4);
    is_healed_after_losing("the trimmed stream", lose, world).await;
}

#[tokio::test]
async fn an_environment_that_fell_out_of_the_list_is_put_back() {
    let world = world().await;
    world.cycle(1, 1, 3).await;
    let mut lose = redis::cmd("DEL");
    lose.arg(world.key("").split(":metaworld").next().unwrap().trim_end_matches(':').to_owned() + ":environments");
    lose.exec_async(&mut world.redis().await).await.unwrap();
    assert!(world.lease("a", 3).await.is_empty());
    assert_eq!(world.tasks.reconcile().await.unwrap(), 0);
    assert_eq!(world.lease("a", 3).await.len(), 3);
}

#[tokio::test]
async fn an_outage_gives_no_lease_to_others_before_its_holder_could_be_heard() {
    let mut postgres = kinitro_stores::testing::private_postgres().await;
    let world = world_on(&postgres.url(), &kinitro_stores::testing::redis_url().await).await;
    world.cycle(1, 1, 1).await;
    let task = world.lease_one("a").await;
    postgres.kill();
    let heartbeat = HeartbeatRequest { executor_id: "a".to_owned(), leases: leases(&[&task]) };
    assert!(matches!(world.tasks.heartbeat(heartbeat).await.unwrap_err(), TaskError::Database(_)));
    world.expire_leases().await;
    postgres.restart().await.unwrap();
    assert!(world.lease("b", 1).await.is_empty(), "a was not asked yet");
    assert!(world.heartbeat("a", &[&task]).await.is_empty(), "a plays on");
    assert_eq!(world.complete("a", vec![success(&task)]).await.accepted, 1);
    assert_eq!(world.row(&task.task_uuid).await.attempt, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_task_that_is_completed_while_the_stores_are_compared_is_not_queued_again() {
    let world = Arc::new(world().await);
    // More than one page, so that the end of what was read is old when it is compared.
    let (cycle, tasks) = world.cycle(10, 3, 400).await;
    let mut executors = Vec::new();
    for name in ["a", "b"] {
        let world = world.clone();
        executors.push(tokio::spawn(async move {
            loop {
                let batch = world.lease(name, 100).await;
                if batch.is_empty() {
                    return;
                }
                world.complete(name, batch.iter().map(success).collect()).await;
            }
        }));
    }
    let mut enqueued = 0;
    while executors.iter().any(|executor| !executor.is_finished()) {
        enqueued += world.tasks.reconcile().await.unwrap();
    }
    assert_eq!(enqueued, 0, "every task was in the queue until it was completed");
    assert_eq!(world.tasks.progress(cycle).await.unwrap().completed as usize, tasks.len());
    assert_eq!(world.queue.depth(&[]).await.unwrap(), []);
}
