//! A service whose calls do what the request's metadata asks, on a server of the chassis.
#![allow(clippy::unwrap_used, dead_code, reason = "each test file uses its part")]

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use kinitro_chassis::{
    ChassisError, ErrorCode, GrpcServer, MeshAccess, Supervisor, connect_lazy, current_traceparent, status,
};
use kinitro_proto::ingestion::v1::{
    ListMinersRequest, ListMinersResponse, WatchMinersRequest, WatchMinersResponse,
    ingestion_service_client::IngestionServiceClient,
    ingestion_service_server::{IngestionService, IngestionServiceServer},
};
use tokio::{net::TcpListener, sync::Notify};
use tonic::{Request, Response, Status, transport::Channel};

pub const SERVICE: &str = "kinitro.ingestion.v1.IngestionService";

/// What the test sees and controls of the calls.
#[derive(Default)]
pub struct Stage {
    pub entered: Notify,
    pub release: Notify,
    pub calls: AtomicUsize,
    pub dropped: AtomicUsize,
}

#[derive(Clone, Default)]
pub struct Actor {
    pub stage: Arc<Stage>,
}

struct DropCount(Arc<Stage>);

impl Drop for DropCount {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[tonic::async_trait]
impl IngestionService for Actor {
    async fn list_miners(&self, request: Request<ListMinersRequest>) -> Result<Response<ListMinersResponse>, Status> {
        self.stage.calls.fetch_add(1, Ordering::SeqCst);
        let _count = DropCount(self.stage.clone());
        let act = request.metadata().get("act").and_then(|value| value.to_str().ok()).unwrap_or_default();
        match act {
            "panic" => panic!("the actor was told to"),
            "wait" => {
                self.stage.entered.notify_one();
                self.stage.release.notified().await;
            }
            "refuse" => return Err(status(ErrorCode::FailedPrecondition, "TOLD_TO", "the actor was told to")),
            _ => {}
        }
        let block_hash = current_traceparent().unwrap_or_default();
        Ok(Response::new(ListMinersResponse { block_hash, ..Default::default() }))
    }

    type WatchMinersStream = Pin<Box<dyn Stream<Item = Result<WatchMinersResponse, Status>> + Send>>;

    async fn watch_miners(
        &self,
        _request: Request<WatchMinersRequest>,
    ) -> Result<Response<Self::WatchMinersStream>, Status> {
        Ok(Response::new(stream::iter([Ok(WatchMinersResponse::default())]).chain(stream::pending()).boxed()))
    }
}

pub struct Running {
    pub address: SocketAddr,
    pub supervisor: Supervisor,
    pub stage: Arc<Stage>,
}

impl Running {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn channel(&self) -> Channel {
        connect_lazy(&self.url()).unwrap()
    }

    pub fn client(&self) -> IngestionServiceClient<Channel> {
        IngestionServiceClient::new(self.channel())
    }
}

pub async fn serve(adapt: impl FnOnce(GrpcServer) -> GrpcServer) -> Running {
    serve_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), adapt)
}

pub fn serve_on(listener: TcpListener, adapt: impl FnOnce(GrpcServer) -> GrpcServer) -> Running {
    try_serve(listener, &MeshAccess::default(), adapt).unwrap()
}

pub fn try_serve(
    listener: TcpListener,
    access: &MeshAccess,
    adapt: impl FnOnce(GrpcServer) -> GrpcServer,
) -> Result<Running, ChassisError> {
    let address = listener.local_addr().unwrap();
    let supervisor = Supervisor::new();
    let actor = Actor::default();
    let stage = actor.stage.clone();
    let server = GrpcServer::new("ingestion", access).add_service(IngestionServiceServer::new(actor));
    adapt(server).serve(listener, &supervisor)?;
    Ok(Running { address, supervisor, stage })
}

pub fn request(act: &'static str) -> Request<ListMinersRequest> {
    let mut request = Request::new(ListMinersRequest {});
    request.metadata_mut().insert("act", act.parse().unwrap());
    request
}

/// Generous, so that a slow machine does not fail; what never comes true does.
pub async fn eventually<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(30), future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain: {what}"),
    }
}
