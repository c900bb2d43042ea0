//! Postgres for a service: where it is, how a session begins, the pool, the tables and their migrations, one role a schema, what is an
//! outage, and how numbers and times are stored.
//!
//! Hidden contracts:
//!
//! - Nothing is asked for in the startup message that a pooler would refuse: limits of a session are `SET` after it began.
//! - Named statements, `SET` and session locks need a session that stays with its client. PgBouncer in session mode keeps it;
//!   behind a pooler that does not (transaction or statement mode) opening the database is refused by name.
//! - A service is ready when the database has applied the migrations that are in its binary: see `schema`.
//! - The password may stand in the URL, beside it, or in a file of its own.

mod address;
mod error;
mod migrate;
mod outage;
mod pool;
mod pooler;
mod roles;
mod schema;
mod session;
mod values;

pub use address::Address;
pub use error::DatabaseError;
pub use outage::is_outage;
pub use pool::{Database, PoolSettings};
pub use roles::{give_roles, role_of};
pub use schema::{Schema, SchemaState};
pub use session::connect;
pub use values::{micros, stored, timestamp, unsigned, unsigned32};
