//! The validator: polls the backend for weights, checks them, and sets them on the chain.
//!
//! A round ([`validator`]) asks the backend ([`backend`]), checks what it says ([`document`], [`check`], [`accept`]), looks at the
//! chain at its finalized head ([`view`]), leaves out whoever is no longer at the uid that was scored ([`fit`]), decides ([`decide`])
//! and sends ([`send`]), sealed where the subnet hides weights ([`seal`]). Afterwards it compares what the chain shows ([`watch`]).
//!
//! Contracts that do not show in the types:
//!
//! - Nothing is sent before it is known what became of the last transaction. Its ticket is on disk before its first byte leaves
//!   ([`state`]), so that this also holds across restarts, and a crash at any point sets weights once or not at all.
//! - What is on the chain decides whether there is something to set. A lost memory costs a rate limit at most, never a second setting.
//! - A backend that is away, goes backwards or talks nonsense changes nothing: the last accepted weights go on while they are young
//!   enough, and `/health` says what is wrong.
//! - Only one process per hotkey, subnet and state folder runs. Against a second one elsewhere the chain's rate limit is all there is.

mod accept;
mod backend;
mod check;
mod config;
mod decide;
mod document;
mod error;
mod fit;
mod health;
mod key;
mod memory;
mod obstacle;
mod progress;
mod retry;
mod seal;
mod send;
mod start;
mod state;
mod status;
mod validator;
mod view;
mod watch;

pub use check::Refusal;
pub use config::Config;
pub use error::Error;
pub use obstacle::Obstacle;
pub use start::start;
