//! A chain that makes blocks on demand, a database, and ingestion between them.

use std::{net::SocketAddr, pin::pin, time::Duration};

use kinitro_chain::{ChainClient, Signer, Wait, account_of};
use kinitro_chassis::{ErrorInfo, Supervisor};
use kinitro_crypto::Binding;
use kinitro_devchain::{Devchain, NeuronSeed, RpcServer};
use kinitro_ingestion::Config;
use kinitro_proto::ingestion::v1::{
    ListMinersRequest, ListMinersResponse, Miner, WatchMinersRequest, WatchMinersResponse,
    ingestion_service_client::IngestionServiceClient,
};
use sqlx::{Connection as _, PgConnection};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};
use tonic::{Status, Streaming, transport::Channel};

pub const NETUID: u16 = 7;
/// For anything that must happen at all.
const PATIENCE: Duration = Duration::from_secs(120);
/// Nobody calls out from this address, so a port stays free while a node of ours is away.
const HOST: &str = "127.0.0.2:0";

/// A chain and the node that serves it; a database for ingestion.
pub struct World {
    pub chain: Devchain,
    pub database_url: String,
    node: Option<RpcServer>,
    address: SocketAddr,
    client: ChainClient,
}

impl World {
    /// A chain with these hotkeys registered, in order of uid, over a database of its own.
    pub async fn new(hotkeys: &[&str]) -> Self {
        let database_url = kinitro_stores::testing::fresh_database().await;
        Self::over(hotkeys, database_url).await
    }

    /// The same over a database that the test may stop.
    pub async fn over(hotkeys: &[&str], database_url: String) -> Self {
        kinitro_ingestion::migrate(&database_url).await.unwrap();
        let listener = TcpListener::bind(HOST).await.unwrap();
        let address = listener.local_addr().unwrap();
        let chain = new_chain(hotkeys);
        let node = Some(chain.serve(listener).unwrap());
        let client = ChainClient::new(&format!("ws://{address}")).unwrap();
        Self { chain, database_url, node, address, client }
    }

    /// The node goes away; its chain stays as it is.
    pub async fn stop_node(&mut self) {
        self.node.take().unwrap().stop().await;
    }

    /// The node comes back with the chain it had.
    pub async fn start_node(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.node = Some(self.chain.serve(listener).unwrap());
    }

    /// Behind the same address there is another chain now.
    pub async fn replace_chain(&mut self, hotkeys: &[&str]) {
        self.stop_node().await;
        self.chain = new_chain(hotkeys);
        self.client = ChainClient::new(&self.client.address().to_string()).unwrap();
        self.start_node().await;
    }

    /// Signs and submits a commitment and finalizes it; answers its block.
    pub async fn commit(&self, uri: &str, data: &str) -> u64 {
        let signer = Signer::from_uri(uri).unwrap();
        let mut submitted = pin!(self.client.set_commitment(&signer, NETUID, data.as_bytes(), Wait::Inclusion));
        // More and more slowly: on a busy machine the transaction must not be too old for the chain when it arrives.
        let mut pause = Duration::from_millis(10);
        let receipt = loop {
            tokio::select! {
                receipt = &mut submitted => break receipt.unwrap(),
                () = sleep(pause) => { self.chain.advance(1).unwrap(); }
            }
            pause = (pause * 2).min(Duration::from_secs(1));
        };
        self.finalize();
        receipt.block.number.0
    }

    /// Makes blocks until everything before them is final; answers how far the chain is final then.
    pub fn finalize(&self) -> u64 {
        let head = self.chain.best_number();
        while self.chain.finalized_number() < head {
            self.chain.advance(1).unwrap();
        }
        self.chain.finalized_number().into()
    }

    pub fn config(&self) -> Config {
        Config {
            database_url: self.database_url.clone(),
            network: self.client.address().to_string(),
            netuid: NETUID,
            ..Config::default()
        }
    }

    /// Another node of this chain.
    pub async fn another_node(&self) -> Node {
        let listener = TcpListener::bind(HOST).await.unwrap();
        let address = listener.local_addr().unwrap();
        Node { address, server: Some(self.chain.serve(listener).unwrap()) }
    }

    /// A connection to the database of ingestion.
    pub async fn database(&self) -> PgConnection {
        PgConnection::connect(&self.database_url).await.unwrap()
    }

    /// What another replica, which had read more of the chain, would have stored.
    pub async fn store_policy(&self, uri: &str, policy: &str, block: u64) {
        let genesis = ChainClient::new(&self.config().network).unwrap().genesis_hash().await.unwrap();
        sqlx::query("INSERT INTO ingestion.first_commitments VALUES ($1, $2, $3, $4, $5)")
            .bind(genesis.to_string())
            .bind(i32::from(NETUID))
            .bind(hotkey(uri))
            .bind(policy)
            .bind(i64::try_from(block).unwrap())
            .execute(&mut self.database().await)
            .await
            .unwrap();
    }

    /// Ingestion of this chain into this database.
    pub async fn ingest(&self) -> Ingestion {
        Ingestion::start(self.config()).await
    }
}

/// Another node of the same chain.
pub struct Node {
    address: SocketAddr,
    server: Option<RpcServer>,
}

impl Node {
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// It goes away; the chain goes on.
    pub async fn stop(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    pub async fn start(&mut self, world: &World) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.server = Some(world.chain.serve(listener).unwrap());
    }
}

fn new_chain(hotkeys: &[&str]) -> Devchain {
    let neurons = hotkeys.iter().copied().map(NeuronSeed::new).collect();
    let config = kinitro_devchain::Config { netuid: NETUID, block_ms: 0, control: true, neurons, ..Default::default() };
    let chain = Devchain::new(&config).unwrap();
    // Past the blocks that are final from the beginning.
    chain.advance(5).unwrap();
    chain
}

/// A running ingestion and a client of it.
pub struct Ingestion {
    pub address: SocketAddr,
    client: IngestionServiceClient<Channel>,
    supervisor: Supervisor,
}

impl Ingestion {
    pub async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let supervisor = Supervisor::new();
        kinitro_ingestion::start(config, &kinitro_chassis::MeshAccess::default(), listener, &supervisor).await.unwrap();
        let client = IngestionServiceClient::connect(format!("http://{address}")).await.unwrap();
        Self { address, client, supervisor }
    }

    pub async fn list(&self) -> Result<ListMinersResponse, Status> {
        self.client.clone().list_miners(ListMinersRequest {}).await.map(tonic::Response::into_inner)
    }

    pub async fn watch(&self) -> Result<Streaming<WatchMinersResponse>, Status> {
        self.client.clone().watch_miners(WatchMinersRequest {}).await.map(tonic::Response::into_inner)
    }

    /// The list, as soon as it is what the test waits for.
    pub async fn list_when(&self, what: &str, reached: impl Fn(&ListMinersResponse) -> bool) -> ListMinersResponse {
        eventually(what, || async {
            match self.list().await {
                Ok(list) if reached(&list) => Ok(list),
                Ok(list) => Err(format!("{list:?}")),
                Err(status) => Err(status.message().to_owned()),
            }
        })
        .await
    }

    /// The list as of a block or a later one.
    pub async fn list_at(&self, block: u64) -> ListMinersResponse {
        self.list_when(&format!("block {block} is read"), |list| list.block_number >= block).await
    }

    /// The miner at a uid when its policy has become this revision.
    pub async fn revision(&self, uid: usize, revision: &str) -> Miner {
        let what = format!("uid {uid} has revision {revision}");
        let list = self.list_when(&what, |list| list.miners[uid].revision == revision).await;
        list.miners[uid].clone()
    }

    pub fn begin_stop(&self) {
        self.supervisor.shutdown();
    }

    /// Ends as a process does on SIGTERM.
    pub async fn stop(self) {
        self.supervisor.shutdown();
        self.supervisor.join(PATIENCE).await.unwrap();
    }
}

/// Asks again until it succeeds; the last refusal is the failure's message.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(what: &str, ask: impl Fn() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let refusal = match ask().await {
            Ok(answer) => return answer,
            Err(refusal) => refusal,
        };
        assert!(Instant::now() < deadline, "waited in vain until {what}: {refusal}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The next list of a watch.
pub async fn next(stream: &mut Streaming<WatchMinersResponse>) -> Result<ListMinersResponse, Status> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("something is pushed in time");
    message.map(|response| response.expect("a watch ends with a status").snapshot.unwrap())
}

pub fn hotkey(uri: &str) -> String {
    Signer::from_uri(uri).unwrap().hotkey().to_string()
}

/// What binds an endpoint to a hotkey of this subnet.
pub fn binding(uri: &str) -> Binding {
    Binding { netuid: NETUID, hotkey: account_of(&Signer::from_uri(uri).unwrap().hotkey()).unwrap() }
}

/// The machine-readable reason of a refusal.
pub fn reason(status: &Status) -> String {
    ErrorInfo::from_status(status).unwrap().reason
}
