//! `kinitro score` and `kinitro env floor`: what they find, print and refuse.
#![allow(clippy::unwrap_used)]

mod support;

use std::{path::Path, process::Output, time::Duration};

use kinitro_chassis::{Supervisor, connect_lazy};
use kinitro_domain::CycleSecret;
use kinitro_proto::scoring::v1::{
    AnnounceCycleRequest, Cycle, Evidence, MinerIdentity, ScoreCycleRequest, Tally,
    scoring_service_client::ScoringServiceClient,
};
use kinitro_stores::testing::fresh_database;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use support::up::kinitro;
use tokio::net::TcpListener;

fn run(arguments: &[&str]) -> Output {
    kinitro(Path::new("/"), arguments).output().unwrap()
}

fn document(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The figures of one line and scheme.
fn figures<'a>(panel: &'a Value, attack: &str, seeds: &str, scheme: &str) -> &'a Value {
    let rows = panel["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["attack"] == attack && row["seeds"] == seeds).unwrap();
    &row["schemes"][scheme]
}

#[test]
fn the_attack_panel_agrees_with_what_is_known_exactly() {
    let panel = document(&run(&["score", "attack", "--episodes", "50", "--trials", "100", "--json"]));
    // 11 attackers, as a single environment has no specialist, and three kinds of seeds.
    assert_eq!(panel["rows"].as_array().unwrap().len(), 33);
    for (attack, expected) in [("1 clone", 0.136), ("5 clones", 0.368), ("100 clones", 0.803)] {
        let found = figures(&panel, attack, "unpaired", "published-1");
        let exact = found["false_crown_exact"].as_f64().unwrap();
        assert!((exact - expected).abs() < 5e-4, "{attack}: {exact}");
        // Within four standard errors.
        let simulated = found["false_crown"]["mean"].as_f64().unwrap();
        let error = (exact * (1.0 - exact) / 100.0).sqrt();
        assert!((simulated - exact).abs() < 4.0 * error, "{attack}: {simulated} and {exact}");
    }
    for seeds in ["unpaired", "paired", "paired-deterministic"] {
        for attack in ["1 clone", "5 clones", "20 clones", "100 clones"] {
            let found = figures(&panel, attack, seeds, "guarded-1");
            for figure in ["share", "false_crown"] {
                assert!(found[figure]["mean"].as_f64().unwrap() < 0.05, "{attack} {seeds}: {found}");
            }
        }
        assert_eq!(figures(&panel, "zero skill, first", seeds, "guarded-1")["share"]["mean"], 0.0);
        assert!(figures(&panel, "improver by 10 points", seeds, "guarded-1")["deserved_crown"]["mean"].is_f64());
    }
    // A deterministic copy of the same seeds never wins.
    let copies = figures(&panel, "100 clones", "paired-deterministic", "published-1");
    assert_eq!((&copies["false_crown"]["mean"], &copies["any_points"]["mean"]), (&0.0.into(), &0.0.into()));
}

#[test]
fn the_same_seed_gives_the_same_panel() {
    let panel = |seed: &str| {
        let output =
            run(&["score", "attack", "--episodes", "20", "--trials", "10", "--scheme", "published-1", "--seed", seed]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        output.stdout
    };
    assert_eq!(panel("1"), panel("1"));
    assert_ne!(panel("1"), panel("2"));
}

#[test]
fn a_squatter_takes_nearly_everything_under_published_1_and_nothing_under_guarded_1() {
    let arguments = ["--episodes", "50", "--trials", "20", "--environments", "4", "--rate", "0.9", "--json"];
    let panel = document(&run(&[&["score", "attack"][..], &arguments].concat()));
    let share = |scheme| figures(&panel, "zero skill, first", "unpaired", scheme)["share"]["mean"].as_f64().unwrap();
    // The 20 : 12 of the design document.
    assert!((share("published-1") - 0.999_664_6).abs() < 1e-6, "{}", share("published-1"));
    assert_eq!(share("guarded-1"), 0.0);
    assert!(figures(&panel, "specialist", "unpaired", "guarded-1").is_object());
}

#[test]
fn the_panel_is_printed_as_tables_too() {
    let output = run(&["score", "attack", "--scheme", "guarded-1", "--episodes", "10", "--trials", "5", "--markdown"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("### ").count(), 3);
    assert!(text.contains("guarded-1: share") && !text.contains("published-1"), "{text}");
    for (arguments, wrong) in [
        (&["--scheme", "published-2"][..], "published-2"),
        (&["--episodes", "0"], "--episodes"),
        (&["--difficulty", "1"], "less than 1"),
        (&["--rate", "nan"], "from 0 to 1"),
    ] {
        let output = run(&[&["score", "attack"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(wrong), "{output:?}");
    }
}

/// Scores one cycle of two miners.
async fn scored(database_url: &str) {
    kinitro_scoring::migrate(database_url).await.unwrap();
    let config = kinitro_scoring::Config { database_url: database_url.to_owned(), ..Default::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel = connect_lazy(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let supervisor = Supervisor::new();
    kinitro_scoring::start(config, &kinitro_chassis::MeshAccess::default(), listener, &supervisor).await.unwrap();
    let miner = |uid| MinerIdentity {
        uid,
        hotkey: format!("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQ{uid}"),
        first_commit_block: uid.into(),
    };
    let tally = |uid, outcomes: &str| Tally {
        uid,
        env_id: "metaworld/push-v3".to_owned(),
        outcomes: outcomes.to_owned(),
        mean_reward: 0.1 + 0.2,
    };
    let request = ScoreCycleRequest {
        cycle: Some(Cycle { id: 7, block_number: 9, status: "completed".to_owned(), ..Cycle::default() }),
        miners: vec![miner(1), miner(2)],
        env_ids: vec!["metaworld/push-v3".to_owned()],
        tallies: vec![tally(1, "1010-"), tally(2, "00111")],
        evidence: Some(Evidence { min_played_share: 0.9, min_miner_share: 0.5, ..Evidence::default() }),
        secret: "07".repeat(32),
    };
    let secret_hash = CycleSecret::from_bytes([7; 32]).hash();
    let mut client = ScoringServiceClient::new(channel);
    client.announce_cycle(AnnounceCycleRequest { cycle_id: 7, block_number: 9, secret_hash }).await.unwrap();
    client.score_cycle(request).await.unwrap();
    supervisor.shutdown();
    supervisor.join(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_cycle_is_replayed_and_a_changed_one_ends_with_1() {
    let database_url = fresh_database().await;
    scored(&database_url).await;
    let replay = |more: &[&str]| run(&[&["score", "replay", "7", "--database-url", &database_url], more].concat());
    let text = replay(&[]);
    assert_eq!(text.status.code(), Some(0), "{text:?}");
    assert!(String::from_utf8_lossy(&text.stdout).contains("to the bit"), "{text:?}");
    let identical = document(&replay(&["--json"]));
    assert_eq!((&identical["identical"], &identical["scheme"]), (&true.into(), &"published-1".into()));
    assert_eq!(identical["parameters"]["weight_scheme"], "linear");

    let mut connection = PgConnection::connect(&database_url).await.unwrap();
    let tamper = "ALTER TABLE scoring.weights DISABLE TRIGGER kept;
                  UPDATE scoring.weights SET scaled = scaled - 1 WHERE uid = 1";
    sqlx::raw_sql(tamper).execute(&mut connection).await.unwrap();
    let text = replay(&[]);
    assert_eq!((text.status.code(), text.stdout.is_empty()), (Some(1), true), "{text:?}");
    assert!(String::from_utf8_lossy(&text.stderr).contains("the weight of uid 1 is"), "{text:?}");
    let changed = replay(&["--json"]);
    assert_eq!(changed.status.code(), Some(1));
    let changed: Value = serde_json::from_slice(&changed.stdout).unwrap();
    assert_eq!((&changed["identical"], &changed["difference"]["what"]), (&false.into(), &"the weight of uid 1".into()));

    let unknown = run(&["score", "replay", "8", "--database-url", &database_url]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("cycle 8 was not scored"), "{unknown:?}");
}

#[test]
fn the_measured_floor_is_what_the_setting_takes() {
    let output = run(&["env", "floor", "push-v3", "reach-v3", "--episodes", "3", "--json"]);
    let floors = document(&output);
    // Nobody pushes without looking: 1 − 0.05^(1/3).
    let floor = floors["metaworld/push-v3"].as_f64().unwrap();
    assert!((floor - (1.0 - 0.05_f64.powf(1.0 / 3.0))).abs() < 1e-9, "{floors}");
    assert_eq!(floors.as_object().unwrap().len(), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("0/3"), "{output:?}");

    let settings = [
        ("KINITRO_SCHEDULER_SCHEME", "guarded-1"),
        ("KINITRO_SCHEDULER_BURN_UID", "0"),
        ("KINITRO_SCHEDULER_FLOORS", str::from_utf8(&output.stdout).unwrap()),
    ];
    let effective = kinitro(Path::new("/"), &["config"]).envs(settings).output().unwrap();
    assert_eq!(effective.status.code(), Some(0), "{effective:?}");
    let effective = String::from_utf8(effective.stdout).unwrap();
    assert!(effective.contains("guarded-1") && effective.contains(&floor.to_string()[..10]), "{effective}");
}
