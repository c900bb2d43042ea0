//! An endpoint that several hotkeys commit.

use kinitro_commitment::{write_bound_commitment, write_sealed_commitment};
use kinitro_crypto::PrivateKey;
use kinitro_ingestion::Config;
use kinitro_proto::ingestion::v1::ListMinersResponse;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::support::{Ingestion, World, binding};

const UUID: &str = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";

fn statuses(list: &ListMinersResponse) -> Vec<&str> {
    list.miners.iter().map(|miner| miner.status.as_str()).collect()
}

#[tokio::test]
async fn whoever_committed_an_endpoint_first_keeps_it_over_revisions_and_restarts() {
    let world = World::new(&["//Bob", "//Alice"]).await;
    let ingestion = world.ingest().await;
    world.commit("//Alice", "a/b:v1:http://h:1").await;
    ingestion.revision(1, "v1").await;
    let copied = world.commit("//Bob", "c/d:w1:grpc://H.:1/").await;
    let miner = ingestion.revision(0, "w1").await;
    assert_eq!((miner.status.as_str(), miner.endpoint.as_str()), ("duplicate_endpoint", ""));
    assert_eq!(miner.status_reason, "uid 1 committed this endpoint first");
    assert_eq!((miner.first_commit_block, miner.commit_block, miner.repo.as_str()), (copied, copied, "c/d"));

    let mut database = PgConnection::connect(&world.database_url).await.unwrap();
    let row = sqlx::query("SELECT status FROM ingestion.miners WHERE uid = 0").fetch_one(&mut database).await.unwrap();
    assert_eq!(row.get::<&str, _>("status"), "duplicate_endpoint");
    ingestion.stop().await;

    // What is on the chain now is younger than the copy; that its miner was first, only Postgres knows.
    let revised = world.commit("//Alice", "a/b:v2:http://h:1").await;
    let ingestion = world.ingest().await;
    let list = ingestion.list_at(revised).await;
    assert_eq!(statuses(&list), ["duplicate_endpoint", "active"]);
    assert_eq!(list.miners[1].first_commit_block, revised, "a new revision starts anew as a policy");

    // The first moves, and the copy is the only one left.
    let moved = world.commit("//Alice", "a/b:v2:http://h:2").await;
    let list = ingestion.list_at(moved).await;
    assert_eq!(statuses(&list), ["active", "active"]);
    assert_eq!((list.miners[0].first_commit_block, list.miners[0].endpoint.as_str()), (copied, "grpc://h.:1"));
    let back = world.commit("//Alice", "a/b:v2:http://h:1").await;
    assert_eq!(statuses(&ingestion.list_at(back).await), ["duplicate_endpoint", "active"]);
}

#[tokio::test]
async fn of_three_with_one_endpoint_the_next_takes_over_when_the_first_is_deregistered() {
    let world = World::new(&["//Alice", "//Bob", "//Charlie"]).await;
    let ingestion = world.ingest().await;
    for (name, data) in
        [("//Alice", "a/a:v1:http://h:1"), ("//Charlie", "c/c:v1:http://h:1"), ("//Bob", "b/b:v1:http://h:1")]
    {
        world.commit(name, data).await;
    }
    let list = ingestion.list_at(world.finalize()).await;
    assert_eq!(statuses(&list), ["active", "duplicate_endpoint", "duplicate_endpoint"]);
    assert!(list.miners[1..].iter().all(|miner| miner.status_reason == "uid 0 committed this endpoint first"));

    world.chain.register(0, "//Mallory").unwrap();
    let list = ingestion.list_at(world.finalize()).await;
    assert_eq!(statuses(&list), ["uncommitted", "duplicate_endpoint", "active"]);
    assert_eq!(list.miners[1].status_reason, "uid 2 committed this endpoint first");

    world.commit("//Mallory", "a/a:v1:http://h:1").await;
    let list = ingestion.list_at(world.finalize()).await;
    assert_eq!(statuses(&list), ["duplicate_endpoint", "duplicate_endpoint", "active"]);
}

#[tokio::test]
async fn copies_of_sealed_endpoints_are_not_evaluated_and_give_nothing_away() {
    let world = World::new(&["//Alice", "//Bob", "//Charlie", "//Dave", "//Eve"]).await;
    let key = PrivateKey::generate();
    let sealed = write_sealed_commitment("a/a", "v1", &UUID.parse().unwrap(), &key.public()).unwrap();
    let own = PrivateKey::generate();
    let bound = UUID.replace('8', "9").parse().unwrap();
    let bound = write_bound_commitment("d/d", "v1", &bound, &key.public(), &binding("//Dave")).unwrap();
    world.commit("//Alice", sealed.as_str()).await;
    world.commit("//Bob", &sealed.as_str().replace("a/a", "b/b")).await;
    world.commit("//Charlie", &format!("c/c:v1:http://{UUID}.deployments.basilica.ai:8080/x")).await;
    // Eve is first with what she copied, and it does not open for her.
    world.commit("//Eve", &bound.as_str().replace("d/d", "e/e")).await;
    world.commit("//Dave", bound.as_str()).await;

    let folder = tempfile::tempdir().unwrap();
    let (current, previous) = (folder.path().join("current"), folder.path().join("previous"));
    own.write_file(&current).unwrap();
    key.write_file(&previous).unwrap();
    let config = Config {
        backend_private_key_file: Some(current),
        backend_previous_private_key_file: Some(previous),
        ..world.config()
    };
    let list = Ingestion::start(config).await.list_at(world.finalize()).await;
    assert_eq!(statuses(&list), ["active", "duplicate_endpoint", "duplicate_endpoint", "active", "invalid"]);
    let reasons: Vec<_> = list.miners.iter().map(|miner| miner.status_reason.as_str()).collect();
    assert_eq!(reasons[1], "uid 0 committed this endpoint first");
    assert_eq!(reasons[2], "another hotkey committed this endpoint first", "uid 2 shows everybody where uid 0 is");
    assert!(reasons[4].contains("another key, hotkey or subnet"), "{}", reasons[4]);
    for miner in [1, 2, 4].map(|uid| &list.miners[uid]) {
        assert!(miner.endpoint.is_empty() && !format!("{miner:?}").contains(UUID), "{miner:?}");
    }
}
