//! What a block says about a transaction.

use sp_crypto_hashing::blake2_256;
use subxt::{error::DispatchError, events::Phase, ext::codec::Decode as _};

use crate::{BlockHash, BlockRef, ChainClient, ChainError, Fate, Receipt, Ticket, call, dispatch};

impl ChainClient {
    /// The fate of a transaction when it is in the block.
    pub(crate) async fn fate_in(&self, block: BlockRef, ticket: &Ticket) -> Result<Option<Fate>, ChainError> {
        const TASK: &str = "looking for a transaction in a block";
        self.reading(TASK, async {
            let connection = self.link.connection().await?;
            let body = connection.methods.chain_get_block(Some(block.hash.into())).await;
            let body =
                body.map_err(|error| connection.failed(TASK, error))?.ok_or_else(|| self.no_block(block.hash))?;
            let mut extrinsics = body.block.extrinsics.iter();
            let Some(index) = extrinsics.position(|extrinsic| blake2_256(&extrinsic.0) == ticket.hash.0) else {
                return Ok(None);
            };
            self.outcome(block, index, ticket).await.map(Some)
        })
        .await
    }

    async fn outcome(&self, block: BlockRef, index: usize, ticket: &Ticket) -> Result<Fate, ChainError> {
        const TASK: &str = "reading what became of a transaction";
        let (connection, at) =
            self.at(block.hash, TASK).await.map_err(|error| self.if_forgotten(error, block, ticket))?;
        let events = at.events().fetch().await.map_err(|error| connection.failed(TASK, error));
        let events = events.map_err(|error| self.if_forgotten(error, block, ticket))?;
        for event in events.iter() {
            let event = event.map_err(|error| connection.failed(TASK, error))?;
            let ours =
                matches!(event.phase(), Phase::ApplyExtrinsic(extrinsic) if usize::try_from(extrinsic) == Ok(index));
            match (event.pallet_name(), event.event_name()) {
                ("System", "ExtrinsicSuccess") if ours => {
                    return Ok(Fate::Included(Receipt { block, transaction: ticket.hash }));
                }
                ("System", "ExtrinsicFailed") if ours => {
                    let error = DispatchError::decode_from(event.field_bytes(), at.metadata());
                    let error = error.map_err(|error| connection.failed(TASK, error))?;
                    return Ok(Fate::Failed(dispatch::failure(call::known_name(&ticket.call), &error)));
                }
                _ => {}
            }
        }
        Err(connection.failed(TASK, "its block has no event that says whether it succeeded"))
    }

    fn if_forgotten(&self, error: ChainError, block: BlockRef, ticket: &Ticket) -> ChainError {
        match &error {
            ChainError::Node { reason, .. } if reason.contains("discarded") => ChainError::Forgotten {
                address: self.address().to_string(),
                transaction: ticket.hash,
                block: block.number.0,
            },
            _ => error,
        }
    }

    /// How many transactions of an account are in the chain up to a block.
    pub(crate) async fn nonce_at(&self, block: BlockHash, account: &[u8; 32]) -> Result<u64, ChainError> {
        const TASK: &str = "reading a nonce";
        self.reading(TASK, async {
            let connection = self.link.connection().await?;
            let call =
                connection.methods.state_call("AccountNonceApi_account_nonce", Some(account), Some(block.into()));
            let answer = call.await.map_err(|error| connection.failed(TASK, error))?;
            // Runtimes differ in the number's width.
            let nonce = match answer.len() {
                4 => u32::decode(&mut &answer[..]).map(u64::from),
                8 => u64::decode(&mut &answer[..]),
                _ => Err("a nonce has 4 or 8 bytes".into()),
            };
            nonce.map_err(|error| connection.failed(TASK, error))
        })
        .await
    }
}
