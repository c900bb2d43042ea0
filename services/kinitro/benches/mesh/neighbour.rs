//! Ingestion's stand-in: it answers the same miners every time.

use kinitro_proto::ingestion::v1::{
    ListMinersRequest, ListMinersResponse, Miner, WatchMinersRequest, WatchMinersResponse,
    ingestion_service_server::IngestionService,
};
use tonic::{Request, Response, Status, codegen::BoxStream};

/// A subnet of miners that never change.
pub struct Subnet {
    list: ListMinersResponse,
}

impl Subnet {
    /// So many miners, all active, each with a policy of its own.
    pub fn new(miners: u16) -> Self {
        let list = ListMinersResponse {
            block_number: 4_711_000,
            block_hash: format!("0x{}", "5a".repeat(32)),
            netuid: 1,
            miners: (0..miners).map(miner).collect(),
            ..ListMinersResponse::default()
        };
        Self { list }
    }
}

fn miner(uid: u16) -> Miner {
    let mut public_key = [7; 32];
    public_key[..2].copy_from_slice(&uid.to_be_bytes());
    Miner {
        uid: uid.into(),
        hotkey: kinitro_chain::hotkey_of(public_key).to_string(),
        status: "active".to_owned(),
        repo: format!("somebody/policy-{uid}"),
        revision: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        endpoint: format!("https://policy-{uid}.deployments.example"),
        first_commit_block: 4_000_000 + u64::from(uid),
        commit_block: 4_000_000 + u64::from(uid),
        ..Miner::default()
    }
}

#[tonic::async_trait]
impl IngestionService for Subnet {
    async fn list_miners(&self, _: Request<ListMinersRequest>) -> Result<Response<ListMinersResponse>, Status> {
        Ok(Response::new(self.list.clone()))
    }

    type WatchMinersStream = BoxStream<WatchMinersResponse>;

    async fn watch_miners(&self, _: Request<WatchMinersRequest>) -> Result<Response<Self::WatchMinersStream>, Status> {
        Err(Status::unimplemented("nobody watches this subnet"))
    }
}
