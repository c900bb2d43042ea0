//! `kinitro env`: look at the environments in this process, without services, stores or a network.
//!
//! Services reach the simulator through the execution service only. These commands link it themselves, because they show what the
//! simulator does when nothing stands between. The oracle is theirs alone: it sees where objects are, and nothing that plays
//! for a policy may use it.

mod args;
mod check;
mod floor;
mod list;
mod names;
mod play;
mod python;
mod trial;
mod video;

use anyhow::Result;
use tokio_util::sync::CancellationToken;

pub use args::EnvAction;

/// Runs a command until it is done, or until the user interrupts it.
pub async fn run(action: EnvAction) -> Result<()> {
    let interrupted = CancellationToken::new();
    let token = interrupted.clone();
    let mut work = tokio::task::spawn_blocking(move || match action {
        EnvAction::List { json } => list::run(json),
        EnvAction::Check(args) => check::run(&args, &token),
        EnvAction::Try(args) => trial::run(&args, &token),
        EnvAction::Floor(args) => floor::run(&args, &token),
    });
    tokio::select! {
        done = &mut work => done?,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            interrupted.cancel();
            work.await?
        }
    }
}
