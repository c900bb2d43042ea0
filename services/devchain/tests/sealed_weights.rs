//! Commit-reveal from the client's reckoning to the chain's weights: the round that the client seals for has come when the chain
//! opens what was sealed.
#![allow(clippy::unwrap_used)]

mod support;

use std::{convert::Infallible, time::Duration};

use kinitro_chain::{BlockClock, Call, ChainClient, EpochSchedule, Signer, Wait, WeightsPayload, account_of};
use kinitro_devchain::{Config, Devchain, Hyperparameter, Hyperparameters, NeuronSeed};
use serde_json::json;
use subxt::rpcs::RpcClient;
use support::{
    NETUID, SPECS, config, hash,
    rpc::{call, connect},
    serve,
};

/// By the clock of a chain that makes blocks on demand.
const BLOCK_TIME: Duration = Duration::from_secs(12);
const TEMPO: u16 = 8;

fn with(spec: u32) -> Config {
    let subnet =
        Hyperparameters { commit_reveal: true, tempo: TEMPO, weights_rate_limit: 0, ..Hyperparameters::default() };
    let neurons = vec![NeuronSeed::new("//Alice"), NeuronSeed::validator("//Bob", 1)];
    Config { spec, subnet, neurons, ..config() }
}

/// Seals weights for uid 0 at the newest block, and has them committed in the next; the first block that they are opened in.
async fn commit(chain: &Devchain, client: &ChainClient, rpc: &RpcClient, weight: u16) -> u64 {
    let bob = Signer::from_uri("//Bob").unwrap();
    let head = chain.best_number();
    let at = hash(chain, head);
    let subnet = client.subnet_at(at, NETUID).await.unwrap().unwrap();
    let clock = BlockClock { now: client.time_at(at).await.unwrap(), block_time: BLOCK_TIME };
    let beacon = client.beacon_at(at).await.unwrap();
    let schedule: EpochSchedule = subnet.epoch_schedule(NETUID);
    let reveal_round = schedule.reveal_round(head.into(), subnet.reveal_period_epochs, &beacon, clock).unwrap();
    let payload = WeightsPayload {
        hotkey: account_of(&bob.hotkey()).unwrap(),
        uids: vec![0, 1],
        values: vec![weight, 65_535],
        version_key: 0,
    };
    let sealed = Call::CommitTimelockedWeights {
        netuid: NETUID,
        mechanism: None,
        commit: payload.seal(&beacon, reveal_round).unwrap(),
        reveal_round,
        commit_reveal_version: subnet.commit_reveal_version,
    };
    let sent = {
        let client = client.clone();
        tokio::spawn(async move { client.execute(&bob, &sealed, Wait::Inclusion, |_| Ok::<_, Infallible>(())).await })
    };
    while call(rpc, "author_pendingExtrinsics", json!([])).await.unwrap() == json!([]) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    chain.advance(1).unwrap();
    let receipt = sent.await.unwrap().unwrap();
    assert_eq!(receipt.block.number.0, u64::from(head) + 1);
    let first = schedule.first_reveal_block(head.into(), subnet.reveal_period_epochs).unwrap();
    // Where epochs are counted, the round is reckoned for the epoch of the newest block, as the Python packages do it: a commit that
    // lands in the next epoch is opened an epoch later, when its round has long come.
    let length = u64::from(TEMPO) + 1;
    let epoch = |block: u32| (u64::from(block) + u64::from(NETUID) + 1) / length;
    let counted = matches!(schedule, EpochSchedule::Counted { .. });
    if counted && epoch(head) != epoch(head + 1) { first + length } else { first }
}

#[tokio::test]
async fn weights_sealed_at_any_block_of_an_epoch_are_revealed_where_the_client_expects_it() {
    for spec in SPECS {
        let (chain, server) = serve(&with(spec)).await;
        let client = ChainClient::connect(&server.url()).await.unwrap();
        let rpc = connect(&server).await;
        for weight in 1..=TEMPO + 3 {
            let first = commit(&chain, &client, &rpc, weight).await;
            let expected = [(0, weight), (1, 65_535)];
            while chain.weights(1).unwrap() != expected {
                assert!(
                    u64::from(chain.best_number()) <= first + 3,
                    "spec {spec}, weight {weight}: not by {first} + 3"
                );
                chain.advance(1).unwrap();
            }
            let revealed = u64::from(chain.best_number());
            assert!(revealed >= first, "spec {spec}, weight {weight}: {revealed}, not before {first}");
            // The next one begins one block later in its epoch.
            while (chain.best_number() + 1) % (u32::from(TEMPO) + 2) != 0 {
                chain.advance(1).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_commit_in_a_block_that_is_reorganised_away_is_made_again_and_revealed_once() {
    let (chain, server) = serve(&with(461)).await;
    let client = ChainClient::connect(&server.url()).await.unwrap();
    let rpc = connect(&server).await;
    chain.set_hyperparameter(Hyperparameter::Tempo(20)).unwrap();
    let first = commit(&chain, &client, &rpc, 7).await;
    chain.reorganise(1).unwrap();
    assert_eq!(chain.last_update(1).unwrap(), Some(0));
    let again = chain.advance(1).unwrap();
    assert_eq!(chain.last_update(1).unwrap(), Some(again.into()));
    while u64::from(chain.best_number()) < first + 3 {
        chain.advance(1).unwrap();
    }
    assert_eq!(chain.weights(1).unwrap(), [(0, 7), (1, 65_535)]);
}
