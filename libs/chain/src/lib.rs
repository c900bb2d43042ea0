//! The subtensor client: finalized blocks, the subnet, commitments, weights, and the keys that sign them.
//!
//! A [`ChainClient`] talks to one node over a WebSocket, through the RPC methods that every node serves (never the newer
//! `chainHead` ones, which cannot read old blocks), and finds storage, calls and errors by name in the metadata that the node
//! itself serves. So a runtime upgrade that moves indices or wraps a type does not need a new build.
//!
//! Whoever writes to the chain asks for one thing: that it happens once, and that he learns whether it did. [`ChainClient::execute`]
//! gives out a [`Ticket`] before the first byte leaves, follows a transaction through lost connections and reorganisations, and
//! [`ChainClient::fate`] does the same for a ticket that was written down before a restart. A transaction is signed anew only
//! when its predecessor can certainly not get into a block any more.
//!
//! The connection is made when first needed and made again when it was lost: a call while the node is away fails with an error
//! that names the address, and a later call works again. [`ChainClient::follow_finalized`] does the waiting by itself.
//!
//! What miners wrote ([`RawCommitment`]) is hostile: sizes are bounded, nothing panics, and one bad entry never costs the others.
//! Here it is bytes; what they say is `kinitro-commitment`'s.

mod account;
mod beacon;
mod block;
mod call;
mod client;
mod clock;
mod dispatch;
mod error;
mod error_kind;
mod execute;
mod follow;
mod link;
mod network;
mod outcome;
mod read_back;
mod reader;
#[cfg(test)]
mod recorded_tests;
mod reveal;
mod secret_file;
mod settle;
mod socket;
mod state;
mod subnet;
mod ticket;
mod turn;
mod value;
mod wallet;

pub use account::{Signer, account_of, hotkey_of};
pub use block::{BlockHash, BlockHashError, BlockRef};
pub use call::Call;
pub use client::ChainClient;
pub use error::ChainError;
pub use error_kind::ErrorKind;
pub use network::NodeAddress;
pub use reveal::{BlockClock, COMMIT_LIMIT, EpochSchedule, RevealError, WeightsPayload};
pub use state::{MalformedCommitment, Neuron, RawCommitment};
pub use subnet::{Subnet, Validator};
pub use ticket::{ERA, Fate, Receipt, SignedTransaction, SignedTransactionError, TRANSACTION_LIMIT, Ticket, Wait};
pub use wallet::Wallet;
