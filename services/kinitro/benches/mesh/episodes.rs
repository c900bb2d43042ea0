//! Whole episodes: a real executor process against policy servers on loopback.
//!
//! The executor has nothing to lease from; its episodes are asked for by `RunEpisode`.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kinitro_proto::execution::v1::{
    EpisodeResult, ListEnvironmentsRequest, RunEpisodeRequest, execution_service_client::ExecutionServiceClient,
};
use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    time::sleep,
};
use tonic::transport::Channel;

use crate::{
    figure::{Figure, Rounds},
    listening::{free_port, until_listening},
    python::Python,
};

const STATE: &str = "episode.http.state";
const IMAGES: &str = "episode.http.images";
const PER_HOUR: &str = "episode.per_hour_50ms";
/// The policies hold still, and holding still never solves this one: every episode has its full length.
const TASK: &str = "pick-place-v3";
const STEPS: u32 = 500;
const LATENCY: Duration = Duration::from_millis(50);
const IN_FLIGHT: u32 = 64;
const ROUNDS: usize = 3;

/// The names of the figures.
pub fn names() -> Vec<&'static str> {
    vec![STATE, IMAGES, PER_HOUR]
}

/// One episode at a time over HTTP; then as many an hour as go with a slow policy.
pub async fn measure(wanted: Vec<&'static str>) -> Result<Vec<Figure>> {
    let python = Python::ready().await?;
    let executor = Executor::start().await?;
    let mut figures = Vec::new();
    for (name, mode) in [(STATE, "state"), (IMAGES, "images")] {
        if wanted.contains(&name) {
            eprintln!("{name}");
            figures.push(over_http(&python, &executor, name, mode).await?);
        }
    }
    if wanted.contains(&PER_HOUR) {
        eprintln!("{PER_HOUR}: a minute");
        figures.push(per_hour(&executor).await?);
    }
    Ok(figures)
}

/// Where a Python episode's time went.
#[derive(Deserialize)]
struct PythonEpisode {
    seconds: f64,
    policy: f64,
    simulation: f64,
    render: f64,
}

/// The same FastAPI server is asked by both sides, in turn. The limit is the time that the server alone takes to answer.
async fn over_http(python: &Python, executor: &Executor, name: &'static str, mode: &str) -> Result<Figure> {
    let server = python.policy_server().await?;
    let images = mode == "images";
    // The first episode loads models and meshes.
    executor.play(&server.url(), 0, images).await?;
    let (mut ours, mut policy, mut rest) = (Rounds::default(), Rounds::default(), String::new());
    for round in 0..ROUNDS {
        let began = Instant::now();
        let timing = executor.play(&server.url(), 1 + round as u64, images).await?.timing.context("no timing")?;
        ours.push(began.elapsed().as_secs_f64());
        policy.push(timing.policy_seconds);
        rest = format!(
            "policy {:.2} s (p50 {:.2} ms, p99 {:.2} ms), simulation {:.2} s, drawing {:.2} s, waiting here {:.2} s",
            timing.policy_seconds,
            timing.policy_p50_seconds * 1e3,
            timing.policy_p99_seconds * 1e3,
            timing.simulation_seconds,
            timing.render_seconds,
            timing.queue_seconds
        );
    }
    // With pictures a Python episode takes minutes: one has to do.
    let rounds = if images { 1 } else { ROUNDS };
    let (rounds, port) = (rounds.to_string(), server.port.to_string());
    let theirs: Vec<PythonEpisode> = python.answer("episode.py", &[mode, &rounds, &port, TASK]).await?;
    let mut reference = Rounds::default();
    theirs.iter().for_each(|episode| reference.push(episode.seconds));
    let last = theirs.last().context("no Python episode")?;
    let note = format!(
        "{STEPS} steps, {}; last one: {rest}; Python {}, last one: policy {:.2} s, simulation {:.2} s, drawing {:.2} s",
        ours.spread(2),
        reference.spread(2),
        last.policy,
        last.simulation,
        last.render
    );
    Ok(Figure {
        name,
        unit: "s",
        ours: ours.median(),
        reference: Some(reference.median()),
        limit: Some(policy.median()),
        note: Some(note),
    })
}

/// Full-length episodes, all slots busy from the first to the last: two waves of as many episodes as are in flight.
async fn per_hour(executor: &Executor) -> Result<Figure> {
    let policy = PolicyServer::start().await?;
    let before = executor.resident_bytes()?;
    let began = Instant::now();
    let episodes = 2 * IN_FLIGHT;
    let mut most = before;
    let mut played = stream::iter(0..episodes)
        .map(|seed| executor.play(&policy.url, u64::from(seed), false))
        .buffer_unordered(IN_FLIGHT as usize);
    let (mut slowest, mut done) = (0.0_f64, 0);
    while let Some(result) = played.try_next().await? {
        slowest = slowest.max(result.timing.context("no timing")?.policy_p99_seconds);
        done += 1;
        most = most.max(executor.resident_bytes()?);
    }
    ensure!(done == episodes, "{done} of {episodes} episodes were played");
    let hours = began.elapsed().as_secs_f64() / 3600.0;
    let bound = f64::from(IN_FLIGHT) * 3600.0 / (f64::from(STEPS) * LATENCY.as_secs_f64());
    let each = (most.saturating_sub(before)) as f64 / f64::from(IN_FLIGHT) / 1e3;
    let note = format!(
        "{episodes} episodes of {STEPS} steps, {IN_FLIGHT} in flight, state only; policy server on the same cores, slowest episode's p99 answer \
         {:.1} ms; {each:.0} kB of memory for each in flight",
        slowest * 1e3
    );
    Ok(Figure {
        name: PER_HOUR,
        unit: "episodes/h",
        ours: f64::from(episodes) / hours,
        reference: None,
        limit: Some(bound),
        note: Some(note),
    })
}

/// `kinitro executor`, with nothing to lease from.
struct Executor {
    child: Child,
    client: ExecutionServiceClient<Channel>,
}

impl Executor {
    async fn start() -> Result<Self> {
        let port = free_port().await?;
        let child = kinitro()
            .args(["executor", "--host", "127.0.0.1", "--port", &port.to_string()])
            .env("KINITRO_EXECUTOR_SCHEDULING_URL", format!("http://127.0.0.1:{}", free_port().await?))
            .env("KINITRO_EXECUTOR_DEFAULT_MAX_CONCURRENT", IN_FLIGHT.to_string())
            .env("KINITRO_EXECUTOR_MAX_CONCURRENT_PER_MINER", "0")
            .env("KINITRO_EXECUTOR_ALLOW_PRIVATE_ENDPOINTS", "true")
            .env("KINITRO_EXECUTOR_ACTION_TIMEOUT", "30")
            .env("KINITRO_EXECUTOR_LOG_LEVEL", "ERROR")
            .spawn()?;
        let client = ExecutionServiceClient::new(kinitro_chassis::connect_lazy(&format!("http://127.0.0.1:{port}"))?);
        let patience = Instant::now() + Duration::from_secs(60);
        while client.clone().list_environments(ListEnvironmentsRequest {}).await.is_err() {
            ensure!(Instant::now() < patience, "the executor does not come up");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { child, client })
    }

    async fn play(&self, endpoint: &str, seed: u64, images: bool) -> Result<EpisodeResult> {
        let request = RunEpisodeRequest {
            env_id: format!("metaworld/{TASK}"),
            seed,
            endpoint: endpoint.to_owned(),
            max_timesteps: STEPS,
            use_images: Some(images),
        };
        let result = self.client.clone().run_episode(request).await?.into_inner();
        ensure!(result.timesteps == STEPS, "an episode ended early: {result:?}");
        Ok(result)
    }

    /// What the executor and the processes that it started hold in memory.
    fn resident_bytes(&self) -> Result<u64> {
        let parent = self.child.id().context("the executor has ended")?;
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        let processes = children.split_whitespace().map(str::to_owned).chain([parent.to_string()]);
        let pages = |process: String| {
            let account = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
            account.split(' ').nth(1)?.parse::<u64>().ok()
        };
        Ok(processes.filter_map(pages).sum::<u64>() * 4096)
    }
}

/// A policy that holds still and takes its time.
struct PolicyServer {
    url: String,
    _child: Child,
}

impl PolicyServer {
    async fn start() -> Result<Self> {
        let port = free_port().await?;
        let latency = LATENCY.as_millis().to_string();
        let child = kinitro()
            .args(["policy", "serve", "--kind", "idle", "--latency-ms", &latency, "--port", &port.to_string()])
            .spawn()?;
        until_listening(port, "the policy server").await?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), _child: child })
    }
}

fn kinitro() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinitro"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command
}
