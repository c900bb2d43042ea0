//! Two ingestions on one database, as during a rolling update.

use kinitro_ingestion::Config;

use crate::support::{Ingestion, World};

#[tokio::test]
async fn replicas_agree_on_the_miners_also_when_one_of_them_skipped_blocks() {
    let world = World::new(&["//Alice", "//Bob"]).await;
    let mut node = world.another_node().await;
    let reads_all = world.ingest().await;
    let skips = Ingestion::start(Config { network: node.url(), ..world.config() }).await;
    skips.list_at(world.finalize()).await;
    node.stop().await;
    for (name, uid, revision) in [("//Alice", 0, "v1"), ("//Bob", 1, "w1"), ("//Alice", 0, "v2")] {
        world.commit(name, &format!("a/b:{revision}:http://h:1")).await;
        reads_all.revision(uid, revision).await;
    }
    // What it knows of first commitments is older than what is stored, so it has to assess the block again.
    node.start(&world).await;
    let block = world.finalize();
    let lists = [reads_all.list_at(block).await, skips.list_at(block).await];
    assert_eq!(lists[0].miners, lists[1].miners);
    let statuses: Vec<_> = lists[0].miners.iter().map(|miner| miner.status.as_str()).collect();
    assert_eq!(statuses, ["active", "duplicate_endpoint"]);
}

#[tokio::test]
async fn the_first_block_that_another_replica_stored_is_the_one_that_counts() {
    let world = World::new(&["//Alice"]).await;
    let ingestion = world.ingest().await;
    ingestion.list_at(world.finalize()).await;
    world.store_policy("//Alice", "a/b v1 http://h:1", 4).await;
    let block = world.commit("//Alice", "a/b:v1:http://h:1").await;
    let miner = ingestion.revision(0, "v1").await;
    assert_eq!((miner.first_commit_block, miner.commit_block), (4, block));
}

#[tokio::test]
async fn an_endpoint_is_whose_the_commitment_is_that_only_another_replica_saw() {
    let world = World::new(&["//Alice", "//Bob"]).await;
    let ingestion = world.ingest().await;
    ingestion.list_at(world.finalize()).await;
    // Nobody commits this policy again, so no row of it is in the way of another one.
    world.store_policy("//Bob", "c/d w0 http://h:1", 4).await;
    world.commit("//Alice", "a/b:v1:http://h:1").await;
    world.commit("//Bob", "c/d:w1:http://h:1").await;
    let what = "both commitments are read";
    let list = ingestion.list_when(what, |list| list.miners.iter().all(|miner| !miner.repo.is_empty())).await;
    let statuses = list.miners.iter().map(|miner| miner.status.as_str()).collect::<Vec<_>>();
    assert_eq!(statuses, ["duplicate_endpoint", "active"]);
    // It changes nothing in what stands on the chain, and shows all the same.
    world.store_policy("//Alice", "a/b v0 http://h:1", 3).await;
    world.finalize();
    world.chain.advance(1).unwrap();
    let list = ingestion.list_when("the row is seen", |list| list.miners[0].status == "active").await;
    assert_eq!(list.miners[1].status, "duplicate_endpoint");
}

#[tokio::test]
async fn a_head_that_is_damaged_and_ahead_holds_nobody_up_for_longer_than_it_takes() {
    let world = World::new(&["//Alice"]).await;
    let ingestion = world.ingest().await;
    let head = ingestion.list_at(world.finalize()).await.block_number;
    let damage = "UPDATE ingestion.heads SET block_hash = 'damaged', block_number = block_number + 20";
    sqlx::query(damage).execute(&mut world.database().await).await.unwrap();
    // Read, and not stored: what counts is ahead.
    world.commit("//Alice", "a/b:v1:http://h:1").await;
    assert_eq!(ingestion.list().await.unwrap().block_number, head);
    world.chain.advance(30).unwrap();
    ingestion.list_at(head + 20).await;
    assert_eq!(ingestion.revision(0, "v1").await.status, "active");
}

#[tokio::test]
async fn a_newer_block_of_another_replica_is_waited_for() {
    let world = World::new(&["//Alice"]).await;
    let ingestion = world.ingest().await;
    let head = ingestion.list_at(world.finalize()).await.block_number;
    let ahead = "UPDATE ingestion.heads SET block_number = block_number + 20";
    sqlx::query(ahead).execute(&mut world.database().await).await.unwrap();
    world.commit("//Alice", "a/b:v1:http://h:1").await;
    assert_eq!(ingestion.list().await.unwrap().block_number, head, "an older block replaces none");
    world.chain.advance(30).unwrap();
    assert!(ingestion.list_at(head + 20).await.miners[0].revision == "v1");
}
