//! The chain as a service: blocks by the clock, the RPC on a socket.

use std::{net::SocketAddr, time::Duration};

use jsonrpsee::server::ServerHandle;
use kinitro_chassis::Supervisor;
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval},
};

use scale_value::Value;

use crate::{
    Config, Error, Hyperparameter, LostSubmission,
    block::hex,
    chain::Chain,
    genesis::public_key,
    meta::SUBTENSOR,
    rpc,
    runtime::{Edit, storage_index},
};

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
    ///
    /// # Errors
    /// [`Error::Config`] when [`Config::validate`] objects; a seed file, neurons or metadata that cannot be used.
    pub fn new(config: &Config) -> Result<Self, Error> {
        config.validate().map_err(|reason| Error::Config { reason })?;
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

    /// Lets time pass on the chain's clock before the next block, as if no block could be made meanwhile. No real time passes.
    pub fn pass_time(&self, time: Duration) {
        self.chain.pass_time(time);
    }

    /// Replaces the last `depth` blocks, none of them finalized, by `depth + 1` others; answers the number of the new head.
    pub fn reorganise(&self, depth: u32) -> Result<u32, Error> {
        self.chain.reorganise(depth)
    }

    /// Gives a uid to a hotkey (an address, or a URI such as `//Alice`) in a new block; answers the block's number.
    pub fn register(&self, uid: u16, hotkey: &str) -> Result<u32, Error> {
        self.chain.advance(&[Edit::Register { uid, account: public_key(hotkey)?, stake: 0 }])
    }

    /// Sets the stake of a hotkey on the subnet, in rao, in a new block; answers the block's number.
    pub fn set_stake(&self, hotkey: &str, stake: u64) -> Result<u32, Error> {
        self.chain.advance(&[Edit::Stake { account: public_key(hotkey)?, stake }])
    }

    /// Gives or takes a uid's permit to set weights for others, in a new block; answers the block's number.
    pub fn set_permit(&self, uid: u16, permit: bool) -> Result<u32, Error> {
        self.chain.advance(&[Edit::Permit { uid, permit }])
    }

    /// Changes a hyperparameter of the subnet in a new block; answers the block's number.
    pub fn set_hyperparameter(&self, parameter: Hyperparameter) -> Result<u32, Error> {
        self.chain.advance(&[Edit::Set(parameter)])
    }

    /// Turns commit-reveal on or off in a new block; answers the block's number.
    pub fn set_commit_reveal(&self, on: bool) -> Result<u32, Error> {
        self.set_hyperparameter(Hyperparameter::CommitReveal(on))
    }

    /// The weights of a uid at the best head, for the subnet's first mechanism; none when it never set any.
    pub fn weights(&self, uid: u16) -> Result<Vec<(u16, u16)>, Error> {
        self.mechanism_weights(uid, 0)
    }

    /// The weights of a uid at the best head, for one mechanism of the subnet.
    pub fn mechanism_weights(&self, uid: u16, mechanism: u8) -> Result<Vec<(u16, u16)>, Error> {
        let index = storage_index(self.chain.netuid, mechanism);
        let keys = [Value::u128(index.into()), Value::u128(uid.into())];
        self.chain.best_state().get_as_is(&self.chain.meta, (SUBTENSOR, "Weights"), &keys)
    }

    /// The block of a uid's last weights at the best head, or of its registration; none when there is no such uid.
    pub fn last_update(&self, uid: u16) -> Result<Option<u64>, Error> {
        let keys = [Value::u128(self.chain.netuid.into())];
        let all: Vec<u64> = self.chain.best_state().get_as_is(&self.chain.meta, (SUBTENSOR, "LastUpdate"), &keys)?;
        Ok(all.get(usize::from(uid)).copied())
    }

    /// From now on transactions are taken, but get into no block; or they do again.
    pub fn hold_transactions(&self, hold: bool) {
        self.chain.faults.hold_transactions(hold);
    }

    /// Answers the next calls of an RPC method with an error.
    pub fn fail_next(&self, method: &str, times: u32, code: i32, message: &str) {
        self.chain.faults.fail_next(method, times, code, message);
    }

    /// Breaks the connection over which the next transaction is sent, before or after it is taken.
    pub fn lose_next_submission(&self, kind: LostSubmission) {
        self.chain.faults.lose_next_submission(kind);
    }

    /// Breaks every connection that is open now; the server goes on.
    pub fn drop_connections(&self) {
        self.chain.faults.drop_connections();
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
