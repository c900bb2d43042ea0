//! How an episode talks to a policy: one trait, one file a transport.
//!
//! A policy is a stranger's server. It may answer late, never, with nonsense, with too much, or try to make us call somebody else. So
//! every endpoint is checked before anything connects to it ([`Destination`]), every answer is bounded in time, size and shape, and
//! everything that can go wrong ends in exactly one [`Fault`]: a cause, and what was seen.
//!
//! Contracts that the types do not show:
//!
//! - A [`Fault`]'s evidence never names the endpoint or its address: sealed endpoints are secret, and evidence is stored.
//! - What a policy is told about an episode is what [`TaskConfig`] and [`Observation`] hold, and nothing else. Neither has room for the
//!   episode's seed, its task, or where objects are.
//! - A call is never sent twice. `/act` moves the state of a policy that remembers, so an answer that got lost is a fault, not a retry.
//! - A policy that is dropped after a good action leaves its connection to the miner's next episode; after anything else it is closed.

mod destination;
mod dial;
mod episode;
mod fault;
mod grpc;
mod http;
mod json;
mod local;
mod metered;
mod names;
mod patience;
mod pool;
mod tcp;
mod tls;
mod transport;
mod wire;

pub use destination::{Destination, Resolved};
pub use episode::{Action, ChannelSpec, Image, METAWORLD_ACTION, Observation, Policy, TaskConfig};
pub use fault::{Fault, MAX_EVIDENCE_BYTES, MAX_TOLD_CHARS, told};
pub use grpc::{GrpcPolicy, GrpcTransport, MAX_CHUNK, MAX_REPLY_BYTES};
pub use http::{HttpPolicy, HttpTransport, MAX_RESPONSE_BYTES};
pub use transport::{Transport, TransportConfig};
pub use wire::{encode_observation, parse_action, parse_reset};
