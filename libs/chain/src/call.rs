//! The calls that this subnet's participants make, by name.
//!
//! Arguments are passed by name too, so that the node's own metadata decides their order, their types and the call's index: a
//! runtime that renames one is an error here, never a transaction with swapped arguments.

use kinitro_commitment::{COMMITMENT_LIMIT, CommitmentError};
use kinitro_domain::MinerUid;
use scale_value::{Composite, Value};
use subxt::tx::{self, DynamicPayload};

use crate::ChainError;

/// Names for [`ChainError::Dispatch`] and tickets.
const NAMES: [&str; 5] = [
    "Commitments.set_commitment",
    "SubtensorModule.set_weights",
    "SubtensorModule.set_mechanism_weights",
    "SubtensorModule.commit_timelocked_weights",
    "SubtensorModule.commit_timelocked_mechanism_weights",
];

/// A call, signed by the hotkey that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Replaces the hotkey's commitment on a subnet.
    SetCommitment {
        /// The subnet.
        netuid: u16,
        /// The bytes of its one raw field, 1 to [`COMMITMENT_LIMIT`].
        data: Vec<u8>,
    },
    /// Sets the hotkey's weights on a subnet, readable for all.
    SetWeights {
        /// The subnet.
        netuid: u16,
        /// Miners and weights; the largest weight should be 65535.
        weights: Vec<(MinerUid, u16)>,
        /// At least the subnet's `weights_version`.
        version_key: u64,
    },
    /// As [`Call::SetWeights`], for one of the subnet's mechanisms.
    SetMechanismWeights {
        /// The subnet.
        netuid: u16,
        /// The mechanism; 0 is what [`Call::SetWeights`] sets.
        mechanism: u8,
        /// Miners and weights; the largest weight should be 65535.
        weights: Vec<(MinerUid, u16)>,
        /// At least the subnet's `weights_version`.
        version_key: u64,
    },
    /// Commits weights that the chain opens itself at a round of the beacon; for subnets with commit-reveal.
    CommitTimelockedWeights {
        /// The subnet.
        netuid: u16,
        /// The mechanism; `None` calls the form without one, which means mechanism 0.
        mechanism: Option<u8>,
        /// The sealed weights.
        commit: Vec<u8>,
        /// The round of the beacon whose signature opens them.
        reveal_round: u64,
        /// The subnet's `commit_reveal_version`.
        commit_reveal_version: u16,
    },
}

impl Call {
    /// Its name, `Pallet.call`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetCommitment { .. } => NAMES[0],
            Self::SetWeights { .. } => NAMES[1],
            Self::SetMechanismWeights { .. } => NAMES[2],
            Self::CommitTimelockedWeights { mechanism: None, .. } => NAMES[3],
            Self::CommitTimelockedWeights { mechanism: Some(_), .. } => NAMES[4],
        }
    }

    /// The subnet that it concerns.
    pub fn netuid(&self) -> u16 {
        match self {
            Self::SetCommitment { netuid, .. }
            | Self::SetWeights { netuid, .. }
            | Self::SetMechanismWeights { netuid, .. }
            | Self::CommitTimelockedWeights { netuid, .. } => *netuid,
        }
    }

    /// What can be known to fail before anybody is asked.
    pub(crate) fn check(&self) -> Result<(), ChainError> {
        match self {
            Self::SetCommitment { data, .. } if data.is_empty() => Err(CommitmentError::Empty.into()),
            Self::SetCommitment { data, .. } if data.len() > COMMITMENT_LIMIT => {
                Err(CommitmentError::TooLong { length: data.len() }.into())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn payload(&self) -> DynamicPayload<Composite<()>> {
        let (pallet, call) = self.name().split_once('.').expect("every name is `Pallet.call`");
        let arguments: Vec<(&str, Value)> = match self {
            Self::SetCommitment { netuid, data } => {
                let field = Value::unnamed_variant(format!("Raw{}", data.len()), [Value::from_bytes(data)]);
                let info = Value::named_composite([("fields", Value::unnamed_composite([field]))]);
                vec![("netuid", number(*netuid)), ("info", info)]
            }
            Self::SetWeights { netuid, weights, version_key } => {
                vec![
                    ("netuid", number(*netuid)),
                    ("dests", uids(weights)),
                    ("weights", values(weights)),
                    ("version_key", number(*version_key)),
                ]
            }
            Self::SetMechanismWeights { netuid, mechanism, weights, version_key } => vec![
                ("netuid", number(*netuid)),
                ("mecid", number(*mechanism)),
                ("dests", uids(weights)),
                ("weights", values(weights)),
                ("version_key", number(*version_key)),
            ],
            Self::CommitTimelockedWeights { netuid, mechanism, commit, reveal_round, commit_reveal_version } => {
                let mut arguments = vec![("netuid", number(*netuid))];
                arguments.extend(mechanism.map(|mechanism| ("mecid", number(mechanism))));
                arguments.extend([
                    ("commit", Value::from_bytes(commit)),
                    ("reveal_round", number(*reveal_round)),
                    ("commit_reveal_version", number(*commit_reveal_version)),
                ]);
                arguments
            }
        };
        tx::dynamic(pallet, call, Composite::named(arguments))
    }
}

/// The name of a call that a ticket remembers. Of an unknown one (a ticket of a later build) only that is said.
pub(crate) fn known_name(name: &str) -> &'static str {
    NAMES.into_iter().find(|known| *known == name).unwrap_or("a call of another build")
}

fn number(number: impl Into<u128>) -> Value {
    Value::u128(number.into())
}

fn uids(weights: &[(MinerUid, u16)]) -> Value {
    Value::unnamed_composite(weights.iter().map(|(uid, _)| number(uid.0)))
}

fn values(weights: &[(MinerUid, u16)]) -> Value {
    Value::unnamed_composite(weights.iter().map(|(_, weight)| number(*weight)))
}
