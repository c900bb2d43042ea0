//! The whole way: commitments on the chain, a cycle, the weights over REST, and a validator that sets them on the chain again.
#![allow(clippy::unwrap_used)]

mod support;

use kinitro_chain::{ChainClient, Signer, Validator, Wait};
use kinitro_domain::MinerUid;
use nix::sys::signal::Signal;
use serde_json::Value;
use support::{ALONE, Backend, Options, client, eventually, node::secret_file};

const NETUID: u16 = 1;

/// The weights as the backend has scaled them, ascending by uid.
async fn published(backend: &Backend) -> Vec<(MinerUid, u16)> {
    let (status, body) = backend.get("/v1/weights/latest").await;
    assert_eq!(status, 200, "{body}");
    let numbers = |name: &str| {
        let list = body["weights_u16"][name].as_array().unwrap().iter();
        list.map(|number| u16::try_from(number.as_u64().unwrap()).unwrap()).collect::<Vec<_>>()
    };
    numbers("uids").into_iter().map(MinerUid).zip(numbers("values")).collect()
}

async fn standing(chain: &ChainClient) -> Validator {
    let hotkey = Signer::from_uri("//validator").unwrap().hotkey();
    let head = chain.finalized_head().await.unwrap();
    chain.validator_at(head.hash, NETUID, &hotkey).await.unwrap().unwrap()
}

/// What the validator has on the finalized chain, ascending by uid.
async fn on_chain(chain: &ChainClient, uid: MinerUid) -> Vec<(MinerUid, u16)> {
    let head = chain.finalized_head().await.unwrap();
    let mut weights = chain.weights_at(head.hash, NETUID, uid).await.unwrap();
    weights.sort();
    weights
}

async fn evaluate(backend: &Backend) {
    let cycle = backend.start_cycle(2).await;
    backend.cycle_when(cycle.id, "the cycle is scored", |cycle| cycle.status == "completed").await;
}

async fn health(backend: &Backend) -> Result<Value, String> {
    let answer = client().get(backend.url("validator") + "/health").send().await.map_err(|error| error.to_string())?;
    answer.json().await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_weights_on_the_chain_are_the_scaled_weights_of_the_backend_and_are_set_once() {
    let _alone = ALONE.lock().await;
    let variables = vec![
        ("KINITRO_DEVCHAIN_SUBNET", r#"{"weights_rate_limit":5}"#.to_owned()),
        // What the samples solve in two episodes is chance, and the weights of each cycle are wanted here.
        ("KINITRO_SCHEDULER_NO_SUCCESS", "published".to_owned()),
    ];
    let policies = vec![("sweep", 0), ("idle", 0), ("random", 0)];
    let mut backend = Backend::start(Options { variables, policies, validator: true }).await;
    let chain = backend.chain().await;
    evaluate(&backend).await;

    let folder = tempfile::tempdir().unwrap();
    let (seed, state) = (folder.path().join("seed"), folder.path().join("state"));
    secret_file(&seed, "//validator");
    let settings = [
        ("KINITRO_VALIDATOR_BACKEND_URL", backend.url("gateway")),
        ("KINITRO_VALIDATOR_NETWORK", format!("ws://127.0.0.1:{}", backend.ports["devchain"])),
        ("KINITRO_VALIDATOR_NETUID", NETUID.to_string()),
        ("KINITRO_VALIDATOR_HOTKEY_SEED_FILE", seed.display().to_string()),
        ("KINITRO_VALIDATOR_STATE_DIR", state.display().to_string()),
        ("KINITRO_VALIDATOR_POLL_INTERVAL_SECONDS", "1".to_owned()),
    ];
    backend.spawn_as("validator", "validate", &settings);
    let uid = standing(&chain).await.uid;
    let expected = published(&backend).await;
    assert!(expected.len() > 1 && expected.iter().any(|(_, weight)| *weight == u16::MAX), "{expected:?}");
    eventually("the weights are on the finalized chain", || async {
        let found = on_chain(&chain, uid).await;
        if found == expected { Ok(()) } else { Err(format!("{found:?}, {:?}", health(&backend).await)) }
    })
    .await;
    let first = standing(&chain).await.last_update;

    // A validator that dies and comes back knows what it did.
    backend.signal("validator", Signal::SIGKILL);
    backend.spawn_as("validator", "validate", &settings);
    eventually("the validator has looked at the chain again", || async {
        let health = health(&backend).await?;
        if health["last_set_block"].is_u64() { Ok(()) } else { Err(health.to_string()) }
    })
    .await;
    let seen = chain.finalized_head().await.unwrap().number;
    eventually("the rate limit would let it set again", || async {
        let now = chain.finalized_head().await.unwrap().number;
        if now.0 > seen.0 + 8 { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    assert_eq!(standing(&chain).await.last_update, first, "weights that stand were set twice");

    // The best miner commits somebody else's policy for its own, and is out of the next cycle.
    let (_, miners) = backend.get("/v1/miners").await;
    let copied = format!("samples/policy:v2:{}", miners["miners"][1]["endpoint"].as_str().unwrap());
    let miner = Signer::from_uri("//miner0").unwrap();
    chain.set_commitment(&miner, NETUID, copied.as_bytes(), Wait::Inclusion).await.unwrap();
    eventually("the copied endpoint is seen", || async {
        let (_, miners) = backend.get("/v1/miners").await;
        if miners["miners"][0]["status"] == "duplicate_endpoint" { Ok(()) } else { Err(miners.to_string()) }
    })
    .await;
    evaluate(&backend).await;
    let (before, expected) = (expected, published(&backend).await);
    assert!(before != expected && expected.iter().all(|(uid, _)| uid.0 != 0), "{expected:?}");
    eventually("the weights of the next cycle are set", || async {
        let (standing, found) = (standing(&chain).await, on_chain(&chain, uid).await);
        if standing.last_update > first && found == expected { Ok(()) } else { Err(format!("{standing:?} {found:?}")) }
    })
    .await;
    let metrics = client().get(backend.url("validator") + "/metrics").send().await.unwrap().text().await.unwrap();
    let sets = metrics.lines().find(|line| line.starts_with("kinitro_validator_sets_total")).unwrap();
    assert!(sets.ends_with(" 1"), "one by this process: {sets}");
}
