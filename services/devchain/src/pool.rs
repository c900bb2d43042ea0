//! Transactions that wait for a block.

use crate::{
    block::Hash,
    extrinsic::{Extrinsic, Invalid},
};

const POOL_LIMIT: usize = 2_048;
/// How far ahead of its account's nonce a transaction may wait. One waits for each nonce, so this bounds what an account has here.
const FUTURE_LIMIT: u32 = 64;
/// For how many blocks a transaction may wait for an earlier nonce.
pub(crate) const FUTURE_BLOCKS: u32 = 64;

pub(crate) struct Waiting {
    pub extrinsic: Extrinsic,
    /// The block that its era was born in, as signed.
    pub birth: Hash,
    /// The newest block when it came.
    pub since: u32,
}

/// In order of arrival; at most one transaction for each account and nonce.
#[derive(Default)]
pub(crate) struct Pool(Vec<Waiting>);

impl Pool {
    pub(crate) fn add(&mut self, waiting: Waiting, account_nonce: u32) -> Result<(), Invalid> {
        let new = &waiting.extrinsic;
        let refused = |code, message, data: &str| Err(Invalid { code, message, data: data.to_owned() });
        if new.nonce < account_nonce {
            return Err(Invalid::transaction("Transaction is outdated"));
        }
        if new.nonce - account_nonce > FUTURE_LIMIT {
            return refused(1016, "Immediately Dropped", "the nonce is too far in the future");
        }
        if self.contains(&new.hash) {
            return refused(1013, "Transaction Already Imported", "the same transaction is waiting");
        }
        if self.0.iter().any(|other| (other.extrinsic.account, other.extrinsic.nonce) == (new.account, new.nonce)) {
            return refused(1014, "Priority is too low", "another transaction with this nonce is waiting");
        }
        if self.0.len() >= POOL_LIMIT {
            return refused(1016, "Immediately Dropped", "the transaction pool is full");
        }
        self.0.push(waiting);
        Ok(())
    }

    pub(crate) fn contains(&self, hash: &Hash) -> bool {
        self.0.iter().any(|waiting| waiting.extrinsic.hash == *hash)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.0.iter()
    }

    /// What came too long before a block to be waiting for an earlier nonce still.
    pub(crate) fn older_than(&self, block: u32) -> impl Iterator<Item = &Waiting> {
        self.0.iter().filter(move |waiting| block.saturating_sub(waiting.since) >= FUTURE_BLOCKS)
    }

    /// The nonce after those that wait in an unbroken row.
    pub(crate) fn next_nonce(&self, account: &[u8; 32], account_nonce: u32) -> u32 {
        let waits = |nonce: u32| {
            self.0.iter().any(|waiting| waiting.extrinsic.account == *account && waiting.extrinsic.nonce == nonce)
        };
        (account_nonce..).find(|nonce| !waits(*nonce)).unwrap_or(account_nonce)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Waiting) -> bool) {
        self.0.retain(keep);
    }

    /// Gives back what a reorganisation took out of blocks, before everything else.
    pub(crate) fn give_back(&mut self, retracted: Vec<Waiting>) {
        let later = std::mem::replace(&mut self.0, retracted);
        for waiting in later {
            if !self.contains(&waiting.extrinsic.hash) {
                self.0.push(waiting);
            }
        }
    }
}
