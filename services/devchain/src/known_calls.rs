//! The calls that the chain executes, and where the loaded metadata has them.

use subxt_metadata::Metadata;

use crate::meta::SUBTENSOR;

/// A call that the chain executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    SetCommitment,
    SetWeights,
    SetMechanismWeights,
    CommitTimelockedWeights,
    CommitTimelockedMechanismWeights,
}

/// The calls that the chain executes: by pallet and name, with the arguments in the order of the metadata.
const CALLS: [(CallKind, &str, &str, &[&str]); 5] = [
    (CallKind::SetCommitment, "Commitments", "set_commitment", &["netuid", "info"]),
    (CallKind::SetWeights, SUBTENSOR, "set_weights", &["netuid", "dests", "weights", "version_key"]),
    (
        CallKind::SetMechanismWeights,
        SUBTENSOR,
        "set_mechanism_weights",
        &["netuid", "mecid", "dests", "weights", "version_key"],
    ),
    (
        CallKind::CommitTimelockedWeights,
        SUBTENSOR,
        "commit_timelocked_weights",
        &["netuid", "commit", "reveal_round", "commit_reveal_version"],
    ),
    (
        CallKind::CommitTimelockedMechanismWeights,
        SUBTENSOR,
        "commit_timelocked_mechanism_weights",
        &["netuid", "mecid", "commit", "reveal_round", "commit_reveal_version"],
    ),
];

/// Where a call that the chain executes is in the loaded metadata.
pub(crate) struct KnownCall {
    pub kind: CallKind,
    pub name: &'static str,
    pub pallet: u8,
    pub index: u8,
    /// The types of the arguments, in order.
    pub arguments: Vec<u32>,
}

/// All of them, in the loaded metadata.
pub(crate) fn known_calls(metadata: &Metadata) -> Result<Vec<KnownCall>, String> {
    CALLS.into_iter().map(|call| known_call(metadata, call)).collect()
}

fn known_call(
    metadata: &Metadata,
    (kind, pallet_name, name, arguments): (CallKind, &'static str, &'static str, &[&str]),
) -> Result<KnownCall, String> {
    let pallet = metadata.pallet_by_name(pallet_name).ok_or(format!("it has no pallet {pallet_name}"))?;
    let call = pallet.call_variant_by_name(name).ok_or(format!("it has no call {name}"))?;
    let given: Vec<_> = call.fields.iter().map(|field| field.name.as_deref().unwrap_or_default()).collect();
    if given != arguments {
        return Err(format!("the call {name} has the arguments {given:?}"));
    }
    let arguments = call.fields.iter().map(|field| field.ty.id).collect();
    Ok(KnownCall { kind, name, pallet: pallet.call_index(), index: call.index, arguments })
}
