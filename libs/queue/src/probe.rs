//! Whether Redis lets us work: asked by working.
//!
//! A server that answers `PING` may still refuse scripts, single commands or the prefix to our user, be a read-only replica, or have no
//! memory left. The probe therefore does what the queue and the event bus do, with keys of its own under the same prefix.

use std::sync::LazyLock;

use redis::Script;

use crate::{QueueError, WorkQueue};

static PROBE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/probe.lua")));

impl WorkQueue {
    /// Whether Redis does what the queue needs.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unreachable`], [`QueueError::Timeout`], [`QueueError::Refused`].
    pub async fn probe(&self) -> Result<(), QueueError> {
        let key = |name: &str| format!("{}:probe:{name}", self.keys.prefix);
        let mut call = PROBE.prepare_invoke();
        for name in ["stream", "hash", "set", "sorted", "other"] {
            call.key(key(name));
        }
        let mut pipeline = redis::pipe();
        pipeline.load_script(&PROBE).ignore();
        pipeline.invoke_script(&call).ignore();
        // What is done without a script, with keys that stay empty.
        let events = key("events");
        pipeline.cmd("TIME").ignore();
        pipeline.cmd("GET").arg(key("text")).ignore();
        pipeline.cmd("XADD").arg(&events).arg("NOMKSTREAM").arg("*").arg("event").arg("{}").ignore();
        pipeline.cmd("XREVRANGE").arg(&events).arg("+").arg("-").arg("COUNT").arg(1).ignore();
        pipeline.cmd("XREAD").arg("COUNT").arg(1).arg("STREAMS").arg(&events).arg("0-0").ignore();
        pipeline.cmd("ZRANGE").arg(key("sorted")).arg(0).arg("+inf").arg("BYSCORE").ignore();
        pipeline.cmd("SMEMBERS").arg(key("set")).ignore();
        pipeline.cmd("HSCAN").arg(key("hash")).arg(0).ignore();
        pipeline.cmd("HMGET").arg(key("hash")).arg("a").ignore();
        self.connection.pipeline::<()>(&pipeline).await
    }

    /// Host and port, or the path of the socket.
    pub fn address(&self) -> &str {
        self.connection.address()
    }
}
