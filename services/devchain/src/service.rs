//! The chain as a service: blocks by the clock, the RPC on a socket.

use std::{net::SocketAddr, time::Duration};

use jsonrpsee::server::ServerHandle;
use kinitro_chassis::Supervisor;
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval},
};

use crate::{Config, Error, block::hex, chain::Chain, genesis::public_key, rpc, runtime::Edit};

/// A chain, independent of whether anybody can reach it. Clones are the same chain.
#[derive(Clone)]
pub struct Devchain {
    chain: Chain,
    control: bool,
}

/// A running RPC server of a chain. Stopping it leaves the chain as it is: a node that goes away and comes back.
pub struct RpcServer {
    address: SocketAddr,
    handle: ServerHandle,
}

/// A chain that runs as a service.
pub struct DevchainHandle {
    /// Where clients connect to, `ws://…`.
    pub url: String,
    /// The chain itself, to be driven from the same process.
    pub chain: Devchain,
}

impl Devchain {
    /// A chain at its genesis block.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self { chain: Chain::new(config)?, control: config.control })
    }

    /// Serves the chain's RPC on a socket until the server is stopped.
    pub fn serve(&self, listener: TcpListener) -> Result<RpcServer, Error> {
        let address = listener.local_addr().map_err(Error::Listen)?;
        let handle = rpc::serve(self.clone(), self.chain.clone(), self.control, listener)?;
        Ok(RpcServer { address, handle })
    }

    /// Makes blocks now; answers the number of the last one.
    pub fn advance(&self, blocks: u32) -> Result<u32, Error> {
        let mut number = self.best_number();
        for _ in 0..blocks {
            number = self.chain.advance(&[])?;
        }
        Ok(number)
    }

    /// Replaces the last `depth` blocks, none of them finalized, by `depth + 1` others; answers the number of the new head.
    pub fn reorganise(&self, depth: u32) -> Result<u32, Error> {
        self.chain.reorganise(depth)
    }

    /// Gives a uid to a hotkey (an address, or a URI such as `//Alice`) in a new block; answers the block's number.
    pub fn register(&self, uid: u16, hotkey: &str) -> Result<u32, Error> {
        self.chain.advance(&[Edit::Register { uid, account: public_key(hotkey)?, stake: 0 }])
    }

    /// Writes the stored bytes of a hotkey's commitment, well-formed or not, in a new block; answers the block's number.
    pub fn set_commitment_raw(&self, hotkey: &str, stored: Vec<u8>) -> Result<u32, Error> {
        self.chain.advance(&[Edit::RawCommitment { account: public_key(hotkey)?, bytes: stored }])
    }

    /// The height of the best chain.
    pub fn best_number(&self) -> u32 {
        self.chain.best().number
    }

    /// The height up to which the chain is finalized.
    pub fn finalized_number(&self) -> u32 {
        self.chain.finalized().number
    }

    /// The hash of a block of the best chain.
    pub fn block_hash(&self, number: u32) -> Option<[u8; 32]> {
        self.chain.hash_at(number.into())
    }
}

impl RpcServer {
    /// Where clients connect to.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Closes every connection and the socket.
    pub async fn stop(self) {
        // An error says that it was stopped already.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

/// Starts a chain: blocks every `block_ms` and the RPC on `listener`, until the supervisor drains.
pub async fn start(config: Config, listener: TcpListener, supervisor: &Supervisor) -> Result<DevchainHandle, Error> {
    let chain = Devchain::new(&config)?;
    let server = chain.serve(listener)?;
    let url = server.url();
    tracing::warn!(
        %url,
        genesis = hex(&chain.chain.genesis()),
        netuid = chain.chain.netuid,
        "development chain: proves that a client speaks the chain's language, not that the real chain would agree; no consensus, state in memory"
    );
    if config.control {
        tracing::warn!("the development chain's control interface is on: whoever reaches it can rewrite the chain");
    }
    let draining = supervisor.draining();
    supervisor.spawn("devchain rpc", async move {
        draining.cancelled().await;
        server.stop().await;
        Ok::<_, Error>(())
    });
    if config.block_ms > 0 {
        let (draining, blocks) = (supervisor.draining(), chain.clone());
        supervisor.spawn("devchain blocks", async move {
            let mut clock = interval(Duration::from_millis(config.block_ms));
            clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
            clock.tick().await;
            while draining.run_until_cancelled(clock.tick()).await.is_some() {
                blocks.advance(1)?;
            }
            Ok::<_, Error>(())
        });
    }
    Ok(DevchainHandle { url, chain })
}
