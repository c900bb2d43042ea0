//! `kinitro policy serve`: sample policies over HTTP, which use only what a miner sees.
//!
//! They are the demo's miners and a starting point for operators who want to see the mesh work. None of them looks at a
//! picture; each knows its own hand and the clock.

mod kinds;
mod server;

pub use kinds::Kind;
pub use server::{ServeOptions, serve};
