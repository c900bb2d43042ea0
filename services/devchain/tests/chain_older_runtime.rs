//! The subnet of a runtime that lacks items which a reader can do without.
#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, path::PathBuf};

use kinitro_chain::ChainClient;
use kinitro_devchain::Config;
use support::{NETUID, SPECS, config, serve};

const ABSENT: [&str; 4] = ["ActivityCutoff", "ActivityCutoffFactorMilli", "MaxWeightsLimit", "MechanismCountCurrent"];

/// Metadata with other names in the place of some, of the same length.
fn without(items: &[&str], mut metadata: Vec<u8>) -> Vec<u8> {
    for item in items {
        // A name follows its length; those that occur more often are errors', events' and calls', which nobody asks for.
        let name = [&[u8::try_from(item.len() << 2).unwrap()], item.as_bytes()].concat();
        let mut from = 0;
        while let Some(found) = metadata[from..].windows(name.len()).position(|bytes| bytes == name) {
            metadata[from + found + 1] = b'X';
            from += found + name.len();
        }
        assert!(from > 0, "{item}");
    }
    metadata
}

#[tokio::test]
async fn what_a_runtime_does_not_keep_restricts_nobody() {
    let vendored = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.vendor/chain");
    for spec in SPECS {
        let folder = tempfile::tempdir().unwrap();
        let absent: Vec<&str> =
            ABSENT.into_iter().filter(|item| spec == 461 || *item != "ActivityCutoffFactorMilli").collect();
        for version in ["v14", "v15"] {
            let name = format!("metadata-{spec}-{version}.scale");
            let metadata = fs::read(vendored.join(&name)).unwrap();
            fs::write(folder.path().join(&name), without(&absent, metadata)).unwrap();
        }
        let (_chain, server) = serve(&Config { spec, metadata_dir: Some(folder.path().to_owned()), ..config() }).await;
        let client = ChainClient::connect(&server.url()).await.unwrap();
        let head = client.best_head().await.unwrap();
        let subnet = client.subnet_at(head.hash, NETUID).await.unwrap().unwrap();
        let read = (subnet.activity_cutoff, subnet.max_weight_limit, subnet.mechanisms, subnet.size);
        assert_eq!(read, (5_000, u16::MAX, 1, 2), "spec {spec}");
        server.stop().await;
    }
}
