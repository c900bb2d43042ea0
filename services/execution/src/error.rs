//! Why an executor, or the process of one of its families, does not start.

/// What keeps the execution service from starting, or the process of a family from playing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong, or two do not fit.
    #[error("the executor's configuration: {0}")]
    Config(String),
    /// Results cannot be kept in the folder for them.
    #[error("results_dir cannot be used: {0}; name a folder that this process may write, or leave it out")]
    Results(#[source] std::io::Error),
    /// The simulator is not there.
    #[error("the simulator cannot start: {0}; `make setup` fetches what it needs")]
    Simulator(String),
    /// The process of a family does not come up.
    #[error("the simulation process of family {family} {reason}; its own messages are in this log")]
    Family {
        /// Which family.
        family: String,
        /// What its process did instead.
        reason: String,
    },
    /// A simulation thread could not be had.
    #[error("no simulation thread could be started: {0}; lower simulation_threads or raise the limit of processes")]
    Threads(#[source] std::io::Error),
    /// The process of a family cannot talk to its executor.
    #[error("the pipes to the executor: {0}; this process is started by an executor only")]
    Pipes(#[source] std::io::Error),
    /// The process of a family was told nonsense.
    #[error("the executor's orders: {0}; this process is started by an executor only")]
    Orders(&'static str),
    /// The gRPC server or client could not be set up.
    #[error(transparent)]
    Chassis(#[from] kinitro_chassis::ChassisError),
}
