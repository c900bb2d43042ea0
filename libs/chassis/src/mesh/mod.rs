//! Who belongs to the mesh: what a process shows to the services that it calls, and what it asks of those who call it.
//!
//! Every service of a deployment and its operators know one secret, the mesh token. [`MeshConfig`] says where it is,
//! [`MeshAccess`] is what a process makes of it, once, at its start. Hidden contracts:
//!
//! - All credentials of callers are judged in `caller.rs`, all credentials of ours are presented by [`MeshChannel`].
//! - Health and reflection answer everyone. Nothing else does, once there is a token.
//! - A process without a token serves loopback only, and there everyone.
//! - The token of before is accepted beside the current one and never sent. So a token is changed without a refused call, when a
//!   service gets the new one before those that call it.

mod access;
mod caller;
mod channel;
mod config;
mod token;

pub use access::MeshAccess;
pub use channel::{MeshChannel, connect_lazy, connect_lazy_within};
pub use config::MeshConfig;
pub use token::MeshToken;
