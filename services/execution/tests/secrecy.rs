//! What decides or describes the scene never leaves the executor: neither the seed nor where things are.
#![allow(clippy::unwrap_used)]

mod support;

use kinitro_proto::execution::v1::RunEpisodeRequest;
use kinitro_sim::{Action, EpisodeOptions, Randomisation, Simulator};
use serde_json::Value;
use support::{
    ENVIRONMENTS, Executor,
    policy::{Act, PolicyServer, Received},
};

/// Easy to recognise in any spelling.
const SEED: u32 = 0xdead_beef;
const STEPS: u32 = 40;
/// Moves the hand, so that what moves with it would be noticed.
const TWIST: [f64; 6] = [0.1, 0.9, -0.6, 0.0, 0.0, 0.0];

async fn played(env_id: &str, images: bool, steps: u32) -> Vec<Received> {
    let executor = Executor::alone(|config| config.max_timesteps = steps).await;
    let policy = PolicyServer::start(|_, _| Act::Move(TWIST, 1.0)).await;
    let request = RunEpisodeRequest {
        env_id: env_id.to_owned(),
        seed: SEED.into(),
        endpoint: policy.url(),
        use_images: Some(images),
        ..Default::default()
    };
    let result = executor.client.clone().run_episode(request).await.unwrap().into_inner();
    assert!(["success", "failure"].contains(&result.verdict.as_str()), "{result:?}");
    std::mem::take(&mut *policy.received.lock().unwrap())
}

/// Every way in which a program would write the seed, lower case.
fn spellings() -> Vec<String> {
    let seed = u64::from(SEED);
    let mut spellings = vec![
        format!("{seed}"),
        format!("{}", SEED as i32),
        format!("{seed:x}"),
        format!("{:x}", SEED.swap_bytes()),
        format!("{seed:o}"),
        format!("{seed:b}"),
        format!("{:e}", seed as f64),
    ];
    for bytes in [SEED.to_le_bytes(), SEED.to_be_bytes()] {
        // In base64 at each of the three places where the bytes can begin within a group; only the characters that depend on nothing else.
        spellings.push(base64(&bytes)[..5].to_owned());
        spellings.push(base64(&[&[0], &bytes[..]].concat())[2..6].to_owned());
        spellings.push(base64(&[&[0, 0], &bytes[..]].concat())[3..8].to_owned());
    }
    spellings
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    bits.chunks(6)
        .map(|six| (0..6).fold(0, |value, i| value << 1 | six.get(i).copied().unwrap_or(0)))
        .map(|index| ALPHABET[index as usize] as char)
        .collect()
}

/// Every list of numbers in a document, and every number as a list of its own.
fn lists(value: &Value, found: &mut Vec<Vec<f64>>) {
    match value {
        Value::Array(items) => {
            found.push(items.iter().filter_map(Value::as_f64).collect());
            items.iter().for_each(|item| lists(item, found));
        }
        Value::Object(members) => {
            found.push(members.values().filter_map(Value::as_f64).collect());
            members.values().for_each(|member| lists(member, found));
        }
        _ => {}
    }
}

/// Whether two coordinates of a position stand side by side in a document, to a micrometre: enough to give it away.
fn tells(document: &Value, secret: &[f64; 3]) -> bool {
    let mut found = Vec::new();
    lists(document, &mut found);
    let near = |told: &[f64], pair: &[f64]| told.iter().zip(pair).all(|(a, b)| (a - b).abs() < 1e-6);
    let pairs = || secret.windows(2).filter(|pair| pair.iter().any(|number| number.abs() > 1e-9));
    found.iter().any(|numbers| numbers.windows(2).any(|told| pairs().any(|pair| near(told, pair))))
}

/// Whether a text contains the seed.
fn tells_seed(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    spellings().into_iter().find(|spelling| text.contains(&spelling.to_ascii_lowercase()))
}

#[test]
fn what_gives_a_secret_away_is_noticed() {
    let secret = [0.1234567, 0.7, 0.02];
    for document in [
        serde_json::json!({"obs": {"proprio": {"object": [0.0, 0.1234568, 0.7000001, 0.0]}}}),
        serde_json::json!({"a": [{"x": 0.7, "y": 0.02}]}),
    ] {
        assert!(tells(&document, &secret), "{document}");
    }
    assert!(!tells(&serde_json::json!({"a": [0.7, 0.1234567], "b": [0.02]}), &secret));

    let bytes = |before: usize| base64(&[&vec![7; before], &SEED.to_le_bytes()[..], &[9, 9]].concat());
    for text in [
        format!("seed={SEED}"),
        serde_json::json!(f64::from(SEED)).to_string(),
        format!("{SEED:#X}"),
        format!("{:016x}", u64::from(SEED)),
        bytes(0),
        bytes(1),
        bytes(2),
        bytes(3),
    ] {
        assert!(tells_seed(&text).is_some(), "{text}");
    }
    assert_eq!(tells_seed("3735928558 deadbee"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_reaches_no_policy_in_any_spelling() {
    let received = played("metaworld/push-v3", false, STEPS).await;
    assert_eq!(received.len(), 2 + STEPS as usize);
    for received in &received {
        let text = format!("{} {}", received.head, String::from_utf8(received.body.clone()).unwrap());
        assert_eq!(tells_seed(&text), None, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_that_is_sent_is_another_one_each_time() {
    let mut sent = Vec::new();
    for _ in 0..2 {
        let received = played("metaworld/push-v3", false, 1).await;
        let config = received[1].json()["task_config"].clone();
        let mut fields: Vec<_> = config.as_object().unwrap().keys().cloned().collect();
        fields.sort();
        assert_eq!(fields, ["env_id", "env_name", "seed", "task_id", "task_name"]);
        let names = ["env_id", "env_name", "task_name"].map(|name| config[name].as_str());
        assert_eq!(names, ["metaworld/push-v3", "metaworld", "push-v3"].map(Some), "as existing servers validate them");
        for number in ["seed", "task_id"] {
            assert!(config[number].as_u64().is_some_and(|number| number < 1 << 31), "{number}: {}", config[number]);
        }
        sent.push((config["seed"].clone(), config["task_id"].clone()));
    }
    assert_ne!(sent[0].0, sent[1].0);
    assert_ne!(sent[0].1, sent[1].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observation_holds_the_documented_members_and_nothing_else() {
    for received in played("metaworld/push-v3", true, 2).await.iter().filter(|received| received.path == "/act") {
        let body = received.json();
        let keys = |value: &Value| {
            let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(&body), ["obs"]);
        assert_eq!(keys(&body["obs"]), ["cam_extrinsics", "cam_intrinsics", "depth", "extra", "proprio", "rgb"]);
        assert_eq!(keys(&body["obs"]["proprio"]), ["ee_pos", "ee_quat", "ee_vel_ang", "ee_vel_lin", "gripper"]);
        assert_eq!(keys(&body["obs"]["rgb"]), ["corner", "corner2"]);
        for empty in ["cam_extrinsics", "cam_intrinsics", "depth", "extra"] {
            assert_eq!(body["obs"][empty], serde_json::json!({}));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_object_or_goal_position_reaches_a_policy() {
    let simulator = Simulator::new(None).unwrap();
    for env_id in ENVIRONMENTS {
        let received = played(env_id, false, STEPS).await;

        // The same episode again, with its state in sight. The observation of the original has the object at 4..7, and its goal last.
        let randomisation = Randomisation::STANDARD;
        let options = EpisodeOptions { max_timesteps: STEPS, randomisation, ..EpisodeOptions::default() };
        let mut episode = simulator.start(&env_id.parse().unwrap(), SEED.into(), options).unwrap();
        let mut secrets: Vec<[f64; 3]> = Vec::new();
        loop {
            let native = episode.native_observation(true);
            assert_eq!(native.len(), 39);
            secrets.push(native[4..7].try_into().unwrap());
            secrets.push(native[36..39].try_into().unwrap());
            if episode.step(&Action::new(TWIST, 1.0).unwrap()).unwrap().finished {
                break;
            }
        }
        assert!(secrets.iter().flatten().any(|number| number.abs() > 1e-3), "the secrets of {env_id} are real");

        for received in received.iter().filter(|received| !received.body.is_empty()) {
            for secret in &secrets {
                assert!(!tells(&received.json(), secret), "{env_id}: {secret:?} in {}", received.json());
            }
        }
    }
}
