//! What can go wrong while a service is put together.

use std::{io, net::SocketAddr};

/// A part of the chassis could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ChassisError {
    /// An address of another service is not usable.
    #[error("{url:?} is not the address of a service ({reason}); write it as http://host:port")]
    InvalidAddress {
        /// The address as configured.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The log level is neither a level nor a filter.
    #[error(
        "log level {level:?} is not understood ({reason}); use DEBUG, INFO, WARNING, ERROR, CRITICAL or a filter such as info,kinitro_queue=debug"
    )]
    InvalidLogLevel {
        /// The level as configured.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A mesh token is not usable, or is given in a way that says two things.
    #[error(
        "the mesh token of {setting} is not usable: {problem} (it is 16 to 512 printable ASCII characters without spaces, for example what `openssl rand -hex 32` prints)"
    )]
    MeshToken {
        /// The variable or the file.
        setting: String,
        /// What is wrong, without the token.
        problem: String,
    },
    /// A service would answer everyone who reaches it.
    #[error(
        "{service} would answer everyone who reaches {address}, because there is no mesh token; put one into KINITRO_MESH_TOKEN_FILE or KINITRO_MESH_TOKEN, the same for every service (`openssl rand -hex 32` makes one), or listen on 127.0.0.1"
    )]
    OpenToOthers {
        /// The service's name.
        service: &'static str,
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The listener does not say where it listens.
    #[error("the listener of {service} has no address: {source}; open it anew")]
    Listener {
        /// The service's name.
        service: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The descriptor sets do not fit together.
    #[error("the {service} service cannot offer reflection: {reason}; rebuild kinitro-proto")]
    Reflection {
        /// The service's name.
        service: &'static str,
        /// What is wrong.
        reason: String,
    },
}
