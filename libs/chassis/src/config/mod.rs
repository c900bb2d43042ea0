//! Layered configuration: typed defaults, a TOML file, environment variables, flags.

mod environment;
mod error;
mod loader;
mod redact;
mod secret;

pub use error::ConfigError;
pub use loader::{ConfigLoader, field_names, load_config};
pub use redact::redacted;
pub use secret::read_secret;
