//! Ingestion: what miners committed on the chain.
//!
//! One loop follows the finalized blocks, reads the neurons and the commitments of the subnet at the newest one, decides what each
//! miner's policy is ([`registry`]), and keeps the answer in Postgres ([`store`]); the gRPC face ([`service`]) shows the last
//! answer. Contracts that do not show in the types:
//!
//! - Only finalized blocks are read, so a reorganisation never shows.
//! - A chain or a database that is away costs freshness, never what is known already: calls are answered from the last snapshot.
//! - A process that starts while the chain is away answers what an earlier one stored. Several may share a database: the newest
//!   block that any of them stored counts for all, and of every policy the first block that was stored.
//! - Blocks may be skipped, commitments may not: what was committed and replaced in blocks that nobody read is looked for
//!   ([`skipped`]) and stored with the next block that is.
//! - A commitment that nobody can read makes its miner `invalid`, with the reason; it never stops the others.
//! - An endpoint is one miner's: of several hotkeys that have it committed, the one that committed it first ([`duplicates`]).
//! - What was sealed stands in the answers for the operator's own services and in Postgres; never in a log, a reason or an error.

mod config;
mod duplicates;
mod error;
mod first;
mod follow;
mod registry;
mod service;
mod skipped;
mod snapshot;
mod start;
mod store;

pub use config::Config;
pub use error::Error;
pub use start::{SCHEMA, migrate, start};
