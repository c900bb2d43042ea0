//! `kinitro miner`: commit a policy on the chain, and see what is committed.

mod commit;
mod show;

use anyhow::Result;

use crate::cli::MinerAction;

/// Runs one of the commands.
pub async fn run(action: MinerAction) -> Result<()> {
    match action {
        MinerAction::Commit(args) => commit::run(&args).await,
        MinerAction::ShowCommitment(args) => show::run(&args).await,
    }
}
