//! What can go wrong between this crate and Redis.

use std::time::Duration;

/// Why the queue or the event bus could not do it. Every variant that concerns the server names its address, never its credentials.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// The configured URL cannot be used.
    #[error("the redis url is not usable ({reason}); expected redis://[user:password@]host:port/database")]
    Url {
        /// What is wrong with it, without the URL itself.
        reason: String,
    },
    /// No connection. It is opened again by itself; the caller tries again with back-off.
    #[error("redis at {address} is not reached: {source}; check that it runs and that the address is right")]
    Unreachable {
        /// Host and port, or the path of the socket.
        address: String,
        /// What the connection said.
        source: redis::RedisError,
    },
    /// Connected, and no answer in time.
    #[error("redis at {address} did not answer within {limit:?}; check its load and its latency")]
    Timeout {
        /// Host and port, or the path of the socket.
        address: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// An answer that is an error, e.g. while it loads its data, has no memory left, or its rules forbid our user something.
    #[error(
        "redis at {address} refused us: {source}; where its user may not do this, docs/operators.md says what it needs"
    )]
    Refused {
        /// Host and port, or the path of the socket.
        address: String,
        /// The server's words.
        source: redis::RedisError,
    },
    /// An answer that the queue's scripts never give: something else writes under the same prefix.
    #[error("redis at {address} answered something unexpected ({what}); check that nothing else uses the key prefix")]
    Answer {
        /// Host and port, or the path of the socket.
        address: String,
        /// What was expected.
        what: &'static str,
    },
    /// The caller asked for more than one call may carry.
    #[error("{count} {what} in one call; at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many were given.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// An event could not be written as JSON.
    #[error("the event cannot be encoded: {0}")]
    Event(String),
}
