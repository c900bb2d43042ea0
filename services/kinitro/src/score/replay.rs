//! `kinitro score replay`.

use anyhow::{Result, bail};
use clap::Args;
use kinitro_scoring::Replay;
use serde_json::{Value, json};

use crate::{cli::DatabaseArgs, settings::Settings};

/// `kinitro score replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The cycle's id.
    pub cycle: u64,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// As JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Replays and prints; fails when something is different.
pub async fn run(args: &ReplayArgs, settings: &Settings) -> Result<()> {
    let replay = kinitro_scoring::replay(args.database.address(settings)?, args.cycle).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&document(&replay))?);
    } else if replay.difference.is_none() {
        println!(
            "cycle {}: {} miners in {} environments come out of {} as they are stored, to the bit",
            replay.cycle_id, replay.miners, replay.environments, replay.scheme
        );
    }
    match &replay.difference {
        None => Ok(()),
        Some(difference) => bail!(
            "cycle {} does not come out as it is stored: {} is {} and comes out as {}",
            replay.cycle_id,
            difference.what,
            difference.stored,
            difference.recomputed
        ),
    }
}

fn document(replay: &Replay) -> Value {
    let difference = replay.difference.as_ref().map(|difference| {
        json!({
            "what": difference.what,
            "stored": difference.stored,
            "recomputed": difference.recomputed,
        })
    });
    json!({
        "cycle_id": replay.cycle_id,
        "scheme": replay.scheme,
        "parameters": serde_json::from_str::<Value>(&replay.parameters).unwrap_or(Value::Null),
        "miners": replay.miners,
        "environments": replay.environments,
        "identical": replay.difference.is_none(),
        "difference": difference,
    })
}
