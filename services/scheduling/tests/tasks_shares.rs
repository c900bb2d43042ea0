//! Slow miners hold up none but themselves.
#![allow(clippy::unwrap_used)]

mod tasks_support;

use std::collections::BTreeMap;

use kinitro_proto::scheduling::v1::{LeaseTasksRequest, Task, TaskResult};
use tasks_support::{World, lease_request, success, world};

/// An executor of twenty slots that plays at most four episodes of a miner at a time. Those of the miners with the first uids never end.
struct Executor {
    slow: u32,
    hanging: Vec<Task>,
}

impl Executor {
    const SLOTS: usize = 20;
    const OF_ONE: u32 = 4;

    /// Leases what is free now, and hands the results of quick miners in at once. Answers how many these were.
    async fn turn(&mut self, world: &World) -> usize {
        let mut playing: BTreeMap<u32, u32> = BTreeMap::new();
        self.hanging.iter().for_each(|task| *playing.entry(task.miner_uid).or_default() += 1);
        let full = playing.iter().filter(|(_, episodes)| **episodes >= Self::OF_ONE).map(|(uid, _)| *uid);
        let free = Self::SLOTS - self.hanging.len();
        if free == 0 {
            return 0;
        }
        let most =
            playing.values().map(|episodes| Self::OF_ONE.saturating_sub(*episodes)).filter(|room| *room > 0).min();
        let request = LeaseTasksRequest {
            full_miner_uids: full.collect(),
            max_per_miner: most.unwrap_or(Self::OF_ONE),
            ..lease_request("a", u32::try_from(free).unwrap())
        };
        let leased = world.tasks.lease(request).await.unwrap().tasks;
        let (slow, quick): (Vec<Task>, Vec<Task>) = leased.into_iter().partition(|task| task.miner_uid < self.slow);
        self.hanging.extend(slow);
        // One after the other, as they end: each frees one slot, which is leased before the next one ends.
        for task in &quick {
            world.complete("a", vec![success(task)]).await;
        }
        quick.len()
    }
}

async fn honest_done(slow: u16, honest: u16) -> (usize, usize) {
    let world = world().await;
    world.cycle(slow + honest, 1, 9).await;
    let mut executor = Executor { slow: slow.into(), hanging: Vec::new() };
    let mut done = 0;
    loop {
        match executor.turn(&world).await {
            0 => return (done, executor.hanging.len()),
            more => done += more,
        }
    }
}

#[tokio::test]
async fn quick_miners_are_done_before_slow_ones_have_played_a_single_episode() {
    assert_eq!(honest_done(8, 4).await.0, 4 * 9);
    assert_eq!(honest_done(8, 2).await.0, 2 * 9);
}

#[tokio::test]
async fn no_slot_stays_empty_for_that() {
    assert_eq!(honest_done(8, 2).await, (18, 20));
    // Each has as many as one may have.
    assert_eq!(honest_done(3, 0).await, (0, 12));
}

#[tokio::test]
async fn what_a_miner_does_not_play_within_its_time_is_its_failure() {
    let world = world().await;
    let (cycle, _) = world.cycle(2, 1, 6).await;
    let timed = |task: &Task, policy_seconds| TaskResult { policy_seconds, ..success(task) };
    // Six minutes for six episodes: three of two minutes use them up.
    let mut played = 0;
    while played < 3 {
        let leased = world.tasks.lease(LeaseTasksRequest { full_miner_uids: vec![0], ..lease_request("a", 1) }).await;
        assert_eq!(world.tasks.enforce_budget(cycle).await.unwrap(), 0, "after {played}");
        world.complete("a", vec![timed(&leased.unwrap().tasks[0], 120.0)]).await;
        played += 1;
    }
    // One that plays is played to its end.
    let playing = world.tasks.lease(LeaseTasksRequest { full_miner_uids: vec![0], ..lease_request("a", 1) }).await;
    assert_eq!(world.tasks.enforce_budget(cycle).await.unwrap(), 2);
    assert_eq!(world.tasks.enforce_budget(cycle).await.unwrap(), 0);
    assert_eq!(world.complete("a", vec![timed(&playing.unwrap().tasks[0], 120.0)]).await.accepted, 1);
    let progress = world.tasks.progress(cycle).await.unwrap();
    assert_eq!((progress.successes, progress.policy_faults, progress.pending), (4, 2, 6));
    let causes: Vec<Option<String>> =
        sqlx::query_scalar("SELECT cause FROM scheduling.tasks WHERE uid = 1 AND verdict = 'policy_fault'")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert!(causes.iter().all(|cause| cause.as_deref() == Some("time_budget_exceeded")));
    // The queue has only those of the other.
    let left = world.lease("a", 100).await;
    assert!(left.len() == 6 && left.iter().all(|task| task.miner_uid == 0));
}
