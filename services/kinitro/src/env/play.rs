//! One episode, played in this process.

use anyhow::{Context as _, Result};
use kinitro_domain::EnvId;
use kinitro_sim::{Action, Episode, Oracle};
use tokio_util::sync::CancellationToken;

use super::args::Who;
use crate::policy::{Kind, Player};

/// Who plays, with what it remembers of the episode.
pub enum Actor {
    Oracle(Oracle),
    Sample(Player),
}

impl Actor {
    /// At the start of an episode.
    pub fn new(who: Who, env_id: &EnvId, seed: u64) -> Result<Self> {
        Ok(match who {
            Who::Oracle => {
                Self::Oracle(Oracle::for_env(env_id).with_context(|| format!("{env_id} has no scripted expert"))?)
            }
            Who::Random => Self::Sample(Player::new(Kind::Random, seed)),
            Who::Idle => Self::Sample(Player::new(Kind::Idle, seed)),
        })
    }

    fn act(&mut self, episode: &Episode) -> Result<Action> {
        match self {
            Self::Oracle(oracle) => Ok(oracle.act(episode)),
            Self::Sample(player) => {
                // Neither who moves at random nor who never moves minds where the hand is.
                let answer = player.act([0.0; 3]);
                Ok(Action::new(answer.ee_twist, answer.gripper)?)
            }
        }
    }
}

/// Plays an episode to its end, and shows it at the start of every step and at the end. False when it was interrupted.
pub fn play(
    episode: &mut Episode,
    mut actor: Actor,
    interrupted: &CancellationToken,
    mut show: impl FnMut(&mut Episode) -> Result<()>,
) -> Result<bool> {
    while !episode.finished() {
        if interrupted.is_cancelled() {
            return Ok(false);
        }
        show(episode)?;
        let action = actor.act(episode)?;
        episode.step(&action)?;
    }
    show(episode)?;
    Ok(true)
}
