//! A backend that lies, stalls, floods, or points elsewhere gets nothing onto the chain.

use std::time::Duration;

use kinitro_devchain::Hyperparameters;
use serde_json::Value;

use crate::support::{Script, USUAL, World, hotkey, stranger, subnet, usual, weights};

/// The usual answer with a text replaced.
fn with(from: &str, to: &str) -> Script {
    let body = usual(3, 1).to_string();
    assert!(body.contains(from), "{from} is not in {body}");
    Script::json(body.replacen(from, to, 1))
}

fn changed(change: impl FnOnce(&mut Value)) -> Script {
    let mut document = usual(3, 1);
    change(&mut document);
    Script::json(document.to_string())
}

/// How much of the cycle was played, of which nine in ten must be.
fn played(document: &mut Value, planned: u64, played: u64) {
    document["episodes_planned"] = planned.into();
    document["episodes_played"] = played.into();
    document["min_played_share"] = 0.9.into();
}

#[tokio::test]
async fn nothing_that_a_hostile_backend_says_gets_onto_the_chain() {
    let world = World::new().await;
    let validator = world.validate().await;
    world.rounds(1).await;
    validator.until_trouble("backend", "404").await;

    let elsewhere = format!("{}/elsewhere", world.backend.url);
    let slow = Script { delay: Duration::from_secs(3600), ..Script::json(usual(3, 1).to_string()) };
    let large = Script::json(format!("{{\"padding\":\"{}\"}}", "x".repeat(10 << 20)));
    let without_hotkeys = changed(|document| drop(document.as_object_mut().unwrap().remove("hotkeys")));
    let strange = changed(|document| document["hotkeys"]["1"] = stranger().replace('5', "6").into());
    for (script, words) in [
        (with("0.5", "NaN"), "cannot be read"),
        (with("0.5", "1e400"), "cannot be read: number out of range"),
        (with("0.5", "-0.5"), "the weight of uid 1 is -0.5"),
        (with("0.5", "0.4"), "sum to 0.9"),
        (with("\"2\":0.25", "\"1\":0.25"), "uid 1 is there twice"),
        (changed(|document| played(document, 18, 0)), "0 of 18 episodes were played"),
        (changed(|document| played(document, 20, 17)), "17 of 20 episodes were played"),
        (with("65535", "65534"), "they differ at uid 1"),
        (without_hotkeys, "does not say who was scored at uid 1"),
        (strange, "checksum"),
        (Script::json("null"), "it is no JSON object"),
        (Script::json(format!("{{\"deep\":{}", "[".repeat(100_000))), "cannot be read: EOF while parsing"),
        (large, "more than 1048576 bytes"),
        (slow, "cannot be reached"),
        (Script::json(usual(3, 1).to_string()).with_header("content-type", "text/html"), "content of type"),
        (Script::json(usual(3, 1).to_string()).with_header("content-encoding", "gzip"), "encoded as"),
        (Script::json("").with_status(302).with_header("location", &elsewhere), "302 Found and points to http://127."),
        (Script::json(usual(3, 1).to_string()).with_status(500), "500"),
        (Script::json(usual(3, 1).to_string()).with_status(203), "203"),
        (Script::json("").with_status(304), "304, although"),
    ] {
        world.backend.play(script);
        world.rounds(1).await;
        validator.until_trouble("backend", words).await;
    }
    assert_eq!(world.chain.weights(0).unwrap(), []);
    assert!(world.sets().await.is_empty());

    // It was not the validator's fault: the same weights, told properly, are set.
    world.backend.publish(&usual(3, 1));
    world.until_set(&USUAL).await;
    assert_eq!(world.sets().await.len(), 1);
}

#[tokio::test]
async fn a_backend_that_goes_back_or_changes_its_mind_changes_nothing() {
    let world = World::new().await;
    world.backend.publish(&usual(10, 5));
    let validator = world.validate().await;
    world.until_set(&USUAL).await;
    let other = |block, cycle| weights(block, cycle, &[(1, 1.0, "//Bob")]);
    for (document, words) in [
        (other(9, 4), "went backwards"),
        (other(10, 4), "went backwards"),
        (other(9, 6), "went backwards"),
        (other(10, 5), "changed after they were accepted"),
        (other(1_000_000, 9), "finalized up to"),
    ] {
        world.backend.publish(&document);
        world.rounds(1).await;
        validator.until_trouble("weights", words).await;
    }
    for _ in 0..30 {
        world.step();
    }
    world.rounds(2).await;
    assert_eq!(world.sets().await.len(), 1);
    // Nor after a restart: what was accepted is on disk.
    validator.stop().await;
    world.backend.publish(&other(9, 4));
    let validator = world.validate().await;
    world.rounds(2).await;
    validator.until_trouble("weights", "went backwards").await;
    assert_eq!(world.chain.weights(0).unwrap(), USUAL);
    world.backend.publish(&other(11, 6));
    world.until_set(&[(1, 65535)]).await;
}

#[tokio::test]
async fn weights_that_are_too_old_are_not_set() {
    let world = World::new().await;
    world.backend.publish(&usual(3, 1));
    let config = kinitro_validator::Config { max_weights_age_blocks: 10, ..world.config() };
    let validator = crate::support::Validator::start(config).await;
    world.rounds(2).await;
    validator.until_trouble("weights", "and may be 10 blocks old").await;
    assert!(world.sets().await.is_empty());
    world.backend.publish(&usual(u64::from(world.chain.finalized_number()) + 40, 2));
    world.until_set(&USUAL).await;
}

#[tokio::test]
async fn a_health_check_fails_when_a_trouble_lasts() {
    let world = World::new().await;
    let config = kinitro_validator::Config { unhealthy_after_seconds: 1, ..world.config() };
    let validator = crate::support::Validator::start(config).await;
    world.until("it was asked", || world.backend.asked() > 2).await;
    let (status, report) = validator.health().await;
    assert_eq!((status, report["status"].as_str()), (503, Some("unhealthy")), "{report}");
    assert_eq!(report["validator"]["hotkey"], hotkey("//Alice").as_str());
}

#[tokio::test]
async fn weights_that_cannot_be_set_leave_the_last_good_ones_refreshed() {
    let world = World::with(Hyperparameters { owner_hotkey: Some("//Alice".to_owned()), ..subnet() }).await;
    world.backend.publish(&usual(3, 1));
    let config = || kinitro_validator::Config { refresh_blocks: Some(30), ..world.config() };
    let mut validator = crate::support::Validator::start(config()).await;
    world.until_set(&USUAL).await;
    // Bob and Charlie, who have most of the weight, in each other's place; then everything to be burnt where the subnet's owner is not.
    let swapped = weights(4, 2, &[(1, 0.5, "//Charlie"), (2, 0.25, "//Bob"), (3, 0.25, "//Dave")]);
    let mut burnt = weights(5, 3, &[(2, 1.0, "//Bob"), (3, 0.0, "//Dave")]);
    burnt["hotkeys"].as_object_mut().unwrap().remove("2");
    burnt["burn_uid"] = 2.into();
    let gone = weights(6, 4, &[(1, 0.5, "//Mallory"), (2, 0.5, "//Trudy")]);
    for (document, words) in
        [(swapped, "in each other's place"), (burnt, "burnt at uid 2"), (gone, "is still at its uid")]
    {
        world.backend.publish(&document);
        world.rounds(2).await;
        let before = world.chain.last_update(0).unwrap();
        world.until("the weights are set again", || world.chain.last_update(0).unwrap() > before).await;
        assert_eq!(world.chain.weights(0).unwrap(), USUAL);
        validator.until_trouble("weights", words).await;
        // A restart knows the last good ones too.
        validator.stop().await;
        validator = crate::support::Validator::start(config()).await;
    }
    world.backend.publish(&usual(7, 5));
    world.until("the next ones are accepted", || world.memory()["accepted"]["cycle_id"] == 5).await;
    validator.until_no_trouble(&world, "weights").await;
    validator.stop().await;
}
