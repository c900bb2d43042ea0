//! A chain that makes blocks on demand, and a client of it.
#![allow(clippy::unwrap_used, dead_code, reason = "every test file uses a part of this")]

pub mod rpc;

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kinitro_chain::{BlockHash, BlockRef, ChainClient, ChainError};
use kinitro_devchain::{Config, Devchain, NeuronSeed, RpcServer};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};

pub const NETUID: u16 = 7;
/// The runtimes that can be chosen.
pub const SPECS: [u32; 2] = [461, 419];
/// Nothing here takes longer unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn config() -> Config {
    Config {
        netuid: NETUID,
        block_ms: 0,
        control: true,
        neurons: ["//Alice", "//Bob"].map(NeuronSeed::new).into(),
        ..Config::default()
    }
}

pub struct World {
    pub chain: Devchain,
    pub server: RpcServer,
    pub client: ChainClient,
}

/// A chain with Alice and Bob registered, its server, and a connected client.
pub async fn world() -> World {
    let (chain, server) = serve(&config()).await;
    let client = ChainClient::connect(&server.url()).await.unwrap();
    World { chain, server, client }
}

/// A chain and its server.
pub async fn serve(config: &Config) -> (Devchain, RpcServer) {
    let chain = Devchain::new(config).unwrap();
    let server = chain.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    (chain, server)
}

/// Makes blocks as long as it lives.
pub struct Clock(JoinHandle<()>);

impl Clock {
    pub fn start(chain: &Devchain) -> Self {
        let chain = chain.clone();
        Self(tokio::spawn(async move {
            loop {
                chain.advance(1).unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }))
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub fn hash(chain: &Devchain, number: u32) -> BlockHash {
    BlockHash(chain.block_hash(number).unwrap())
}

/// The next block of a stream that has nothing to complain about.
pub async fn next(stream: &mut (impl Stream<Item = Result<BlockRef, ChainError>> + Unpin)) -> BlockRef {
    timeout(PATIENCE, stream.next()).await.expect("a block in time").unwrap().unwrap()
}

/// Blocks up to a number, outages and all; the errors on the way.
pub async fn blocks_until(
    stream: &mut (impl Stream<Item = Result<BlockRef, ChainError>> + Unpin),
    last: u64,
) -> (Vec<BlockRef>, Vec<ChainError>) {
    let (mut blocks, mut errors) = (Vec::new(), Vec::new());
    while blocks.last().is_none_or(|block: &BlockRef| block.number.0 < last) {
        match timeout(PATIENCE, stream.next()).await.expect("an item in time").unwrap() {
            Ok(block) => blocks.push(block),
            Err(error) => errors.push(error),
        }
    }
    (blocks, errors)
}
