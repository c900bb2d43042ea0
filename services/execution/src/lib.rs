//! Plays episodes: leases tasks from scheduling, runs each in the simulator against a miner's policy, completes it with a verdict.
//!
//! An episode spends nearly all of its time waiting for the policy, so far more of them are in flight than there are cores. Waiting is
//! async; stepping and rendering run on a fixed pool of simulation threads, between which an episode's state moves freely.
//!
//! Contracts that the types do not show:
//!
//! - What cannot start is not leased: a lease is asked for only while slots are free.
//! - A finished episode is never dropped. Its result stays in memory, and its lease alive, until scheduling has taken it.
//! - A drain ends with no lease held: episodes finish within the grace time, or are stopped and handed back with their attempt unspent.
//! - What a policy does wrong ends its own episode and nothing else; so does a panic inside the simulator.

mod config;
mod delivery;
mod dialogue;
mod engine;
mod episode;
mod error;
mod lease;
mod leasing;
mod scheduling;
mod service;
mod simulation;
mod start;
mod telemetry;

pub use config::Config;
pub use error::Error;
pub use start::start;
