//! Transactions in blocks, in reorganised ones, and in none.
#![allow(clippy::unwrap_used)]

use parity_scale_codec::{Compact, Encode as _};
use sp_crypto_hashing::blake2_256;
use subxt_signer::sr25519::{Keypair, dev};

use crate::{
    Config, NeuronSeed,
    block::Hash,
    chain::{Chain, Whereabouts},
    pool::FUTURE_BLOCKS,
    runtime::Edit,
};

/// The era of every transaction here, in blocks.
const PERIOD: u64 = 8;

fn chain(spec: u32) -> Chain {
    let neurons = ["//Alice", "//Bob"].map(NeuronSeed::new).into();
    Chain::new(&Config { spec, neurons, block_ms: 0, control: true, ..Config::default() }).unwrap()
}

/// `set_weights` of a uid for itself, which needs no permit.
fn own_weight(uid: u8) -> Vec<u8> {
    [&[7, 0, 1, 0, 4, uid, 0, 4, 9, 0][..], &[0; 8]].concat()
}

/// A signed transaction whose era begins in a block of the best chain.
fn transaction(chain: &Chain, signer: &Keypair, nonce: u32, birth: u64, call: &[u8]) -> Vec<u8> {
    let era = u16::try_from(2 | (birth % PERIOD) << 4).unwrap();
    // Era, nonce, tip, no hash of the metadata.
    let extra = [era.to_le_bytes().to_vec(), Compact(nonce).encode(), vec![0, 0]].concat();
    let meta = &chain.meta;
    let known = (meta.spec_version, meta.tx_version, chain.genesis(), chain.hash_at(birth).unwrap(), 0_u8).encode();
    let mut payload = [call, &extra, &known].concat();
    if payload.len() > 256 {
        payload = blake2_256(&payload).to_vec();
    }
    let signature = signer.sign(&payload).0;
    [&[0x84, 0][..], &signer.public_key().0, &[1], &signature, &extra, call].concat().encode()
}

fn is_in(chain: &Chain, transaction: &Hash, number: u64) -> bool {
    chain.whereabouts(transaction) == Whereabouts::InBlock(chain.hash_at(number).unwrap())
}

#[test]
fn weights_are_set_by_a_signed_transaction_under_both_runtimes() {
    for spec in crate::config::SPECS {
        let chain = chain(spec);
        let number = chain.advance(&[]).unwrap();
        let sent = chain.submit(&transaction(&chain, &dev::bob(), 0, number.into(), &own_weight(1))).unwrap();
        let number = chain.advance(&[]).unwrap();
        assert!(is_in(&chain, &sent, number.into()));
        let keys = [1_u8, 1].map(|key| scale_value::Value::u128(key.into()));
        let stored: Vec<(u16, u16)> =
            chain.best_state().get_as_is(&chain.meta, ("SubtensorModule", "Weights"), &keys).unwrap();
        assert_eq!(stored, [(1, 65_535)]);
    }
}

#[test]
fn a_reorganisation_gives_transactions_back_but_for_those_born_in_a_dropped_block() {
    let chain = chain(461);
    for _ in 0..5 {
        chain.advance(&[]).unwrap();
    }
    let stays = chain.submit(&transaction(&chain, &dev::alice(), 0, 4, &own_weight(0))).unwrap();
    let dies = chain.submit(&transaction(&chain, &dev::bob(), 0, 5, &own_weight(1))).unwrap();
    assert_eq!(chain.advance(&[]).unwrap(), 6);
    assert!(is_in(&chain, &stays, 6) && is_in(&chain, &dies, 6));
    // Two that never got into a block.
    chain.faults.hold_transactions(true);
    let waits = chain.submit(&transaction(&chain, &dev::alice(), 1, 4, &own_weight(0))).unwrap();
    let ends = chain.submit(&transaction(&chain, &dev::bob(), 1, 6, &own_weight(1))).unwrap();

    chain.faults.hold_transactions(false);
    assert_eq!(chain.reorganise(2).unwrap(), 7);
    for (transaction, whereabouts) in [
        (stays, Whereabouts::Waiting),
        (waits, Whereabouts::Waiting),
        (dies, Whereabouts::Gone),
        (ends, Whereabouts::Gone),
    ] {
        assert_eq!(chain.whereabouts(&transaction), whereabouts);
    }
    assert_eq!(chain.next_nonce(&dev::bob().public_key().0).unwrap(), 0);
    assert_eq!(chain.advance(&[]).unwrap(), 8);
    assert_eq!([stays, waits].map(|transaction| is_in(&chain, &transaction, 8)), [true, true]);
}

#[test]
fn held_transactions_wait_and_end_with_their_era() {
    let chain = chain(461);
    chain.advance(&[]).unwrap();
    chain.faults.hold_transactions(true);
    let born_at_1 = chain.submit(&transaction(&chain, &dev::alice(), 0, 1, &own_weight(0))).unwrap();
    chain.advance(&[]).unwrap();
    let born_at_2 = chain.submit(&transaction(&chain, &dev::bob(), 0, 2, &own_weight(1))).unwrap();
    while chain.best().number < 8 {
        assert_eq!([born_at_1, born_at_2].map(|sent| chain.whereabouts(&sent)), [Whereabouts::Waiting; 2]);
        chain.advance(&[]).unwrap();
    }
    // The last block for an era that began in block 1 was block 8, for one that began in block 2 it is block 9.
    chain.faults.hold_transactions(false);
    assert_eq!([born_at_1, born_at_2].map(|sent| chain.whereabouts(&sent)), [Whereabouts::Gone, Whereabouts::Waiting]);
    assert_eq!(chain.advance(&[]).unwrap(), 9);
    assert!(is_in(&chain, &born_at_2, 9));
}

#[test]
fn what_the_control_interface_did_in_a_dropped_block_is_undone() {
    let chain = chain(461);
    chain.advance(&[]).unwrap();
    let before =
        chain.best_state().get_as_is::<u16>(&chain.meta, ("SubtensorModule", "Tempo"), &[scale_value::Value::u128(1)]);
    chain.advance(&[Edit::Set(crate::Hyperparameter::Tempo(99))]).unwrap();
    chain.reorganise(1).unwrap();
    let after =
        chain.best_state().get_as_is::<u16>(&chain.meta, ("SubtensorModule", "Tempo"), &[scale_value::Value::u128(1)]);
    assert_eq!((before.unwrap(), after.unwrap()), (10, 10));
}

#[test]
fn a_transaction_that_waits_for_an_earlier_nonce_is_given_up_after_a_while() {
    let chain = chain(461);
    let born = chain.advance(&[]).unwrap();
    // An immortal era is one byte of zero.
    let immortal = |nonce: u32| {
        let extra = [&[0][..], &Compact(nonce).encode(), &[0, 0]].concat();
        let known = (chain.meta.spec_version, chain.meta.tx_version, chain.genesis(), chain.genesis(), 0_u8).encode();
        let call = own_weight(1);
        let signature = dev::bob().sign(&[&call[..], &extra, &known].concat()).0;
        [&[0x84, 0][..], &dev::bob().public_key().0, &[1], &signature, &extra, &call].concat().encode()
    };
    let stranded = chain.submit(&immortal(5)).unwrap();
    for _ in 1..FUTURE_BLOCKS {
        chain.advance(&[]).unwrap();
    }
    assert_eq!(chain.whereabouts(&stranded), Whereabouts::Waiting);
    assert_eq!(chain.advance(&[]).unwrap(), born + FUTURE_BLOCKS);
    assert_eq!(chain.whereabouts(&stranded), Whereabouts::Gone);

    // What only waits for a block may wait.
    chain.faults.hold_transactions(true);
    let ready = chain.submit(&immortal(0)).unwrap();
    for _ in 0..=FUTURE_BLOCKS {
        chain.advance(&[]).unwrap();
    }
    assert_eq!(chain.whereabouts(&ready), Whereabouts::Waiting);
}

#[test]
fn an_account_has_room_for_a_bounded_number_of_transactions() {
    let chain = chain(461);
    let born = u64::from(chain.advance(&[]).unwrap());
    for nonce in 1..=64 {
        chain.submit(&transaction(&chain, &dev::bob(), nonce, born, &own_weight(1))).unwrap();
    }
    let refused = chain.submit(&transaction(&chain, &dev::bob(), 65, born, &own_weight(1))).unwrap_err();
    assert_eq!(refused.code, 1016);
}
