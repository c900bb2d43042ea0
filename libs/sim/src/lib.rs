//! MuJoCo and the environment families: one episode at a time, from a seed to a verdict.
//!
//! A [`Simulator`] is made once per process. It finds the assets, loads each environment's model when the first episode asks for
//! it, and shares the model between all episodes. An [`Episode`] owns its state alone: it may move between threads, and any
//! number of them may run at once. Nothing here is async; whoever waits for a policy does so outside.
//!
//! Contracts that the types do not show:
//!
//! - **Everything random comes from the seed**, by streams that are named after their purpose (see `streams`). The same seed gives
//!   the same [`Episode::trajectory_hash`] on any thread, in any order, in any process on the same architecture with the same
//!   libmujoco.
//! - **An episode ends at its first success**, or at its step limit. Meta-World counts an episode as solved when any step of it
//!   was, so what would follow cannot change the verdict.
//! - **An [`Observation`] holds only what a policy may see.** Where objects and goals are never enters it (a picture shows the
//!   scene as Meta-World draws it, the goal's marker included).
//! - **A shared model is never written to.** What an episode changes in a model, it changes in a copy of its own.
//!
//! Adding a Meta-World task is one file in `metaworld/tasks` and its name in that folder's list; adding a family is one folder.

mod action;
mod assets;
mod diagnostics;
mod environment;
mod episode;
mod error;
mod geometry;
mod metaworld;
mod model;
mod observation;
mod oracle;
mod renderer;
mod simulator;
mod streams;
mod world;

pub use action::Action;
pub use environment::{EnvironmentInfo, EpisodeOptions, ImageQuality, Randomisation, StepOutcome};
pub use episode::Episode;
pub use error::SimError;
pub use observation::{Image, Observation};
pub use oracle::Oracle;
pub use simulator::Simulator;
