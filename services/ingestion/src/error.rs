//! What can go wrong while the service is set up, and while it follows the chain.

use kinitro_chain::ChainError;
use kinitro_domain::BlockNumber;

/// Why ingestion could not be set up, or could not read a block.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error("ingestion cannot start with these settings: {0}")]
    Config(String),
    /// The database refused or was not reached.
    #[error("the database of ingestion failed: {0}; check that Postgres runs at database_url and takes the user")]
    Database(#[from] sqlx::Error),
    /// The address of the database cannot be used, or the schema could not be brought up to date.
    #[error("ingestion: {0}")]
    Address(#[from] kinitro_database::DatabaseError),
    /// The chain refused or was not reached.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The subnet is not on the chain.
    #[error(
        "there is no subnet {netuid} on the chain at {address}, which has {existing}: set netuid (--netuid, KINITRO_SCHEDULER_NETUID) \
         and network (--network, KINITRO_SCHEDULER_NETWORK) to those of your subnet"
    )]
    NoSubnet {
        /// The one that is configured.
        netuid: u16,
        /// The node.
        address: String,
        /// Which there are, in ranges.
        existing: String,
    },
    /// The node cannot be right about the finalized block.
    #[error(
        "the node of the chain is not believed: {what}; ask another node, or see docs/commitments.md on a wrong block number"
    )]
    BadNode {
        /// What it said.
        what: String,
    },
    /// What was read could not be stored, again and again.
    #[error(
        "block {block} cannot be stored: the database holds a newer one, or other replicas change it all the time; when the node \
         never gets there, see docs/commitments.md on a wrong block number"
    )]
    NotStored {
        /// The block that was read.
        block: BlockNumber,
    },
    /// The key that opens sealed endpoints cannot be used.
    #[error("the key for sealed endpoints cannot be used: {0}")]
    Key(#[from] kinitro_crypto::CryptoError),
    /// The server could not be set up.
    #[error(transparent)]
    Chassis(#[from] kinitro_chassis::ChassisError),
}
