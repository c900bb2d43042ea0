//! Why the gateway does not start.

use std::net::SocketAddr;

use kinitro_chassis::ChassisError;
use kinitro_transcode::TranscodeError;

/// A start that was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Settings that contradict each other or cannot be used.
    #[error("the gateway's settings are not usable: {0}")]
    Config(String),
    /// Nobody said how callers prove who they are.
    #[error(
        "authentication is on and no key is configured; set KINITRO_API_API_KEY, or give --no-auth for development on this machine"
    )]
    NoApiKey,
    /// Open to everybody at an address that others can reach.
    #[error(
        "--no-auth would let everybody who reaches {0} fetch and submit tasks; bind to 127.0.0.1, or give --no-auth-on-any-address as well"
    )]
    OpenToOthers(SocketAddr),
    /// The listener does not say where it listens.
    #[error("the listener of the gateway has no address: {0}")]
    Listener(#[from] std::io::Error),
    /// A service's address cannot be used.
    #[error(transparent)]
    Upstream(#[from] ChassisError),
    /// The annotations do not make a router.
    #[error("the routes cannot be made: {0}; this is a defect of the build")]
    Routes(#[from] TranscodeError),
}
