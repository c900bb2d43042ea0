//! What a caller keeps of a transaction, and what can become of it.

use std::fmt;

use kinitro_domain::{BlockNumber, Hotkey};
use serde::{Deserialize, Serialize};
use sp_crypto_hashing::blake2_256;

use crate::{BlockHash, BlockRef, ChainError};

/// For how many blocks a transaction is valid, from the finalized block that it was signed on. About 13 minutes.
pub const ERA: u64 = 64;

/// The largest transaction that is sent: weights for 4096 uids have 16 KiB.
pub const TRANSACTION_LIMIT: usize = 64 * 1024;

/// A transaction that was signed and perhaps sent. Whoever keeps it on disk can ask for its fate after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The transaction's hash.
    pub hash: BlockHash,
    /// Who signed it.
    pub hotkey: Hotkey,
    /// The call, `Pallet.call`.
    pub call: String,
    /// Its place among the signer's transactions. Of all that share it, one at most gets into a chain.
    pub nonce: u64,
    /// The finalized block that it was signed on: it can be in no block up to this one.
    pub birth: BlockRef,
    /// The last block that it can be in.
    pub last_block: BlockNumber,
    /// The transaction itself, so that it can be handed in again. A ticket without it can still be followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedTransaction>,
}

impl Ticket {
    /// The transaction's bytes, when the ticket has them. Bytes of another transaction (a file that somebody edited) are none.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        let bytes = self.signed.as_ref().map(SignedTransaction::as_bytes)?;
        if blake2_256(bytes) == self.hash.0 {
            return Some(bytes);
        }
        tracing::warn!(transaction = %self.hash, "the bytes in the ticket are of another transaction, they are not sent");
        None
    }
}

/// The bytes of a signed transaction, at most [`TRANSACTION_LIMIT`]; written in hex. Nothing in them is secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SignedTransaction(Vec<u8>);

/// Why something is no [`SignedTransaction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedTransactionError {
    /// It is no hex.
    #[error("a signed transaction must be written in hex")]
    NoHex,
    /// It is larger than anything that is sent.
    #[error("a signed transaction has at most {TRANSACTION_LIMIT} bytes, not {length}")]
    TooLong {
        /// How many bytes it has.
        length: usize,
    },
}

impl SignedTransaction {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for SignedTransaction {
    type Error = SignedTransactionError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        match bytes.len() {
            0..=TRANSACTION_LIMIT => Ok(Self(bytes)),
            length => Err(SignedTransactionError::TooLong { length }),
        }
    }
}

impl TryFrom<String> for SignedTransaction {
    type Error = SignedTransactionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.len() > 2 * TRANSACTION_LIMIT {
            return Err(SignedTransactionError::TooLong { length: text.len() / 2 });
        }
        Self::try_from(hex::decode(text).map_err(|_| SignedTransactionError::NoHex)?)
    }
}

impl From<SignedTransaction> for String {
    fn from(signed: SignedTransaction) -> Self {
        hex::encode(signed.0)
    }
}

impl fmt::Debug for SignedTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedTransaction({} bytes)", self.0.len())
    }
}

/// How sure a transaction must be before it is reported as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It is in a block of the best chain. A reorganisation can still undo it.
    Inclusion,
    /// It is in a finalized block.
    Finality,
}

/// A transaction that is in a block and succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The block.
    pub block: BlockRef,
    /// The transaction's hash.
    pub transaction: BlockHash,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is in a block and succeeded.
    Included(Receipt),
    /// It is in a block and failed there: a [`ChainError::Dispatch`].
    Failed(ChainError),
    /// It is in no block and never will be: its time is over, or another transaction has its nonce, in finalized blocks.
    NeverIncluded,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const OLD: &str = r#"{"hash":"0x0000000000000000000000000000000000000000000000000000000000000000",
        "hotkey":"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY","call":"Commitments.set_commitment","nonce":0,
        "birth":{"number":1,"hash":"0x0000000000000000000000000000000000000000000000000000000000000000"},"last_block":64}"#;

    #[test]
    fn a_ticket_of_an_earlier_build_has_no_bytes_and_is_read_all_the_same() {
        let ticket: Ticket = serde_json::from_str(OLD).unwrap();
        assert_eq!((ticket.nonce, ticket.signed), (0, None));
    }

    #[test]
    fn the_bytes_come_back_as_they_were_written_and_only_for_their_own_hash() {
        let mut ticket: Ticket = serde_json::from_str(OLD).unwrap();
        ticket.hash = BlockHash(blake2_256(b"signed"));
        ticket.signed = Some(b"signed".to_vec().try_into().unwrap());
        let read: Ticket = serde_json::from_str(&serde_json::to_string(&ticket).unwrap()).unwrap();
        assert_eq!((read.bytes(), &read), (Some(&b"signed"[..]), &ticket));
        ticket.hash = BlockHash([7; 32]);
        assert_eq!(ticket.bytes(), None);
    }

    #[test]
    fn bytes_that_are_no_hex_or_too_many_are_refused() {
        let refused = SignedTransaction::try_from("0g".to_owned());
        assert_eq!(refused, Err(SignedTransactionError::NoHex));
        let length = TRANSACTION_LIMIT + 1;
        let refused = Err(SignedTransactionError::TooLong { length });
        assert_eq!(SignedTransaction::try_from(vec![0; length]), refused);
        assert_eq!(SignedTransaction::try_from("00".repeat(length)), refused);
    }
}
