//! `kinitro score`: judge a scoring scheme, and check what was scored.

mod attack;
mod replay;

use crate::settings::Settings;
use anyhow::Result;
use clap::Subcommand;
use tokio_util::sync::CancellationToken;

/// `kinitro score …`.
#[derive(Debug, Subcommand)]
pub enum ScoreAction {
    /// Simulate attackers and show how much weight they take under a scheme, and how often a false crown.
    Attack(attack::AttackArgs),
    /// Score a stored cycle again, from its stored input and parameters, and compare with what is stored to the bit: exit 1 when
    /// something is different.
    Replay(replay::ReplayArgs),
}

/// Runs a command until it is done, or until the user interrupts it.
pub async fn run(action: ScoreAction, settings: &Settings) -> Result<()> {
    let args = match action {
        ScoreAction::Replay(args) => return replay::run(&args, settings).await,
        ScoreAction::Attack(args) => args,
    };
    let interrupted = CancellationToken::new();
    let token = interrupted.clone();
    let mut work = tokio::task::spawn_blocking(move || attack::run(&args, &token));
    tokio::select! {
        done = &mut work => done?,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            interrupted.cancel();
            work.await?
        }
    }
}
