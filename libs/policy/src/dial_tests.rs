//! Policies that flood below HTTP, in TLS.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{Destination, GrpcTransport, HttpTransport, METAWORLD_ACTION, TransportConfig};

const CERTIFICATE: &[u8] = include_bytes!("../tests/data/localhost.pem");
const KEY: &[u8] = include_bytes!("../tests/data/localhost.key");

fn config() -> TransportConfig {
    let patience = Duration::from_secs(20);
    TransportConfig { allow_private: true, connect_timeout: patience, action_timeout: patience }
}

fn at(url: String) -> Destination {
    url.parse::<Endpoint>().unwrap().into()
}

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(CERTIFICATE).unwrap()
}

/// A server that hands out this number of session tickets after each handshake, and then answers `/health` or is silent.
async fn ticketing(tickets: usize) -> SocketAddr {
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate()], key).unwrap();
    config.send_tls13_tickets = tickets;
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut heard = [0; 4096];
                while stream.read(&mut heard).await.ok()? > 0 {
                    if heard.starts_with(b"GET ") {
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.ok()?;
                    }
                }
                Some(())
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_tls_tickets_ends_with_its_cause() {
    let flooding = ticketing(20_000).await.port();
    let http = HttpTransport::with_tls(config(), Tls::trusting(certificate()));
    let fault = http.open(at(format!("https://localhost:{flooding}")), METAWORLD_ACTION).await.err().unwrap();
    assert_eq!(fault.cause(), Cause::ResponseTooLarge, "{fault}");
    let grpc = GrpcTransport::with_tls(config(), Tls::trusting(certificate()));
    let fault = grpc.open(at(format!("grpcs://localhost:{flooding}")), METAWORLD_ACTION).await.err().unwrap();
    // rustls may say before the meter that it has more than it can hold.
    let full = fault.cause() == Cause::PolicyUnreachable && fault.evidence().contains("buffer full");
    assert!(full || fault.cause() == Cause::ResponseTooLarge, "{fault}");

    let honest = ticketing(2).await.port();
    assert!(http.open(at(format!("https://localhost:{honest}")), METAWORLD_ACTION).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_records_in_place_of_a_handshake_are_not_read() {
    // A piece of a certificate of sixteen megabytes; warnings; a record that says nothing.
    let pieces: [Vec<u8>; 3] = [
        [&[22, 3, 3, 0x40, 0, 11, 0xff, 0xff, 0xff][..], &[0; 0x4000 - 4]].concat(),
        vec![21, 3, 3, 0, 2, 1, 90],
        vec![22, 3, 3, 0, 0],
    ];
    for piece in pieces {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let written = Arc::new(AtomicUsize::new(0));
        let count = written.clone();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let many = piece.repeat(1 + 65536 / piece.len());
            while stream.write_all(&many).await.is_ok() {
                count.fetch_add(many.len(), Ordering::Relaxed);
            }
        });
        let http = HttpTransport::with_tls(config(), Tls::trusting(certificate()));
        let fault = http.open(at(format!("https://localhost:{port}")), METAWORLD_ACTION).await.err().unwrap();
        assert!(matches!(fault.cause(), Cause::ResponseTooLarge | Cause::PolicyUnreachable), "{fault}");
        assert!(!fault.evidence().contains("within"), "it was waited for: {fault}");
        assert!(written.load(Ordering::Relaxed) < 12 << 20, "{written:?}");
    }
}
