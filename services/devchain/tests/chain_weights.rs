//! The subnet and its weights through the client: what it reads, what it sets, and how it is refused.
#![allow(clippy::unwrap_used)]

mod support;

use std::{convert::Infallible, slice};

use kinitro_chain::{Call, ChainClient, ChainError, ErrorKind, Receipt, Signer, Wait};
use kinitro_devchain::{Config, Devchain, Hyperparameter, NeuronSeed};
use kinitro_domain::{BlockNumber, MinerUid};
use support::{Clock, NETUID, SPECS, config, serve};

const STAKE: u64 = 7_000_000_000;

fn with(spec: u32) -> Config {
    let neurons = vec![
        NeuronSeed::new("//Alice"),
        NeuronSeed::validator("//Bob", STAKE),
        NeuronSeed::new("//Charlie"),
        NeuronSeed::new("//Dave"),
    ];
    Config { spec, neurons, ..config() }
}

fn signer(name: &str) -> Signer {
    Signer::from_uri(&format!("//{name}")).unwrap()
}

fn weights(pairs: &[(u16, u16)]) -> Vec<(MinerUid, u16)> {
    pairs.iter().map(|(uid, weight)| (MinerUid(*uid), *weight)).collect()
}

fn set(pairs: &[(u16, u16)]) -> Call {
    Call::SetWeights { netuid: NETUID, weights: weights(pairs), version_key: 0 }
}

fn sealed(mechanism: Option<u8>, commit_reveal_version: u16) -> Call {
    let commit = vec![7; 200];
    Call::CommitTimelockedWeights { netuid: NETUID, mechanism, commit, reveal_round: u64::MAX, commit_reveal_version }
}

async fn execute(client: &ChainClient, name: &str, call: &Call) -> Result<Receipt, ChainError> {
    client.execute(&signer(name), call, Wait::Inclusion, |_| Ok::<_, Infallible>(())).await
}

#[tokio::test]
async fn weights_are_set_and_read_back_at_every_spec() {
    for spec in SPECS {
        let (chain, server) = serve(&with(spec)).await;
        let client = ChainClient::connect(&server.url()).await.unwrap();
        chain.set_hyperparameter(Hyperparameter::Mechanisms(2)).unwrap();
        let _clock = Clock::start(&chain);
        let bob = signer("Bob").hotkey();

        let call = set(&[(0, 65_535), (2, 100), (3, 0)]);
        let receipt = execute(&client, "Bob", &call).await.unwrap();
        client.read_back(&receipt, &bob, &call).await.unwrap();
        let read = client.weights_at(receipt.block.hash, NETUID, MinerUid(1)).await.unwrap();
        assert_eq!(read, weights(&[(0, 65_535), (2, 100), (3, 0)]), "spec {spec}");
        let validator = client.validator_at(receipt.block.hash, NETUID, &bob).await.unwrap().unwrap();
        assert_eq!((validator.uid, validator.permit, validator.stake), (MinerUid(1), true, STAKE));
        assert_eq!(validator.last_update, receipt.block.number);

        let other = set(&[(0, 65_535), (2, 101)]);
        let differs = client.read_back(&receipt, &bob, &other).await.unwrap_err();
        assert_eq!(differs.kind(), ErrorKind::NotAsWritten);
        assert!(differs.to_string().contains("uid 2 has the weight 100 instead of 101"), "{differs}");

        let call = Call::SetMechanismWeights {
            netuid: NETUID,
            mechanism: 1,
            weights: weights(&[(0, 16_383), (2, 49_151)]),
            version_key: 0,
        };
        let receipt = execute(&client, "Bob", &call).await.unwrap();
        client.read_back(&receipt, &bob, &call).await.unwrap();
        let read = client.mechanism_weights_at(receipt.block.hash, NETUID, 1, MinerUid(1)).await.unwrap();
        assert_eq!(read, weights(&[(0, 21_844), (2, 65_535)]), "spec {spec}");

        chain.set_commit_reveal(true).unwrap();
        chain.set_hyperparameter(Hyperparameter::WeightsRateLimit(0)).unwrap();
        let head = client.best_head().await.unwrap();
        let version = client.subnet_at(head.hash, NETUID).await.unwrap().unwrap().commit_reveal_version;
        for mechanism in [None, Some(0), Some(1)] {
            let call = sealed(mechanism, version);
            let receipt = execute(&client, "Bob", &call).await.unwrap();
            client.read_back(&receipt, &bob, &call).await.unwrap();
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn the_subnet_is_read_at_every_spec() {
    for spec in SPECS {
        let (chain, server) = serve(&with(spec)).await;
        let client = ChainClient::connect(&server.url()).await.unwrap();
        for parameter in [
            Hyperparameter::Tempo(20),
            Hyperparameter::WeightsRateLimit(5),
            Hyperparameter::CommitReveal(true),
            Hyperparameter::MinAllowedWeights(3),
            Hyperparameter::MaxWeightLimit(1_000),
            Hyperparameter::WeightsVersion(9),
            Hyperparameter::StakeThreshold(11),
            Hyperparameter::RevealPeriodEpochs(2),
            Hyperparameter::CommitRevealVersion(5),
            Hyperparameter::ActivityCutoff(77),
            Hyperparameter::ActivityCutoffFactor(2_777),
            Hyperparameter::OwnerHotkey("//Dave".to_owned()),
        ] {
            chain.set_hyperparameter(parameter).unwrap();
        }
        let head = client.best_head().await.unwrap();
        assert_eq!(head.number.0, u64::from(chain.best_number()));
        let subnet = client.subnet_at(head.hash, NETUID).await.unwrap().unwrap();
        assert_eq!((subnet.size, subnet.tempo, subnet.weights_rate_limit), (4, 20, 5));
        assert_eq!((subnet.commit_reveal, subnet.reveal_period_epochs), (true, 2));
        assert_eq!((subnet.min_allowed_weights, subnet.max_weight_limit), (3, 1_000));
        assert_eq!((subnet.weights_version, subnet.stake_threshold), (9, 11));
        assert_eq!(subnet.owner_hotkey, Some(signer("Dave").hotkey()));
        assert_eq!((subnet.mechanisms, subnet.commit_reveal_version), (1, 5));
        // 461 counts in thousandths of the tempo of 20, 419 in blocks.
        assert_eq!(subnet.activity_cutoff, if spec == 461 { 55 } else { 77 }, "spec {spec}");
        // The epochs are stored since spec 439.
        assert_eq!(subnet.last_epoch_block.is_some(), spec == 461, "spec {spec}");
        assert_eq!(client.subnet_at(head.hash, NETUID + 1).await.unwrap(), None);
        assert_eq!(client.validator_at(head.hash, NETUID, &signer("Eve").hotkey()).await.unwrap(), None);
        let alice = client.validator_at(head.hash, NETUID, &signer("Alice").hotkey()).await.unwrap().unwrap();
        assert_eq!((alice.permit, alice.stake, alice.last_update), (false, 0, BlockNumber(0)));
        assert_eq!(client.weights_at(head.hash, NETUID, MinerUid(1)).await.unwrap(), []);
        assert_eq!(client.beacon_at(head.hash).await.unwrap().public_key().len(), 96);
        server.stop().await;
    }
}

/// What makes the chain refuse, who tries what, and the error that must arrive.
type Case = (&'static str, Vec<Hyperparameter>, &'static str, Call, ErrorKind);

#[tokio::test]
async fn every_refusal_arrives_by_name_and_kind() {
    use Hyperparameter as H;
    let good = || set(&[(0, 65_535), (2, 100)]);
    let commitment = Call::SetCommitment { netuid: NETUID, data: vec![7; 128] };
    let many: Vec<_> = (0..5).map(|uid| (uid, 1)).collect();
    let cases: Vec<Case> = vec![
        ("HotKeyNotRegisteredInSubNet", vec![], "Eve", good(), ErrorKind::NotRegistered),
        ("AccountNotAllowedCommit", vec![], "Eve", commitment, ErrorKind::NotRegistered),
        ("NeuronNoValidatorPermit", vec![], "Charlie", good(), ErrorKind::NoPermit),
        ("NotEnoughStakeToSetWeights", vec![H::StakeThreshold(STAKE + 1)], "Bob", good(), ErrorKind::TooLittleStake),
        ("IncorrectWeightVersionKey", vec![H::WeightsVersion(5)], "Bob", good(), ErrorKind::VersionKey),
        ("CommitRevealEnabled", vec![H::CommitReveal(true)], "Bob", good(), ErrorKind::CommitRevealOn),
        ("CommitRevealDisabled", vec![], "Bob", sealed(None, 4), ErrorKind::CommitRevealOff),
        (
            "IncorrectCommitRevealVersion",
            vec![H::CommitReveal(true)],
            "Bob",
            sealed(None, 3),
            ErrorKind::CommitRevealVersion,
        ),
        ("DuplicateUids", vec![], "Bob", set(&[(0, 1), (0, 2)]), ErrorKind::BadWeights),
        ("UidVecContainInvalidOne", vec![], "Bob", set(&[(0, 1), (9, 2)]), ErrorKind::BadWeights),
        ("UidsLengthExceedUidsInSubNet", vec![], "Bob", set(&many), ErrorKind::BadWeights),
        ("WeightVecLengthIsLow", vec![H::MinAllowedWeights(3)], "Bob", good(), ErrorKind::BadWeights),
        ("MaxWeightExceeded", vec![H::MaxWeightLimit(40_000)], "Bob", good(), ErrorKind::BadWeights),
        (
            "MechanismDoesNotExist",
            vec![],
            "Bob",
            Call::SetMechanismWeights { netuid: NETUID, mechanism: 3, weights: weights(&[(0, 1)]), version_key: 0 },
            ErrorKind::NoSubnet,
        ),
    ];
    for spec in SPECS {
        for (name, parameters, who, call, kind) in &cases {
            let (chain, server) = serve(&with(spec)).await;
            let client = ChainClient::connect(&server.url()).await.unwrap();
            for parameter in parameters {
                chain.set_hyperparameter(parameter.clone()).unwrap();
            }
            let _clock = Clock::start(&chain);
            refused(&client, who, call, name, *kind).await;
            server.stop().await;
        }
    }
}

async fn refused(client: &ChainClient, who: &str, call: &Call, name: &str, kind: ErrorKind) {
    let error = execute(client, who, call).await.unwrap_err();
    let ChainError::Dispatch { call: said, error: full, .. } = &error else { panic!("{name}: {error}") };
    assert_eq!(full.rsplit_once('.').map(|(_, error)| error), Some(name), "{error}");
    assert_eq!((*said, error.kind()), (call.name(), kind), "{error}");
}

/// With one block for every case, the clock stands still.
async fn twice(chain: &Devchain, client: &ChainClient, call: &Call, name: &str) {
    let _clock = Clock::start(chain);
    execute(client, "Bob", call).await.unwrap();
    refused(client, "Bob", call, name, ErrorKind::RateLimited).await;
}

#[tokio::test]
async fn what_comes_too_soon_is_refused_as_rate_limited() {
    for spec in SPECS {
        let (chain, server) = serve(&with(spec)).await;
        let client = ChainClient::connect(&server.url()).await.unwrap();
        chain.set_hyperparameter(Hyperparameter::WeightsRateLimit(100_000)).unwrap();
        twice(&chain, &client, &set(&[(0, 1), (2, 1)]), "SettingWeightsTooFast").await;
        chain.set_commit_reveal(true).unwrap();
        let _clock = Clock::start(&chain);
        refused(&client, "Bob", &sealed(None, 4), "CommittingWeightsTooFast", ErrorKind::RateLimited).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_commitment_is_read_back_and_another_one_is_named() {
    let (chain, server) = serve(&config()).await;
    let client = ChainClient::connect(&server.url()).await.unwrap();
    let _clock = Clock::start(&chain);
    let alice = signer("Alice").hotkey();
    let call = Call::SetCommitment { netuid: NETUID, data: b"mine".to_vec() };
    let receipt = execute(&client, "Alice", &call).await.unwrap();
    client.read_back(&receipt, &alice, &call).await.unwrap();
    let stored = client.commitment_at(receipt.block.hash, NETUID, &alice).await.unwrap();
    let listed = client.commitments_at(receipt.block.hash, NETUID).await.unwrap();
    assert_eq!(slice::from_ref(stored.as_ref().unwrap()), listed);
    assert_eq!(client.commitment_at(receipt.block.hash, NETUID, &signer("Bob").hotkey()).await.unwrap(), None);

    let other = Call::SetCommitment { netuid: NETUID, data: b"theirs".to_vec() };
    for (who, call, difference) in
        [(&alice, &other, "4 other bytes"), (&signer("Bob").hotkey(), &call, "no commitment")]
    {
        let differs = client.read_back(&receipt, who, call).await.unwrap_err();
        assert!(matches!(&differs, ChainError::NotAsWritten { .. }), "{differs}");
        assert!(differs.to_string().contains(difference), "{differs}");
    }
}
