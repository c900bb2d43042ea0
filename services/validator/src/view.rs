//! What the chain says, read at one block so that it fits together.

use kinitro_chain::{BlockHash, BlockRef, Neuron};
use kinitro_domain::MinerUid;

use crate::{
    Config, Error,
    decide::{Standing, Terms},
    fit::Fitted,
    validator::Validator,
};

/// What the chain says at its finalized head.
pub(crate) struct View {
    pub head: BlockRef,
    pub subnet: kinitro_chain::Subnet,
    pub standing: Option<Standing>,
    /// Ascending by uid, without zeros.
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

    /// How long a vector with these weights must be. Who weights itself alone needs no company, and any would end that.
    pub fn padded_length(&self, fitted: &Fitted) -> usize {
        match (&fitted.weights[..], self.standing) {
            ([(uid, _)], Some(standing)) if *uid == standing.uid => 1,
            _ => self.terms().least(),
        }
    }
}

impl Validator {
    /// The view of a finalized head; `None` when there is no such subnet.
    pub(crate) async fn view(&self, head: BlockRef) -> Result<Option<View>, Error> {
        let (chain, netuid) = (&self.chain, self.config.netuid);
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

    /// The neurons that are at the same place in the view and in the newest block, which is some blocks younger: a uid that changes
    /// hands in between has nobody.
    pub(crate) async fn steady_neurons(&self, view: &View) -> Result<Vec<Neuron>, Error> {
        let newest = self.chain.best_head().await?;
        let mut newest = self.chain.neurons_at(newest.hash, self.config.netuid).await?;
        newest.retain(|neuron| view.neurons.contains(neuron));
        Ok(newest)
    }

    /// The hotkey's standing; its last update is that of the mechanism.
    pub(crate) async fn standing(&self, block: BlockHash) -> Result<Option<kinitro_chain::Validator>, Error> {
        let Config { netuid, mechanism, .. } = self.config;
        Ok(self.chain.mechanism_validator_at(block, netuid, mechanism, &self.signer.hotkey()).await?)
    }

    /// The weights of a uid, ascending, without the zeros that only make a vector long enough.
    pub(crate) async fn weights(&self, block: BlockHash, uid: MinerUid) -> Result<Vec<(MinerUid, u16)>, Error> {
        let Config { netuid, mechanism, .. } = self.config;
        let mut weights = self.chain.mechanism_weights_at(block, netuid, mechanism, uid).await?;
        weights.retain(|(_, weight)| *weight > 0);
        weights.sort_unstable();
        Ok(weights)
    }
}
