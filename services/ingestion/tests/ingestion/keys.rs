//! The operator's keys, and changing them.

use kinitro_chassis::Supervisor;
use kinitro_commitment::write_sealed_commitment;
use kinitro_crypto::PrivateKey;
use kinitro_ingestion::Config;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::support::{Ingestion, World};

/// A key as the setting takes it.
fn digits(seed: u8) -> String {
    format!("{seed:02x}").repeat(32)
}

fn sealed(number: u128, key: &str) -> String {
    let recipient = PrivateKey::from_hex(key).unwrap().public();
    write_sealed_commitment("a/b", "v1", &Uuid::from_u128(number), &recipient).unwrap().to_string()
}

#[tokio::test]
async fn while_a_key_is_changed_miners_of_both_keys_are_evaluated() {
    let (old, new) = (digits(1), digits(2));
    let world = World::new(&["//Alice", "//Bob"]).await;
    world.commit("//Alice", &sealed(1, &old)).await;
    let block = world.commit("//Bob", &sealed(2, &new)).await;
    let both = Config {
        backend_private_key: Some(new.clone()),
        backend_previous_private_key: Some(old.clone()),
        ..world.config()
    };
    let ingestion = Ingestion::start(both).await;
    let list = ingestion.list_at(block).await;
    assert!(list.miners.iter().all(|miner| miner.status == "active" && miner.endpoint_encrypted), "{list:?}");
    ingestion.stop().await;

    // The old one is given up: whoever has not sealed anew is told.
    let ingestion = Ingestion::start(Config { backend_private_key: Some(new.clone()), ..world.config() }).await;
    let list = ingestion.list_when("the old key is gone", |list| list.miners[0].status == "invalid").await;
    assert!(list.miners[0].status_reason.contains("does not open with this key"), "{list:?}");
    assert_eq!(list.miners[1].status, "active");
    let block = world.commit("//Alice", &sealed(1, &new)).await;
    let miner = ingestion.list_at(block).await.miners.remove(0);
    assert_eq!(miner.status, "active");
    assert!(miner.first_commit_block < block, "sealed for another key, it is the same policy");
}

#[tokio::test]
async fn keys_that_cannot_be_used_stop_the_start_and_are_not_shown() {
    let world = World::new(&["//Alice"]).await;
    let key = digits(3);
    let same = Config {
        backend_private_key: Some(key.clone()),
        backend_previous_private_key: Some(key.clone()),
        ..world.config()
    };
    let broken = Config { backend_private_key: Some(key[1..].to_owned()), ..world.config() };
    let missing = Config { backend_private_key_file: Some("/nowhere/key".into()), ..world.config() };
    for (config, why) in
        [(same, "is the current one"), (broken, "64 hex digits"), (missing, "cannot read the key file")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused =
            kinitro_ingestion::start(config, &kinitro_chassis::MeshAccess::default(), listener, &Supervisor::new())
                .await
                .unwrap_err()
                .to_string();
        assert!(refused.contains(why) && !refused.contains(&key[1..]), "{refused}");
    }
}
