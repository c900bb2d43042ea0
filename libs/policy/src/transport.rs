//! Every protocol behind one call.

use std::time::Duration;

use kinitro_commitment::Protocol;

use crate::{ChannelSpec, Destination, Fault, GrpcTransport, HttpTransport, Policy, tls::Tls};

/// How policies are called.
#[derive(Debug, Clone, Copy)]
pub struct TransportConfig {
    /// Also call private and loopback addresses.
    pub allow_private: bool,
    /// For looking the name up, and again for TCP and TLS.
    pub connect_timeout: Duration,
    /// For each call, from sending to the last byte of the answer.
    pub action_timeout: Duration,
}

impl TransportConfig {
    /// The longest that one call of a policy takes, unless this process stands still meanwhile. It is that of beginning a stream: a connection
    /// that rested gives no sign of life, a fresh one is made, gives one and then refuses the stream, and so once more.
    pub fn longest_call(&self) -> Duration {
        2 * self.connect_timeout + 5 * self.action_timeout
    }
}

/// Opens conversations with policies, in the protocol that the endpoint's scheme says.
pub struct Transport {
    http: HttpTransport,
    grpc: GrpcTransport,
}

impl Transport {
    /// Loads the certificates that the operating system trusts. Without any, plain endpoints still work.
    pub fn new(config: TransportConfig) -> Self {
        let tls = Tls::load();
        Self { http: HttpTransport::with_tls(config, tls.clone()), grpc: GrpcTransport::with_tls(config, tls) }
    }

    /// Checks where an endpoint leads and makes sure that a policy is there, on a connection of its own that is new or has rested since
    /// an earlier episode with the same destination.
    pub async fn open(&self, to: Destination, spec: &'static [ChannelSpec]) -> Result<Box<dyn Policy>, Fault> {
        Ok(match to.endpoint().protocol() {
            Protocol::Http => Box::new(self.http.open(to, spec).await?),
            Protocol::Grpc => Box::new(self.grpc.open(to, spec).await?),
        })
    }
}
