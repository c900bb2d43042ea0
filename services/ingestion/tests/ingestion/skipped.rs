//! Commitments in blocks that ingestion did not read when they were the newest.

use std::time::Duration;

use kinitro_ingestion::Config;
use tokio::time::sleep;

use crate::support::{Ingestion, World};

#[tokio::test]
async fn a_copy_gets_no_endpoint_by_a_gap_in_which_its_owner_committed_twice() {
    let world = World::new(&["//Alice", "//Bob"]).await;
    let mut node = world.another_node().await;
    let ingestion = Ingestion::start(Config { network: node.url(), ..world.config() }).await;
    ingestion.list_at(world.finalize()).await;

    // Ingestion's own node is away. Of the first commitment the chain's newest block knows nothing any more.
    node.stop().await;
    let first = world.commit("//Alice", "a/b:v1:http://h:1").await;
    let copied = world.commit("//Bob", "c/d:w1:http://h:1").await;
    let second = world.commit("//Alice", "a/b:v2:http://h:1").await;
    let third = world.commit("//Alice", "a/b:v3:http://h:1").await;
    assert!(first < copied && copied < second && second < third);
    node.start(&world).await;

    let list = ingestion.list_at(third).await;
    let seen: Vec<_> = list.miners.iter().map(|miner| (miner.status.as_str(), miner.first_commit_block)).collect();
    assert_eq!(seen, [("active", third), ("duplicate_endpoint", copied)]);
    assert_eq!(list.miners[1].status_reason, "uid 0 committed this endpoint first");
    // What was learned is stored: also whoever starts now knows the age of each revision.
    ingestion.stop().await;
    let ingestion = world.ingest().await;
    for (revision, block) in [("v1", first), ("v2", second)] {
        world.commit("//Alice", &format!("a/b:{revision}:http://h:1")).await;
        assert_eq!(ingestion.revision(0, revision).await.first_commit_block, block);
    }
    assert_eq!(ingestion.list().await.unwrap().miners[1].status, "duplicate_endpoint");
}

#[tokio::test]
async fn after_hours_the_owner_is_who_the_kept_blocks_show() {
    let world = World::new(&["//Alice", "//Bob", "//Charlie"]).await;
    let ingestion = world.ingest().await;
    ingestion.list_at(world.finalize()).await;
    ingestion.stop().await;
    let first = world.commit("//Alice", "a/b:v1:http://h:1").await;
    world.commit("//Bob", "c/d:w1:http://h:1").await;
    world.commit("//Charlie", "e/f:v1:http://h:2").await;
    world.commit("//Charlie", "e/f:v2:http://h:2").await;
    world.chain.advance(300).unwrap();
    // Only now is the first one replaced, so the block before still shows it.
    world.commit("//Alice", "a/b:v2:http://h:1").await;

    let ingestion = world.ingest().await;
    let list = ingestion.list_at(world.finalize()).await;
    let statuses: Vec<_> = list.miners.iter().map(|miner| miner.status.as_str()).collect();
    assert_eq!(statuses, ["active", "duplicate_endpoint", "active"]);
    world.commit("//Alice", "a/b:v1:http://h:1").await;
    assert_eq!(ingestion.revision(0, "v1").await.first_commit_block, first);
    // What was replaced before that is looked for by nobody.
    let again = world.commit("//Charlie", "e/f:v1:http://h:2").await;
    assert_eq!(ingestion.revision(2, "v1").await.first_commit_block, again);
}

#[tokio::test]
async fn a_node_that_drops_connections_and_refuses_to_answer_costs_nobody_an_endpoint() {
    let world = World::new(&["//Alice", "//Bob"]).await;
    let mut node = world.another_node().await;
    let ingestion = Ingestion::start(Config { network: node.url(), ..world.config() }).await;
    ingestion.list_at(world.finalize()).await;

    node.stop().await;
    world.commit("//Alice", "a/b:v1:http://h:1").await;
    let copied = world.commit("//Bob", "c/d:w1:http://h:1").await;
    let mut last = copied;
    for revision in 2..12 {
        last = world.commit("//Alice", &format!("a/b:v{revision}:http://h:1")).await;
    }
    node.start(&world).await;
    for round in 0..40 {
        match round % 4 {
            0 => world.chain.fail_next("chain_getBlockHash", 2, -32603, "busy"),
            _ => world.chain.drop_connections(),
        }
        sleep(Duration::from_millis(50)).await;
    }

    let list = ingestion.list_at(last).await;
    let seen: Vec<_> = list.miners.iter().map(|miner| (miner.status.as_str(), miner.first_commit_block)).collect();
    assert_eq!(seen, [("active", last), ("duplicate_endpoint", copied)]);
}
