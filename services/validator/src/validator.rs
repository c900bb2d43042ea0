//! The loop: ask the backend, look at the chain, and do what there is to do.
//!
//! One round after another, so that nothing is ever decided from what another task is just changing. A transaction whose fate is open
//! comes first in every round: nothing is sent before it is known what became of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kinitro_chain::{ChainClient, ErrorKind, Neuron, Signer};
use kinitro_domain::{BlockNumber, MinerUid};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error,
    backend::Backend,
    check::Published,
    decide::{Decision, Situation, decide},
    fit::{Fitted, fit},
    progress::{Lag, Progress},
    retry::Retry,
    state::Store,
    status::{Area, Status},
    view::View,
};

/// A transaction that is on its way may get into a finalized block within this time after the drain begins. What does not is settled by
/// the next start.
const GRACE: Duration = Duration::from_secs(15);

/// Everything that the loop has.
pub struct Validator {
    pub(crate) config: Config,
    pub(crate) backend: Backend,
    pub(crate) chain: ChainClient,
    pub(crate) signer: Signer,
    pub(crate) store: Store,
    pub(crate) status: Arc<Status>,
    /// The backend's newest answer that makes sense by itself.
    pub(crate) latest: Option<Published>,
    /// The newest one that was also of the right time and followed what came before.
    pub(crate) accepted: Option<Published>,
    /// Whose weights were dropped when it was last looked.
    pub(crate) dropped: BTreeSet<MinerUid>,
    /// After a failure, nothing is sent before.
    pub(crate) retry: Retry,
    pub(crate) progress: Progress,
}

impl Validator {
    /// Rounds until `stop`, and within [`GRACE`] the end of one that has begun.
    pub async fn run(mut self, stop: CancellationToken) {
        let interval = Duration::from_secs(self.config.poll_interval_seconds);
        while !stop.is_cancelled() {
            let mut round = std::pin::pin!(self.round(&stop));
            tokio::select! {
                () = &mut round => {}
                () = stop.cancelled() => {
                    if timeout(GRACE, round).await.is_err() {
                        tracing::warn!("stopping in the middle; the next start settles what is on its way");
                    }
                    return;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(interval) => {}
            }
        }
    }

    async fn round(&mut self, stop: &CancellationToken) {
        self.poll().await;
        match self.look(stop).await {
            Ok(()) => self.status.clear(Area::Chain),
            Err(Error::Chain(error)) => {
                let cause = match error.kind() {
                    ErrorKind::OtherChain => "other_chain",
                    ErrorKind::Unreachable => "chain_unreachable",
                    _ => "chain",
                };
                self.status.raise(Area::Chain, cause, error.to_string());
                // A proxy whose node died answers errors for ever, and its socket stays open.
                if self.progress.blames_connection() {
                    self.chain.drop_connection();
                }
            }
            Err(error) => self.status.raise(Area::Setting, "state", error.to_string()),
        }
        self.status.round_ended();
    }

    async fn look(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let genesis = self.chain.genesis_hash().await?.to_string();
        self.remember(&genesis);
        if !self.goes_on(&genesis).await? {
            return Ok(());
        }
        self.settle(&genesis).await?;
        let head = self.chain.finalized_head().await?;
        let Some(view) = self.view(head).await? else {
            let netuid = self.config.netuid;
            self.status.raise(Area::Setting, "no_subnet", format!("the chain has no subnet {netuid}: check netuid"));
            return Ok(());
        };
        if self.config.mechanism >= view.subnet.mechanisms {
            let (mechanism, mechanisms) = (self.config.mechanism, view.subnet.mechanisms);
            let reason =
                format!("the subnet has {mechanisms} mechanisms, counted from 0, but mechanism is {mechanism}");
            self.status.raise(Area::Setting, "no_subnet", reason);
            return Ok(());
        }
        self.status.saw_chain(view.head.number, view.standing.map(|standing| standing.last_update));
        self.watch(&genesis, &view)?;
        let Some(published) = self.accept(&genesis, &view)? else { return Ok(()) };
        let Some((_, decision)) = self.decide(&genesis, &view, &published, &view.neurons) else { return Ok(()) };
        match decision {
            Decision::Set | Decision::Commit if stop.is_cancelled() => return Ok(()),
            Decision::Set | Decision::Commit if self.retry.waits() => {
                self.status.doing("waiting a while after a failure, then it is tried again");
                return Ok(());
            }
            Decision::Set | Decision::Commit => {}
            other => {
                self.tell(other);
                return Ok(());
            }
        }
        // A transaction gets into a block some blocks above the finalized head, and a uid may have changed hands in between.
        let neurons = self.steady_neurons(&view).await?;
        match self.decide(&genesis, &view, &published, &neurons) {
            Some((fitted, Decision::Set)) => self.set(&genesis, &view, &published, fitted).await,
            Some((fitted, Decision::Commit)) => self.commit(&genesis, &view, &published, fitted).await,
            Some((_, other)) => {
                self.tell(other);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether the node is at least where it was before. One whose finality stands still is told about and believed.
    async fn goes_on(&mut self, genesis: &str) -> Result<bool, Error> {
        let head = self.chain.finalized_head().await?.number;
        let known = self.store.memory(genesis).last_set.map_or(BlockNumber(0), |last| last.at);
        let lag = self.progress.saw(head, known);
        match lag {
            None => self.status.clear(Area::Finality),
            Some(Lag::Behind { known }) => {
                let reason = format!(
                    "the chain is finalized up to {head} only, but was up to {known} before: the node lags behind, or the chain was \
                     rolled back; nothing is set until it is there again"
                );
                self.status.raise(Area::Finality, "behind", reason);
                self.status.doing("waiting for the node to catch up");
            }
            Some(Lag::Stalled(still)) => {
                let minutes = still.as_secs() / 60;
                let reason = format!(
                    "the chain has been finalized up to {head} for {minutes} minutes: the node has no peers, or the network stands still"
                );
                self.status.raise(Area::Finality, "stalled", reason);
            }
        }
        if lag.is_some() && self.progress.blames_connection() {
            self.chain.drop_connection();
            self.progress.believe(head);
        }
        Ok(!matches!(lag, Some(Lag::Behind { .. })))
    }

    /// What to set among these neurons, and whether to. Nothing when that is impossible, which is told.
    fn decide(
        &mut self,
        genesis: &str,
        view: &View,
        published: &Published,
        neurons: &[Neuron],
    ) -> Option<(Fitted, Decision)> {
        let fitted = match fit(published, neurons, view.subnet.owner_hotkey.as_ref()) {
            Ok(fitted) => fitted,
            Err(obstacle) => {
                self.status.raise(Area::Setting, obstacle.cause(), obstacle.to_string());
                return None;
            }
        };
        self.tell_dropped(&fitted);
        let last_set = self.store.memory(genesis).last_set.filter(|last| !last.is_lost());
        let decision = decide(&Situation {
            now: view.head.number,
            wanted: &fitted.weights,
            zeros: fitted.without.len(),
            on_chain: &view.on_chain,
            last_set: last_set.as_ref().map(|last| (last.at, &last.message.weights[..])),
            terms: view.terms(),
            standing: view.standing,
            refresh_blocks: self.config.refresh_blocks,
            version_key: self.config.version_key,
        });
        Some((fitted, decision))
    }

    /// Shows a decision to do nothing now.
    fn tell(&self, decision: Decision) {
        match decision {
            Decision::Nothing { until } => {
                self.status.clear(Area::Setting);
                self.status.doing(format!("the weights are on the chain and are set again after block {until}"));
            }
            Decision::Wait { until } => {
                self.status.clear(Area::Setting);
                self.status.doing(format!("new weights wait for the subnet's rate limit, up to block {until}"));
            }
            Decision::Refuse(obstacle) => {
                self.status.raise(Area::Setting, obstacle.cause(), obstacle.to_string());
                self.status.doing("waiting until weights can be set");
            }
            Decision::Set | Decision::Commit => {}
        }
    }

    /// Shows what is on disk.
    pub(crate) fn remember(&self, genesis: &str) {
        let memory = self.store.memory(genesis);
        self.status.remembers(memory.accepted, memory.last_set, memory.pending.is_some());
    }
}
