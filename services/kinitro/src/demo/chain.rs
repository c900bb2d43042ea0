//! The last step: a validator sets the weights on the chain, and they are read back from there.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use kinitro_chain::{ChainClient, Signer};
use kinitro_chassis::Supervisor;
use kinitro_validator::Config;
use serde_json::Value;

use crate::samples;

const POLL: Duration = Duration::from_millis(250);
const LIMIT: Duration = Duration::from_secs(120);
/// For a transaction that is on its way.
const DRAIN: Duration = Duration::from_secs(30);

/// Runs a validator until the chain has weights of it; returns them by uid, in the chain's 16-bit numbers.
pub async fn set_weights(gateway: String, node: String, netuid: u16, state_dir: PathBuf) -> Result<BTreeMap<u16, u16>> {
    let chain = ChainClient::connect(&node).await?;
    let config = Config {
        backend_url: gateway,
        network: node,
        netuid,
        hotkey_seed: Some(samples::VALIDATOR.to_owned()),
        poll_interval_seconds: 1,
        state_dir: Some(state_dir),
        listen: String::new(),
        ..Config::default()
    };
    let supervisor = Supervisor::new();
    kinitro_validator::start(config, None, &supervisor).await?;
    let mut ended = pin!(supervisor.clone().join(DRAIN));
    let seen = tokio::select! {
        seen = weights_appear(&chain, netuid) => seen,
        ended = &mut ended => bail!("the validator ended by itself: {ended:?}"),
    };
    supervisor.shutdown();
    ended.await.context("stopping the validator")?;
    seen
}

async fn weights_appear(chain: &ChainClient, netuid: u16) -> Result<BTreeMap<u16, u16>> {
    let validator = Signer::from_uri(samples::VALIDATOR)?.hotkey();
    let deadline = Instant::now() + LIMIT;
    loop {
        let head = chain.finalized_head().await?;
        let registered = chain.validator_at(head.hash, netuid, &validator).await?;
        let uid = registered.context("the validator is not registered on the chain")?.uid;
        let weights = chain.weights_at(head.hash, netuid, uid).await?;
        if !weights.is_empty() {
            return Ok(weights.into_iter().map(|(uid, weight)| (uid.0, weight)).collect());
        }
        ensure!(Instant::now() < deadline, "the validator set no weights within {} s", LIMIT.as_secs());
        tokio::time::sleep(POLL).await;
    }
}

/// What the chain must hold for the weights of `/v1/weights/latest`: scaled by the one rule, zeros left out.
pub fn expected(weights: &Value) -> Result<BTreeMap<u16, u16>> {
    let weights = weights["weights"].as_object().context("REST answered without `weights`")?;
    let mut uids = Vec::new();
    let mut values = Vec::new();
    for (uid, weight) in weights {
        uids.push(uid.parse::<u16>().with_context(|| format!("`{uid}` is no uid"))?);
        values.push(weight.as_f64().with_context(|| format!("the weight of {uid} is no number"))?);
    }
    Ok(uids.into_iter().zip(kinitro_pareto::scale(&values)).filter(|(_, weight)| *weight > 0).collect())
}
