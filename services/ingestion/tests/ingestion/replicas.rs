//! Two ingestions on one database, as during a rolling update.

use kinitro_chain::ChainClient;
use sqlx::{Connection as _, PgConnection};

use crate::support::{World, hotkey};

#[tokio::test]
async fn replicas_agree_on_the_miners() {
    let world = World::new(&["//Alice", "//Bob"]).await;
    let replicas = [world.ingest().await, world.ingest().await];
    let alice = world.commit("//Alice", "a/b:v1:http://h:1").await;
    let bob = world.commit("//Bob", "b/c:v1:http://h:2").await;
    for replica in &replicas {
        let what = "both commitments are read";
        let list = replica.list_when(what, |list| list.miners.iter().all(|miner| miner.status == "active")).await;
        assert_eq!((list.miners[0].first_commit_block, list.miners[1].first_commit_block), (alice, bob));
    }
}

#[tokio::test]
async fn the_first_block_that_another_replica_stored_is_the_one_that_counts() {
    let world = World::new(&["//Alice"]).await;
    let ingestion = world.ingest().await;
    ingestion.list_at(world.finalize()).await;
    let genesis = ChainClient::new(&world.config().network).unwrap().genesis_hash().await.unwrap();
    let mut database = PgConnection::connect(&world.database_url).await.unwrap();
    sqlx::query("INSERT INTO ingestion.first_commitments VALUES ($1, 7, $2, 'a/b v1 http://h:1', 4)")
        .bind(genesis.to_string())
        .bind(hotkey("//Alice"))
        .execute(&mut database)
        .await
        .unwrap();
    let block = world.commit("//Alice", "a/b:v1:http://h:1").await;
    let miner = ingestion.revision(0, "v1").await;
    assert_eq!((miner.first_commit_block, miner.commit_block), (4, block));
}
