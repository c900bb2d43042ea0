//! What gets onto the chain, and when.

use kinitro_devchain::{Hyperparameter, Hyperparameters};
use serde_json::json;

use crate::support::{RATE_LIMIT, USUAL, World, hotkey, subnet, usual, weights};

#[tokio::test]
async fn the_scaled_weights_are_on_the_chain_once() {
    let world = World::new().await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until_set(&USUAL).await;
    let set = world.sets().await;
    for _ in 0..RATE_LIMIT * 2 {
        world.step();
    }
    world.rounds(3).await;
    assert_eq!(world.sets().await, set);
    assert_eq!(set.len(), 1, "{set:?}");
    assert!(world.backend.not_modified() >= 3, "unchanged weights are not fetched again");

    let (status, report) = validator.health().await;
    assert_eq!((status, &report["status"], &report["troubles"]), (200, &json!("healthy"), &json!([])), "{report}");
    assert_eq!((&report["last_set_block"], &report["accepted"]["cycle_id"]), (&json!(set[0]), &json!(1)), "{report}");
    let metrics = validator.metrics().await;
    for name in ["sets_total", "last_set_block", "weights_age_blocks", "backend_polls_total{outcome=\"unchanged\"}"] {
        assert!(metrics.contains(&format!("kinitro_validator_{name}")), "{metrics}");
    }
    validator.stop().await;
}

#[tokio::test]
async fn a_uid_that_changed_hands_is_dropped_and_the_rest_renormalised() {
    let world = World::new().await;
    world.chain.register(2, "//Mallory").unwrap();
    world.finalize();
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until_set(&[(1, 65535), (3, 32768)]).await;
    // And one that changes hands after the setting leaves the chain as soon as the rate limit allows.
    world.chain.register(1, "//Trudy").unwrap();
    world.until_set(&[(3, 65535)]).await;
    // When nobody is left, what is there stays.
    world.chain.register(3, "//Oscar").unwrap();
    world.rounds(RATE_LIMIT as usize / 4).await;
    validator.until_trouble("setting", "none of the 3 miners with a weight is still at its uid").await;
    assert_eq!(world.sets().await.len(), 2);
    assert!(validator.metrics().await.contains("kinitro_validator_dropped_uids_total"));
}

#[tokio::test]
async fn new_weights_wait_for_the_rate_limit_and_are_set_once() {
    let world = World::new().await;
    world.backend.publish(&usual(3, 1));
    let _validator = world.validate().await;
    world.until_set(&USUAL).await;
    world.backend.publish(&weights(4, 2, &[(1, 0.0, "//Bob"), (2, 0.2, "//Charlie"), (3, 0.8, "//Dave")]));
    world.until_set(&[(2, 16384), (3, 65535)]).await;
    world.rounds(2).await;
    let sets = world.sets().await;
    assert_eq!(sets.len(), 2, "{sets:?}");
    assert!(sets[1] - sets[0] > u64::from(RATE_LIMIT), "{sets:?}");
}

#[tokio::test]
async fn unchanged_weights_are_set_again_before_they_go_stale() {
    let world = World::with(Hyperparameters { activity_cutoff_factor: 6_000, ..subnet() }).await;
    world.backend.publish(&usual(3, 1));
    let _validator = world.validate().await;
    world.until_set(&USUAL).await;
    let first = world.sets().await[0];
    world.until("they are set again", || world.chain.last_update(0).unwrap() != Some(first)).await;
    let again = world.chain.last_update(0).unwrap().unwrap() - first;
    assert!((31..60).contains(&again), "half of the cutoff of 60 blocks, not {again}");
}

#[tokio::test]
async fn weights_that_count_no_more_are_told_whatever_keeps_them_from_being_set() {
    let never = Hyperparameters { weights_rate_limit: 1_000_000, activity_cutoff_factor: 6_000, ..subnet() };
    let world = World::with(never).await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until_set(&USUAL).await;
    validator.until_no_trouble(&world, "age").await;
    world.chain.advance(70).unwrap();
    validator.until_trouble("age", "count no more after 60").await;
    world.chain.set_hyperparameter(Hyperparameter::WeightsRateLimit(0)).unwrap();
    validator.until_no_trouble(&world, "age").await;
}

#[tokio::test]
async fn a_uid_that_changes_hands_in_a_block_that_is_not_final_gets_nothing() {
    let world = World::new().await;
    let _validator = world.validate().await;
    world.chain.register(2, "//Mallory").unwrap();
    world.backend.publish(&usual(3, 1));
    let pending = world.until_pending().await;
    assert_eq!(pending["message"]["weights"], json!([[1, 65535], [3, 32768]]));
    world.until_set(&[(1, 65535), (3, 32768)]).await;
    world.rounds(3).await;
    assert_eq!(world.transactions().await, 1);
}

#[tokio::test]
async fn without_a_permit_nothing_is_set_until_there_is_one() {
    let owner = Some("//Bob".to_owned());
    let world = World::with(Hyperparameters { owner_hotkey: owner, ..subnet() }).await;
    world.chain.set_permit(0, false).unwrap();
    world.finalize();
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.rounds(2).await;
    validator.until_trouble("setting", "no validator permit").await;
    world.rounds(2).await;
    assert_eq!(world.chain.weights(0).unwrap(), []);
    world.chain.set_permit(0, true).unwrap();
    world.until_set(&USUAL).await;
    assert_eq!(validator.health().await.1["troubles"], json!([]));
}

#[tokio::test]
async fn a_hotkey_that_is_not_registered_says_so() {
    let world = World::new().await;
    world.backend.publish(&usual(3, 1));
    let config = kinitro_validator::Config { hotkey_seed: Some("//Nobody".to_owned()), ..world.config() };
    let validator = crate::support::Validator::start(config).await;
    world.rounds(2).await;
    validator.until_trouble("setting", "not registered").await;
}

#[tokio::test]
async fn everything_is_burnt_at_the_owners_uid_and_nowhere_else() {
    let world = World::with(Hyperparameters { owner_hotkey: Some("//Bob".to_owned()), ..subnet() }).await;
    let burnt = |block, uid: u16| {
        let mut burnt = weights(block, block, &[(uid, 1.0, "//Bob"), (3, 0.0, "//Dave")]);
        burnt["hotkeys"].as_object_mut().unwrap().remove(&uid.to_string());
        burnt["burn_uid"] = uid.into();
        burnt
    };
    world.backend.publish(&burnt(3, 2));
    let validator = world.validate().await;
    world.rounds(2).await;
    let words = format!("burnt at uid 2, but {} is there", hotkey("//Charlie"));
    validator.until_trouble("setting", &words).await;
    world.rounds(2).await;
    assert_eq!(world.chain.weights(0).unwrap(), []);
    world.backend.publish(&burnt(4, 1));
    world.until_set(&[(1, 65535)]).await;
}

#[tokio::test]
async fn what_the_subnet_would_not_take_is_not_sent() {
    let world = World::with(Hyperparameters { min_allowed_weights: 4, ..subnet() }).await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.rounds(2).await;
    validator.until_trouble("setting", "at least 4").await;
    world.chain.set_hyperparameter(Hyperparameter::MinAllowedWeights(3)).unwrap();
    world.until_set(&USUAL).await;
    assert_eq!(world.transactions().await, 1);

    // Zeros make the vector long enough.
    world.backend.publish(&weights(4, 2, &[(1, 0.0, "//Bob"), (2, 0.2, "//Charlie"), (3, 0.8, "//Dave")]));
    world.until_set(&[(1, 0), (2, 16384), (3, 65535)]).await;
    world.rounds(3).await;
    assert_eq!((world.memory()["last_set"]["as_sent"].clone(), world.transactions().await), (json!(true), 2));

    // The owner's own uid alone needs no company.
    let mut burnt = weights(5, 3, &[(0, 1.0, "//Alice"), (1, 0.0, "//Bob")]);
    burnt["hotkeys"].as_object_mut().unwrap().remove("0");
    burnt["burn_uid"] = 0.into();
    world.backend.publish(&burnt);
    world.until_set(&[(0, 65535)]).await;
    assert_eq!(world.transactions().await, 3);
    validator.until_no_trouble(&world, "setting").await;
}

#[tokio::test]
async fn another_mechanism_has_weights_of_its_own() {
    let world = World::with(Hyperparameters { mechanisms: 2, ..subnet() }).await;
    world.backend.publish(&usual(3, 1));
    let config = kinitro_validator::Config { mechanism: 1, ..world.config() };
    let validator = crate::support::Validator::start(config).await;
    world.until("they are on the chain", || world.chain.mechanism_weights(0, 1).unwrap() == USUAL).await;
    for _ in 0..40 {
        world.step();
    }
    world.rounds(3).await;
    assert_eq!(world.chain.weights(0).unwrap(), []);
    let (_, report) = validator.health().await;
    assert_eq!(
        (&report["troubles"], &report["last_set"]["block"]),
        (&json!([]), &report["last_set_block"]),
        "{report}"
    );
}

#[tokio::test]
async fn the_runtime_before_netuids_had_a_type_of_their_own_takes_weights_too() {
    let world = World::on(419, subnet()).await;
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until_set(&USUAL).await;
    world.rounds(3).await;
    assert_eq!(world.sets().await.len(), 1);
    assert_eq!(validator.health().await.1["troubles"], json!([]));
}
