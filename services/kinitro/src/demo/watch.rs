//! Waiting for the backend, with live progress.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use kinitro_chassis::MeshChannel;
use kinitro_domain::CycleState;
use kinitro_proto::scheduling::v1::{Cycle, GetCycleRequest, scheduling_service_client::SchedulingServiceClient};

use super::rest;

const POLL: Duration = Duration::from_millis(250);
const MINERS_LIMIT: Duration = Duration::from_secs(60);

/// Waits until the backend has seen so many commitments that it can evaluate.
pub async fn miners_active(gateway: &str, wanted: usize) -> Result<()> {
    let deadline = Instant::now() + MINERS_LIMIT;
    loop {
        let answer = rest::get(gateway, "/v1/miners").await;
        let active = answer
            .as_ref()
            .ok()
            .and_then(|body| body["miners"].as_array())
            .map_or(0, |miners| miners.iter().filter(|miner| miner["status"] == "active").count());
        if active >= wanted {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("only {active} of {wanted} miners are active after {} s: {answer:?}", MINERS_LIMIT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until a cycle ended; a bar on a terminal, now and then a line elsewhere.
pub async fn cycle_ended(scheduling: &mut SchedulingServiceClient<MeshChannel>, id: u64) -> Result<Cycle> {
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} episodes  {elapsed}  {msg}")?);
    let mut tenth = 0;
    loop {
        let cycle = scheduling.get_cycle(GetCycleRequest { cycle_id: Some(id) }).await?.into_inner();
        let line =
            format!("{} solved, {} not solved, {} policy faults", cycle.successes, cycle.failures, cycle.policy_faults);
        bar.set_length(cycle.tasks_total.into());
        bar.set_position(cycle.tasks_completed.into());
        bar.set_message(line.clone());
        let now = cycle.tasks_completed * 10 / cycle.tasks_total.max(1);
        if !terminal && now > tenth {
            eprintln!("  {} of {} episodes: {line}", cycle.tasks_completed, cycle.tasks_total);
        }
        tenth = now;
        if cycle.status.parse::<CycleState>().is_ok_and(CycleState::is_final) {
            bar.finish();
            return Ok(cycle);
        }
        tokio::time::sleep(POLL).await;
    }
}
