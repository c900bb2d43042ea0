//! What makes a crate a service: configuration, telemetry, errors as gRPC statuses, a gRPC server with health and
//! reflection, the mesh token, clients that carry it and the trace, supervised tasks and a graceful end.
//!
//! A service's `start` builds its state, hands tasks to the [`Supervisor`] and serves with [`GrpcServer`]. Hidden
//! contracts:
//!
//! - Every long-lived task is spawned through the supervisor. One that ends early takes the process down, by name.
//! - [`Supervisor::draining`] is the one signal for "take no more work". Health turns to not serving at the same moment.
//! - Who calls is judged in one place, and our own credentials are presented in one place: module `mesh`.
//! - Callers see an [`ErrorCode`], a stable reason and a message; internals go to the log.
//! - The trace context enters with [`propagate`] on every client and is continued by the server's layer.

mod back_off;
mod code;
mod config;
mod error;
mod listen;
mod log_line;
mod mesh;
mod metrics;
mod server;
mod status;
mod supervisor;
mod telemetry;
mod trace;

pub use back_off::BackOff;
pub use code::ErrorCode;
pub use config::{ConfigError, ConfigLoader, field_names, load_config, read_secret, redacted};
pub use error::ChassisError;
pub use futures::future::BoxFuture;
pub use listen::listen;
pub use log_line::fatal_line;
pub use mesh::{MeshAccess, MeshChannel, MeshConfig, MeshToken, connect_lazy, connect_lazy_within};
pub use metrics::render_metrics;
pub use server::{
    GrpcServer, MAX_MESSAGE_BYTES, ServerLimits, address_key, hold_until_sent, raise_open_files, serve_http,
};
pub use status::{ErrorInfo, status, status_with};
pub use supervisor::{Supervisor, SupervisorError};
pub use telemetry::{LogFormat, init_telemetry, init_telemetry_into};
pub use tokio_util::sync::CancellationToken;
pub use trace::{continue_trace, current_traceparent, propagate};
