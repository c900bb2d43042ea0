//! `kinitro cycle`.

use anyhow::Result;
use kinitro_proto::scheduling::v1::{CancelCycleRequest, Cycle, GetCycleRequest, StartCycleRequest};

use super::{Asking, CycleAction};
use crate::settings::Settings;

/// Asks, and prints the cycle.
pub async fn run(action: CycleAction, settings: &Settings) -> Result<()> {
    let (answer, asking) = match action {
        CycleAction::Start { episodes_per_env, env_ids, asking } => {
            let request = StartCycleRequest { episodes_per_env: episodes_per_env.unwrap_or_default(), env_ids };
            (asking.client(settings)?.start_cycle(request).await, asking)
        }
        CycleAction::Show { cycle, asking } => {
            (asking.client(settings)?.get_cycle(GetCycleRequest { cycle_id: cycle }).await, asking)
        }
        CycleAction::Cancel { cycle, asking } => {
            (asking.client(settings)?.cancel_cycle(CancelCycleRequest { cycle_id: cycle }).await, asking)
        }
    };
    let cycle = answer.map_err(|status| asking.refused(&status))?.into_inner();
    print(&asking, &cycle)
}

fn print(asking: &Asking, cycle: &Cycle) -> Result<()> {
    if asking.print_json("Cycle", cycle)? {
        return Ok(());
    }
    let mut lines = vec![
        ("cycle", cycle.id.to_string()),
        ("status", cycle.status.clone()),
        ("block", cycle.block_number.to_string()),
        ("miners", cycle.n_miners.to_string()),
        ("environments", cycle.env_ids.join(", ")),
        ("episodes", format!("{} for each miner and environment", cycle.episodes_per_env)),
        (
            "tasks",
            format!(
                "{} in all: {} completed, {} assigned, {} pending, {} failed",
                cycle.tasks_total, cycle.tasks_completed, cycle.tasks_assigned, cycle.tasks_pending, cycle.tasks_failed
            ),
        ),
        (
            "verdicts",
            format!("{} success, {} failure, {} policy fault", cycle.successes, cycle.failures, cycle.policy_faults),
        ),
        ("seconds", format!("{:.1}", cycle.duration_seconds)),
    ];
    if cycle.disagreements > 0 {
        lines.push(("disagreements", cycle.disagreements.to_string()));
    }
    for (name, value) in lines {
        println!("{name:<14}{value}");
    }
    Ok(())
}
