//! The mesh token between a client and a server of the chassis.
#![allow(clippy::unwrap_used)]

mod support;

use kinitro_chassis::{ErrorInfo, MeshAccess, MeshConfig, connect_lazy};
use kinitro_proto::ingestion::v1::{
    ListMinersRequest, WatchMinersRequest, ingestion_service_client::IngestionServiceClient,
};
use support::{Running, try_serve};
use tokio::net::TcpListener;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

const NEW: &str = "new-token-of-the-mesh";
const OLD: &str = "old-token-of-the-mesh";

fn access(token: &str, previous: Option<&str>, reflection: bool) -> MeshAccess {
    let token_previous = previous.map(str::to_owned);
    let config = MeshConfig { token: Some(token.to_owned()), token_previous, reflection, ..MeshConfig::default() };
    config.access().unwrap()
}

async fn serve(access: &MeshAccess) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    try_serve(listener, access, |server| server).unwrap()
}

/// What a caller with these credentials is answered.
async fn asked(server: &Running, access: &MeshAccess) -> Result<(), tonic::Status> {
    let mut client = IngestionServiceClient::new(access.channel(&server.url()).unwrap());
    client.list_miners(ListMinersRequest {}).await.map(drop)
}

async fn reflect(server: &Running) -> Result<(), tonic::Status> {
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let request = ServerReflectionRequest { host: String::new(), message_request };
    let mut client = ServerReflectionClient::new(connect_lazy(&server.url()).unwrap());
    client.server_reflection_info(tokio_stream::once(request)).await.map(drop)
}

#[tokio::test]
async fn a_call_without_the_token_is_refused_with_the_remedy_and_does_nothing() {
    let server = serve(&access(NEW, None, true)).await;
    asked(&server, &access(NEW, None, true)).await.unwrap();
    let calls = || server.stage.calls.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(calls(), 1);
    for (stranger, reason) in
        [(MeshAccess::default(), "MESH_TOKEN_MISSING"), (access(OLD, None, true), "MESH_TOKEN_WRONG")]
    {
        let refused = asked(&server, &stranger).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(ErrorInfo::from_status(&refused).unwrap().reason, reason);
        assert!(refused.message().contains("KINITRO_MESH_TOKEN_FILE"), "{}", refused.message());
        let mut client = IngestionServiceClient::new(stranger.channel(&server.url()).unwrap());
        let refused = client.watch_miners(WatchMinersRequest {}).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "a stream is no way around it");
    }
    assert_eq!(calls(), 1);
}

#[tokio::test]
async fn a_token_is_changed_service_by_service_without_a_refused_call() {
    let (old, both, new) = (access(OLD, None, true), access(NEW, Some(OLD), true), access(NEW, None, true));
    let changing = serve(&both).await;
    for caller in [&old, &both, &new] {
        asked(&changing, caller).await.unwrap();
    }
    let changed = serve(&new).await;
    asked(&changed, &both).await.unwrap();
    assert_eq!(asked(&changed, &old).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn health_and_reflection_answer_everyone_and_reflection_can_be_off() {
    let server = serve(&access(NEW, None, true)).await;
    let mut health = HealthClient::new(connect_lazy(&server.url()).unwrap());
    health.check(HealthCheckRequest { service: String::new() }).await.unwrap();
    reflect(&server).await.unwrap();
    let silent = serve(&access(NEW, None, false)).await;
    assert_eq!(reflect(&silent).await.unwrap_err().code(), Code::Unimplemented);
    asked(&silent, &access(NEW, None, true)).await.unwrap();
}

#[tokio::test]
async fn what_is_not_served_tells_a_stranger_no_more_than_what_is() {
    let server = serve(&access(NEW, None, true)).await;
    let mut client = kinitro_proto::scoring::v1::scoring_service_client::ScoringServiceClient::new(server.channel());
    let refused = client.get_weights(kinitro_proto::scoring::v1::GetWeightsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn without_a_token_a_service_serves_loopback_and_refuses_to_be_reached_from_elsewhere() {
    let server = serve(&MeshAccess::default()).await;
    asked(&server, &MeshAccess::default()).await.unwrap();
    asked(&server, &access(NEW, None, true)).await.unwrap();

    for address in ["0.0.0.0:0", "[::]:0"] {
        // A machine without IPv6 cannot be asked to listen there.
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        let refused = try_serve(listener, &MeshAccess::default(), |server| server).err().unwrap().to_string();
        assert!(refused.contains("ingestion") && refused.contains("KINITRO_MESH_TOKEN_FILE"), "{refused}");
    }
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    try_serve(listener, &access(NEW, None, true), |server| server).unwrap();
}
