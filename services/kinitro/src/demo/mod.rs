//! `kinitro demo`: the main job, end to end, on real input.
//!
//! A fresh mesh with a development chain; four sample miners sign and submit commitments on it; one cycle plays their policies in
//! MuJoCo; scores and weights are shown as REST returns them; a validator sets the weights on the chain, where they are read back. Everything is stopped and removed at the end, also after an error or Ctrl-C.

mod chain;
mod report;
mod rest;
mod watch;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use kinitro_chassis::MeshAccess;
use kinitro_proto::scheduling::v1::{StartCycleRequest, scheduling_service_client::SchedulingServiceClient};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{DemoArgs, MeshArgs},
    mesh::{Mesh, Plan},
    samples::{self, SampleMiner},
    settings::Settings,
};
use report::{Report, Stages};

const NETUID: u16 = 1;
const BLOCK_MS: u64 = 250;
/// Softer than the default, so that the table shows how points become weights.
const TEMPERATURE: f64 = 4.0;

/// Runs the demo.
pub async fn run(args: DemoArgs) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let begun = Instant::now();
    // Postgres runs as another user when we are root, and must be able to enter.
    let folder = tempfile::Builder::new().prefix("kinitro-demo-").tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;

    eprintln!("starting Postgres, Redis, a development chain and the services");
    let miners = samples::sample_miners()?;
    let settings = Settings::default();
    let plan = Plan {
        data_dir: folder.path().join("data"),
        access: settings.access(&MeshArgs::default())?,
        settings,
        gateway_flags: json!({ "no_auth": true, "port": 0 }),
        scheduling_flags: json!({ "on_demand": true, "episodes_per_env": args.episodes_per_env }),
        ingestion_flags: json!({}),
        scoring_flags: json!({ "pareto_temperature": TEMPERATURE }),
        execution_flags: Some(json!({ "allow_private_endpoints": true, "use_images": args.images })),
        devchain: Some((
            json!({ "netuid": NETUID, "block_ms": BLOCK_MS, "neurons": samples::neurons(&miners) }),
            Some(0),
        )),
        ..Plan::default()
    };
    let memory = folder.path().join("validator");
    let mut mesh = tokio::select! {
        mesh = Mesh::start(plan) => mesh?,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("interrupted"),
    };
    let started = begun.elapsed();
    let (parts, access) = (mesh.parts().to_vec(), mesh.access().clone());
    let url = |name: &str| parts.iter().find(|part| part.name == name).map(|part| part.url.clone()).unwrap_or_default();

    let policies = CancellationToken::new();
    let outcome = tokio::select! {
        outcome = play(&args, &miners, &url, &access, memory, started, policies.clone()) => outcome,
        failure = mesh.failure() => Err(anyhow::anyhow!(failure)),
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("interrupted")),
    };
    eprintln!("stopping everything");
    policies.cancel();
    let stopped = mesh.stop().await;
    let report = outcome?;
    stopped?;
    // Before printing, which ends the process when nobody reads on, and would leave the folder behind.
    if let Err(error) = folder.close() {
        eprintln!("the demo's folder could not be removed: {error}");
    }
    report.print(args.json, begun.elapsed())
}

async fn play(
    args: &DemoArgs,
    miners: &[SampleMiner],
    url: &impl Fn(&str) -> String,
    access: &MeshAccess,
    memory: PathBuf,
    started: Duration,
    stop: CancellationToken,
) -> Result<Report> {
    let clock = Instant::now();
    eprintln!("{} sample miners serve their policies and commit them on the chain", miners.len());
    samples::serve_and_commit(miners, &url("devchain"), NETUID, &stop).await?;
    let mut scheduling = SchedulingServiceClient::new(access.channel(&url("scheduling"))?);
    watch::miners_active(&url("gateway"), miners.len()).await?;
    let committed = clock.elapsed();

    let request = StartCycleRequest { episodes_per_env: args.episodes_per_env, env_ids: Vec::new() };
    let cycle = scheduling.start_cycle(request).await.context("starting the cycle")?.into_inner();
    eprintln!(
        "cycle {} at block {}: {} miners × {} environments × {} episodes",
        cycle.id, cycle.block_number, cycle.n_miners, cycle.n_environments, cycle.episodes_per_env
    );
    let cycle = watch::cycle_ended(&mut scheduling, cycle.id).await?;
    if cycle.status != "completed" {
        bail!(
            "the cycle ended as {}: {} of {} tasks completed",
            cycle.status,
            cycle.tasks_completed,
            cycle.tasks_total
        );
    }

    let scores = rest::get(&url("gateway"), "/v1/scores/latest").await?;
    let weights = rest::get(&url("gateway"), "/v1/weights/latest").await?;
    let names = miners.iter().map(|miner| miner.name.to_owned()).collect();
    eprintln!("a validator sets them on the chain");
    let clock = Instant::now();
    let on_chain = chain::set_weights(url("gateway"), url("devchain"), NETUID, memory).await?;
    let set = clock.elapsed();
    Ok(Report { names, stages: Stages { started, committed, cycle, set }, scores, weights, on_chain })
}
