//! Sending weights, and finding out what became of them.
//!
//! The ticket of a transaction is on disk before its first byte leaves, together with what it says. It is taken off the disk when it is
//! certain what became of it: it is in a finalized block, failed there, or can be in none any more.

use kinitro_chain::{BlockRef, Call, ChainError, ErrorKind, Fate, Wait};
use kinitro_domain::BlockNumber;

use crate::{
    Error,
    check::Published,
    fit::Fitted,
    memory::{LastSet, Message, Pending, Reveal},
    status::Area,
    validator::Validator,
    view::View,
};

impl Validator {
    /// Sets readable weights.
    pub(crate) async fn set(
        &mut self,
        genesis: &str,
        view: &View,
        published: &Published,
        fitted: Fitted,
    ) -> Result<(), Error> {
        let (netuid, mechanism) = (self.config.netuid, self.config.mechanism);
        let weights = fitted.padded(view.padded_length(&fitted));
        let version_key = self.config.version_key.unwrap_or(view.subnet.weights_version);
        let call = match mechanism {
            0 => Call::SetWeights { netuid, weights, version_key },
            _ => Call::SetMechanismWeights { netuid, mechanism, weights, version_key },
        };
        self.send(genesis, call, message(published, fitted, None)).await
    }

    pub(crate) async fn send(&mut self, genesis: &str, call: Call, message: Message) -> Result<(), Error> {
        self.status.doing(format!("sending {} of cycle {}", call.name(), message.cycle_id));
        let (store, status) = (&mut self.store, &self.status);
        let before = |ticket: &kinitro_chain::Ticket| {
            tracing::info!(transaction = %ticket.hash, nonce = ticket.nonce, last_block = %ticket.last_block, "sending weights");
            let pending = Pending { ticket: ticket.clone(), message: message.clone() };
            store.update(genesis, |memory| memory.pending = Some(pending))?;
            let memory = store.memory(genesis);
            status.remembers(memory.accepted, memory.last_set, true);
            Ok::<(), Error>(())
        };
        match self.chain.execute(&self.signer, &call, Wait::Finality, before).await {
            Ok(receipt) => self.settled(genesis, receipt.block),
            Err(error) => self.failed(genesis, error),
        }
    }

    /// Finds out what became of the transaction that is on disk, when there is one.
    pub(crate) async fn settle(&mut self, genesis: &str) -> Result<(), Error> {
        let Some(Pending { ticket, message }) = self.store.memory(genesis).pending else { return Ok(()) };
        self.status.doing(format!("finding out what became of transaction {}", ticket.hash));
        match self.chain.fate(&ticket, Wait::Finality).await {
            Ok(Fate::Included(receipt)) => self.settled(genesis, receipt.block),
            Ok(Fate::Failed(error)) => self.failed(genesis, error),
            Ok(Fate::NeverIncluded) => {
                let (hash, cycle) = (ticket.hash, message.cycle_id);
                let reason = format!(
                    "the transaction {hash} with the weights of cycle {cycle} is in no block and never will be"
                );
                self.retry.failed();
                self.status.raise(Area::Setting, "expired", reason);
                self.forget(genesis)
            }
            // The signature covers the hash of the block that it was signed on, so the transaction is valid on that chain alone. Until
            // its time is over, this node may just be on a wrong fork.
            Err(error @ ChainError::OtherChain { number: 1.., .. })
                if self.chain.finalized_head().await?.number > ticket.last_block =>
            {
                tracing::warn!(%error, transaction = %ticket.hash, "the chain was rolled back, the transaction can be in no block of it");
                self.forget(genesis)
            }
            Err(error) if error.kind() == ErrorKind::Forgotten => self.infer(genesis, &error).await,
            Err(error @ ChainError::BlockNotFound { .. }) => self.infer(genesis, &error).await,
            Err(error) => Err(error.into()),
        }
    }

    /// The node keeps the transaction's block or its state no more, so it is long ago. What the chain shows now says whether the weights
    /// were set within the transaction's time.
    async fn infer(&mut self, genesis: &str, error: &ChainError) -> Result<(), Error> {
        let Some(Pending { ticket, message }) = self.store.memory(genesis).pending else { return Ok(()) };
        let head = self.chain.finalized_head().await?;
        if head.number <= ticket.last_block {
            return Err(error.clone().into());
        }
        tracing::warn!(%error, "an old transaction is judged by what the chain shows now");
        if let Some(validator) = self.standing(head.hash).await? {
            let update = validator.last_update;
            let in_time = (ticket.birth.number.0 + 1..=ticket.last_block.0).contains(&update.0);
            let shown = message.reveal.is_some() || self.weights(head.hash, validator.uid).await? == message.weights;
            if in_time && shown {
                return self.record(genesis, update);
            }
        }
        self.forget(genesis)
    }

    /// The transaction is in a finalized block.
    fn settled(&mut self, genesis: &str, block: BlockRef) -> Result<(), Error> {
        let Some(Pending { message, .. }) = self.store.memory(genesis).pending else { return Ok(()) };
        self.record(genesis, block.number)?;
        let hidden = message.reveal.is_some();
        tracing::info!(block = %block.number, cycle = %message.cycle_id, uids = message.weights.len(), hidden, "the weights are set");
        metrics::counter!("kinitro_validator_sets_total").increment(1);
        self.retry.succeeded();
        self.status.clear(Area::Setting);
        Ok(())
    }

    fn record(&mut self, genesis: &str, at: BlockNumber) -> Result<(), Error> {
        self.store.update(genesis, |memory| {
            if let Some(Pending { message, .. }) = memory.pending.take() {
                memory.set(LastSet { at, message, as_sent: None });
            }
        })?;
        self.remember(genesis);
        Ok(())
    }

    fn forget(&mut self, genesis: &str) -> Result<(), Error> {
        self.store.update(genesis, |memory| memory.pending = None)?;
        self.remember(genesis);
        Ok(())
    }

    /// The transaction failed, or nobody knows yet.
    fn failed(&mut self, genesis: &str, error: ChainError) -> Result<(), Error> {
        // The errors after which the client is sure that nothing happened.
        let sure = matches!(
            error,
            ChainError::Dispatch { .. }
                | ChainError::NotIncluded { .. }
                | ChainError::Refused { .. }
                | ChainError::Unrecorded { .. }
        );
        if sure {
            self.forget(genesis)?;
        }
        self.retry.failed();
        match error.kind() {
            ErrorKind::Unreachable | ErrorKind::Node | ErrorKind::OtherChain => return Err(error.into()),
            kind => {
                self.status.raise(Area::Setting, cause(kind), error.to_string());
            }
        }
        Ok(())
    }
}

pub(crate) fn message(published: &Published, fitted: Fitted, reveal: Option<Reveal>) -> Message {
    Message { block: published.block, cycle_id: published.cycle_id, weights: fitted.weights, reveal }
}

/// The label of the metric.
fn cause(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::RateLimited => "rate_limited",
        ErrorKind::NotRegistered => "not_registered",
        ErrorKind::NoPermit => "no_permit",
        ErrorKind::TooLittleStake => "too_little_stake",
        ErrorKind::VersionKey => "version_key",
        ErrorKind::BadWeights => "bad_weights",
        ErrorKind::NoSubnet => "no_subnet",
        ErrorKind::CommitRevealOn | ErrorKind::CommitRevealOff | ErrorKind::CommitRevealVersion => "commit_reveal",
        ErrorKind::RevealRound => "reveal_round",
        ErrorKind::StaleNonce => "stale_nonce",
        ErrorKind::Expired => "expired",
        ErrorKind::Refused => "refused",
        ErrorKind::Input => "not_recorded",
        ErrorKind::NotAsWritten => "read_back",
        _ => "other",
    }
}
