//! The node or the database goes away, and comes back, perhaps as another.

use tonic::Code;

use kinitro_proto::ingestion::v1::ListMinersResponse;

use crate::support::{World, hotkey, reason};

#[tokio::test]
async fn before_the_first_block_the_chain_is_called_unread() {
    let mut world = World::new(&["//Alice"]).await;
    world.stop_node().await;
    let ingestion = world.ingest().await;
    for refused in [ingestion.list().await.map(drop), ingestion.watch().await.map(drop)] {
        let status = refused.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "CHAIN_UNREAD"));
    }
    world.start_node().await;
    assert_eq!(ingestion.list_at(1).await.miners[0].hotkey, hotkey("//Alice"));
}

#[tokio::test]
async fn a_node_that_comes_back_is_followed_on() {
    let mut world = World::new(&["//Alice"]).await;
    let ingestion = world.ingest().await;
    let first = world.commit("//Alice", "a/b:v1:http://h:1").await;
    ingestion.revision(0, "v1").await;
    let before = ingestion.list_at(world.finalize()).await;

    world.stop_node().await;
    // Blocks are made that nobody announces to us.
    world.chain.register(1, "//Bob").unwrap();
    let head = world.finalize();
    assert_eq!(ingestion.list().await.unwrap(), before, "what is known is known while the chain is away");
    world.start_node().await;
    let after = ingestion.list_at(head).await;
    assert_eq!(after.miners[0], before.miners[0]);
    assert_eq!((after.miners.len(), after.miners[0].first_commit_block), (2, first));
}

#[tokio::test]
async fn another_chain_behind_the_same_address_is_another_chain() {
    let mut world = World::new(&["//Alice"]).await;
    let ingestion = world.ingest().await;
    world.chain.advance(30).unwrap();
    let old = world.commit("//Alice", "a/b:v1:http://h:1").await;
    ingestion.revision(0, "v1").await;

    // It is shorter, and somebody else has the uid. Nothing of the old one may be taken for its past.
    world.replace_chain(&["//Bob", "//Alice"]).await;
    let new = world.commit("//Alice", "a/b:v1:http://h:1").await;
    assert!(new < old);
    let what = "the new chain is read";
    let list = ingestion.list_when(what, |list| list.miners.len() == 2 && list.miners[1].revision == "v1").await;
    assert!(list.block_number < old, "{list:?}");
    assert_eq!((&list.miners[0].hotkey, list.miners[0].status.as_str()), (&hotkey("//Bob"), "uncommitted"));
    assert_eq!(list.miners[1].first_commit_block, new, "a first block counts on its own chain only");
}

#[tokio::test]
async fn a_restart_without_the_chain_answers_what_was_known_last() {
    let mut world = World::new(&["//Alice"]).await;
    world.commit("//Alice", "a/b:v1:http://h:1").await;
    let ingestion = world.ingest().await;
    let before = ingestion.list_at(world.finalize()).await;
    ingestion.stop().await;
    world.stop_node().await;

    let ingestion = world.ingest().await;
    let after = ingestion.list_when("the stored list is shown", |_| true).await;
    assert!(after.stale && !before.stale, "nobody may evaluate by it");
    assert_eq!(ListMinersResponse { stale: false, ..after }, before, "to the microsecond");
}

#[tokio::test]
async fn postgres_may_go_away_and_come_back() {
    let mut postgres = kinitro_stores::testing::private_postgres().await;
    let mut world = World::over(&["//Alice"], postgres.url()).await;
    let ingestion = world.ingest().await;
    world.commit("//Alice", "a/b:v1:http://h:1").await;
    ingestion.revision(0, "v1").await;
    let before = ingestion.list_at(world.finalize()).await;

    postgres.kill();
    let block = world.commit("//Alice", "a/b:v2:http://h:1").await;
    assert_eq!(ingestion.list().await.unwrap(), before, "what is not stored is not shown");
    postgres.restart().await.unwrap();
    assert_eq!(ingestion.revision(0, "v2").await.first_commit_block, block);
    let before = ingestion.list_at(world.finalize()).await;
    ingestion.stop().await;

    // Everything is away at the start; the database comes back alone.
    postgres.kill();
    world.stop_node().await;
    let ingestion = world.ingest().await;
    assert_eq!(reason(&ingestion.list().await.unwrap_err()), "CHAIN_UNREAD");
    postgres.restart().await.unwrap();
    let shown = ingestion.list_when("the stored list is shown", |_| true).await;
    assert_eq!(shown.miners, before.miners);
}
