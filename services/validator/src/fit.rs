//! Published weights against who is on the subnet now. Pure.
//!
//! A uid can change hands between the evaluation and now. Whoever holds it now earned nothing, so the weight of such a uid is dropped,
//! and the rest is scaled anew: its proportions stay. Where most of the weight is of miners that are at each other's uids, the backend mixes
//! them up, and to drop them would give all to the others. Less than that can be the doing of miners: hotkeys can be swapped, so an owner of
//! two uids brings it about, and loses those two weights alone.

use std::collections::{BTreeMap, BTreeSet};

use kinitro_chain::Neuron;
use kinitro_domain::{Hotkey, MinerUid};
use kinitro_pareto::scale;

use crate::{
    Obstacle,
    check::{Published, Share},
};

/// What is to be on the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// Ascending by uid; the largest value is 65535, none is 0.
    pub weights: Vec<(MinerUid, u16)>,
    /// Who was scored, is still there, and has no weight; ascending. With a weight of zero they make a vector longer.
    pub without: Vec<MinerUid>,
    /// Whose weight was dropped.
    pub dropped: Vec<Dropped>,
}

/// A uid that had a weight and is no longer who earned it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropped {
    /// The place.
    pub uid: MinerUid,
    /// What was dropped.
    pub weight: f64,
    /// Who earned it.
    pub scored: Hotkey,
    /// Who is there now.
    pub holder: Option<Hotkey>,
}

/// Fits the weights to the neurons of the subnet and its owner's hotkey.
pub fn fit(published: &Published, neurons: &[Neuron], owner: Option<&Hotkey>) -> Result<Fitted, Obstacle> {
    let holders: BTreeMap<MinerUid, &Hotkey> = neurons.iter().map(|neuron| (neuron.uid, &neuron.hotkey)).collect();
    if let Some(uid) = published.burn_uid {
        let holder = holders.get(&uid).copied();
        return match holder.is_some() && holder == owner {
            true => {
                let burnt = (uid, u16::MAX);
                let without = published.shares.iter().filter(|share| share.uid != uid && is_there(share, &holders));
                let without = without.map(|share| share.uid).collect();
                Ok(Fitted { weights: vec![burnt], without, dropped: Vec::new() })
            }
            false => Err(Obstacle::BurnUidIsNotTheOwner { uid, holder: holder.cloned() }),
        };
    }
    if let Some((one, other)) = mostly_mixed_up(published, neurons) {
        return Err(Obstacle::MixedUp { one, other });
    }
    let (mut uids, mut weights, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
    for share in &published.shares {
        let (uid, weight) = (share.uid, share.weight);
        // Every share but the burn uid's has a hotkey, or `check` would have refused it.
        let Some(scored) = &share.hotkey else { continue };
        if is_there(share, &holders) {
            uids.push(uid);
            weights.push(weight);
        } else if weight > 0.0 {
            let holder = holders.get(&uid).copied().cloned();
            dropped.push(Dropped { uid, weight, scored: scored.clone(), holder });
        }
    }
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return Err(Obstacle::NothingLeft { scored: dropped.len() });
    }
    weights.iter_mut().for_each(|weight| *weight /= total);
    let (without, weights): (Vec<_>, Vec<_>) =
        uids.into_iter().zip(scale(&weights)).partition(|(_, value)| *value == 0);
    let without = without.into_iter().map(|(uid, _)| uid).collect();
    Ok(Fitted { weights, without, dropped })
}

/// Two places of miners that are mixed up, when such miners hold at least half of the weight. They are mixed up when a place's miner is now
/// at another place of the weights, and that one's at a third, and so on until it closes: by registrations alone a miner gets to the place
/// of another only when that one is gone.
fn mostly_mixed_up(published: &Published, neurons: &[Neuron]) -> Option<(MinerUid, MinerUid)> {
    let places: BTreeMap<&Hotkey, MinerUid> = neurons.iter().map(|neuron| (&neuron.hotkey, neuron.uid)).collect();
    let moved = |share: &Share| {
        let now = *places.get(share.hotkey.as_ref()?)?;
        (now != share.uid).then_some((share.uid, now))
    };
    let moves: BTreeMap<MinerUid, MinerUid> = published.shares.iter().filter_map(moved).collect();
    let mixed_up: BTreeSet<MinerUid> = moves.keys().copied().filter(|start| comes_back(&moves, *start)).collect();
    let all: f64 = published.shares.iter().map(|share| share.weight).sum();
    let mixed = published.shares.iter().filter(|share| mixed_up.contains(&share.uid));
    let mixed: f64 = mixed.map(|share| share.weight).sum();
    let one = *mixed_up.first()?;
    let other = *moves.get(&one)?;
    (2.0 * mixed >= all).then_some((one, other))
}

/// Whether the moves lead from a place back to it.
fn comes_back(moves: &BTreeMap<MinerUid, MinerUid>, start: MinerUid) -> bool {
    let mut place = start;
    for _ in 0..moves.len() {
        let Some(next) = moves.get(&place) else { return false };
        if *next == start {
            return true;
        }
        place = *next;
    }
    false
}

/// Whether the one who was scored is still at the place.
fn is_there(share: &Share, holders: &BTreeMap<MinerUid, &Hotkey>) -> bool {
    share.hotkey.is_some() && share.hotkey.as_ref() == holders.get(&share.uid).copied()
}

impl Fitted {
    /// The weights, with as many zeros as a vector of `least` needs; fewer when nobody is left to get one.
    pub fn padded(&self, least: usize) -> Vec<(MinerUid, u16)> {
        let missing = least.saturating_sub(self.weights.len());
        let mut padded = self.weights.clone();
        padded.extend(self.without.iter().take(missing).map(|uid| (*uid, 0)));
        padded.sort_unstable();
        padded
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::check::tests::published;

    const ELSEWHERE: &str = "5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy";

    fn hotkey(text: &str) -> Hotkey {
        text.to_owned().try_into().unwrap()
    }

    /// Everybody is where they were scored.
    fn unchanged(published: &Published) -> Vec<Neuron> {
        let neuron = |share: &Share| share.hotkey.clone().map(|hotkey| Neuron { uid: share.uid, hotkey });
        published.shares.iter().filter_map(neuron).collect()
    }

    #[test]
    fn weights_of_a_subnet_that_did_not_change_are_the_scaled_ones() {
        let published = published();
        let fitted = fit(&published, &unchanged(&published), None).unwrap();
        assert_eq!(fitted.weights, [(MinerUid(2), 3263), (MinerUid(9), 65535), (MinerUid(10), 8869)]);
        assert_eq!(fitted.dropped, []);
    }

    #[test]
    fn a_uid_that_changed_hands_is_dropped_and_the_rest_scaled_anew() {
        let published = published();
        let mut neurons = unchanged(&published);
        neurons[1].hotkey = hotkey(ELSEWHERE);
        let fitted = fit(&published, &neurons, None).unwrap();
        assert_eq!(fitted.weights, [(MinerUid(2), 24109), (MinerUid(10), 65535)]);
        let [dropped] = &fitted.dropped[..] else { panic!("{:?}", fitted.dropped) };
        assert_eq!((dropped.uid, dropped.holder.clone()), (MinerUid(9), Some(hotkey(ELSEWHERE))));
    }

    #[test]
    fn zeros_make_a_vector_longer_only_as_far_as_needed_and_only_for_those_who_are_there() {
        let mut published = published();
        published.shares[0].weight = 0.0;
        let neurons = unchanged(&published);
        let fitted = fit(&published, &neurons, None).unwrap();
        let open = vec![(MinerUid(9), 65535), (MinerUid(10), 8869)];
        assert_eq!((&fitted.weights, &fitted.without[..]), (&open, &[MinerUid(2)][..]));
        assert_eq!((fitted.padded(0), fitted.padded(2)), (open.clone(), open.clone()));
        let longer = vec![(MinerUid(2), 0), (MinerUid(9), 65535), (MinerUid(10), 8869)];
        assert_eq!((fitted.padded(3), fitted.padded(99)), (longer.clone(), longer));
        let fitted = fit(&published, &neurons[1..], None).unwrap();
        assert_eq!((fitted.padded(3), fitted.dropped), (open, Vec::new()));
    }

    #[test]
    fn a_miner_that_moved_to_another_uid_is_dropped_at_both() {
        let published = published();
        let mut neurons = unchanged(&published);
        neurons[1].uid = MinerUid(11);
        let fitted = fit(&published, &neurons, None).unwrap();
        let uids: Vec<u16> = fitted.weights.iter().map(|(uid, _)| uid.0).collect();
        assert_eq!((uids, fitted.dropped[0].holder.as_ref()), (vec![2, 10], None));
    }

    #[test]
    fn miners_at_each_others_uids_are_not_dropped_but_told() {
        let published = published();
        let mut swapped = unchanged(&published);
        let first = swapped[0].uid;
        swapped[0].uid = swapped[1].uid;
        swapped[1].uid = first;
        let mixed = |neurons: &[Neuron]| matches!(fit(&published, neurons, None), Err(Obstacle::MixedUp { .. }));
        assert!(mixed(&swapped));
        let mut rotated = unchanged(&published);
        (rotated[0].uid, rotated[1].uid, rotated[2].uid) = (rotated[1].uid, rotated[2].uid, rotated[0].uid);
        assert!(mixed(&rotated));
        // A miner that registered anew in the place of one that is gone.
        let mut moved = unchanged(&published);
        moved[0].uid = moved[1].uid;
        moved.remove(1);
        let fitted = fit(&published, &moved, None).unwrap();
        assert_eq!((fitted.weights, fitted.dropped.len()), (vec![(MinerUid(10), 65535)], 2));
    }

    #[test]
    fn an_owner_of_two_uids_that_swaps_them_loses_their_weights_and_stops_nobody() {
        let mut published = published();
        let mut swapped = unchanged(&published);
        (swapped[0].uid, swapped[1].uid) = (swapped[1].uid, swapped[0].uid);
        let mut fitted = |weights: [f64; 3]| {
            for (share, weight) in published.shares.iter_mut().zip(weights) {
                share.weight = weight;
            }
            fit(&published, &swapped, None)
        };
        let less = fitted([0.25, 0.125, 0.625]).unwrap();
        let dropped: Vec<u16> = less.dropped.iter().map(|dropped| dropped.uid.0).collect();
        assert_eq!((less.weights, dropped), (vec![(MinerUid(10), 65535)], vec![2, 9]));
        let half = fitted([0.25, 0.25, 0.5]);
        assert_eq!(half, Err(Obstacle::MixedUp { one: MinerUid(2), other: MinerUid(9) }));
    }

    #[test]
    fn when_nobody_is_left_nothing_is_set() {
        assert_eq!(fit(&published(), &[], None), Err(Obstacle::NothingLeft { scored: 3 }));
    }

    #[test]
    fn everything_is_burnt_at_the_owners_uid_only() {
        let (uid, owner) = (MinerUid(0), hotkey(ELSEWHERE));
        let mut published = published();
        published.shares = vec![Share { uid, weight: 1.0, hotkey: None }];
        published.burn_uid = Some(uid);
        let there = [Neuron { uid, hotkey: owner.clone() }];
        let burnt = fit(&published, &there, Some(&owner)).unwrap();
        assert_eq!(burnt.weights, [(uid, 65535)]);
        let other = hotkey("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
        for (neurons, owner) in [(&there[..], None), (&there[..], Some(&other)), (&[], Some(&owner)), (&[], None)] {
            assert!(matches!(fit(&published, neurons, owner), Err(Obstacle::BurnUidIsNotTheOwner { .. })));
        }
    }

    proptest! {
        #[test]
        fn the_rest_keeps_its_proportions(weights in prop::collection::vec(0.0..1.0_f64, 3), gone in 0..3_usize) {
            let mut published = published();
            for (share, weight) in published.shares.iter_mut().zip(&weights) {
                share.weight = *weight;
            }
            let mut neurons = unchanged(&published);
            neurons.remove(gone);
            let rest: Vec<f64> = weights.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, weight)| *weight).collect();
            if let Ok(fitted) = fit(&published, &neurons, None) {
                let largest = rest.iter().copied().fold(0.0, f64::max);
                prop_assert_eq!(fitted.weights.iter().map(|(_, value)| *value).max(), Some(u16::MAX));
                for (uid, value) in &fitted.weights {
                    let share = published.shares.iter().find(|share| share.uid == *uid).unwrap();
                    prop_assert!((share.weight / largest * 65535.0 - f64::from(*value)).abs() <= 0.501);
                }
            } else {
                prop_assert!(rest.iter().all(|weight| *weight == 0.0));
            }
        }
    }
}
