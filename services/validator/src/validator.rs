//! The loop: ask the backend, look at the chain, and do what there is to do.
//!
//! One round after another, so that nothing is ever decided from what another task is just changing. A transaction whose fate is open
//! comes first in every round: nothing is sent before it is known what became of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kinitro_chain::{BlockHash, BlockRef, ChainClient, ErrorKind, Neuron, Signer};
use kinitro_domain::{BlockNumber, MinerUid};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error,
    backend::{Answer, Backend},
    check::{Published, follows, timely},
    decide::{Decision, Situation, Standing, Terms, decide},
    fit::{Fitted, fit},
    state::Store,
    status::{Area, Status},
};

/// A transaction that is on its way may get into a finalized block within this time after the drain begins. What does not is settled by
/// the next start.
const GRACE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

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
}

/// Back-off between failures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    first: Duration,
    pause: Duration,
    not_before: Option<Instant>,
}

impl Retry {
    pub(crate) fn new(first: Duration) -> Self {
        Self { first, pause: first, not_before: None }
    }

    pub(crate) fn failed(&mut self) {
        self.not_before = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::new(self.first);
    }

    fn waits(&self) -> bool {
        self.not_before.is_some_and(|at| Instant::now() < at)
    }
}

/// What the chain says at its finalized head.
pub(crate) struct View {
    pub head: BlockRef,
    pub subnet: kinitro_chain::Subnet,
    pub standing: Option<Standing>,
    pub on_chain: Vec<(MinerUid, u16)>,
    pub neurons: Vec<Neuron>,
}

impl View {
    pub fn terms(&self) -> Terms {
        let subnet = &self.subnet;
        Terms {
            neurons: subnet.size,
            rate_limit: subnet.weights_rate_limit,
            version: subnet.weights_version,
            min_allowed_weights: subnet.min_allowed_weights,
            max_weight_limit: subnet.max_weight_limit,
            activity_cutoff: subnet.activity_cutoff,
            commit_reveal: subnet.commit_reveal,
        }
    }
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
            }
            Err(error) => {
                self.status.raise(Area::Setting, "state", error.to_string());
            }
        }
        self.status.round_ended();
    }

    async fn poll(&mut self) {
        let answer = self.backend.poll().await;
        let outcome = match &answer {
            Ok(Answer::New(_)) => "new",
            Ok(Answer::Unchanged) => "unchanged",
            Ok(Answer::NoneYet) => "none_yet",
            Err(fault) => fault.cause(),
        };
        metrics::counter!("kinitro_validator_backend_polls_total", "outcome" => outcome).increment(1);
        match answer {
            Ok(Answer::New(published)) => {
                self.latest = Some(published);
                self.status.clear(Area::Backend);
            }
            Ok(Answer::Unchanged) => self.status.clear(Area::Backend),
            Ok(Answer::NoneYet) => {
                let reason = "the backend answers 404: it has no weights yet, or the path in backend_url is wrong";
                self.status.raise(Area::Backend, outcome, reason.to_owned());
            }
            Err(fault) => {
                self.status.raise(Area::Backend, outcome, fault.to_string());
            }
        }
    }

    async fn look(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let genesis = self.chain.genesis_hash().await?.to_string();
        self.remember(&genesis);
        self.settle(&genesis).await?;
        let Some(view) = self.view().await? else {
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
        self.watch_reveal(&genesis, &view)?;
        let Some(published) = self.accept(&genesis, view.head.number)? else { return Ok(()) };
        let fitted = match fit(&published, &view.neurons, view.subnet.owner_hotkey.as_ref()) {
            Ok(fitted) => fitted,
            Err(obstacle) => {
                self.status.raise(Area::Setting, obstacle.cause(), obstacle.to_string());
                return Ok(());
            }
        };
        self.tell_dropped(&fitted);
        let memory = self.store.memory(&genesis);
        // Hidden weights that were not revealed are lost, so they count as never committed.
        let last_set = memory.last_set.as_ref().filter(|last| last.revealed != Some(false));
        let last_set = last_set.map(|last| (last.at, &last.message.weights[..]));
        let decision = decide(&Situation {
            now: view.head.number,
            wanted: &fitted.weights,
            on_chain: &view.on_chain,
            last_set,
            terms: view.terms(),
            standing: view.standing,
            refresh_blocks: self.config.refresh_blocks,
            version_key: self.config.version_key,
        });
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
            Decision::Set | Decision::Commit if stop.is_cancelled() || self.retry.waits() => {}
            Decision::Set => self.set(&genesis, &view, &published, fitted).await?,
            Decision::Commit => self.commit(&genesis, &view, &published, fitted).await?,
        }
        Ok(())
    }

    /// Reads everything at one block, so that it fits together.
    async fn view(&self) -> Result<Option<View>, Error> {
        let (chain, netuid) = (&self.chain, self.config.netuid);
        let head = chain.finalized_head().await?;
        let Some(subnet) = chain.subnet_at(head.hash, netuid).await? else { return Ok(None) };
        let hotkey = self.signer.hotkey();
        let (mut standing, mut on_chain) = (None, Vec::new());
        if let Some(validator) = self.standing(head.hash).await? {
            on_chain = self.weights(head.hash, validator.uid).await?;
            standing = Some(Standing {
                uid: validator.uid,
                permit: validator.permit,
                owner: subnet.owner_hotkey.as_ref() == Some(&hotkey),
                last_update: validator.last_update,
            });
        }
        let neurons = chain.neurons_at(head.hash, netuid).await?;
        Ok(Some(View { head, subnet, standing, on_chain, neurons }))
    }

    /// The hotkey's standing; its last update is that of the mechanism.
    pub(crate) async fn standing(&self, block: BlockHash) -> Result<Option<kinitro_chain::Validator>, Error> {
        let Config { netuid, mechanism, .. } = self.config;
        Ok(self.chain.mechanism_validator_at(block, netuid, mechanism, &self.signer.hotkey()).await?)
    }

    pub(crate) async fn weights(&self, block: BlockHash, uid: MinerUid) -> Result<Vec<(MinerUid, u16)>, Error> {
        let mut weights =
            self.chain.mechanism_weights_at(block, self.config.netuid, self.config.mechanism, uid).await?;
        weights.sort_unstable();
        Ok(weights)
    }

    /// The weights that may be set: the newest when they are in order, otherwise the last that were, while they are young enough.
    fn accept(&mut self, genesis: &str, finalized: BlockNumber) -> Result<Option<Published>, Error> {
        let limit = self.config.max_weights_age_blocks;
        if let Some(latest) = &self.latest {
            let known = self.store.memory(genesis).accepted;
            match timely(latest.block, finalized, limit).and_then(|()| follows(latest, known.as_ref())) {
                Ok(()) => {
                    let accepted = latest.accepted();
                    if known.as_ref() != Some(&accepted) {
                        tracing::info!(block = %latest.block, cycle = %latest.cycle_id, miners = latest.shares.len(), "accepted new weights");
                        self.store.update(genesis, |memory| memory.accepted = Some(accepted))?;
                        self.remember(genesis);
                    }
                    self.accepted = Some(latest.clone());
                    self.status.clear(Area::Weights);
                }
                Err(refusal) => {
                    let reason = format!("the backend's weights are refused: {refusal}");
                    self.status.raise(Area::Weights, refusal.cause(), reason);
                }
            }
        }
        Ok(self.accepted.clone().filter(|accepted| timely(accepted.block, finalized, limit).is_ok()))
    }

    fn tell_dropped(&mut self, fitted: &Fitted) {
        for dropped in fitted.dropped.iter().filter(|dropped| !self.dropped.contains(&dropped.uid)) {
            metrics::counter!("kinitro_validator_dropped_uids_total").increment(1);
            let holder = dropped.holder.as_ref().map_or("nobody", |holder| holder.as_str());
            let (uid, weight, scored) = (dropped.uid, dropped.weight, &dropped.scored);
            tracing::warn!(%uid, weight, %scored, holder, "the uid changed hands, its weight goes to the others");
        }
        self.dropped = fitted.dropped.iter().map(|dropped| dropped.uid).collect();
    }

    /// Shows what is on disk.
    pub(crate) fn remember(&self, genesis: &str) {
        let memory = self.store.memory(genesis);
        self.status.remembers(memory.accepted, memory.last_set, memory.pending.is_some());
    }
}
