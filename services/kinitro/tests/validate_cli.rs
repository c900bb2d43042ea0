//! `kinitro validate` as a validator runs it: its settings, its secret, and weights that get from a backend onto a chain.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use axum::{Json, Router, routing::get};
use kinitro_chain::{ChainClient, Signer};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use support::{
    eventually,
    node::{Node, secret_file, wallet},
    up::kinitro,
};

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
const BOB_SEED: &str = "398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89";
/// Alice and Charlie mine, Bob validates.
const NEURONS: &str = "[[neurons]]\nhotkey = \"//Alice\"\n[[neurons]]\nhotkey = \"//Bob\"\nstake = 1000\nvalidator_permit = true\n\
                       [[neurons]]\nhotkey = \"//Charlie\"\n";

fn validate(arguments: &[&str]) -> Command {
    kinitro(Path::new("/"), &[&["validate"], arguments].concat())
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A process that is killed when the test ends, however it ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is as good.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn what_a_validator_needs_and_has_not_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let backend = ["--backend-url", "http://127.0.0.1:1", "--port", "0", "--state-dir", state.to_str().unwrap()];
    let wallets = folder.path().join("none");
    let none =
        ["--netuid", "1", "--wallet-path", wallets.to_str().unwrap(), "--wallet-name", "w", "--hotkey-name", "h"];
    for (arguments, said) in [
        (vec!["--netuid", "1", "--port", "0"], "backend_url"),
        (backend.to_vec(), "--netuid"),
        (vec!["--backend-url", "backend.example", "--netuid", "1", "--port", "0"], "https://"),
        ([&backend[..], &none].concat(), "none/w/hotkeys/h"),
    ] {
        let output = validate(&arguments).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(said), "{said}: {}", text(&output));
    }
    for (arguments, said) in [
        (vec!["--netuid", "subnet"], "--netuid"),
        (vec!["--hotkey-seed", BOB_SEED], "--hotkey-seed-file"),
        (vec!["--hotkey-seed-file", "f", "--wallet-name", "w"], "--wallet-name"),
    ] {
        let output = validate(&arguments).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(said) && !text(&output).contains(BOB_SEED), "{said}: {}", text(&output));
    }
}

#[test]
fn the_settings_of_a_validator_are_shown_without_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kinitro.toml");
    fs::write(&file, "[validator]\nnetuid = 26\nhotkey_name = \"mine\"\nbackend_url = \"https://b.example\"\n")
        .unwrap();
    let show = |variables: &[(&str, &str)]| {
        let mut command = kinitro(Path::new("/"), &["config", "--config", file.to_str().unwrap()]);
        command.envs(variables.iter().copied()).output().unwrap()
    };
    let output = show(&[
        ("KINITRO_VALIDATOR_HOTKEY_SEED", BOB_SEED),
        ("KINITRO_VALIDATOR_NETUID", "27"),
        ("KINITRO_VALIDATOR_LOG_LEVEL", "DEBUG"),
    ]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(!text(&output).contains(BOB_SEED), "{}", text(&output));
    let shown: toml::Table = toml::from_str(str::from_utf8(&output.stdout).unwrap()).unwrap();
    let validator = &shown["validator"];
    assert_eq!(validator["netuid"].as_integer(), Some(27), "a variable goes before the file");
    assert_eq!(validator["hotkey_name"].as_str(), Some("mine"));
    assert_eq!(validator["hotkey_seed"].as_str(), Some("***"));
    assert_eq!(validator["backend_url"].as_str(), Some("https://b.example"));

    let unknown = show(&[("KINITRO_VALIDATOR_BACKEND", "https://b.example")]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown).contains("KINITRO_VALIDATOR_BACKEND_URL"), "{}", text(&unknown));
}

#[tokio::test]
async fn the_development_chain_is_as_its_flags_say() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--block-ms", "100", "--commit-reveal", "--tempo", "77", "--weights-rate-limit", "5"];
    let node = Node::start(folder.path(), NEURONS, &flags);
    let chain = ChainClient::connect(&node.url).await.unwrap();
    let head = chain.best_head().await.unwrap();
    let subnet = chain.subnet_at(head.hash, 1).await.unwrap().unwrap();
    assert_eq!((subnet.size, subnet.tempo, subnet.weights_rate_limit, subnet.commit_reveal), (3, 77, 5, true));
    let of = |uri: &str| Signer::from_uri(uri).unwrap().hotkey();
    let permit = |validator: Option<kinitro_chain::Validator>| validator.map(|validator| validator.permit);
    assert_eq!(permit(chain.validator_at(head.hash, 1, &of("//Bob")).await.unwrap()), Some(true));
    assert_eq!(permit(chain.validator_at(head.hash, 1, &of("//Alice")).await.unwrap()), Some(false));

    let refused = kinitro(Path::new("/"), &["devchain", "--port", "0", "--spec", "420"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("461") && text(&refused).contains("419"), "{}", text(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backends_weights_get_onto_the_chain_and_the_validator_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), NEURONS, &["--block-ms", "100"]);
    let chain = ChainClient::connect(&node.url).await.unwrap();
    let charlie = Signer::from_uri("//Charlie").unwrap().hotkey();
    let document = json!({
        "block": 1, "block_number": 1, "cycle_id": 1,
        "weights": { "0": 0.25, "2": 0.75 },
        "weights_u16": { "uids": [0, 2], "values": [21845, 65535] },
        "hotkeys": { "0": ALICE, "2": charlie },
        "created_at": "2026-01-01T00:00:00Z", "timestamp": "2026-01-01T00:00:00Z",
        "metadata": { "n_miners_evaluated": 2, "n_environments": 1, "evaluation_duration_seconds": 1.0 },
    });
    let backend = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", backend.local_addr().unwrap());
    let router = Router::new().route("/v1/weights/latest", get(move || async { Json::<Value>(document) }));
    tokio::spawn(async move { axum::serve(backend, router).await });

    // Once with a wallet, once with a bare secret: the second finds what the first remembered, and has nothing to do.
    let wallets = wallet(folder.path(), "w", "h", BOB, BOB_SEED);
    let seed = folder.path().join("seed");
    secret_file(&seed, BOB_SEED);
    let state = folder.path().join("state");
    let fixed = [
        "--backend-url",
        &url,
        "--netuid",
        "1",
        "--network",
        &node.url,
        "--poll-interval",
        "1",
        "--state-dir",
        state.to_str().unwrap(),
    ];
    let with_wallet = ["--wallet-path", wallets.to_str().unwrap(), "--wallet-name", "w", "--hotkey-name", "h"];
    let with_seed = ["--hotkey-seed-file", seed.to_str().unwrap()];
    for key in [&with_wallet[..], &with_seed] {
        let log = folder.path().join("log");
        let mut command = validate(&[&fixed[..], key, &["--port", "0"]].concat());
        command.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let mut validator = Process(command.spawn().unwrap());
        let health = eventually("it says where it listens", || async {
            let said = fs::read_to_string(&log).unwrap();
            let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let address = lines.into_iter().find_map(|line| Some(line["address"].as_str()?.to_owned()));
            address.map(|address| format!("http://{address}/health")).ok_or(said)
        })
        .await;
        eventually("the weights are on the chain", || async {
            let head = chain.finalized_head().await.map_err(|error| error.to_string())?;
            let weights = chain.weights_at(head.hash, 1, kinitro_domain::MinerUid(1)).await;
            let weights: Vec<_> =
                weights.map_err(|error| error.to_string())?.into_iter().map(|(uid, weight)| (uid.0, weight)).collect();
            if weights == [(0, 21845), (2, 65535)] {
                Ok(())
            } else {
                Err(format!("{weights:?}: {}", fs::read_to_string(&log).unwrap()))
            }
        })
        .await;
        let well = eventually("it is well", || async {
            let asked = kinitro(Path::new("/"), &["health", &health]).output().unwrap();
            if asked.status.success() { Ok(asked) } else { Err(text(&asked)) }
        })
        .await;
        assert!(!text(&well).contains(BOB_SEED), "{}", text(&well));
        let pid = i32::try_from(validator.0.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        assert_eq!(validator.0.wait().unwrap().code(), Some(0), "{}", fs::read_to_string(&log).unwrap());
        assert!(!fs::read_to_string(&log).unwrap().contains(BOB_SEED));
    }
    assert!(fs::read_dir(&state).unwrap().count() > 0, "it remembers");
}
