//! The rules, one by one, under both runtimes.
#![allow(clippy::unwrap_used)]

use scale_value::ValueDef;

use super::*;
use crate::{
    Hyperparameters,
    beacon::ChainBeacon,
    call::{SealedWeights, SentWeights},
    config::SPECS,
    genesis,
};

pub(super) const NETUID: u16 = 7;
const OWNER: [u8; 32] = [10; 32];
pub(super) const ALICE: [u8; 32] = [11; 32];
pub(super) const BOB: [u8; 32] = [12; 32];
const NOBODY: [u8; 32] = [99; 32];

pub(super) fn metas() -> impl Iterator<Item = Meta> {
    SPECS.into_iter().map(|spec| Meta::load(&crate::Config::default().metadata_dir(), spec).unwrap())
}

/// A chain of this pallet alone: blocks without transactions, in which calls are dispatched.
pub(super) struct Blocks<'a> {
    pub(super) meta: &'a Meta,
    pub(super) beacon: &'a ChainBeacon,
    pub(super) state: State,
    pub(super) number: u32,
}

impl<'a> Blocks<'a> {
    /// The owner at uid 0, Alice at 1 and Bob at 2.
    pub(super) fn new(meta: &'a Meta, subnet: &Hyperparameters) -> Self {
        let beacon = Box::leak(Box::new(ChainBeacon::new(0).unwrap()));
        let state = genesis::state(meta, beacon, NETUID, &subnet.each(), &[], 0).unwrap();
        let mut blocks = Self { meta, beacon, state, number: 0 };
        let mut execution = Execution::new(meta, beacon, blocks.state.clone(), NETUID, 0);
        for (uid, account) in (0..).zip([OWNER, ALICE, BOB]) {
            execution.edit(&Edit::Register { uid, account, stake: 0 }).unwrap();
        }
        blocks.state = execution.state;
        blocks
    }

    pub(super) fn block<T>(&mut self, run: impl FnOnce(&mut Execution<'a>) -> T) -> T {
        self.number += 1;
        let mut execution = Execution::new(self.meta, self.beacon, self.state.clone(), NETUID, self.number);
        execution.initialise(u64::from(self.number) * 12_000).unwrap();
        let result = run(&mut execution);
        execution.finish().unwrap();
        self.state = execution.state;
        result
    }

    fn until(&mut self, number: u32) {
        while self.number < number {
            self.block(|_| ());
        }
    }

    pub(super) fn edit(&mut self, edit: &Edit) {
        self.block(|execution| execution.edit(edit)).unwrap();
    }

    fn set(&mut self, parameter: Hyperparameter) {
        self.edit(&Edit::Set(parameter));
    }

    /// The name of the error that a call fails with, or "".
    pub(super) fn call(&mut self, who: &[u8; 32], call: &Call) -> &'static str {
        self.block(|execution| match execution.dispatch(who, call) {
            Ok(()) => "",
            Err(Stop::Refused((pallet, error))) => {
                execution.meta.dispatch_error(pallet, error).unwrap();
                error
            }
            Err(Stop::Failed(error)) => panic!("{error}"),
        })
    }

    pub(super) fn weights(&self, index: u16, uid: u16) -> Vec<(u16, u16)> {
        self.state.get_as_is(self.meta, (SUBTENSOR, "Weights"), &[number(index), number(uid)]).unwrap()
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        Execution::new(self.meta, self.beacon, self.state.clone(), NETUID, self.number)
            .subnet_number(name, NETUID)
            .unwrap()
    }

    pub(super) fn last_update(&self, uid: u16) -> u64 {
        Execution::new(self.meta, self.beacon, self.state.clone(), NETUID, self.number)
            .last_update(NETUID, uid)
            .unwrap()
    }

    /// The names of the newest block's events.
    pub(super) fn events(&self) -> Vec<String> {
        let records = self.state.value(self.meta, ("System", "Events"), &[]).unwrap().unwrap();
        let ValueDef::Composite(records) = records.value else { panic!("no list") };
        let name = |record: &Value| {
            let ValueDef::Variant(pallet) = &record.at("event").unwrap().value else { panic!("no event") };
            let ValueDef::Variant(event) = &pallet.values.values().next().unwrap().value else { panic!("no event") };
            format!("{}.{}", pallet.name, event.name)
        };
        records.values().map(name).collect()
    }
}

fn sent(uids: &[u16], values: &[u16], version_key: u64) -> SentWeights {
    SentWeights { uids: uids.to_vec(), values: values.to_vec(), version_key }
}

fn weights(uids: &[u16], values: &[u16]) -> Call {
    Call::SetWeights { netuid: NETUID, mechanism: 0, weights: sent(uids, values, 0) }
}

fn sealed(reveal_round: u64, version: u16) -> Call {
    let sealed = SealedWeights { commit: vec![1, 2, 3], reveal_round, version };
    Call::CommitTimelockedWeights { netuid: NETUID, mechanism: 0, sealed }
}

#[test]
fn weights_are_checked_in_the_chains_order_with_its_errors() {
    for meta in metas() {
        let subnet = Hyperparameters {
            commit_reveal: true,
            stake_threshold: 10,
            weights_version: 5,
            min_allowed_weights: 2,
            max_weight_limit: 45_000,
            ..Hyperparameters::default()
        };
        let mut blocks = Blocks::new(&meta, &subnet);
        let call = |blocks: &mut Blocks<'_>, who, netuid, mechanism, weights: SentWeights| {
            blocks.call(who, &Call::SetWeights { netuid, mechanism, weights })
        };
        // Every line corrects the mistake that the line before was refused for, and has all the later ones.
        let odd = sent(&[9, 9, 9, 9], &[1, 9], 0);
        assert_eq!(call(&mut blocks, &NOBODY, 0, 1, odd.clone()), "CanNotSetRootNetworkWeights");
        assert_eq!(call(&mut blocks, &NOBODY, NETUID, 1, odd.clone()), "CommitRevealEnabled");
        // On the real chain commit-reveal is on where nobody turned it off, also where there is no subnet.
        assert_eq!(call(&mut blocks, &NOBODY, 8, 1, odd.clone()), "CommitRevealEnabled");
        blocks.set(Hyperparameter::CommitReveal(false));
        assert_eq!(call(&mut blocks, &NOBODY, NETUID, 1, odd), "WeightVecNotEqualSize");
        let many = sent(&[9, 9, 9, 9], &[1, 9, 1, 1], 0);
        assert_eq!(call(&mut blocks, &NOBODY, NETUID, 1, many.clone()), "MechanismDoesNotExist");
        assert_eq!(call(&mut blocks, &NOBODY, NETUID, 0, many), "UidsLengthExceedUidsInSubNet");
        let twice = sent(&[9, 9], &[1, 9], 0);
        assert_eq!(call(&mut blocks, &NOBODY, NETUID, 0, twice.clone()), "HotKeyNotRegisteredInSubNet");
        blocks.edit(&Edit::Register { uid: 1, account: ALICE, stake: 9 });
        assert_eq!(call(&mut blocks, &ALICE, NETUID, 0, twice.clone()), "NotEnoughStakeToSetWeights");
        blocks.edit(&Edit::Stake { account: ALICE, stake: 10 });
        assert_eq!(call(&mut blocks, &ALICE, NETUID, 0, twice), "IncorrectWeightVersionKey");
        let twice = sent(&[9, 9], &[1, 9], 5);
        assert_eq!(call(&mut blocks, &ALICE, NETUID, 0, twice.clone()), "SettingWeightsTooFast");
        blocks.set(Hyperparameter::WeightsRateLimit(0));
        assert_eq!(call(&mut blocks, &ALICE, NETUID, 0, twice.clone()), "NeuronNoValidatorPermit");
        blocks.edit(&Edit::Permit { uid: 1, permit: true });
        assert_eq!(call(&mut blocks, &ALICE, NETUID, 0, twice), "DuplicateUids");
        assert_eq!(call(&mut blocks, &ALICE, NETUID, 0, sent(&[9], &[9], 5)), "UidVecContainInvalidOne");
        assert_eq!(call(&mut blocks, &ALICE, NETUID, 0, sent(&[2], &[9], 6)), "WeightVecLengthIsLow");
        assert_eq!(call(&mut blocks, &ALICE, NETUID, 0, sent(&[2, 0], &[9, 1], 6)), "MaxWeightExceeded");
        assert_eq!(blocks.weights(NETUID, 1), []);
        assert_eq!(call(&mut blocks, &ALICE, NETUID, 0, sent(&[2, 0], &[200, 100], 6)), "");
        assert_eq!(blocks.weights(NETUID, 1), [(2, 65_535), (0, 32_768)]);
        assert_eq!(blocks.last_update(1), u64::from(blocks.number));
    }
}

#[test]
fn the_rate_limit_counts_from_the_last_weights_and_lets_the_first_ones_pass() {
    for meta in metas() {
        let mut blocks = Blocks::new(&meta, &Hyperparameters { weights_rate_limit: 5, ..Hyperparameters::default() });
        blocks.edit(&Edit::Permit { uid: 1, permit: true });
        assert_eq!(blocks.call(&ALICE, &weights(&[0, 2], &[1, 1])), "");
        let set = blocks.number;
        blocks.until(set + 3);
        assert_eq!(blocks.call(&ALICE, &weights(&[0, 2], &[1, 1])), "SettingWeightsTooFast");
        assert_eq!(blocks.call(&ALICE, &weights(&[0, 2], &[1, 1])), "", "block {} after {set}", blocks.number);
    }
}

#[test]
fn who_weights_itself_alone_and_the_owner_need_no_permit() {
    for meta in metas() {
        let subnet = Hyperparameters { min_allowed_weights: 2, max_weight_limit: 100, ..Hyperparameters::default() };
        let mut blocks = Blocks::new(&meta, &subnet);
        assert_eq!(blocks.call(&ALICE, &weights(&[1], &[7])), "");
        assert_eq!(blocks.weights(NETUID, 1), [(1, 65_535)]);
        assert_eq!(blocks.call(&BOB, &weights(&[1], &[7])), "NeuronNoValidatorPermit");
        blocks.set(Hyperparameter::MaxWeightLimit(u16::MAX));
        assert_eq!(blocks.call(&OWNER, &weights(&[1, 2], &[7, 7])), "");
        assert_eq!(blocks.call(&BOB, &weights(&[], &[])), "NeuronNoValidatorPermit");
        assert_eq!(blocks.call(&OWNER, &weights(&[], &[])), "SettingWeightsTooFast");
    }
}

#[test]
fn each_mechanism_has_weights_and_a_rate_limit_of_its_own() {
    for meta in metas() {
        let mut blocks = Blocks::new(&meta, &Hyperparameters { mechanisms: 2, ..Hyperparameters::default() });
        let call = |mechanism, value| {
            let weights = sent(&[1, 2], &[value, 65_535], 0);
            Call::SetWeights { netuid: NETUID, mechanism, weights }
        };
        assert_eq!(blocks.call(&OWNER, &call(0, 5)), "");
        assert_eq!(blocks.call(&OWNER, &call(1, 6)), "");
        assert_eq!(blocks.call(&OWNER, &call(1, 7)), "SettingWeightsTooFast");
        assert_eq!(blocks.call(&OWNER, &call(2, 8)), "MechanismDoesNotExist");
        assert_eq!(blocks.weights(NETUID, 0), [(1, 5), (2, 65_535)]);
        assert_eq!(blocks.weights(4_096 + NETUID, 0), [(1, 6), (2, 65_535)]);
        for count in [0, 17] {
            let parameter = Edit::Set(Hyperparameter::Mechanisms(count));
            let refused = blocks.block(|execution| execution.edit(&parameter)).unwrap_err();
            assert!(refused.to_string().contains("1 to 16"), "{refused}");
        }
    }
}

#[test]
fn sealed_weights_are_checked_in_the_chains_order_with_its_errors() {
    for meta in metas() {
        let mut blocks = Blocks::new(&meta, &Hyperparameters { stake_threshold: 10, ..Hyperparameters::default() });
        // Block 13 is at 156 seconds, in round 53.
        blocks.until(12);
        let stale = if meta.spec_version == 461 { "InvalidRevealRound" } else { "CommitRevealDisabled" };
        assert_eq!(blocks.call(&NOBODY, &sealed(52, 3)), stale);
        let Call::CommitTimelockedWeights { netuid, sealed: other, .. } = sealed(1_000, 3) else { panic!() };
        let other = Call::CommitTimelockedWeights { netuid, mechanism: 1, sealed: other };
        assert_eq!(blocks.call(&NOBODY, &other), "MechanismDoesNotExist");
        assert_eq!(blocks.call(&NOBODY, &sealed(1_000, 3)), "CommitRevealDisabled");
        blocks.set(Hyperparameter::CommitReveal(true));
        assert_eq!(blocks.call(&NOBODY, &sealed(1_000, 3)), "IncorrectCommitRevealVersion");
        assert_eq!(blocks.call(&NOBODY, &sealed(1_000, 4)), "HotKeyNotRegisteredInSubNet");
        blocks.edit(&Edit::Register { uid: 1, account: ALICE, stake: 9 });
        assert_eq!(blocks.call(&ALICE, &sealed(1_000, 4)), "NotEnoughStakeToSetWeights");
        blocks.edit(&Edit::Stake { account: ALICE, stake: 10 });
        assert_eq!(blocks.call(&ALICE, &sealed(1_000, 4)), "CommittingWeightsTooFast");
        blocks.set(Hyperparameter::WeightsRateLimit(0));
        blocks.set(Hyperparameter::Tempo(100));
        for _ in 0..10 {
            assert_eq!(blocks.call(&ALICE, &sealed(1_000, 4)), "");
        }
        assert_eq!(blocks.last_update(1), u64::from(blocks.number));
        assert_eq!(blocks.events(), ["SubtensorModule.TimelockedWeightsCommitted"]);
        assert_eq!(blocks.call(&ALICE, &sealed(1_000, 4)), "TooManyUnrevealedCommits");
    }
}

#[test]
fn a_uid_that_changes_hands_begins_anew() {
    for meta in metas() {
        let mut blocks = Blocks::new(&meta, &Hyperparameters::default());
        blocks.edit(&Edit::Permit { uid: 1, permit: true });
        assert_eq!(blocks.call(&ALICE, &weights(&[0, 2], &[1, 1])), "");
        blocks.edit(&Edit::Register { uid: 1, account: NOBODY, stake: 5 });
        assert_eq!(blocks.weights(NETUID, 1), []);
        assert_eq!(blocks.last_update(1), u64::from(blocks.number));
        let seat = [number(NETUID), number(1_u8)];
        let registered: u64 = blocks.state.get_as_is(&meta, (SUBTENSOR, "BlockAtRegistration"), &seat).unwrap();
        assert_eq!(registered, u64::from(blocks.number));
        assert_eq!(blocks.call(&ALICE, &weights(&[0, 2], &[1, 1])), "HotKeyNotRegisteredInSubNet");
        blocks.set(Hyperparameter::WeightsRateLimit(0));
        assert_eq!(blocks.call(&NOBODY, &weights(&[0, 2], &[1, 1])), "NeuronNoValidatorPermit");
        let permit = Edit::Permit { uid: 3, permit: true };
        let unknown = blocks.block(|execution| execution.edit(&permit)).unwrap_err();
        assert!(unknown.to_string().contains("no uid 3") && unknown.to_string().contains("3 neurons"), "{unknown}");
    }
}

#[test]
fn epochs_end_when_the_real_chain_ends_them() {
    for meta in metas() {
        let mut blocks = Blocks::new(&meta, &Hyperparameters { tempo: 10, ..Hyperparameters::default() });
        let mut ends = Vec::new();
        while blocks.number < 40 {
            let epoch = |blocks: &Blocks<'_>| {
                let execution = Execution::new(&meta, blocks.beacon, blocks.state.clone(), NETUID, blocks.number);
                execution.commit_epoch(NETUID).unwrap()
            };
            let before = epoch(&blocks);
            blocks.block(|_| ());
            if blocks.number("BlocksSinceLastStep") == 0 {
                ends.push((blocks.number, epoch(&blocks) - before));
            }
        }
        // With a stored schedule every 10 blocks, and the block that ends an epoch belongs to the next one. Before, the last block
        // of an epoch was the one for which (block + netuid + 1) mod 11 is 10.
        let expected: &[(u32, u64)] = if meta.spec_version == 461 {
            &[(10, 1), (20, 1), (30, 1), (40, 1)]
        } else {
            &[(2, 0), (13, 0), (24, 0), (35, 0)]
        };
        assert_eq!(ends, expected);
        if meta.spec_version == 461 {
            assert_eq!((blocks.number("SubnetEpochIndex"), blocks.number("LastEpochBlock")), (4, 40));
        }
        blocks.set(Hyperparameter::Tempo(0));
        blocks.until(100);
        assert!(blocks.number("BlocksSinceLastStep") > 0);
    }
}

#[test]
fn a_transaction_leaves_its_events_in_the_order_of_a_real_node() {
    for meta in metas() {
        let mut blocks = Blocks::new(&meta, &Hyperparameters::default());
        for (call, event) in [
            (weights(&[1, 2], &[1, 1]), Some("SubtensorModule.WeightsSet")),
            (weights(&[1, 2], &[1, 1]), None),
            (Call::Other, None),
        ] {
            blocks.block(|execution| execution.execute(&OWNER, &call)).unwrap();
            let end = if event.is_some() { "System.ExtrinsicSuccess" } else { "System.ExtrinsicFailed" };
            let expected: Vec<_> = event.into_iter().chain(["TransactionPayment.TransactionFeePaid", end]).collect();
            assert_eq!(blocks.events(), expected);
        }
    }
}
