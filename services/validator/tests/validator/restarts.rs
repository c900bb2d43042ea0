//! A validator that ends at the worst moment, and the next one.

use std::time::Duration;

use kinitro_chassis::Supervisor;
use kinitro_devchain::Hyperparameters;
use kinitro_validator::Error;

use crate::support::{Script, USUAL, World, subnet, usual, weights};

#[tokio::test]
async fn a_kill_between_ticket_and_inclusion_sets_exactly_once() {
    let world = World::unlimited().await;
    let validator = world.validate_held().await;
    world.until_taken().await;
    validator.kill().await;
    assert!(world.memory()["last_set"].is_null());

    // It gets into a block while nobody looks.
    world.chain.hold_transactions(false);
    for _ in 0..5 {
        world.step();
    }
    let _validator = world.validate().await;
    world.until_set(&USUAL).await;
    world.rounds(2).await;
    assert_eq!((world.sets().await.len(), world.transactions().await), (1, 1));
}

#[tokio::test]
async fn while_the_fate_of_a_transaction_is_open_no_other_is_sent_though_the_rate_limit_would_allow_it() {
    let world = World::unlimited().await;
    let validator = world.validate_held().await;
    world.until_taken().await;
    let ticket = world.memory()["pending"]["ticket"].clone();
    validator.kill().await;

    // It is still in the pool, and newer weights are there.
    world.backend.publish(&weights(4, 2, &[(1, 1.0, "//Bob")]));
    let asked = world.backend.asked();
    let validator = world.validate().await;
    world.until("the next validator looks", || world.backend.asked() > asked).await;
    for _ in 0..20 {
        world.step();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.memory()["pending"]["ticket"], ticket);
    let (_, report) = validator.health().await;
    assert!(report["doing"].as_str().unwrap().contains("finding out what became of"), "{report}");
    world.chain.hold_transactions(false);
    world.until_set(&[(1, 65535)]).await;
    world.rounds(3).await;
    assert_eq!((world.sets().await.len(), world.transactions().await), (2, 2), "one for each evaluation");
}

#[tokio::test]
async fn a_transaction_that_never_arrived_is_given_up_only_when_its_time_is_over() {
    let world = World::unlimited().await;
    world.lose_transactions(true);
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    let ticket = world.until_pending().await["ticket"].clone();
    validator.kill().await;

    let _validator = world.validate().await;
    let last_block = ticket["last_block"].as_u64().unwrap();
    while u64::from(world.chain.best_number()) < last_block {
        world.step();
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(world.memory()["pending"]["ticket"], ticket);
    }
    assert_eq!(world.transactions().await, 0);
    world.lose_transactions(false);
    world.until_set(&USUAL).await;
    let sets = world.sets().await;
    assert_eq!((sets.len(), world.transactions().await), (1, 1), "{sets:?} {ticket}");
    assert!(sets[0] > last_block, "{sets:?} {ticket}");
}

#[tokio::test]
async fn a_transaction_that_never_arrived_is_handed_in_by_the_next_start_as_it_is() {
    let world = World::unlimited().await;
    world.lose_transactions(true);
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    let ticket = world.until_pending().await["ticket"].clone();
    validator.kill().await;
    world.lose_transactions(false);

    let _validator = world.validate().await;
    world.until_set(&USUAL).await;
    let sets = world.sets().await;
    assert_eq!((sets.len(), world.transactions().await), (1, 1), "{sets:?} {ticket}");
    assert!(sets[0] <= ticket["last_block"].as_u64().unwrap(), "another one was signed: {sets:?} {ticket}");
}

#[tokio::test]
async fn a_transaction_of_a_chain_that_was_rolled_back_is_given_up_when_its_time_is_over() {
    let world = World::unlimited().await;
    world.lose_transactions(true);
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    let last_block = world.until_pending().await["ticket"]["last_block"].as_u64().unwrap();
    validator.kill().await;
    world.lose_transactions(false);
    let elsewhere = format!("0x{}", "07".repeat(32));
    world.edit_memory(|memory| memory["pending"]["ticket"]["birth"]["hash"] = elsewhere.into());

    let validator = world.validate().await;
    validator.until_trouble("chain", "is not the one from before").await;
    while u64::from(world.chain.best_number()) < last_block {
        world.step();
    }
    world.until_set(&USUAL).await;
    let sets = world.sets().await;
    assert_eq!((sets.len(), world.transactions().await), (1, 1), "{sets:?}");
    assert!(sets[0] > last_block, "{sets:?}");
}

#[tokio::test]
async fn a_node_that_lags_behind_what_was_set_is_not_believed() {
    let world = World::unlimited().await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until_set(&USUAL).await;
    validator.stop().await;
    // As if the last setting were of a block that this node does not have yet.
    let later = world.chain.best_number() + 100;
    world.edit_memory(|memory| memory["last_set"]["at"] = later.into());
    world.backend.publish(&weights(4, 2, &[(1, 1.0, "//Bob")]));
    let validator = world.validate().await;
    validator.until_trouble("finality", "the node lags behind").await;
    world.rounds(3).await;
    assert_eq!((world.chain.weights(0).unwrap(), world.transactions().await), (USUAL.to_vec(), 1));
    world.chain.advance(102).unwrap();
    world.until_set(&[(1, 65535)]).await;
    validator.until_no_trouble(&world, "finality").await;
}

#[tokio::test]
async fn accepted_weights_are_set_again_after_a_restart_also_while_the_backend_is_away() {
    let world = World::with(Hyperparameters { activity_cutoff_factor: 6_000, ..subnet() }).await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until_set(&USUAL).await;
    let first = world.sets().await[0];
    validator.stop().await;
    world.backend.play(Script::json("").with_status(503));
    let validator = world.validate().await;
    validator.until_trouble("backend", "503").await;
    world.until("they are set again", || world.chain.last_update(0).unwrap() != Some(first)).await;
    assert_eq!(world.chain.weights(0).unwrap(), USUAL);
}

#[tokio::test]
async fn weights_that_were_not_compared_before_a_stop_are_compared_after_it() {
    let world = World::new().await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until_set(&USUAL).await;
    world.until("they were compared", || world.memory()["last_set"]["as_sent"] == true).await;
    validator.stop().await;
    world.edit_memory(|memory| {
        memory["last_set"]["as_sent"] = serde_json::Value::Null;
        memory["last_set"]["message"]["weights"][0][1] = 1000.into();
    });
    let validator = world.validate().await;
    validator.until_trouble("read_back", "are not those that were sent").await;
    assert_eq!(world.transactions().await, 1);
}

#[tokio::test]
async fn a_stop_with_a_transaction_on_its_way_leaves_it_to_the_next_start() {
    let world = World::unlimited().await;
    let validator = world.validate_held().await;
    validator.stop().await;
    assert!(!world.memory()["pending"].is_null());
    world.chain.hold_transactions(false);
    let _validator = world.validate().await;
    world.until_set(&USUAL).await;
    assert_eq!((world.sets().await.len(), world.transactions().await), (1, 1));
}

#[tokio::test]
async fn after_an_absence_so_long_that_the_node_forgot_the_chain_itself_tells_what_became_of_it() {
    let world = World::new().await;
    let validator = world.validate_held().await;
    world.until_taken().await;
    validator.kill().await;
    world.chain.hold_transactions(false);
    world.until("they are set", || world.chain.weights(0).unwrap() == USUAL).await;
    let set = world.chain.last_update(0).unwrap().unwrap();
    // The node keeps the state of some hundred blocks.
    world.chain.advance(2000).unwrap();
    let _validator = world.validate().await;
    world.until_set(&USUAL).await;
    world.rounds(3).await;
    assert_eq!(world.memory()["last_set"]["at"], set);
    assert_eq!((world.chain.last_update(0).unwrap(), world.transactions().await), (Some(set), 1));
}

#[tokio::test]
async fn a_lost_memory_sets_nothing_twice() {
    let world = World::unlimited().await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until_set(&USUAL).await;
    validator.stop().await;
    std::fs::remove_file(world.state_file()).unwrap();
    for _ in 0..40 {
        world.step();
    }
    let _validator = world.validate().await;
    world.rounds(2).await;
    assert_eq!((world.sets().await.len(), world.transactions().await), (1, 1));
}

#[tokio::test]
async fn two_validators_with_one_memory_do_not_run_at_once() {
    let world = World::new().await;
    let validator = world.validate().await;
    let refused = kinitro_validator::start(world.config(), None, &Supervisor::new()).await.unwrap_err();
    assert!(matches!(refused, Error::State { task: "locked", .. }), "{refused}");
    validator.stop().await;
    world.validate().await.stop().await;
}

#[tokio::test]
async fn a_damaged_memory_is_neither_used_nor_replaced() {
    let world = World::new().await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until_set(&USUAL).await;
    validator.stop().await;
    let whole = std::fs::read_to_string(world.state_file()).unwrap();
    for damaged in [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        whole.replacen("\"version\": 1", "\"version\": 2", 1),
        whole.replacen("\"netuid\": 7", "\"netuid\": 8", 1),
        whole.replacen("\"pending\"", "\"waiting\"", 1),
    ] {
        std::fs::write(world.state_file(), &damaged).unwrap();
        let refused = kinitro_validator::start(world.config(), None, &Supervisor::new()).await.unwrap_err();
        assert!(matches!(refused, Error::State { task: "read", .. }), "{refused}");
        assert!(refused.to_string().contains("move it away"), "{refused}");
        assert_eq!(std::fs::read_to_string(world.state_file()).unwrap(), damaged);
    }
}
