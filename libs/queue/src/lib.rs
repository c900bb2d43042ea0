//! The work queue on Redis Streams, and the event bus.
//!
//! # The work queue
//!
//! Postgres is the truth about tasks; this queue only carries which of them wait and who holds the others. Losing all of Redis
//! therefore costs time and nothing else: scheduling enqueues again what is open in Postgres.
//!
//! Every key begins with the deployment's prefix:
//!
//! | key | type | what |
//! |---|---|---|
//! | `{prefix}:work:{env_id}` | stream | one entry a task, field `t` = the 16 bytes of its id; consumer group `executors`, one consumer an executor |
//! | `{prefix}:entries:{env_id}` | hash | task id → id of its stream entry |
//! | `{prefix}:environments` | set | the environments that have entries |
//! | `{prefix}:cursors` | hash | environment → where the search for expired leases goes on |
//! | `{prefix}:executors` | sorted set | executor → when it was last heard of (ms) |
//! | `{prefix}:staged:…` | | work that is not visible yet; expires |
//! | `{prefix}:events` | stream | the event bus |
//!
//! One stream an *environment*, although a family would be the natural unit: executors may ask for single environments, and a
//! consumer group cannot filter. A lease call takes from the streams by turns, so the order stays fair.
//!
//! Contracts that the scripts keep:
//!
//! - An entry is in the stream exactly when its id is in the hash, because one Lua script changes both. So enqueueing is idempotent: a
//!   task that waits or is leased is left where it is. `FLUSHALL` loses both together.
//! - A leased task is an entry in the group's pending list; its idle time is the time since the lease or the last heartbeat. Nothing
//!   runs when a lease expires: the next lease call finds it with `XAUTOCLAIM`.
//! - A completed task is acknowledged *and* deleted, so the length of a stream minus its pending entries is what waits: O(1).
//! - A stream whose last entry goes is deleted with its hash, its group and its consumers; nothing grows with the number of executors
//!   or cycles. The group is created where it is missing.
//! - Every operation is one round trip, and running it twice does no harm.
//!
//! The queue knows nothing of attempts. Who may write a result is decided in Postgres with the attempt as the fencing token.
//! The scripts build key names from environments, so a Redis Cluster needs a prefix in braces, e.g. `{kinitro}`.

mod bus;
mod connection;
mod error;
mod event;
mod inspect;
mod packed;
mod stage;
mod work;

pub use bus::{EventBus, EventId, Received, Start};
pub use error::QueueError;
pub use event::{Event, EventKind};
pub use inspect::{ActiveExecutor, Depth};
pub use stage::Staged;
pub use work::{Completed, Holding, LeaseBatch, Leased, WorkQueue};
