//! An executor that has no descriptor left. Alone in its process, whose limit it lowers.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use kinitro_commitment::Endpoint;
use kinitro_domain::Cause;
use kinitro_policy::{METAWORLD_ACTION, Transport, TransportConfig};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

#[tokio::test]
async fn an_executor_without_descriptors_blames_no_policy() {
    let patience = Duration::from_secs(5);
    let transport =
        Transport::new(TransportConfig { allow_private: true, connect_timeout: patience, action_timeout: patience });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 3, most).unwrap();
    for endpoint in ["http://127.0.0.1", "grpc://127.0.0.1", "http://localhost", "grpc://localhost"] {
        let endpoint = format!("{endpoint}:{}", address.port());
        let fault = transport.open(endpoint.parse::<Endpoint>().unwrap().into(), METAWORLD_ACTION).await.err().unwrap();
        assert_eq!(fault.cause(), Cause::Executor, "{endpoint}: {fault}");
        assert!(!fault.evidence().contains("127.0.0.1"), "{fault}");
    }
}
