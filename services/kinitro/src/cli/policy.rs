//! Sample policies.

use std::net::IpAddr;

use clap::Subcommand;

use crate::policy::Kind;

/// `kinitro policy …`.
#[derive(Debug, Subcommand)]
pub enum PolicyAction {
    /// Serve a sample policy over HTTP and gRPC, both on one port, until Ctrl-C.
    Serve {
        /// What it does.
        #[arg(long, value_enum)]
        kind: Kind,
        /// Bind address.
        #[arg(long, default_value = "127.0.0.1")]
        host: IpAddr,
        /// Bind port; 0 for a free one.
        #[arg(long)]
        port: u16,
        /// How long every answer to an observation takes.
        #[arg(long, default_value_t = 0)]
        latency_ms: u64,
        /// How many actions an answer over gRPC holds.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
        chunk: u32,
    },
}
