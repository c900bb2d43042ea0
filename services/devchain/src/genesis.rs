//! Block 0: the subnet and those who are registered from the start.

use std::collections::BTreeSet;

use kinitro_chain::{Signer, account_of};
use kinitro_domain::Hotkey;

use crate::{
    Error, Hyperparameter, NeuronSeed,
    beacon::ChainBeacon,
    meta::Meta,
    runtime::{Edit, Execution},
    state::State,
};

/// The public key of an SS58 address or a development URI.
pub(crate) fn public_key(hotkey: &str) -> Result<[u8; 32], Error> {
    let unusable = |reason: String| Error::Neuron { hotkey: hotkey.chars().take(100).collect(), reason };
    if hotkey.starts_with("//") {
        let signer = Signer::from_uri(hotkey).map_err(|error| unusable(error.to_string()))?;
        return account_of(&signer.hotkey()).map_err(|error| unusable(error.to_string()));
    }
    let hotkey = Hotkey::try_from(hotkey.to_owned()).map_err(|error| unusable(error.to_string()))?;
    account_of(&hotkey).map_err(|error| unusable(error.to_string()))
}

/// Who gets which uid: those with a uid theirs, the others what is free, in order.
fn placed(neurons: &[NeuronSeed]) -> Result<Vec<Edit>, Error> {
    let unusable = |neuron: &NeuronSeed, reason: &str| Error::Neuron {
        hotkey: neuron.hotkey.chars().take(100).collect(),
        reason: reason.to_owned(),
    };
    let (mut uids, mut accounts, mut edits) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for neuron in neurons {
        if let Some(uid) = neuron.uid
            && !uids.insert(uid)
        {
            return Err(unusable(neuron, &format!("uid {uid} is given twice")));
        }
    }
    for neuron in neurons {
        let account = public_key(&neuron.hotkey)?;
        if !accounts.insert(account) {
            return Err(unusable(neuron, "it is listed twice"));
        }
        let free = || (0..=u16::MAX).find(|uid| !uids.contains(uid));
        let uid = neuron.uid.or_else(free).ok_or_else(|| unusable(neuron, "the subnet is full"))?;
        uids.insert(uid);
        edits.push(Edit::Register { uid, account, stake: neuron.stake });
        if neuron.validator_permit {
            edits.push(Edit::Permit { uid, permit: true });
        }
    }
    if uids.last().is_some_and(|last| usize::from(*last) + 1 != uids.len()) {
        let last = &neurons[neurons.len() - 1];
        return Err(unusable(last, "the uids of the subnet leave a gap; they must be 0, 1, 2 and so on"));
    }
    Ok(edits)
}

/// The state of block 0.
pub(crate) fn state(
    meta: &Meta,
    beacon: &ChainBeacon,
    netuid: u16,
    hyperparameters: &[Hyperparameter],
    neurons: &[NeuronSeed],
    now_ms: u64,
) -> Result<State, Error> {
    let mut execution = Execution::new(meta, beacon, State::default(), netuid, 0);
    execution.initialise(now_ms)?;
    execution.found_subnet(hyperparameters)?;
    for edit in placed(neurons)? {
        execution.edit(&edit)?;
    }
    Ok(execution.state)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn uids_are_filled_without_gaps_and_given_once() {
        let seed = |uid, hotkey: &str| NeuronSeed { uid, ..NeuronSeed::new(hotkey) };
        let edits = placed(&[seed(None, "//Alice"), seed(Some(0), "//Bob"), seed(None, "//Charlie")]).unwrap();
        let uids: Vec<_> = edits.iter().map(|edit| matches!(edit, Edit::Register { uid, .. } if *uid < 3)).collect();
        assert_eq!(uids, [true; 3]);
        for (neurons, reason) in [
            (vec![seed(Some(1), "//Alice")], "leave a gap"),
            (vec![seed(Some(0), "//Alice"), seed(Some(0), "//Bob")], "given twice"),
            (vec![seed(None, "//Alice"), seed(None, "//Alice")], "listed twice"),
            (vec![seed(None, "nobody")], "SS58"),
        ] {
            let refused = placed(&neurons).unwrap_err().to_string();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
