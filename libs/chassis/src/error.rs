//! What can go wrong while a service is put together.

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
    /// The descriptor sets do not fit together.
    #[error("the {service} service cannot offer reflection: {reason}; rebuild kinitro-proto")]
    Reflection {
        /// The service's name.
        service: &'static str,
        /// What is wrong.
        reason: String,
    },
}
