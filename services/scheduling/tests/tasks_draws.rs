//! A retry is no second look: an attempt that may have shown an observation and brought no result is followed by one on another seed.
#![allow(clippy::unwrap_used)]

mod tasks_support;

use kinitro_domain::CycleSecret;
use kinitro_proto::scheduling::v1::{ReleaseTasksRequest, RequeueDeadLettersRequest, Task, TaskResult};
use tasks_support::{World, failure, fault, lease_request, leases, success, world};

/// The seed of a drawing, as anyone computes it from the secret that the support code gives its cycles.
fn drawn(task: &Task, draw: u32) -> u32 {
    CycleSecret::from_bytes([7; 32]).drawn_seed(&task.env_id.parse().unwrap(), 0, draw).0
}

async fn draws(world: &World, task: &Task) -> (i32, Option<i32>) {
    sqlx::query_as("SELECT draws, played_draw FROM scheduling.tasks WHERE id = $1::uuid")
        .bind(task.task_uuid.parse::<uuid::Uuid>().unwrap())
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

async fn lost_attempts(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM scheduling.lost_attempts").fetch_one(&world.pool).await.unwrap()
}

/// What executor b leases when the task's row is changed like that after the lease has looked at it and before it has locked it.
async fn lease_during(world: &World, task: &Task, change: &'static str) -> Vec<Task> {
    let mut transaction = world.pool.begin().await.unwrap();
    let id: uuid::Uuid = task.task_uuid.parse().unwrap();
    sqlx::query(change).bind(id).execute(&mut *transaction).await.unwrap();
    let tasks = world.tasks.clone();
    let lease = tokio::spawn(async move { tasks.lease(lease_request("b", 1)).await });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&world.pool).await.unwrap() == 0 {
        assert!(!lease.is_finished(), "it did not wait for the row");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    transaction.commit().await.unwrap();
    lease.await.unwrap().unwrap().tasks
}

#[tokio::test]
async fn an_episode_that_showed_an_observation_is_played_again_on_another_seed() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    let first = world.lease_one("a").await;
    world.complete("a", vec![fault(&first, "executor")]).await;
    let second = world.lease_one("a").await;
    assert_eq!(second.task_uuid, first.task_uuid);
    assert_ne!(second.seed, first.seed, "the policy sees a scene that it has seen");
    assert_eq!(second.seed, drawn(&first, 1));
    world
        .complete("a", vec![TaskResult { observation_shown: Some(true), timesteps: 0, ..fault(&second, "executor") }])
        .await;
    let third = world.lease_one("a").await;
    assert_eq!(third.seed, drawn(&first, 2));
    world.complete("a", vec![success(&third)]).await;
    assert_eq!(draws(&world, &third).await, (2, Some(2)));
}

#[tokio::test]
async fn an_episode_that_showed_nothing_keeps_its_seed() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    let first = world.lease_one("a").await;
    world.complete("a", vec![TaskResult { observation_shown: Some(false), ..fault(&first, "renderer") }]).await;
    let second = world.lease_one("a").await;
    world.release("a", &[&second]).await;
    let third = world.lease_one("a").await;
    assert_eq!([second.seed, third.seed], [first.seed; 2]);
    world.complete("a", vec![success(&third)]).await;
    assert_eq!(draws(&world, &third).await, (0, Some(0)));
}

#[tokio::test]
async fn a_lost_lease_may_have_shown_an_observation() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    let first = world.lease_one("a").await;
    world.expire_leases().await;
    let second = world.lease_one("b").await;
    assert_ne!(second.seed, first.seed, "the policy may see a scene that it has seen");
}

#[tokio::test]
async fn an_episode_that_a_drain_stopped_after_an_observation_is_played_again_on_another_seed() {
    let world = world().await;
    world.cycle(1, 1, 2).await;
    let (shown, unshown) = (world.lease_one("a").await, world.lease_one("a").await);
    let request = ReleaseTasksRequest {
        executor_id: "a".to_owned(),
        leases: leases(&[&shown, &unshown]),
        shown_task_uuids: vec![shown.task_uuid.clone()],
    };
    assert_eq!(world.tasks.release(request).await.unwrap().released, 2);
    for _ in 0..2 {
        let again = world.lease_one("b").await;
        let before = if again.task_uuid == shown.task_uuid { &shown } else { &unshown };
        assert_eq!(again.seed != before.seed, again.task_uuid == shown.task_uuid);
    }
}

#[tokio::test]
async fn a_late_result_counts_on_the_seed_on_which_it_was_played() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    let first = world.lease_one("a").await;
    world.expire_leases().await;
    let second = world.lease_one("b").await;
    assert_eq!(world.complete("a", vec![success(&first)]).await.accepted, 1);
    assert_eq!(draws(&world, &first).await, (1, Some(0)));
    // The other one had another seed, so another outcome is no contradiction.
    let response = world.complete("b", vec![failure(&second)]).await;
    assert_eq!((response.accepted, response.rejected, response.disagreements), (0, 1, 0));
    assert!(response.errors[0].contains("on another seed"), "{:?}", response.errors);
    assert_eq!(world.disagreements().await, 0);
    let response = world.complete("a", vec![failure(&first)]).await;
    assert_eq!(response.disagreements, 1, "the same attempt had the same seed");
}

#[tokio::test]
async fn which_seed_a_late_result_without_an_attempt_was_played_on_cannot_be_told() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    let first = world.lease_one("a").await;
    world.expire_leases().await;
    world.lease_one("b").await;
    assert_eq!(world.complete("a", vec![TaskResult { attempt: 0, ..success(&first) }]).await.accepted, 1);
    assert_eq!(draws(&world, &first).await, (1, None));
}

#[tokio::test]
async fn a_dead_letter_that_is_queued_again_has_another_seed() {
    let world = world().await;
    let (cycle, _) = world.cycle(1, 1, 1).await;
    let mut seeds = Vec::new();
    for _ in 0..3 {
        seeds.push(world.lease_one("a").await.seed);
        world.expire_leases().await;
    }
    assert!(world.lease("a", 1).await.is_empty());
    let request = RequeueDeadLettersRequest { cycle_id: cycle.0, task_uuids: Vec::new() };
    assert_eq!(world.tasks.requeue_dead_letters(request).await.unwrap().requeued, 1);
    seeds.push(world.lease_one("a").await.seed);
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 4);
}

#[tokio::test]
async fn an_attempt_whose_result_comes_while_its_task_is_leased_anew_is_not_lost() {
    // With attempts left, and in the last one.
    for attempts in [1, 3] {
        let world = world().await;
        world.cycle(1, 1, 1).await;
        for _ in 1..attempts {
            world.lease_one("a").await;
            world.expire_leases().await;
        }
        let task = world.lease_one("a").await;
        world.expire_leases().await;
        let completed = "UPDATE scheduling.tasks SET state = 'completed', completed_at = now() WHERE id = $1";
        assert!(lease_during(&world, &task, completed).await.is_empty());
        assert_eq!(world.row(&task.task_uuid).await.state, "completed");
        let (lost, (draws, _)) = (lost_attempts(&world).await, draws(&world, &task).await);
        assert_eq!((lost, i64::from(draws)), (attempts - 1, attempts - 1));
    }
}

#[tokio::test]
async fn an_attempt_that_is_handed_back_while_its_task_is_leased_anew_is_not_lost() {
    let world = world().await;
    world.cycle(1, 1, 1).await;
    let task = world.lease_one("a").await;
    world.expire_leases().await;
    let released =
        "UPDATE scheduling.tasks SET state = 'pending', released = released + 1, executor_id = NULL WHERE id = $1";
    let again = lease_during(&world, &task, released).await;
    assert_eq!((again.len(), again[0].seed), (1, task.seed));
    assert_eq!((lost_attempts(&world).await, draws(&world, &task).await.0), (0, 0));
}
