//! Every protocol behind one call.

use std::time::Duration;

use crate::{ChannelSpec, Endpoint, Fault, GrpcTransport, HttpTransport, Policy, Protocol, tls::Tls};

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

    /// Checks an endpoint and makes sure that a policy is there, on a connection of its own that is new or has rested since an earlier
    /// episode with the same endpoint.
    pub async fn open(&self, endpoint: &str, spec: &'static [ChannelSpec]) -> Result<Box<dyn Policy>, Fault> {
        self.open_parsed(Endpoint::parse(endpoint)?, spec).await
    }

    /// The same with an endpoint that was read, and perhaps [pinned](Endpoint::pinned_to) to an address.
    pub async fn open_parsed(
        &self,
        endpoint: Endpoint,
        spec: &'static [ChannelSpec],
    ) -> Result<Box<dyn Policy>, Fault> {
        Ok(match endpoint.protocol() {
            Protocol::Http => Box::new(self.http.open_parsed(endpoint, spec).await?),
            Protocol::Grpc => Box::new(self.grpc.open_parsed(endpoint, spec).await?),
        })
    }
}
