//! What the subnet's owner and the chain's administrators set on the real chain.

use parity_scale_codec::Encode;
use serde::{Deserialize, Serialize};

/// The hyperparameters of the subnet at genesis, section `[devchain.subnet]`.
///
/// The defaults are those of the real chain, but for two that would keep a small subnet from working: commit-reveal is off
/// (the real chain has it on), and one weight is enough (the real chain asks for 1024, or as many as there are neurons).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hyperparameters {
    /// How many blocks an epoch has.
    pub tempo: u16,
    /// How many blocks must lie between two settings of weights by one hotkey.
    pub weights_rate_limit: u64,
    /// Whether weights must be committed sealed and are revealed later.
    pub commit_reveal: bool,
    /// For how many uids a validator must set weights at least.
    pub min_allowed_weights: u16,
    /// The largest share of one weight, in 65535ths.
    pub max_weight_limit: u16,
    /// The lowest version key that weights are taken with; 0 takes all.
    pub weights_version: u64,
    /// The lowest stake that weights are taken with, in rao.
    pub stake_threshold: u64,
    /// After how many blocks without new weights a validator counts as inactive, in runtimes without
    /// [`activity_cutoff_factor`](Self::activity_cutoff_factor) (spec 419).
    pub activity_cutoff: u16,
    /// The same in thousandths of the tempo, in runtimes that store it so (spec 461).
    pub activity_cutoff_factor: u32,
    /// After how many epochs sealed weights are revealed.
    pub reveal_period_epochs: u64,
    /// The format of sealed weights that commits must name.
    pub commit_reveal_version: u16,
    /// How many neurons the subnet may have. The development chain does not enforce it.
    pub max_allowed_uids: u16,
    /// How many mechanisms the subnet has, 1 to 16.
    pub mechanisms: u8,
    /// The hotkey of the subnet's owner, an address or a URI such as `//Alice`; the first hotkey at uid 0 if none is given.
    pub owner_hotkey: Option<String>,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            tempo: 10,
            weights_rate_limit: 100,
            commit_reveal: false,
            min_allowed_weights: 1,
            max_weight_limit: u16::MAX,
            weights_version: 0,
            stake_threshold: 0,
            activity_cutoff: 5_000,
            activity_cutoff_factor: 13_889,
            reveal_period_epochs: 1,
            commit_reveal_version: 4,
            max_allowed_uids: 256,
            mechanisms: 1,
            owner_hotkey: None,
        }
    }
}

/// One hyperparameter and its new value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode)]
#[serde(rename_all = "snake_case")]
pub enum Hyperparameter {
    /// [`Hyperparameters::tempo`]; a new one begins a new epoch.
    Tempo(u16),
    /// [`Hyperparameters::weights_rate_limit`].
    WeightsRateLimit(u64),
    /// [`Hyperparameters::commit_reveal`].
    CommitReveal(bool),
    /// [`Hyperparameters::min_allowed_weights`].
    MinAllowedWeights(u16),
    /// [`Hyperparameters::max_weight_limit`].
    MaxWeightLimit(u16),
    /// [`Hyperparameters::weights_version`].
    WeightsVersion(u64),
    /// [`Hyperparameters::stake_threshold`].
    StakeThreshold(u64),
    /// [`Hyperparameters::activity_cutoff`].
    ActivityCutoff(u16),
    /// [`Hyperparameters::activity_cutoff_factor`]; of no effect in a runtime without it.
    ActivityCutoffFactor(u32),
    /// [`Hyperparameters::reveal_period_epochs`].
    RevealPeriodEpochs(u64),
    /// [`Hyperparameters::commit_reveal_version`].
    CommitRevealVersion(u16),
    /// [`Hyperparameters::max_allowed_uids`].
    MaxAllowedUids(u16),
    /// [`Hyperparameters::mechanisms`], 1 to 16.
    Mechanisms(u8),
    /// [`Hyperparameters::owner_hotkey`].
    OwnerHotkey(String),
}

impl Hyperparameters {
    /// Each of them that has a value.
    pub(crate) fn each(&self) -> Vec<Hyperparameter> {
        let mut each = vec![
            Hyperparameter::Tempo(self.tempo),
            Hyperparameter::WeightsRateLimit(self.weights_rate_limit),
            Hyperparameter::CommitReveal(self.commit_reveal),
            Hyperparameter::MinAllowedWeights(self.min_allowed_weights),
            Hyperparameter::MaxWeightLimit(self.max_weight_limit),
            Hyperparameter::WeightsVersion(self.weights_version),
            Hyperparameter::StakeThreshold(self.stake_threshold),
            Hyperparameter::ActivityCutoff(self.activity_cutoff),
            Hyperparameter::ActivityCutoffFactor(self.activity_cutoff_factor),
            Hyperparameter::RevealPeriodEpochs(self.reveal_period_epochs),
            Hyperparameter::CommitRevealVersion(self.commit_reveal_version),
            Hyperparameter::MaxAllowedUids(self.max_allowed_uids),
            Hyperparameter::Mechanisms(self.mechanisms),
        ];
        each.extend(self.owner_hotkey.clone().map(Hyperparameter::OwnerHotkey));
        each
    }
}
