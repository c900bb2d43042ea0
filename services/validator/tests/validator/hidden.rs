//! Subnets that hide weights: committed sealed, opened by the chain itself, and compared.

use std::time::Duration;

use kinitro_devchain::Hyperparameters;
use serde_json::{Value, json};

use crate::support::{USUAL, World, subnet, usual, weights};

fn hiding() -> Hyperparameters {
    Hyperparameters { commit_reveal: true, tempo: 10, ..subnet() }
}

/// Whether what was committed last was revealed as it was; nothing as long as it is not known, or when it was set openly.
fn revealed(world: &World) -> Value {
    let last = &world.memory()["last_set"];
    if last["message"]["reveal"].is_null() { Value::Null } else { last["as_sent"].clone() }
}

#[tokio::test]
async fn weights_are_committed_once_and_the_chain_reveals_them_as_committed() {
    let world = World::with(hiding()).await;
    // A gap between blocks says nothing about the blocks to come.
    world.chain.pass_time(Duration::from_secs(3600));
    world.step();
    committed_and_revealed(world).await;
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
    world.rounds(2).await;
    assert_eq!((world.sets().await.len(), world.transactions().await), (1, 1));
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
    let world = World::with(Hyperparameters { tempo: 10, ..subnet() }).await;
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
    assert_eq!((world.sets().await.len(), world.transactions().await), (3, 3));
}

#[tokio::test]
async fn a_kill_between_commit_and_reveal_commits_nothing_twice() {
    let world = World::with(Hyperparameters { weights_rate_limit: 0, tempo: 200, ..hiding() }).await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until("they are committed", || !world.memory()["last_set"].is_null()).await;
    validator.kill().await;
    assert_eq!((revealed(&world), world.chain.weights(0).unwrap()), (Value::Null, Vec::new()));
    let _validator = world.validate().await;
    world.rounds(2).await;
    world.chain.advance(200).unwrap();
    world.until("they are revealed", || revealed(&world) == json!(true)).await;
    world.rounds(3).await;
    assert_eq!((world.sets().await.len(), world.transactions().await), (1, 1));
}

#[tokio::test]
async fn commits_that_are_lost_are_noticed_however_often_the_weights_change() {
    let world = World::with(Hyperparameters { weights_rate_limit: 0, tempo: 300, ..hiding() }).await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until("they are committed", || !world.memory()["last_set"].is_null()).await;
    world.backend.publish(&weights(4, 2, &[(1, 1.0, "//Bob")]));
    world.until("others are committed", || world.memory()["hidden"].as_array().unwrap().len() == 1).await;
    validator.stop().await;
    // The time of the first is over.
    world.edit_memory(|memory| memory["hidden"][0]["message"]["reveal"]["until"] = 1.into());
    let validator = world.validate().await;
    validator.until_trouble("read_back", "were not revealed").await;
    world.chain.advance(300).unwrap();
    world.until("the second are revealed", || revealed(&world) == json!(true)).await;
    validator.until_no_trouble(&world, "read_back").await;
    assert_eq!((world.memory()["hidden"].clone(), world.transactions().await), (json!([]), 2));
}

#[tokio::test]
async fn weights_that_were_there_before_are_not_said_to_be_revealed() {
    let world = World::with(hiding()).await;
    world.backend.publish(&usual(3, 1));
    // So many that no third setting is due before the test ends, however long it takes.
    let config = kinitro_validator::Config { refresh_blocks: Some(2000), ..world.config() };
    let validator = crate::support::Validator::start(config).await;
    world.until("they are revealed", || revealed(&world) == json!(true)).await;
    let first = world.memory()["last_set"]["at"].clone();
    world.chain.advance(1990).unwrap();
    world.until("they are committed again", || world.memory()["last_set"]["at"] != first).await;
    for _ in 0..25 {
        world.step();
    }
    world.rounds(2).await;
    assert_eq!((revealed(&world), world.transactions().await), (Value::Null, 2));
    assert_eq!(validator.health().await.1["troubles"], json!([]));
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
