//! `queue.*`: creating a cycle of 20,000 tasks, and draining it by four players, over gRPC and over REST.
//!
//! The references are quoted: a Python system that does the same work over REST on such a machine, measured by others. The limits
//! are measured here, right after each of our rounds ([`BareStores`]). A first round is not counted.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kinitro_chassis::MeshChannel;
use kinitro_proto::scheduling::v1::{
    CancelCycleRequest, Cycle, GetCycleRequest, GetTaskStatsRequest, StartCycleRequest,
    scheduling_service_client::SchedulingServiceClient,
};

use crate::{
    bare_stores::BareStores,
    deployment::Deployment,
    figure::{Figure, Latencies, Rounds},
    player::{PLAYERS, Played, Player, Way},
    rest::Rest,
};

/// A well-filled subnet in two environments with the default number of episodes: 200 × 2 × 50.
const MINERS: u16 = 200;
const ENVIRONMENTS: [&str; 2] = ["metaworld/reach-v3", "metaworld/push-v3"];
const EPISODES: u32 = 50;
const TASKS: u32 = 20_000;
const ROUNDS: usize = 5;
/// How long a drained cycle may take to be closed and scored.
const SCORED_WITHIN: Duration = Duration::from_secs(30);

const QUOTED: &str = "the reference is quoted (a Python system over REST on such a machine), not measured side by side";

/// What is done for a figure.
#[derive(Clone, Copy, Default)]
enum Work {
    #[default]
    Create,
    Drain {
        rest: bool,
        batch: u32,
    },
}

/// Name, the quoted reference, and the work.
const FIGURES: [(&str, f64, Work); 5] = [
    ("queue.create_20k", 1.58, Work::Create),
    ("queue.grpc.batch10", 683.0, Work::Drain { rest: false, batch: 10 }),
    ("queue.grpc.batch100", 1263.0, Work::Drain { rest: false, batch: 100 }),
    ("queue.rest.batch10", 683.0, Work::Drain { rest: true, batch: 10 }),
    ("queue.rest.batch100", 1263.0, Work::Drain { rest: true, batch: 100 }),
];

/// The figures of this group.
pub fn names() -> Vec<&'static str> {
    FIGURES.iter().map(|(name, ..)| *name).collect()
}

/// Measures those that are wanted.
pub async fn measure(wanted: Vec<&'static str>) -> Result<Vec<Figure>> {
    let deployment = Deployment::start(MINERS).await?;
    let measured = measure_on(&deployment, &wanted).await;
    // When a service died, the call that failed is the symptom and this the cause.
    let stopped = deployment.stop().await;
    match (measured, stopped) {
        (Err(symptom), Err(cause)) => Err(cause.context(format!("{symptom:#}"))),
        (measured, stopped) => stopped.and(measured),
    }
}

async fn measure_on(deployment: &Deployment, wanted: &[&'static str]) -> Result<Vec<Figure>> {
    let scheduling = deployment.scheduling()?;
    let bare = BareStores::new(deployment.pool.clone(), &deployment.redis_url, TASKS)?;
    let mut measurements = Vec::new();
    for (name, reference, work) in FIGURES.into_iter().filter(|(name, ..)| wanted.contains(name)) {
        let players = match work {
            Work::Create => Vec::new(),
            Work::Drain { rest, .. } => players(deployment, rest)?,
        };
        measurements.push(Measurement { name, reference, work, players, ..Measurement::default() });
    }
    for round in 0..=ROUNDS {
        for measurement in &mut measurements {
            let queue = Queue { scheduling: scheduling.clone(), deployment };
            measurement.round(queue, &bare, round > 0).await.with_context(|| measurement.name)?;
        }
    }
    Ok(measurements.iter().map(Measurement::figure).collect())
}

/// Each has a connection of its own, which it keeps over the rounds.
fn players(deployment: &Deployment, rest: bool) -> Result<Vec<Player>> {
    let way = || match rest {
        true => Ok(Way::Rest(Rest::new(&deployment.gateway_url, &deployment.api_key)?)),
        false => Ok::<_, anyhow::Error>(Way::Grpc(deployment.scheduling()?)),
    };
    (0..PLAYERS).map(|number| Ok(Player::new(number, way()?))).collect()
}

/// The rounds of one figure.
#[derive(Default)]
struct Measurement {
    name: &'static str,
    reference: f64,
    work: Work,
    players: Vec<Player>,
    ours: Rounds,
    limit: Rounds,
    inside: Rounds,
    fetches: Latencies,
    submits: Latencies,
}

impl Measurement {
    async fn round(&mut self, mut queue: Queue<'_>, bare: &BareStores, counts: bool) -> Result<()> {
        let mut inside = 0.0;
        let mut played = Played::default();
        let (ours, limit) = match self.work {
            Work::Create => {
                let (cycle, seconds) = queue.create().await?;
                inside = cycle.creating_seconds;
                queue.scheduling.cancel_cycle(CancelCycleRequest { cycle_id: cycle.id }).await?;
                (seconds, bare.create().await?)
            }
            Work::Drain { batch, .. } => {
                let (cycle, _) = queue.create().await?;
                let seconds;
                (played, seconds) = drain(&self.players, batch).await?;
                queue.verify(cycle.id, &played).await?;
                (f64::from(TASKS) / seconds, bare.drain(batch).await?)
            }
        };
        let shown = if counts { "" } else { ", not counted" };
        eprintln!("{}: {ours:.3} {}, bare stores {limit:.3}{shown}", self.name, self.unit());
        if counts {
            self.ours.push(ours);
            self.limit.push(limit);
            self.inside.push(inside);
            self.fetches.extend(played.fetches);
            self.submits.extend(played.submits);
        }
        Ok(())
    }

    fn unit(&self) -> &'static str {
        match self.work {
            Work::Create => "s",
            Work::Drain { .. } => "tasks/s",
        }
    }

    fn figure(&self) -> Figure {
        let note = match self.work {
            Work::Create => format!(
                "{}; StartCycle from call to answer, {MINERS} miners × {} environments × {EPISODES} episodes, of which writing \
                 the rows takes {:.3} s; limit: one binary COPY and one pipeline of XADD; {QUOTED}",
                self.ours.spread(3),
                ENVIRONMENTS.len(),
                self.inside.median(),
            ),
            Work::Drain { .. } => format!(
                "{}; taking tasks {}; handing in {}; {PLAYERS} clients, {TASKS} tasks; limit: the bare statements; {QUOTED}",
                self.ours.spread(0),
                self.fetches.summary(),
                self.submits.summary(),
            ),
        };
        Figure {
            name: self.name,
            unit: self.unit(),
            ours: self.ours.median(),
            reference: Some(self.reference),
            limit: Some(self.limit.median()),
            note: Some(note),
        }
    }
}

/// All players at once, until each of them found nothing more; what they did, and how many seconds it took.
async fn drain(players: &[Player], batch: u32) -> Result<(Played, f64)> {
    let begun = Instant::now();
    let running: Vec<_> = players.iter().map(|player| tokio::spawn(player.clone().drain(batch))).collect();
    let mut all = Played::default();
    for player in running {
        all.add(player.await.context("a player panicked")??);
    }
    Ok((all, begun.elapsed().as_secs_f64()))
}

/// The operator's side.
struct Queue<'a> {
    scheduling: SchedulingServiceClient<MeshChannel>,
    deployment: &'a Deployment,
}

impl Queue<'_> {
    /// Starts a cycle; checks that all its tasks are there, in both stores.
    async fn create(&mut self) -> Result<(Cycle, f64)> {
        let env_ids = ENVIRONMENTS.map(str::to_owned).to_vec();
        let begun = Instant::now();
        let cycle = self.scheduling.start_cycle(StartCycleRequest { episodes_per_env: EPISODES, env_ids }).await?;
        let (cycle, seconds) = (cycle.into_inner(), begun.elapsed().as_secs_f64());
        let stats = self.scheduling.get_task_stats(GetTaskStatsRequest::default()).await?.into_inner();
        ensure!(cycle.tasks_pending == TASKS, "the new cycle has {} tasks", cycle.tasks_pending);
        ensure!(stats.queue_depth == TASKS, "the queue has {} tasks", stats.queue_depth);
        Ok((cycle, seconds))
    }

    /// Checks that every result was recorded, once and as it was handed in, and that the cycle ends by itself.
    async fn verify(&mut self, cycle_id: u64, played: &Played) -> Result<()> {
        ensure!(played.results == u64::from(TASKS), "{} results were accepted", played.results);
        let (recorded, timesteps): (i64, i64) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(timesteps), 0)
               FROM scheduling.tasks
              WHERE cycle_id = $1 AND state = 'completed' AND verdict IN ('success', 'failure')",
        )
        .bind(i64::try_from(cycle_id)?)
        .fetch_one(&self.deployment.pool)
        .await?;
        ensure!(recorded == i64::from(TASKS), "{recorded} results are recorded");
        ensure!(
            timesteps.unsigned_abs() == played.timesteps,
            "{timesteps} steps are recorded, not {}",
            played.timesteps
        );

        let deadline = Instant::now() + SCORED_WITHIN;
        loop {
            let request = GetCycleRequest { cycle_id: Some(cycle_id) };
            let cycle = self.scheduling.get_cycle(request).await?.into_inner();
            match cycle.status.as_str() {
                "running" | "scoring" => ensure!(Instant::now() < deadline, "the cycle is still {}", cycle.status),
                "completed" => {
                    ensure!(cycle.tasks_completed == TASKS, "the cycle counts {} results", cycle.tasks_completed);
                    ensure!(cycle.disagreements == 0, "{} results disagreed", cycle.disagreements);
                    return Ok(());
                }
                other => anyhow::bail!("the cycle ended as {other}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
