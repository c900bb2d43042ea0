//! Policies over gRPC: `kinitro.policy.v1.PolicyService`, one stream an episode. `policy.proto` says what travels.
//!
//! This is HTTP/2 by the h2 crate with gRPC's framing on top, rather than a ready gRPC client, for what such a client hides: which address
//! is connected to and when, whether a connection still stands (a PING), who said a status (the policy, or the client about the policy), and
//! how much is held in memory for a stranger. It also lets a picture go from the observation into the frame that is sent with one copy.
//!
//! An episode opens with a PING that must come back, so that a connection stands before its time begins; the stream is begun by
//! `reset`. A connection carries one stream at a time and rests in the [pool](crate::pool) between episodes. One that rested is proved by its PING,
//! and left for a fresh one without blame when it fails. So is one that waited for long between its PING and `reset`, and one on which the policy
//! hangs up before `reset`, or refuses the stream in a way that says that nothing was processed (a GOAWAY below it, REFUSED_STREAM): then, once,
//! a new connection to the same checked addresses is made and proved, before the time for the answer begins.
//!
//! What failures are called:
//!
//! | seen | cause |
//! |---|---|
//! | no TCP, no TLS, no PING back, in time or at all, before the episode | [`Cause::PolicyUnreachable`] |
//! | this machine has no route, port, descriptor or memory | [`Cause::Executor`] |
//! | no complete reply in time | [`Cause::ActionTimeout`] |
//! | the connection or stream broke, or ended early with status OK or none | [`Cause::ConnectionClosed`] |
//! | a gRPC status, or an HTTP status other than 200 | [`Cause::HttpStatus`] |
//! | HTTP 3xx | [`Cause::Redirect`] |
//! | a reply of more than [`MAX_REPLY_BYTES`], endless header lines, tiny frames or frames of other kinds, a flood below HTTP/2 | [`Cause::ResponseTooLarge`] |
//! | no HTTP/2, no gRPC, compressed, no or the wrong `PolicyReply`, an empty or overlong chunk | [`Cause::InvalidResponse`] |
//!
//! [`Cause::Executor`]: kinitro_domain::Cause::Executor
//! [`Cause::PolicyUnreachable`]: kinitro_domain::Cause::PolicyUnreachable
//! [`Cause::ActionTimeout`]: kinitro_domain::Cause::ActionTimeout
//! [`Cause::ConnectionClosed`]: kinitro_domain::Cause::ConnectionClosed
//! [`Cause::HttpStatus`]: kinitro_domain::Cause::HttpStatus
//! [`Cause::Redirect`]: kinitro_domain::Cause::Redirect
//! [`Cause::ResponseTooLarge`]: kinitro_domain::Cause::ResponseTooLarge
//! [`Cause::InvalidResponse`]: kinitro_domain::Cause::InvalidResponse

mod connection;
mod message;
mod policy;
mod status;
mod stream;

pub use message::MAX_CHUNK;
pub use policy::{GrpcPolicy, GrpcTransport};
pub use stream::MAX_REPLY_BYTES;
