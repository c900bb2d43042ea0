//! Why acceptable weights are not set although they are there.

use kinitro_domain::{Hotkey, MinerUid};

/// What stands between the weights and the chain. Each says what the operator can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The hotkey has no uid.
    #[error("the hotkey is not registered on the subnet: register it, or choose another with hotkey_name")]
    NotRegistered,
    /// The subnet does not let this hotkey set weights.
    #[error(
        "the hotkey has no validator permit on the subnet: it needs more stake than others to get one in the next epoch"
    )]
    NoPermit,
    /// The subnet asks for a newer version.
    #[error(
        "the subnet takes weights of version key {asked} and higher, version_key is {sent}: update the validator, or remove version_key"
    )]
    VersionKey {
        /// What the subnet asks for.
        asked: u64,
        /// What the settings say.
        sent: u64,
    },
    /// The subnet takes longer vectors only.
    #[error(
        "only {weights} of the scored uids are there and the subnet asks for at least {least}: the subnet's owner has to lower min_allowed_weights"
    )]
    TooFewWeights {
        /// How many there are.
        weights: usize,
        /// How many are needed.
        least: usize,
    },
    /// One weight is larger than the subnet allows.
    #[error(
        "uid {uid} has a larger share of the weight than the subnet's max_weight_limit of {limit}/65535 allows: the subnet's owner has to raise it"
    )]
    WeightTooLarge {
        /// The place with the largest weight.
        uid: MinerUid,
        /// The limit, of 65535.
        limit: u16,
    },
    /// Everybody who earned something is gone.
    #[error("none of the {scored} miners with a weight is still at its uid: waiting for the next evaluation")]
    NothingLeft {
        /// How many had a weight.
        scored: usize,
    },
    /// Miners are at each other's uids.
    #[error(
        "the miners of uids {one} and {other} are in each other's place, with most of the weight: the backend mixes them up"
    )]
    MixedUp {
        /// One of the places.
        one: MinerUid,
        /// Where its miner is.
        other: MinerUid,
    },
    /// All the weight is at a uid that does not burn it.
    #[error("all the weight is to be burnt at uid {uid}, but {} is there, not the subnet owner's hotkey: the backend's burn_uid is wrong",
        holder.as_ref().map_or("nobody", Hotkey::as_str))]
    BurnUidIsNotTheOwner {
        /// The place.
        uid: MinerUid,
        /// Who is there.
        holder: Option<Hotkey>,
    },
    /// The subnet takes sealed weights only, and none can be made: of another version, or for an epoch that never comes.
    #[error("the subnet hides weights by commit-reveal, which is not possible here ({0})")]
    CommitReveal(String),
}

impl Obstacle {
    /// The label of the metric.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::NotRegistered => "not_registered",
            Self::NoPermit => "no_permit",
            Self::VersionKey { .. } => "version_key",
            Self::TooFewWeights { .. } => "too_few_weights",
            Self::WeightTooLarge { .. } => "weight_too_large",
            Self::NothingLeft { .. } => "nothing_left",
            Self::MixedUp { .. } => "mixed_up",
            Self::BurnUidIsNotTheOwner { .. } => "burn_uid",
            Self::CommitReveal(_) => "commit_reveal",
        }
    }
}
