//! Postgres for a service: where it is, how a session begins, the pool, the migrations, and one role a schema.
//!
//! Hidden contracts:
//!
//! - Nothing is asked for in the startup message that a pooler would refuse: limits of a session are `SET` after it began.
//! - Named statements, `SET` and session locks need a session that stays with its client. PgBouncer in session mode keeps it;
//!   behind a pooler that does not (transaction or statement mode) opening the database is refused by name.
//! - The password may stand in the URL, beside it, or in a file of its own.

mod address;
mod error;
mod migrate;
mod pool;
mod pooler;
mod roles;
mod session;

pub use address::Address;
pub use error::DatabaseError;
pub use migrate::migrate;
pub use pool::{Database, PoolSettings};
pub use roles::{give_roles, role_of};
pub use session::connect;
