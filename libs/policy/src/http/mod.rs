//! Policies over HTTP: `GET /health`, `POST /reset`, `POST /act`.
//!
//! An episode has a connection to itself. It begins with `/health`, so that `/reset` and `/act` are measured against the action
//! timeout on a connection that stands, and it is kept alive until the episode ends. HTTP/1.1 only: that is what policy servers speak, and
//! one stream a connection leaves little to attack.
//!
//! A connection whose episode ended well rests in the [pool](crate::pool) for the miner's next one. `/health` is asked there too: it is the proof
//! that the connection still stands, and it may be asked again where `/reset` and `/act` may not. When it fails in whatever way on a
//! connection that rested, nobody is blamed; the endpoint is resolved and checked anew and `/health` asked on a fresh connection, whose
//! failure counts.
//!
//! Within an episode a connection may rest as well, while a busy executor simulates. That is not the policy's doing, so when it rested for so
//! long that common servers hang up, `/health` is asked before the answer's time begins, and if need be on a fresh connection.
//!
//! When a policy closes the connection between two calls (HTTP/1.0 servers do so after each answer), the next call makes a new one to
//! the same checked address, within that call's time. What hyper can prove not to have been sent at all is sent on the new connection;
//! anything else is [`Cause::ConnectionClosed`](kinitro_domain::Cause::ConnectionClosed).
//!
//! This is hyper's connection and not a ready client with a pool: such a client connects anew when a connection is not back in its pool in the
//! moment in which the next request comes, which the time for the answer then pays for. Here a call waits until the last answer is behind the
//! connection, and a fresh one is made only when the policy closed it.
//!
//! What a policy sends is bounded below TLS, by the [meter](crate::metered): interim answers, trailers, extensions of chunks and tickets included.

mod connection;
mod exchange;
mod policy;

pub use exchange::MAX_RESPONSE_BYTES;
pub use policy::{HttpPolicy, HttpTransport};
