//! An executor that plays nothing: it takes tasks and hands their results in at once, until there are none. What is left is the
//! cost of the queue itself.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use kinitro_chassis::MeshChannel;
use kinitro_proto::scheduling::v1::{
    CompleteTasksRequest, LeaseTasksRequest, TaskResult, scheduling_service_client::SchedulingServiceClient,
};

use crate::{figure::Latencies, rest::Rest};

/// How many players drain a cycle.
pub const PLAYERS: usize = 4;
/// Longer than any episode that is told here.
const STEPS: u32 = 500;

/// One executor with a connection of its own.
#[derive(Clone)]
pub struct Player {
    executor_id: String,
    way: Way,
}

/// How it reaches scheduling.
#[derive(Clone)]
pub enum Way {
    /// Directly.
    Grpc(SchedulingServiceClient<MeshChannel>),
    /// Through the gateway, with the key.
    Rest(Rest),
}

/// What a player needs of a task.
pub struct Held {
    /// Its id.
    pub task_uuid: String,
    /// The fencing token.
    pub attempt: u32,
    /// Of the episode.
    pub seed: u32,
}

/// What scheduling says of results.
pub struct Answer {
    /// How many are recorded.
    pub accepted: u32,
    /// Of these, how many had been before.
    pub duplicates: u32,
}

/// What a player, or all of them, did.
#[derive(Default)]
pub struct Played {
    /// Results that were accepted.
    pub results: u64,
    /// The steps of all of them, to be found again in the database.
    pub timesteps: u64,
    /// The calls that take tasks.
    pub fetches: Latencies,
    /// The calls that hand results in.
    pub submits: Latencies,
}

impl Played {
    /// Adds what another player did.
    pub fn add(&mut self, other: Self) {
        self.results += other.results;
        self.timesteps += other.timesteps;
        self.fetches.extend(other.fetches);
        self.submits.extend(other.submits);
    }
}

impl Player {
    /// The executor of this number.
    pub fn new(number: usize, way: Way) -> Self {
        Self { executor_id: format!("executor-{number}"), way }
    }

    /// Takes `batch` tasks and hands them in, again and again, until there are none.
    pub async fn drain(mut self, batch: u32) -> Result<Played> {
        let mut played = Played::default();
        loop {
            let begun = Instant::now();
            let held = self.fetch(batch).await.context("taking tasks")?;
            played.fetches.push(begun.elapsed());
            if held.is_empty() {
                return Ok(played);
            }
            let results: Vec<TaskResult> = held.into_iter().map(result).collect();
            let count = results.len() as u64;
            played.timesteps += results.iter().map(|result| u64::from(result.timesteps)).sum::<u64>();
            let begun = Instant::now();
            let answer = self.submit(results).await.context("handing results in")?;
            played.submits.push(begun.elapsed());
            ensure!(u64::from(answer.accepted) == count, "{} of {count} results were accepted", answer.accepted);
            ensure!(answer.duplicates == 0, "{} results had been handed in before", answer.duplicates);
            played.results += count;
        }
    }

    async fn fetch(&mut self, batch: u32) -> Result<Vec<Held>> {
        match &mut self.way {
            Way::Grpc(client) => {
                let executor_id = self.executor_id.clone();
                let request = LeaseTasksRequest { executor_id, batch_size: Some(batch), ..Default::default() };
                let tasks = client.lease_tasks(request).await?.into_inner().tasks.into_iter();
                Ok(tasks.map(|t| Held { task_uuid: t.task_uuid, attempt: t.attempt, seed: t.seed }).collect())
            }
            Way::Rest(client) => client.fetch(&self.executor_id, batch).await,
        }
    }

    async fn submit(&mut self, results: Vec<TaskResult>) -> Result<Answer> {
        match &mut self.way {
            Way::Grpc(client) => {
                let request =
                    CompleteTasksRequest { executor_id: self.executor_id.clone(), results, trajectory_hashes: false };
                let answer = client.complete_tasks(request).await?.into_inner();
                Ok(Answer { accepted: answer.accepted, duplicates: answer.duplicates })
            }
            Way::Rest(client) => client.submit(&self.executor_id, &results).await,
        }
    }
}

/// A result as an executor tells it: every field filled, the outcome decided by the seed.
fn result(held: Held) -> TaskResult {
    let success = held.seed.is_multiple_of(2);
    TaskResult {
        task_uuid: held.task_uuid,
        success,
        score: f64::from(u8::from(success)),
        total_reward: f64::from(held.seed % 10_000) / 7.0,
        timesteps: held.seed % STEPS + 1,
        attempt: held.attempt,
        verdict: if success { "success" } else { "failure" }.to_owned(),
        cause: if success { "environment" } else { "step_limit" }.to_owned(),
        trajectory_hash: "5a".repeat(32),
        duration_seconds: 4.25,
        policy_seconds: 3.5,
        ..TaskResult::default()
    }
}
