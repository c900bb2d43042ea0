//! Signing, and handing a transaction to the node.
//!
//! Until the node has answered, nobody knows whether it has the transaction: the bytes may have arrived and the answer been lost.
//! The same bytes may be handed in again (they have the same hash, and a nonce counts once), but nothing else may be signed in
//! their place, unless the node refused them the very first time that it saw them. Where that refusal says that the nonce is taken,
//! it may be our own transaction that has it (a proxy repeated the request), so pool and blocks are looked through before that.

use std::{fmt, time::Duration};

use kinitro_domain::BlockNumber;
use subxt::{config::DefaultExtrinsicParamsBuilder, rpcs, utils::AccountId32};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    BlockRef, Call, ChainClient, ChainError, ERA, ErrorKind, Fate, Receipt, SignedTransaction, Signer, Ticket, Wait,
    link::{Pause, bounded},
    turn,
};

const SIGN_LIMIT: Duration = Duration::from_secs(60);
/// How long the same bytes are handed in again while the node is away; the key has no other turn meanwhile.
const HAND_IN_LIMIT: Duration = Duration::from_secs(300);
/// How often a nonce that somebody else took meanwhile is replaced.
const SIGNINGS: usize = 5;
/// The pool has the very same bytes already.
const ALREADY_IMPORTED: i32 = 1013;

/// Whether an error's code says that the pool did not take the transaction: the author API's own (1000 and up), or a request that
/// nobody understood. Behind any other (a proxy's, an internal one) the transaction may have been taken.
fn refuses(code: i32) -> bool {
    matches!(code, 1_000..2_000 | -32_602..=-32_600)
}

enum HandedIn {
    /// The node has it, or may have it.
    Perhaps,
    /// The node refused it the first time that it saw it: it is nowhere.
    Refused(ChainError),
}

fn unrecorded(error: impl fmt::Display) -> ChainError {
    ChainError::Unrecorded { reason: bounded(error.to_string()) }
}

impl ChainClient {
    /// Signs a call, sends it, and waits for what becomes of it.
    ///
    /// `before` gets the ticket before the first byte leaves: who writes it to disk can ask for the [`fate`](Self::fate) after a
    /// restart. It is called again when the call is signed anew, which happens only when the node refused the nonce of the
    /// first transaction at once (another process used the key) and has that transaction nowhere, so that the older ticket is
    /// void. Transactions of one key take turns in this process.
    ///
    /// # Errors
    /// Before a ticket was given out, every error means that nothing was sent. After that, [`ChainError::Refused`],
    /// [`ChainError::Unrecorded`], [`ChainError::NotIncluded`] and [`ChainError::Dispatch`] say for certain that the transaction
    /// had no effect, and it may be signed anew (with [`Wait::Inclusion`], a dispatch error is as sure as an inclusion is). After
    /// any other error (the node stayed away for longer than was waited) only [`fate`](Self::fate) can tell.
    pub async fn execute<E: fmt::Display>(
        &self,
        signer: &Signer,
        call: &Call,
        wait: Wait,
        mut before: impl FnMut(&Ticket) -> Result<(), E>,
    ) -> Result<Receipt, ChainError> {
        call.check()?;
        let ticket = {
            let _turn = turn::take(self.genesis_hash().await?, signer.public_key()).await;
            self.send(signer, call, &mut before).await?
        };
        match self.fate(&ticket, wait).await? {
            Fate::Included(receipt) => Ok(receipt),
            Fate::Failed(error) => Err(error),
            Fate::NeverIncluded => Err(ChainError::NotIncluded {
                transaction: ticket.hash,
                reason: "its time is over, or another transaction has its nonce".to_owned(),
            }),
        }
    }

    /// Commits bytes for the signer's hotkey on a subnet, in place of what it had committed there: [`execute`](Self::execute)
    /// without a ticket.
    pub async fn set_commitment(
        &self,
        signer: &Signer,
        netuid: u16,
        data: &[u8],
        wait: Wait,
    ) -> Result<Receipt, ChainError> {
        let call = Call::SetCommitment { netuid, data: data.to_vec() };
        self.execute(signer, &call, wait, |_| Ok::<_, std::convert::Infallible>(())).await
    }

    async fn send<E: fmt::Display>(
        &self,
        signer: &Signer,
        call: &Call,
        before: &mut impl FnMut(&Ticket) -> Result<(), E>,
    ) -> Result<Ticket, ChainError> {
        let mut signings = 0;
        loop {
            signings += 1;
            let signing = timeout(SIGN_LIMIT, self.sign(signer, call)).await;
            let (ticket, bytes) = signing.map_err(|_| self.too_slow("signing a transaction", SIGN_LIMIT))??;
            before(&ticket).map_err(unrecorded)?;
            match self.hand_in(&ticket, &bytes).await? {
                HandedIn::Perhaps => return Ok(ticket),
                // Not knowing whether the node has it is no reason to sign anew.
                HandedIn::Refused(error)
                    if error.kind() == ErrorKind::StaleNonce && self.holds(&ticket).await.unwrap_or(true) =>
                {
                    tracing::info!(%error, transaction = %ticket.hash, "the nonce may be taken by this very transaction");
                    return Ok(ticket);
                }
                HandedIn::Refused(error) if signings < SIGNINGS && error.kind() == ErrorKind::StaleNonce => {
                    tracing::info!(%error, hotkey = %ticket.hotkey, nonce = ticket.nonce, "the nonce was taken meanwhile, signing anew");
                }
                HandedIn::Refused(error) => return Err(error),
            }
        }
    }

    /// The nonce is the node's answer, its waiting transactions included.
    async fn sign(&self, signer: &Signer, call: &Call) -> Result<(Ticket, Vec<u8>), ChainError> {
        const TASK: &str = "signing a transaction";
        let connection = self.link.connection().await?;
        let head = self.finalized_head().await?;
        let at = connection.api.at_block_hash_and_number(subxt::utils::H256::from(head.hash), head.number.0).await;
        let at = at.map_err(|error| connection.failed(TASK, error))?;
        // Asked for again: reading a runtime's metadata the first time can take a development chain's whole era.
        let birth = self.finalized_head().await?;
        let nonce = connection.methods.system_account_next_index(&AccountId32(signer.public_key())).await;
        let nonce = nonce.map_err(|error| connection.failed(TASK, error))?;
        let parameters = DefaultExtrinsicParamsBuilder::new()
            .mortal_from_unchecked(ERA, birth.number.0, birth.hash.into())
            .nonce(nonce)
            .build();
        let signed = at.tx().create_signed(&call.payload(), signer.pair(), parameters).await;
        let signed = signed.map_err(|error| connection.failed(TASK, error))?;
        let (hash, bytes) = (signed.hash().into(), signed.into_encoded());
        let signed = SignedTransaction::try_from(bytes.clone()).map_err(unrecorded)?;
        let ticket = Ticket {
            hash,
            hotkey: signer.hotkey(),
            call: call.name().to_owned(),
            nonce,
            birth: BlockRef { number: birth.number, hash: birth.hash },
            last_block: BlockNumber(birth.number.0 + ERA - 1),
            signed: Some(signed),
        };
        Ok((ticket, bytes))
    }

    async fn hand_in(&self, ticket: &Ticket, bytes: &[u8]) -> Result<HandedIn, ChainError> {
        let (start, mut pause) = (Instant::now(), Pause::default());
        // Whether some earlier attempt may have reached the node.
        let mut sent = false;
        loop {
            let error = match self.link.connection().await {
                Ok(connection) => match connection.methods.author_submit_extrinsic(bytes).await {
                    Ok(_) => return Ok(HandedIn::Perhaps),
                    Err(rpcs::Error::User(answer)) if sent || answer.code == ALREADY_IMPORTED => {
                        tracing::debug!(code = answer.code, transaction = %ticket.hash, "handed in again");
                        return Ok(HandedIn::Perhaps);
                    }
                    Err(rpcs::Error::User(answer)) if refuses(answer.code) => {
                        return Ok(HandedIn::Refused(self.refused(answer)));
                    }
                    Err(rpcs::Error::User(answer)) => {
                        let error = self.refused(answer);
                        tracing::info!(%error, transaction = %ticket.hash, "the node does not say whether it took the transaction");
                        return Ok(HandedIn::Perhaps);
                    }
                    Err(error) => {
                        sent = true;
                        connection.failed("submitting a transaction", error)
                    }
                },
                Err(error @ ChainError::Unreachable { .. }) => error,
                Err(error) => return Err(error),
            };
            if start.elapsed() > HAND_IN_LIMIT {
                // What was sent may still be found; what was not cannot.
                return if sent { Ok(HandedIn::Perhaps) } else { Err(error) };
            }
            tracing::info!(%error, transaction = %ticket.hash, "the transaction may not have arrived, handing the same bytes in again");
            sleep(pause.next()).await;
        }
    }

    fn refused(&self, answer: rpcs::UserError) -> ChainError {
        let reason = match answer.data {
            Some(data) => format!("{}: {}", answer.message, data.get().trim_matches('"')),
            None => answer.message,
        };
        ChainError::Refused { address: self.address().to_string(), code: answer.code, reason: bounded(reason) }
    }
}
