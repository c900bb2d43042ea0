//! What can be wrong with a configuration, always with the place to correct it.

use std::path::PathBuf;

/// A configuration could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {path} is not valid TOML: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
    /// A key that nobody knows.
    #[error("{origin} sets {key}, which is unknown{}; known are: {}", did_you_mean(.suggestion.as_deref()), valid.join(", "))]
    UnknownKey {
        /// The file and section, "the environment" or "the command line".
        origin: String,
        /// The key as it was written.
        key: String,
        /// The closest known key, when one is close.
        suggestion: Option<String>,
        /// Every known key, written as one would write it there.
        valid: Vec<String>,
    },
    /// A value of the wrong type or shape.
    #[error("{origin} sets {key} to something unusable: {reason}")]
    InvalidValue {
        /// The file and section, "the environment" or "the command line".
        origin: String,
        /// The key as it was written.
        key: String,
        /// What was expected.
        reason: String,
    },
    /// The values do not fit each other, or the defaults are not usable by themselves.
    #[error("the configuration of {section} does not hold together: {reason}")]
    Invalid {
        /// The section.
        section: &'static str,
        /// What is wrong.
        reason: String,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|known| format!(" (did you mean {known}?)")).unwrap_or_default()
}
