//! One turn per key: between reading a nonce and a node's having taken the transaction, nobody else in this process signs with
//! the same key on the same chain, whatever client or clone he uses.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::BlockHash;

type Turns = HashMap<(BlockHash, [u8; 32]), Weak<Turn<()>>>;

static TURNS: LazyLock<Mutex<Turns>> = LazyLock::new(Mutex::default);

/// Waits for the key's turn on a chain, named by its genesis block.
pub(crate) async fn take(genesis: BlockHash, public_key: [u8; 32]) -> OwnedMutexGuard<()> {
    let turn = {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let known = turns.get(&(genesis, public_key)).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let turn = Arc::<Turn<()>>::default();
            turns.insert((genesis, public_key), Arc::downgrade(&turn));
            turn
        })
    };
    turn.lock_owned().await
}
