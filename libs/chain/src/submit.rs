//! Signing a commitment onto the chain and waiting for what becomes of it.

use std::time::Duration;

use kinitro_domain::BlockNumber;
use scale_value::Value;
use subxt::{
    SubstrateConfig,
    config::DefaultExtrinsicParamsBuilder,
    error::{BackendError, DispatchError, ExtrinsicError, RpcError, TransactionEventsError},
    rpcs,
    tx::{self, TransactionInBlock, TransactionProgress, TransactionStatus},
    utils::AccountId32,
};
use tokio::time::timeout;

use crate::{
    BlockHash, BlockRef, COMMITMENT_LIMIT, ChainClient, ChainError, CommitmentError, Signer, account_of,
    link::{Connection, bounded},
};

const CALL: &str = "Commitments.set_commitment";
/// A transaction is valid for 32 blocks after its birth; finalizing the last of them takes a few more.
const INCLUSION_LIMIT: Duration = Duration::from_secs(600);
const SUBMIT_LIMIT: Duration = Duration::from_secs(60);

/// How sure a submission must be before it is reported as done.
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

type AtBlock = subxt::client::OnlineClientAtBlockImpl<SubstrateConfig>;
type Progress = TransactionProgress<SubstrateConfig, AtBlock>;
type InBlock = TransactionInBlock<SubstrateConfig, AtBlock>;

impl ChainClient {
    /// Commits bytes for the signer's hotkey on a subnet, in place of what it had committed there.
    ///
    /// The nonce is read from the node, its waiting transactions included, right before signing; submissions through one client
    /// and its clones take turns, so that a burst never uses a nonce twice.
    ///
    /// # Errors
    /// [`ChainError::Refused`] when the node does not take the transaction, [`ChainError::Dispatch`] with the error's name when
    /// the runtime does not execute it (`Commitments.AccountNotAllowedCommit`: the hotkey is not registered on the subnet).
    /// After [`ChainError::Timeout`] or [`ChainError::Unreachable`] the transaction may still get into a block.
    pub async fn set_commitment(
        &self,
        signer: &Signer,
        netuid: u16,
        data: &[u8],
        wait: Wait,
    ) -> Result<Receipt, ChainError> {
        if data.is_empty() {
            return Err(CommitmentError::Empty.into());
        }
        if data.len() > COMMITMENT_LIMIT {
            return Err(CommitmentError::TooLong { length: data.len() }.into());
        }
        let field = Value::unnamed_variant(format!("Raw{}", data.len()), [Value::from_bytes(data)]);
        let info = Value::named_composite([("fields", Value::unnamed_composite([field]))]);
        let arguments = vec![Value::u128(netuid.into()), info];

        let connection = self.link.connection().await?;
        let progress = {
            let _turn = self.submitting.lock().await;
            let submission = self.submit(&connection, signer, arguments);
            timeout(SUBMIT_LIMIT, submission)
                .await
                .map_err(|_| self.too_slow("submitting a transaction", SUBMIT_LIMIT))??
        };
        let inclusion = self.follow_transaction(&connection, progress, wait);
        timeout(INCLUSION_LIMIT, inclusion)
            .await
            .map_err(|_| self.too_slow("getting a transaction into a block", INCLUSION_LIMIT))?
    }

    async fn submit(
        &self,
        connection: &Connection,
        signer: &Signer,
        arguments: Vec<Value>,
    ) -> Result<Progress, ChainError> {
        const TASK: &str = "submitting a transaction";
        let account = AccountId32(account_of(&signer.hotkey())?);
        let nonce = connection.methods.system_account_next_index(&account).await;
        let nonce = nonce.map_err(|error| connection.failed(TASK, error))?;
        let parameters = DefaultExtrinsicParamsBuilder::new().nonce(nonce).build();
        let call = tx::dynamic("Commitments", "set_commitment", arguments);
        let at = connection.api.at_current_block().await.map_err(|error| connection.failed(TASK, error))?;
        let signed = at.tx().create_signed(&call, signer.pair(), parameters).await;
        let signed = signed.map_err(|error| connection.failed(TASK, error))?;
        signed.submit_and_watch().await.map_err(|error| match error {
            ExtrinsicError::ErrorSubmittingTransaction(BackendError::Rpc(RpcError::ClientError(
                rpcs::Error::User(answer),
            ))) => ChainError::Refused {
                address: self.address().to_string(),
                code: answer.code,
                reason: bounded(match answer.data {
                    Some(data) => format!("{}: {}", answer.message, data.get().trim_matches('"')),
                    None => answer.message,
                }),
            },
            error => connection.failed(TASK, error),
        })
    }

    async fn follow_transaction(
        &self,
        connection: &Connection,
        mut progress: Progress,
        wait: Wait,
    ) -> Result<Receipt, ChainError> {
        const TASK: &str = "waiting for a transaction";
        while let Some(status) = progress.next().await {
            match status.map_err(|error| connection.failed(TASK, error))? {
                TransactionStatus::InBestBlock(included) if wait == Wait::Inclusion => {
                    return self.receipt(connection, included).await;
                }
                TransactionStatus::InFinalizedBlock(included) => return self.receipt(connection, included).await,
                TransactionStatus::Error { message }
                | TransactionStatus::Invalid { message }
                | TransactionStatus::Dropped { message } => {
                    return Err(ChainError::NotIncluded { reason: bounded(message) });
                }
                _ => {}
            }
        }
        Err(connection.failed(TASK, "the node stopped reporting before the transaction was in a block"))
    }

    async fn receipt(&self, connection: &Connection, included: InBlock) -> Result<Receipt, ChainError> {
        const TASK: &str = "reading what became of a transaction";
        match included.wait_for_success().await {
            Ok(_) => {}
            Err(TransactionEventsError::ExtrinsicFailed(error)) => return Err(dispatch_failure(error)),
            Err(error) => return Err(connection.failed(TASK, error)),
        }
        let hash = included.block_hash();
        let header = connection.methods.chain_get_header(Some(hash)).await;
        let header = header.map_err(|error| connection.failed(TASK, error))?;
        let number = header.ok_or_else(|| self.no_block(BlockHash::from(hash)))?.number;
        Ok(Receipt {
            block: BlockRef { number: BlockNumber(number), hash: hash.into() },
            transaction: included.extrinsic_hash().into(),
        })
    }
}

fn dispatch_failure(error: DispatchError) -> ChainError {
    let error = match &error {
        DispatchError::Module(module) => match module.details() {
            Ok(details) => format!("{}.{}", details.pallet.name(), details.variant.name),
            Err(_) => bounded(error.to_string()),
        },
        _ => bounded(error.to_string()),
    };
    let hint = match error.as_str() {
        "Commitments.AccountNotAllowedCommit" => ": register the hotkey on the subnet first",
        "Commitments.SpaceLimitExceeded" => ": the hotkey committed too often, try again in the next epoch",
        "Commitments.TooManyFieldsInCommitmentInfo" => ": a commitment has one field",
        _ => "",
    };
    ChainError::Dispatch { call: CALL, error, hint }
}
