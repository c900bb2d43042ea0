//! Sealed weights, until they are revealed or lost, under both runtimes.
#![allow(clippy::unwrap_used)]

use parity_scale_codec::Encode as _;

use super::{
    Edit,
    tests::{ALICE, BOB, Blocks, NETUID, metas},
};
use crate::{
    Hyperparameters,
    beacon::ChainBeacon,
    call::{Call, SealedWeights},
    meta::{Meta, SUBTENSOR},
};

/// What is sealed: the hotkey, uids, values and the version key.
fn payload(who: &[u8; 32], uids: &[u16], values: &[u16]) -> Vec<u8> {
    (who.to_vec(), uids.to_vec(), values.to_vec(), 0_u64).encode()
}

/// A chain with commit-reveal on, where Alice has a permit and an epoch has just begun.
fn sealing(meta: &Meta) -> Blocks<'_> {
    let subnet =
        Hyperparameters { commit_reveal: true, weights_rate_limit: 0, tempo: 10, ..Hyperparameters::default() };
    let mut blocks = Blocks::new(meta, &subnet);
    blocks.edit(&Edit::Permit { uid: 1, permit: true });
    while blocks.number("BlocksSinceLastStep") != 0 {
        blocks.block(|_| ());
    }
    blocks
}

impl Blocks<'_> {
    fn commit(&mut self, who: &[u8; 32], commit: Vec<u8>, reveal_round: u64) -> &'static str {
        let sealed = SealedWeights { commit, reveal_round, version: 4 };
        self.call(who, &Call::CommitTimelockedWeights { netuid: NETUID, mechanism: 0, sealed })
    }

    /// Makes blocks until one ends an epoch, and answers all events on the way.
    fn epoch(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        loop {
            self.block(|_| ());
            events.extend(self.events());
            if self.number("BlocksSinceLastStep") == 0 {
                return events;
            }
        }
    }

    fn waiting_commits(&self) -> usize {
        let prefix = self.meta.prefix(SUBTENSOR, "TimelockedWeightCommits", &[]).unwrap();
        self.state.keys_after(&prefix, None, usize::MAX).count()
    }
}

#[test]
fn sealed_weights_are_revealed_in_the_epoch_after_their_own() {
    const REVEALED: [&str; 2] = ["SubtensorModule.WeightsSet", "SubtensorModule.TimelockedWeightsRevealed"];
    for meta in metas() {
        let mut blocks = sealing(&meta);
        // The next block's epoch has 10 or 11 blocks, of 4 rounds each.
        let round = blocks.beacon.round_at(u64::from(blocks.number + 12) * 12_000);
        let sealed = blocks.beacon.seal(&payload(&ALICE, &[0, 2], &[1, 2]), round).unwrap();
        assert_eq!(blocks.commit(&ALICE, sealed, round), "");
        let committed = blocks.last_update(1);
        assert_eq!(committed, u64::from(blocks.number));
        let mut events = blocks.epoch();
        events.extend(blocks.epoch());
        assert_eq!(events, REVEALED);
        assert_eq!(blocks.weights(NETUID, 1), [(0, 32_768), (2, 65_535)]);
        assert_eq!((blocks.last_update(1), blocks.waiting_commits()), (committed, 0));
    }
}

#[test]
fn sealed_weights_that_come_to_nothing_are_dropped_without_a_word() {
    for meta in metas() {
        let mut blocks = sealing(&meta);
        let soon = blocks.beacon.round_at(u64::from(blocks.number + 4) * 12_000);
        let late = blocks.beacon.round_at(u64::from(blocks.number + 400) * 12_000);
        let good = payload(&ALICE, &[0, 2], &[1, 2]);
        let another_beacon = ChainBeacon::new(0).unwrap();
        let commits = [
            (ALICE, another_beacon.seal(&good, soon).unwrap(), soon),
            (ALICE, blocks.beacon.seal(&good, soon + 1).unwrap(), soon),
            (ALICE, blocks.beacon.seal(&good, late).unwrap(), late),
            (ALICE, blocks.beacon.seal(b"no weights", soon).unwrap(), soon),
            (ALICE, blocks.beacon.seal(&payload(&ALICE, &[0, 2], &[1]), soon).unwrap(), soon),
            (ALICE, b"noise".to_vec(), soon),
            (ALICE, Vec::new(), soon),
            // Weights of Alice's, copied; weights of a hotkey without permit.
            (BOB, blocks.beacon.seal(&good, soon).unwrap(), soon),
            (BOB, blocks.beacon.seal(&payload(&BOB, &[0, 1], &[1, 1]), soon).unwrap(), soon),
        ];
        blocks.block(|execution| {
            for (who, commit, reveal_round) in commits {
                let sealed = SealedWeights { commit, reveal_round, version: 4 };
                execution.commit_timelocked_weights(&who, NETUID, 0, &sealed).unwrap();
            }
        });
        let events = [blocks.epoch(), blocks.epoch(), blocks.epoch()].concat();
        assert_eq!(events, Vec::<String>::new());
        assert_eq!((blocks.weights(NETUID, 1), blocks.weights(NETUID, 2)), (vec![], vec![]));
        assert_eq!(blocks.waiting_commits(), 0);
    }
}

#[test]
fn sealed_weights_in_the_former_format_are_read() {
    let meta = metas().next().unwrap();
    let mut blocks = sealing(&meta);
    let round = blocks.beacon.round_at(u64::from(blocks.number + 4) * 12_000);
    let former = (vec![0_u16, 2], vec![3_u16, 6], 0_u64).encode();
    let sealed = blocks.beacon.seal(&former, round).unwrap();
    assert_eq!(blocks.commit(&ALICE, sealed, round), "");
    blocks.epoch();
    blocks.epoch();
    assert_eq!(blocks.weights(NETUID, 1), [(0, 32_768), (2, 65_535)]);
}
