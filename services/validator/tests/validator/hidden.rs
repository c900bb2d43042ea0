//! Subnets that hide weights: committed sealed, opened by the chain itself, and compared.

use kinitro_devchain::Hyperparameters;
use serde_json::{Value, json};

use crate::support::{USUAL, World, usual, weights};

fn hiding() -> Hyperparameters {
    Hyperparameters { commit_reveal: true, tempo: 10, ..Hyperparameters::default() }
}

fn revealed(world: &World) -> Value {
    world.memory()["last_set"]["revealed"].clone()
}

#[tokio::test]
async fn weights_are_committed_once_and_the_chain_reveals_them_as_committed() {
    committed_and_revealed(World::with(hiding()).await).await;
}

#[tokio::test]
async fn epochs_that_follow_from_the_blocks_number_reveal_them_too() {
    committed_and_revealed(World::on(419, hiding()).await).await;
}

async fn committed_and_revealed(world: World) {
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until("they are committed", || !world.memory()["last_set"].is_null()).await;
    world.until("they are revealed", || revealed(&world) == json!(true)).await;
    assert_eq!(world.chain.weights(0).unwrap(), USUAL);
    for _ in 0..40 {
        world.step();
    }
    world.rounds(4).await;
    assert_eq!(world.sets().await.len(), 1);
    let (status, report) = validator.health().await;
    assert_eq!(
        (status, &report["troubles"], &report["last_set"]["hidden"]),
        (200, &json!([]), &json!(true)),
        "{report}"
    );
    assert!(validator.metrics().await.contains("kinitro_validator_reveals_total{outcome=\"as_committed\"}"));
}

#[tokio::test]
async fn commit_reveal_may_be_turned_on_and_off_while_the_validator_runs() {
    let world = World::with(Hyperparameters { tempo: 10, ..Hyperparameters::default() }).await;
    world.backend.publish(&usual(3, 1));
    let _validator = world.validate().await;
    world.until_set(&USUAL).await;
    world.chain.set_commit_reveal(true).unwrap();
    world.backend.publish(&weights(4, 2, &[(1, 1.0, "//Bob")]));
    world.until("they are revealed", || revealed(&world) == json!(true)).await;
    assert_eq!(world.chain.weights(0).unwrap(), [(1, 65535)]);
    world.chain.set_commit_reveal(false).unwrap();
    world.backend.publish(&weights(5, 3, &[(2, 1.0, "//Charlie")]));
    world.until_set(&[(2, 65535)]).await;
    world.rounds(3).await;
    assert_eq!(world.sets().await.len(), 3);
}

#[tokio::test]
async fn a_kill_between_commit_and_reveal_commits_nothing_twice() {
    let world = World::with(hiding()).await;
    world.chain.hold_transactions(true);
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until("the ticket is on disk", || !world.memory()["pending"].is_null()).await;
    world.until_taken().await;
    validator.kill().await;
    world.chain.hold_transactions(false);
    for _ in 0..5 {
        world.step();
    }
    let _validator = world.validate().await;
    world.until("they are revealed", || revealed(&world) == json!(true)).await;
    for _ in 0..40 {
        world.step();
    }
    world.rounds(4).await;
    assert_eq!(world.sets().await.len(), 1);
}

#[tokio::test]
async fn a_subnet_without_epochs_hides_weights_for_ever_so_nothing_is_committed() {
    let world = World::with(Hyperparameters { tempo: 0, ..hiding() }).await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.rounds(2).await;
    validator.until_trouble("setting", "never be revealed").await;
    assert!(world.sets().await.is_empty());
}
