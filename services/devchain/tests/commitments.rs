//! Committing and reading: the client against the chain.
#![allow(clippy::unwrap_used)]

mod support;

use std::{str::FromStr as _, time::Duration};

use kinitro_chain::{BlockHash, ChainClient, ChainError, Signer, Wait, hotkey_of};
use kinitro_commitment::{Endpoint, parse_commitment, write_commitment};
use kinitro_devchain::Config;
use kinitro_domain::{BlockNumber, MinerUid};
use scale_value::Value;
use subxt::rpcs::{RpcClient, client::RpcParams};
use subxt_signer::{SecretUri, sr25519::Keypair};
use support::{Clock, NETUID, SPECS, config, hash, rpc, serve, world};

fn signer(uri: &str) -> Signer {
    Signer::from_uri(uri).unwrap()
}

#[tokio::test]
async fn a_commitment_is_written_and_read_back() {
    let world = world().await;
    let clock = Clock::start(&world.chain);
    let (alice, client) = (signer("//Alice"), &world.client);
    let endpoint: Endpoint = "http://127.0.0.1:9001".parse().unwrap();
    let data = write_commitment("user/repo", "0a1b2c3d", &endpoint).unwrap();

    let first = client.set_commitment(&alice, NETUID, &data, Wait::Finality).await.unwrap();
    assert!(client.finalized_head().await.unwrap().number >= first.block.number);
    let second = client.set_commitment(&alice, NETUID, b"something else", Wait::Inclusion).await.unwrap();
    drop(clock);
    assert!(second.block.number > first.block.number);

    let at_first = client.commitments_at(first.block.hash, NETUID).await.unwrap();
    assert_eq!(at_first.len(), 1);
    assert_eq!(at_first[0].hotkey, alice.hotkey());
    assert_eq!(at_first[0].block, Some(first.block.number));
    let commitment = parse_commitment(at_first[0].data.as_ref().unwrap(), None).unwrap();
    assert_eq!((commitment.repo.as_str(), commitment.endpoint), ("user/repo", endpoint));

    let at_second = client.commitments_at(second.block.hash, NETUID).await.unwrap();
    assert_eq!(at_second[0].data.as_deref(), Ok(&b"something else"[..]));
    assert_eq!(at_second[0].block, Some(second.block.number));
    let last = client.last_commitment_at(second.block.hash, NETUID, &alice.hotkey()).await.unwrap();
    assert_eq!(last, Some(second.block.number));
    let none = client.last_commitment_at(second.block.hash, NETUID, &signer("//Bob").hotkey()).await.unwrap();
    assert_eq!(none, None);
    assert!(client.commitments_at(second.block.hash, NETUID + 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_length_of_a_raw_field_comes_back() {
    let world = world().await;
    let _clock = Clock::start(&world.chain);
    for length in [1, 2, 64, 127, 128] {
        let data: Vec<u8> = (0..length).collect();
        let receipt = world.client.set_commitment(&signer("//Alice"), NETUID, &data, Wait::Inclusion).await.unwrap();
        let read = world.client.commitments_at(receipt.block.hash, NETUID).await.unwrap();
        assert_eq!(read[0].data.as_ref(), Ok(&data));
    }
    for refused in [vec![], vec![7; 129]] {
        let refused = world.client.set_commitment(&signer("//Alice"), NETUID, &refused, Wait::Inclusion).await;
        assert!(matches!(refused, Err(ChainError::Commitment(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn an_unregistered_hotkey_fails_with_the_errors_name() {
    let world = world().await;
    let _clock = Clock::start(&world.chain);
    let eve = signer("//Eve");
    let refused = world.client.set_commitment(&eve, NETUID, b"data", Wait::Inclusion).await.unwrap_err();
    let ChainError::Dispatch { call, error, .. } = &refused else { panic!("{refused}") };
    assert_eq!((*call, error.as_str()), ("Commitments.set_commitment", "Commitments.AccountNotAllowedCommit"));
    assert!(refused.to_string().contains("register the hotkey"), "{refused}");

    world.chain.register(2, "//Eve").unwrap();
    world.client.set_commitment(&eve, NETUID, b"data", Wait::Inclusion).await.unwrap();
}

#[tokio::test]
async fn who_commits_too_much_in_one_epoch_is_refused() {
    // An epoch has room for 3100 bytes: 24 commitments of 128.
    let world = world().await;
    let alice = signer("//Alice");
    let commits: Vec<_> = (0..30)
        .map(|_| {
            let (client, alice) = (world.client.clone(), alice.clone());
            tokio::spawn(async move { client.set_commitment(&alice, NETUID, &[7; 128], Wait::Inclusion).await })
        })
        .collect();
    let rpc = RpcClient::from_insecure_url(world.server.url()).await.unwrap();
    while rpc.request::<Vec<String>>("author_pendingExtrinsics", RpcParams::new()).await.unwrap().len() < 30 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.chain.advance(1).unwrap();
    let mut refused = 0;
    for commit in commits {
        if let Err(error) = commit.await.unwrap() {
            assert!(error.to_string().contains("Commitments.SpaceLimitExceeded"), "{error}");
            refused += 1;
        }
    }
    assert_eq!(refused, 6);
}

#[tokio::test]
async fn a_burst_never_uses_a_nonce_twice() {
    let world = world().await;
    let _clock = Clock::start(&world.chain);
    let alice = signer("//Alice");
    let commits = (0..8_u8).map(|i| {
        let (client, alice) = (world.client.clone(), alice.clone());
        async move { client.set_commitment(&alice, NETUID, &[i + 1], Wait::Inclusion).await }
    });
    for receipt in futures::future::join_all(commits).await {
        receipt.unwrap();
    }
}

#[tokio::test]
async fn neurons_are_read_in_order_and_a_uid_changes_hands() {
    let world = world().await;
    let names = |neurons: Vec<kinitro_chain::Neuron>| {
        neurons.into_iter().map(|neuron| (neuron.uid, neuron.hotkey)).collect::<Vec<_>>()
    };
    let [alice, bob, eve] = ["//Alice", "//Bob", "//Eve"].map(|uri| signer(uri).hotkey());
    let before = hash(&world.chain, 0);
    let after = hash(&world.chain, world.chain.register(0, "//Eve").unwrap());
    let read = world.client.neurons_at(before, NETUID).await.unwrap();
    assert_eq!(names(read), [(MinerUid(0), alice), (MinerUid(1), bob.clone())]);
    let read = world.client.neurons_at(after, NETUID).await.unwrap();
    assert_eq!(names(read), [(MinerUid(0), eve), (MinerUid(1), bob)]);
    assert!(world.client.neurons_at(after, NETUID + 1).await.unwrap().is_empty());

    let replaced = {
        let _clock = Clock::start(&world.chain);
        world.client.set_commitment(&signer("//Alice"), NETUID, b"data", Wait::Inclusion).await
    };
    assert!(matches!(replaced, Err(ChainError::Dispatch { .. })), "{replaced:?}");
}

#[tokio::test]
async fn many_neurons_are_read_over_several_pages() {
    let world = world().await;
    for uid in 2..150_u8 {
        world.chain.register(uid.into(), hotkey_of([uid; 32]).as_str()).unwrap();
    }
    let head = hash(&world.chain, world.chain.best_number());
    let neurons = world.client.neurons_at(head, NETUID).await.unwrap();
    assert!(neurons.iter().map(|neuron| neuron.uid.0).eq(0..150));
    assert_eq!(neurons[149].hotkey, hotkey_of([149; 32]));
}

#[tokio::test]
async fn malformed_commitments_are_reported_each_and_cost_no_other() {
    let world = world().await;
    let receipt = {
        let _clock = Clock::start(&world.chain);
        world.client.set_commitment(&signer("//Alice"), NETUID, b"good", Wait::Inclusion).await.unwrap()
    };
    // deposit 0, block 9, then the fields.
    let stored = |fields: &[u8]| [&[0; 8][..], &9_u32.to_le_bytes(), fields].concat();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("//Empty", vec![], "cannot be decoded"),
        ("//Noise", vec![0xff; 40], "cannot be decoded"),
        ("//Short", stored(&[4, 10, 1, 2]), "cannot be decoded"),
        ("//Left", stored(&[4, 2, 1, 99, 99]), "cannot be decoded"),
        ("//Billion", stored(&[0xfe, 0xff, 0xff, 0xff, 2, 1]), "cannot be decoded"),
        ("//Locked", stored(&[4, 134, 0xfe, 0xff, 0xff, 0xff]), "cannot be decoded"),
        ("//Huge", vec![0; 5_000], "more than 4096 bytes"),
        ("//None", stored(&[0]), "has no fields"),
        ("//Two", stored(&[8, 2, 1, 2, 1]), "has 2 raw fields"),
        ("//Hash", stored(&[&[4, 131][..], &[1; 32]].concat()), "holds no raw bytes (Sha256)"),
        ("//Nothing", stored(&[4, 1]), "is empty"),
    ];
    for (hotkey, bytes, _) in &cases {
        world.chain.set_commitment_raw(hotkey, bytes.clone()).unwrap();
    }
    let head = hash(&world.chain, world.chain.best_number());
    let read = world.client.commitments_at(head, NETUID).await.unwrap();
    assert_eq!(read.len(), cases.len() + 1);
    let of = |uri: &str| {
        let hotkey = signer(uri).hotkey();
        read.iter().find(|commitment| commitment.hotkey == hotkey).unwrap()
    };
    assert_eq!(of("//Alice").data.as_deref(), Ok(&b"good"[..]));
    assert_eq!(of("//Alice").block, Some(receipt.block.number));
    for (hotkey, _, reason) in &cases {
        let sentence = of(hotkey).data.as_ref().unwrap_err().to_string();
        assert!(sentence.starts_with("the commitment ") && sentence.contains(reason), "{hotkey}: {sentence}");
    }
    assert_eq!(of("//Two").block, Some(BlockNumber(9)));
}

#[tokio::test]
async fn every_kind_of_field_is_taken_by_both_runtimes_and_the_raw_one_is_read() {
    let bare = |kind: &str| Value::unnamed_variant(kind, []);
    let bytes = |kind: &str, bytes: &[u8]| Value::unnamed_variant(kind, [Value::from_bytes(bytes)]);
    let locked = [("encrypted", Value::from_bytes([7; 300])), ("reveal_round", Value::u128(9))];
    let beside = [
        bare("ResetBondsFlag"),
        bare("None"),
        bytes("Raw0", b""),
        bytes("BlakeTwo256", &[1; 32]),
        bytes("Sha256", &[1; 32]),
        bytes("Keccak256", &[1; 32]),
        bytes("ShaThree256", &[1; 32]),
        Value::named_variant("TimelockEncrypted", locked),
    ];
    for spec in SPECS {
        let (chain, server) = serve(&Config { spec, ..config() }).await;
        let (rpc, client) = (rpc::connect(&server).await, ChainClient::connect(&server.url()).await.unwrap());
        let mut committed = Vec::new();
        for (place, beside) in beside.iter().enumerate() {
            for raw in ["Raw6", "BigRaw"] {
                let (kind, uri, uid) = (format!("{raw} {beside}"), format!("//{raw}/{place}"), committed.len() as u16);
                // As the SDK's `reset_bonds=True` writes it, and the other way round.
                let mut fields = vec![bytes(raw, b"policy"), beside.clone()];
                if raw == "BigRaw" {
                    fields.reverse();
                }
                chain.register(uid, &uri).unwrap();
                let pair = Keypair::from_uri(&SecretUri::from_str(&uri).unwrap()).unwrap();
                let at = rpc::api(&rpc).await.at_current_block().await.unwrap();
                let call = rpc::commitment(fields);
                let signed = at.tx().create_signed(&call, &pair, Default::default()).await.unwrap().into_encoded();
                rpc::submit(&rpc, &signed).await.unwrap_or_else(|error| panic!("{spec} {kind}: {error}"));
                committed.push((kind, signer(&uri).hotkey()));
            }
        }
        chain.advance(2).unwrap();
        let head = client.best_head().await.unwrap();
        for (kind, hotkey) in &committed {
            let read = client.commitment_at(head.hash, NETUID, hotkey).await.unwrap();
            let read = read.unwrap_or_else(|| panic!("{spec} {kind}: nothing was committed"));
            assert_eq!(read.data.as_deref(), Ok(&b"policy"[..]), "{spec} {kind}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn state_at_old_blocks_stays_readable_and_unknown_blocks_are_named() {
    let world = world().await;
    let old = hash(&world.chain, world.chain.advance(1).unwrap());
    world.chain.register(0, "//Eve").unwrap();
    world.chain.advance(300).unwrap();
    let neurons = world.client.neurons_at(old, NETUID).await.unwrap();
    assert_eq!(neurons[0].hotkey, signer("//Alice").hotkey());

    let unknown = BlockHash([7; 32]);
    let refused = world.client.neurons_at(unknown, NETUID).await.unwrap_err();
    assert!(matches!(&refused, ChainError::BlockNotFound { block, .. } if *block == unknown.to_string()), "{refused}");

    world.chain.advance(600).unwrap();
    let pruned = world.client.neurons_at(old, NETUID).await.unwrap_err();
    assert!(pruned.to_string().contains("discarded"), "{pruned}");
}
