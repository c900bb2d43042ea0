//! Commitments and registrations that change, and who is told.

use tonic::Code;

use crate::support::{World, hotkey, next, reason};

#[tokio::test]
async fn the_first_block_of_a_policy_is_remembered_also_over_a_restart() {
    let world = World::new(&["//Alice"]).await;
    let ingestion = world.ingest().await;
    let first = world.commit("//Alice", "a/b:v1:http://h:1").await;
    assert_eq!(ingestion.revision(0, "v1").await.first_commit_block, first);

    let again = world.commit("//Alice", r#"{"m":"a/b","r":"v1","d":"http://h:1/"}"#).await;
    let list = ingestion.list_when("the second commitment is read", |list| list.miners[0].commit_block == again).await;
    assert_eq!(list.miners[0].first_commit_block, first, "the same policy in the other spelling");

    let second = world.commit("//Alice", "a/b:v2:http://h:1").await;
    assert_eq!(ingestion.revision(0, "v2").await.first_commit_block, second, "a new revision starts anew");
    ingestion.stop().await;

    // Meanwhile the miner goes back; whoever starts now can know the first block from Postgres only.
    let back = world.commit("//Alice", "a/b:v1:http://h:1").await;
    let miner = world.ingest().await.revision(0, "v1").await;
    assert_eq!((miner.first_commit_block, miner.commit_block), (first, back));
}

#[tokio::test]
async fn a_uid_taken_over_by_another_hotkey_is_another_miner() {
    let world = World::new(&["//Alice", "//Bob"]).await;
    let ingestion = world.ingest().await;
    let first = world.commit("//Alice", "a/b:v1:http://h:1").await;
    ingestion.revision(0, "v1").await;

    world.chain.register(0, "//Mallory").unwrap();
    let list = ingestion.list_at(world.finalize()).await;
    let miner = &list.miners[0];
    assert_eq!((&miner.hotkey, miner.status.as_str()), (&hotkey("//Mallory"), "uncommitted"));
    assert_eq!((miner.repo.as_str(), miner.endpoint.as_str(), miner.first_commit_block), ("", "", 0));

    let copied = world.commit("//Mallory", "a/b:v1:http://h:1").await;
    assert_eq!(ingestion.revision(0, "v1").await.first_commit_block, copied, "priority goes with the hotkey");

    // A miner that comes back at another uid is still the one who was first.
    world.chain.register(1, "//Alice").unwrap();
    let list = ingestion.list_at(world.finalize()).await;
    assert_eq!((&list.miners[1].hotkey, list.miners[1].first_commit_block), (&hotkey("//Alice"), first));
    assert_eq!((list.miners[1].status.as_str(), list.miners[0].status.as_str()), ("active", "duplicate_endpoint"));
}

#[tokio::test]
async fn watchers_are_told_every_change_and_nothing_else() {
    let world = World::new(&["//Alice", "//Bob"]).await;
    let ingestion = world.ingest().await;
    ingestion.list_at(world.finalize()).await;
    let mut watch = ingestion.watch().await.unwrap();
    let begin = next(&mut watch).await.unwrap();
    assert!(begin.miners.iter().all(|miner| miner.status == "uncommitted"), "{begin:?}");

    world.commit("//Alice", "a/b:v1:http://h:1").await;
    let list = next(&mut watch).await.unwrap();
    assert_eq!((list.miners[0].revision.as_str(), list.miners[1].status.as_str()), ("v1", "uncommitted"));

    // Blocks in which nothing happens are read, and are no news.
    world.chain.advance(10).unwrap();
    ingestion.list_at(world.finalize()).await;
    world.commit("//Bob", "b/c:v9:http://h:2").await;
    let list = next(&mut watch).await.unwrap();
    assert_eq!((list.miners[0].revision.as_str(), list.miners[1].revision.as_str()), ("v1", "v9"));

    ingestion.begin_stop();
    let status = next(&mut watch).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "DRAINING"));
}

#[tokio::test]
async fn what_a_reorganisation_undid_never_shows() {
    let world = World::new(&["//Alice", "//Bob"]).await;
    let ingestion = world.ingest().await;
    ingestion.list_at(world.finalize()).await;
    let mut watch = ingestion.watch().await.unwrap();

    for _ in 0..10 {
        world.chain.register(0, "//Mallory").unwrap();
        world.chain.advance(1).unwrap();
        world.chain.reorganise(2).unwrap();
        ingestion.list_at(world.chain.finalized_number().into()).await;
    }
    world.commit("//Bob", "b/c:v1:http://h:1").await;
    loop {
        let list = next(&mut watch).await.unwrap();
        assert_eq!(list.miners[0].hotkey, hotkey("//Alice"), "at block {}", list.block_number);
        if list.miners[1].status == "active" {
            break;
        }
    }
}
