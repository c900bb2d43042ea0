//! `kinitro policy serve`: sample policies over HTTP and gRPC on one port, which use only what a miner sees.
//!
//! They are the demo's miners and a starting point for operators who want to see the mesh work. None of them looks at a
//! picture; each knows its own hand and the clock.

mod grpc;
mod kinds;
mod server;

pub use kinds::{Kind, Player};
pub use server::{ServeOptions, serve};

#[cfg(test)]
mod tests;
