//! What keeps the validator from starting, or makes it stop.

use std::{io, path::PathBuf};

use kinitro_chain::ChainError;

/// Why the validator does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error("the validator cannot start with these settings: {0}")]
    Config(String),
    /// The address of health and metrics cannot be had.
    #[error(
        "{address} cannot be listened at ({source}): set `listen` to a free address, or to nothing for no health and metrics"
    )]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The wallet, the key, or the address of the chain cannot be used.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Certificates cannot be checked.
    #[error("no https to the backend ({0}): install the system's certificates, e.g. the package ca-certificates")]
    Tls(String),
    /// The memory on disk cannot be read or written.
    #[error("the validator's memory {} cannot be {task}: {reason}", path.display())]
    State {
        /// The file or the folder.
        path: PathBuf,
        /// `read`, `written`, or `locked`.
        task: &'static str,
        /// What is wrong, and what to do.
        reason: String,
    },
}
