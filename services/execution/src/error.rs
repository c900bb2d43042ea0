//! Why an executor does not start.

/// What keeps the execution service from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong, or two do not fit.
    #[error("the executor's configuration: {0}")]
    Config(String),
    /// The simulator is not there.
    #[error("the simulator cannot start: {0}; `make setup` fetches what it needs")]
    Simulator(String),
    /// A simulation thread could not be had.
    #[error("no simulation thread could be started: {0}; lower simulation_threads or raise the limit of processes")]
    Threads(#[source] std::io::Error),
    /// The gRPC server or client could not be set up.
    #[error(transparent)]
    Chassis(#[from] kinitro_chassis::ChassisError),
}
