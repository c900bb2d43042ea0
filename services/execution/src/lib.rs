//! Plays episodes: leases tasks from scheduling, runs each in the simulator against a miner's policy, completes it with a verdict.
//!
//! An episode spends nearly all of its time waiting for the policy, so far more of them are in flight than there are cores. Waiting is
//! async; stepping and rendering run on a fixed pool of simulation threads, between which an episode's state moves freely.
//!
//! Simulators crash. So each family of environments is played in a child process of its own (see `family`): this process leases, keeps
//! leases alive, delivers results and serves, and survives what happens in there.
//!
//! Contracts that the types do not show:
//!
//! - What cannot start is not leased: a lease is asked for only while a family has slots free and its process is there, and never for a
//!   miner that has as many episodes in flight as it may.
//! - A finished episode is never dropped. Its result stays in memory, and its lease alive, until scheduling has taken it; when its lease is
//!   lost meanwhile it is handed in all the same, and when its task is leased here anew it is not played a second time.
//! - Health says whether scheduling is reached: an executor that leases nothing does not serve.
//! - A drain ends with no lease held: episodes finish within the grace time, or are stopped and handed back with their attempt unspent.
//! - What a policy does wrong ends its own episode and nothing else; so does a panic inside the simulator. A crash or a hang in there
//!   costs the family's running episodes one attempt, blamed on nobody.
//! - What is wrong on our side costs a cycle little: a family whose process plays nothing to its end is closed and replaced (`streak`), and
//!   an executor whose network is down says so and all but stops leasing (`network`, `beacon`).
//! - No child outlives this process, and none gets more of its environment than it needs.

mod beacon;
mod config;
mod contact;
mod delivery;
mod dialogue;
mod engine;
mod episode;
mod error;
mod family;
mod lease;
mod leasing;
mod miners;
mod network;
mod open_files;
mod scheduling;
mod servers;
mod service;
mod simulation;
mod spool;
mod start;
mod telemetry;
mod warm_up;

pub use config::{Config, ImageQuality};
pub use error::Error;
pub use family::{WorkerCommand, family_worker};
pub use start::start;
