//! A connection to a policy at an address that was checked: TCP, and TLS where the endpoint says so, with the meter below both.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use kinitro_commitment::Endpoint;
use kinitro_domain::Cause;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{
    Fault,
    local::{is_ours, our_fault},
    metered::{Allowance, Metered, told},
    patience::answer_within,
    tcp,
    tls::{Tls, discreet_text},
};

/// What HTTP is spoken over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Connects to the first of the addresses that answers. That none does may be the network between. `protocol` is what TLS is told that will
/// be spoken.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    addresses: &[SocketAddr],
    tls: &Tls,
    protocol: &'static [u8],
    allowance: &Allowance,
    within: Duration,
) -> Result<Box<dyn Io>, Fault> {
    let config = if endpoint.is_secure() { Some(tls.config()?) } else { None };
    let late = || unreachable(format!("no connection within {within:?}"));
    answer_within(within, Some(allowance), late, async {
        let tcp = Metered::new(tcp::connect(addresses).await?, allowance.clone());
        Ok(match config {
            None => Box::new(tcp) as Box<dyn Io>,
            Some(config) => secured(endpoint, tcp, config, protocol, allowance).await?,
        })
    })
    .await
}

async fn secured(
    endpoint: &Endpoint,
    tcp: Metered<TcpStream>,
    mut config: ClientConfig,
    protocol: &'static [u8],
    allowance: &Allowance,
) -> Result<Box<dyn Io>, Fault> {
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from(endpoint.host_text().to_owned())
        .map_err(|_| unreachable("the endpoint's host is no name for a certificate".to_owned()))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let secured = allowance.charge(Box::pin(handshake)).await.map_err(|error: io::Error| {
        told(&error).unwrap_or_else(|| match error {
            error if is_ours(&error, &[]) => our_fault(&error),
            error => unreachable(format!("no TLS: {}", discreet_text(&error))),
        })
    })?;
    Ok(Box::new(secured))
}

fn unreachable(what: String) -> Fault {
    Fault::new(Cause::PolicyUnreachable, what)
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
