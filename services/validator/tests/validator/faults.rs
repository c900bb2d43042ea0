//! The chain's faults: whatever breaks, weights are set exactly once.

use kinitro_devchain::LostSubmission;

use crate::support::{USUAL, World, usual};

async fn exactly_once(world: &World) {
    world.until_set(&USUAL).await;
    world.rounds(2).await;
    // Longer than a transaction lives.
    for _ in 0..70 {
        world.step();
    }
    world.rounds(2).await;
    let sets = world.sets().await;
    assert_eq!((sets.len(), world.transactions().await), (1, 1), "{sets:?}");
}

#[tokio::test]
async fn a_connection_lost_before_the_transaction_was_taken_costs_nothing() {
    let world = World::unlimited().await;
    world.chain.lose_next_submission(LostSubmission::Before);
    world.backend.publish(&usual(3, 1));
    let _validator = world.validate().await;
    exactly_once(&world).await;
}

#[tokio::test]
async fn a_connection_lost_after_the_transaction_was_taken_sets_nothing_twice() {
    let world = World::unlimited().await;
    world.chain.lose_next_submission(LostSubmission::After);
    world.backend.publish(&usual(3, 1));
    let _validator = world.validate().await;
    exactly_once(&world).await;
}

#[tokio::test]
async fn connections_that_drop_between_submission_and_finality_cost_nothing() {
    let world = World::unlimited().await;
    let _validator = world.validate_held().await;
    world.chain.drop_connections();
    world.chain.hold_transactions(false);
    world.step();
    world.chain.drop_connections();
    exactly_once(&world).await;
}

#[tokio::test]
async fn a_node_that_restarts_in_the_middle_costs_nothing() {
    let mut world = World::unlimited().await;
    let _validator = world.validate_held().await;
    world.stop_node().await;
    world.chain.hold_transactions(false);
    for _ in 0..5 {
        world.step();
    }
    world.start_node().await;
    exactly_once(&world).await;
}

#[tokio::test]
async fn a_reorganisation_before_finality_leaves_exactly_one_setting() {
    let world = World::unlimited().await;
    world.backend.publish(&usual(3, 1));
    let _validator = world.validate().await;
    world.until("the weights are in a block", || world.chain.weights(0).unwrap() == USUAL).await;
    world.chain.reorganise(1).unwrap();
    exactly_once(&world).await;
}

#[tokio::test]
async fn a_stale_nonce_is_replaced_and_sets_once() {
    let world = World::unlimited().await;
    world.chain.fail_next("author_submitExtrinsic", 1, 1010, "Invalid Transaction: Transaction is outdated");
    world.backend.publish(&usual(3, 1));
    let _validator = world.validate().await;
    exactly_once(&world).await;
}

#[tokio::test]
async fn a_node_that_takes_no_transaction_is_asked_again_later() {
    let world = World::unlimited().await;
    world.chain.fail_next(
        "author_submitExtrinsic",
        2,
        1016,
        "Immediately Dropped: The transaction couldn't enter the pool",
    );
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    world.until("it was tried", || world.backend.asked() > 1).await;
    validator.until_trouble("setting", "Immediately Dropped").await;
    exactly_once(&world).await;
}

#[tokio::test]
async fn a_rate_limit_that_only_the_pool_knows_of_is_told() {
    let world = World::unlimited().await;
    world.chain.fail_next("author_submitExtrinsic", 1, 1010, "Invalid Transaction: Custom error: 6");
    world.backend.publish(&usual(3, 1));
    let validator = world.validate().await;
    validator.until_trouble("setting", "Custom error: 6").await;
    exactly_once(&world).await;
    validator.until_no_trouble(&world, "setting").await;
}

#[tokio::test]
async fn a_chain_whose_finality_stands_still_is_told_until_it_goes_on() {
    let world = World::new().await;
    let config = kinitro_validator::Config { unhealthy_after_seconds: 3, ..world.config() };
    let validator = crate::support::Validator::start(config).await;
    validator.until_trouble("finality", "the node has no peers").await;
    validator.until_no_trouble(&world, "finality").await;
}
