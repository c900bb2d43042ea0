//! What a server allows its clients.

use std::time::Duration;

/// The first request of a connection must begin within this time, and so must the head of the next one over HTTP/1.
const HEAD: Duration = Duration::from_secs(30);
/// Longer than the keep-alive of ordinary clients, so that they hang up first.
const IDLE: Duration = Duration::from_secs(120);
const STALL: Duration = Duration::from_secs(30);
const CONNECTIONS: usize = 4096;

/// How many connections a server keeps, how much may wait in one, and for how long.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Connections in all; never more than half of the files that the process may open.
    pub connections: usize,
    /// Connections of one address, or of one /64 network over IPv6; never more than half of all. `None` for any number: inside the mesh
    /// there are few addresses.
    pub connections_per_address: Option<usize>,
    /// Requests that one HTTP/2 connection may have under way.
    pub streams: u32,
    /// Bytes of one answer that wait in an HTTP/2 connection beyond what its client lets through.
    pub send_buffer: usize,
    /// How long a connection may be without a first request, and the head of a request may take over HTTP/1.
    pub head: Duration,
    /// How long an HTTP/2 connection may have no request under way; `None` for any time: channels of the mesh live long.
    pub idle: Option<Duration>,
    /// How long a client may take nothing of an answer that is ready for it. Then its connection is closed.
    pub stall: Duration,
}

impl ServerLimits {
    /// For callers of the same deployment, which keep few connections with much on each.
    pub fn mesh() -> Self {
        Self {
            connections: CONNECTIONS,
            connections_per_address: None,
            streams: 256,
            send_buffer: 256 << 10,
            head: HEAD,
            idle: None,
            stall: STALL,
        }
    }

    /// For a port that strangers reach.
    pub fn public() -> Self {
        Self {
            connections_per_address: Some(256),
            streams: 32,
            send_buffer: 64 << 10,
            idle: Some(IDLE),
            ..Self::mesh()
        }
    }

    /// The limits, lowered to what this number of open files can bear.
    pub(super) fn within(mut self, open_files: u64) -> Self {
        let bearable = usize::try_from(open_files / 2).unwrap_or(usize::MAX).max(2);
        self.connections = self.connections.clamp(2, bearable);
        let half = self.connections / 2;
        self.connections_per_address = self.connections_per_address.map(|wanted| wanted.clamp(1, half));
        self
    }

    /// How often a connection is looked at.
    pub(super) fn tick(&self) -> Duration {
        let shortest = self.idle.map_or(self.head, |idle| idle.min(self.head)).min(self.stall);
        (shortest / 8).max(Duration::from_millis(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_half_of_the_open_files_and_one_address_half_of_the_connections() {
        let few = ServerLimits::public().within(256);
        assert_eq!((few.connections, few.connections_per_address), (128, Some(64)));
        let many = ServerLimits::public().within(1 << 20);
        assert_eq!((many.connections, many.connections_per_address), (4096, Some(256)));
        let mesh = ServerLimits::mesh().within(0);
        assert_eq!((mesh.connections, mesh.connections_per_address), (2, None));
    }
}
