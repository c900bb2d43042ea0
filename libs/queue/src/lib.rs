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
//! | `{prefix}:work:{env_id}` | stream | one entry a task, field `t` = the 16 bytes of its id and the 2 of its miner's uid; consumer group `executors`, one consumer an executor |
//! | `{prefix}:entries:{env_id}` | hash | task id → id of its stream entry |
//! | `{prefix}:passed:{env_id}` | sorted set | ids of stream entries that were passed over (the second number filled up to ten digits), by the uid of their miner |
//! | `{prefix}:environments` | set | the environments that have entries |
//! | `{prefix}:cursors` | hash | environment → where the search for expired leases goes on; `passed:` environment → the miner served last of those passed over |
//! | `{prefix}:executors` | sorted set | executor → until when it counts as active (ms) |
//! | `{prefix}:worked` | string | when something was last leased or kept alive (ms); later than now where a lease is known to be quiet for a while |
//! | `{prefix}:staged:…` | | work that is not visible yet; expires |
//! | `{prefix}:events` | stream | the event bus |
//! | `{prefix}:probe:…` | | for the moment of a probe |
//!
//! One stream an *environment*, although a family would be the natural unit: executors may ask for single environments, and a
//! consumer group cannot filter. A lease call takes from the streams by turns, so the order stays fair.
//!
//! # Full miners
//!
//! An executor that has enough episodes of a miner in flight asks for others. A consumer group cannot filter by miner either, so the
//! lease script reads on and *passes over* what the executor does not want: the entry stays in the stream where it is, behind what the
//! group has read, without being pending, and its id is noted in `passed` under its miner. So it counts as waiting, it is completed and
//! kept alive like any waiting one, and no attempt is spent. Later calls look at `passed` before they read on: they hop from miner to
//! miner, take what the caller may have, oldest first, and claim it (`XCLAIM … FORCE`) without searching. Each entry is therefore read
//! once and passed over once, however many calls do not want it, and a call that finds only full miners moves nothing. What a call looks
//! at is bounded: `lease.lua` names the bound, and [`LeaseBatch::cut_short`] says where to go on. An expired lease of a full miner is passed
//! over too; when its holder is alive after all, its heartbeat takes it back.
//!
//! # Short leases
//!
//! Redis knows how long nothing was heard of a pending entry, and a lease call claims what is older than the *longest* lease. A shorter lease
//! starts with a part of that time gone (`XCLAIM … IDLE`), and so does each of its heartbeats. So leases of executors that heartbeat and of
//! others wait in one list, and all of them expire by the same comparison.
//!
//! # Postponed
//!
//! A task that shall wait before its next attempt stays pending, held by a name that no executor has, with a lease of which only the delay
//! is left. It counts as leased, nobody can heartbeat it, and the search for expired leases finds it when it is due. Losing Redis makes it
//! available at once.
//!
//! Contracts that the scripts keep:
//!
//! - An entry is in the stream exactly when its id is in the hash, because one Lua script changes both. So enqueueing is idempotent: a
//!   task that waits or is leased is left where it is. `FLUSHALL` loses both together.
//! - A passed-over entry is in its stream, read by the group and not pending. Where the group is created anew, all entries are new again
//!   and `passed` goes. Entries without a miner (16 bytes, of an earlier version) are never passed over as full; outside Redis their uid is
//!   65535, which therefore stands for no miner.
//! - A loss inside Redis (an evicted key, a trimmed stream) breaks these contracts for an environment: [`WorkQueue::audit`] finds it.
//! - A leased task is an entry in the group's pending list; its idle time is the time since the lease or the last heartbeat. Nothing
//!   runs when a lease expires: the next lease call finds it with `XAUTOCLAIM`.
//! - A completed task is acknowledged *and* deleted, so the length of a stream minus its pending entries is what waits: O(1).
//! - A stream whose last entry goes is deleted with its hash, its group and its consumers; nothing grows with the number of executors
//!   or cycles. The group is created where it is missing.
//! - Every operation is one round trip, and running it twice does no harm.
//!
//! The queue knows nothing of attempts. Who may write a result is decided in Postgres with the attempt as the fencing token.
//! The scripts build key names from environments, so a Redis Cluster needs a prefix in braces, e.g. `{kinitro}`.

mod audit;
mod bus;
mod connection;
mod credentials;
mod error;
mod event;
mod inspect;
mod packed;
mod probe;
mod stage;
mod work;

pub use audit::{Condition, Eviction};
pub use bus::{EventBus, EventId, Received, Start};
pub use credentials::redis_url;
pub use error::QueueError;
pub use event::{Event, EventKind};
pub use inspect::{ActiveExecutor, Depth};
pub use stage::Staged;
pub use work::{Completed, Entry, Holding, LeaseBatch, LeaseRequest, LeaseTime, Leased, Resume, WorkQueue};
