//! Sample miners: a key on the development chain and a sample policy each, the better ones first on the chain. A validator is there, too.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kinitro_chain::{ChainClient, Signer, Wait};
use kinitro_chassis::MeshChannel;
use kinitro_commitment::write_commitment;
use kinitro_proto::ingestion::v1::{ListMinersRequest, ingestion_service_client::IngestionServiceClient};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::policy::{self, Kind, ServeOptions};

const POLL: Duration = Duration::from_millis(250);
/// Generous: a development chain makes a block every few seconds.
const READ_LIMIT: Duration = Duration::from_secs(180);

/// A sample miner; its place in the list is its uid.
pub struct SampleMiner {
    pub name: &'static str,
    kind: Kind,
    signer: Signer,
}

/// The samples of `kinitro up`: served until `stop` is cancelled.
pub struct Samples {
    pub miners: Vec<SampleMiner>,
    pub netuid: u16,
    pub stop: CancellationToken,
}

impl Samples {
    /// Serves and commits their policies; returns when ingestion has read that all of them can be evaluated.
    pub async fn join(&self, chain_url: &str, ingestion: MeshChannel) -> Result<()> {
        serve_and_commit(&self.miners, chain_url, self.netuid, &self.stop).await?;
        let mut ingestion = IngestionServiceClient::new(ingestion);
        let deadline = Instant::now() + READ_LIMIT;
        loop {
            let answer = ingestion.list_miners(ListMinersRequest {}).await;
            let listed = answer.as_ref().map(|list| list.get_ref().miners.as_slice()).unwrap_or_default();
            let active = |sample: &&SampleMiner| {
                let hotkey = sample.signer.hotkey().to_string();
                listed.iter().any(|miner| miner.hotkey == hotkey && miner.status == "active")
            };
            let (found, all) = (self.miners.iter().filter(active).count(), self.miners.len());
            if found == all {
                return Ok(());
            }
            let error = answer.err().map_or_else(String::new, |status| format!(": {status}"));
            ensure!(Instant::now() < deadline, "only {found} of {all} samples are active after {READ_LIMIT:?}{error}");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// All of them, with development keys.
pub fn sample_miners() -> Result<Vec<SampleMiner>> {
    [("sweep", Kind::Sweep), ("push", Kind::Push), ("random", Kind::Random), ("idle", Kind::Idle)]
        .into_iter()
        .map(|(name, kind)| Ok(SampleMiner { name, kind, signer: Signer::from_uri(&format!("//{name}"))? }))
        .collect()
}

/// The development key of the validator that the samples' chain has besides them, with a permit to set weights.
pub const VALIDATOR: &str = "//validator";

/// The registrations that the development chain begins with.
pub fn neurons(miners: &[SampleMiner]) -> Value {
    let neuron =
        |(uid, miner): (usize, &SampleMiner)| json!({ "uid": uid, "hotkey": miner.signer.hotkey(), "stake": 1000 });
    let validator = json!({ "uid": miners.len(), "hotkey": VALIDATOR, "stake": 1_000_000, "validator_permit": true });
    miners.iter().enumerate().map(neuron).chain([validator]).collect()
}

/// Serves every policy and commits it; returns when the last commitment is in a block.
pub async fn serve_and_commit(
    miners: &[SampleMiner],
    chain_url: &str,
    netuid: u16,
    stop: &CancellationToken,
) -> Result<()> {
    let chain = ChainClient::connect(chain_url).await?;
    for miner in miners {
        let endpoint = serve(miner.kind, stop.clone()).await?;
        miner.commit(&chain, netuid, &endpoint).await?;
    }
    Ok(())
}

/// Serves a policy on a free loopback port; the URL is what the miner commits.
async fn serve(kind: Kind, stop: CancellationToken) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let options = ServeOptions { kind, latency: Duration::ZERO, chunk: 1 };
    tokio::spawn(async move {
        if let Err(error) = policy::serve(options, listener, stop).await {
            tracing::error!(%error, ?kind, "a sample policy stopped");
        }
    });
    Ok(url)
}

impl SampleMiner {
    /// Signs and submits the commitment, and waits until it is in a block.
    async fn commit(&self, chain: &ChainClient, netuid: u16, endpoint: &str) -> Result<()> {
        let endpoint = endpoint.parse().with_context(|| format!("`{endpoint}` is no endpoint"))?;
        let commitment = write_commitment(&format!("kinitro-samples/{}", self.name), "v1", &endpoint)?;
        chain
            .set_commitment(&self.signer, netuid, &commitment, Wait::Inclusion)
            .await
            .with_context(|| format!("committing the policy of {}", self.name))?;
        Ok(())
    }
}
