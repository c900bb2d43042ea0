//! `kinitro miner` and the chain side of `kinitro crypto`, as their users run them, on a development chain in a process of its own.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use support::{
    node::{Node, secret_file, wallet},
    up::kinitro,
};

const DEPLOYMENT: &str = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";
/// The development keys that every Substrate tool knows.
const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
const ALICE_SEED: &str = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
/// As bittensor-wallet 4.1.1 writes it for `Keypair.create_from_uri("//Alice")`: there is no seed and no phrase in such a file.
const ALICE_EXPANDED: &str = "33a6f3093f158a7109f679410bef1a0c54168145e0cecb4df006c1c2fffb1f09\
                              925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011";
const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
const BOB_SEED: &str = "398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89";
const CHARLIE_PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Charlie";
/// Alice mines, Bob is the operator, Charlie is not registered.
const NEURONS: &str = "[[neurons]]\nhotkey = \"//Alice\"\n[[neurons]]\nhotkey = \"//Bob\"\n";

/// A chain, Alice's wallet, and files with Bob's keys.
struct Place {
    folder: tempfile::TempDir,
    node: Node,
    wallets: String,
    bob: String,
}

impl Place {
    fn new(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::start(folder.path(), NEURONS, flags);
        let wallets = wallet(folder.path(), "mine", "first", ALICE, ALICE_SEED).to_str().unwrap().to_owned();
        let bob = folder.path().join("bob.seed");
        secret_file(&bob, &format!("0x{BOB_SEED}\n"));
        Self { wallets, bob: bob.to_str().unwrap().to_owned(), node, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A command on this chain's subnet 1, without a key.
    fn command(&self, arguments: &[&str]) -> Command {
        kinitro(self.folder.path(), &[arguments, &["--netuid", "1", "--network", &self.node.url]].concat())
    }

    fn as_alice(&self, arguments: &[&str]) -> Command {
        let wallet = ["--wallet-path", &self.wallets, "--wallet-name", "mine", "--hotkey-name", "first"];
        self.command(&[arguments, &wallet].concat())
    }

    fn as_bob(&self, arguments: &[&str]) -> Command {
        self.command(&[arguments, &["--hotkey-seed-file", &self.bob]].concat())
    }

    /// A key pair of the operator's; returns the public key.
    fn key_pair(&self, name: &str) -> String {
        let folder = self.folder.path().to_str().unwrap();
        let made =
            kinitro(self.folder.path(), &["crypto", "generate-keypair", "--json", "--output", folder, "--name", name]);
        json_of(made)["public_key"].as_str().unwrap().to_owned()
    }

    fn shown(&self, arguments: &[&str]) -> Value {
        json_of(self.command(&[&["miner", "show-commitment", "--json"], arguments].concat()))
    }
}

const COMMIT: [&str; 6] = ["miner", "commit", "--repo", "user/policy", "--revision", "0a1b2c3d"];
const SEALED: [&str; 9] =
    ["miner", "commit", "--repo", "user/policy", "--revision", "0a1b2c3d", "--deployment-id", DEPLOYMENT, "--encrypt"];

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Its JSON; it succeeded and said no secret.
fn json_of(mut command: Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    assert_no_secret(&text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// It failed with this code, put nothing on stdout, and said this and no secret.
fn assert_refused(mut command: Command, code: i32, said: &[&str]) {
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{command:?}: {}", text(&output));
    for said in said {
        assert!(text(&output).contains(said), "{said}: {command:?}: {}", text(&output));
    }
    assert_no_secret(&text(&output));
}

fn assert_no_secret(said: &str) {
    for secret in [ALICE_SEED, ALICE_EXPANDED, BOB_SEED, "bottom drive", "lonely fit"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn a_sealed_endpoint_goes_from_the_published_key_through_the_chain_to_the_operator_alone() {
    let place = Place::new(&["--block-ms", "50"]);
    let public = place.key_pair("backend");
    let key = place.path("backend");
    let stranger = place.key_pair("stranger");

    let published = json_of(place.as_bob(&["crypto", "publish-public-key", "--private-key-file", &key, "--json"]));
    assert_eq!((&published["public_key"], &published["hotkey"]), (&json!(public), &json!(BOB)));
    let fetch = || place.command(&["crypto", "fetch-public-key", "--backend-hotkey", BOB]);
    let fetched = fetch().output().unwrap();
    assert_eq!(String::from_utf8_lossy(&fetched.stdout).trim(), public, "{}", text(&fetched));
    let fetched = json_of({
        let mut fetch = fetch();
        fetch.arg("--json");
        fetch
    });
    assert_eq!((&fetched["public_key"], &fetched["block"]), (&json!(public), &published["block"]));

    let committed = json_of(place.as_alice(&[&SEALED[..], &["--backend-hotkey", BOB, "--json"]].concat()));
    assert_eq!((&committed["hotkey"], &committed["sealed_form"]), (&json!(ALICE), &json!("bound")), "{committed}");
    assert_eq!(committed["sealed_for"], public.as_str());
    let bytes = committed["commitment"].as_str().unwrap();
    assert_eq!(committed["bytes"], bytes.len());
    assert!(bytes.len() <= 128 && !bytes.contains(&DEPLOYMENT[..8]), "{bytes}");

    let seen = place.shown(&["--hotkey", ALICE]);
    assert_eq!((&seen["commitment"], &seen["block"]), (&committed["commitment"], &committed["block"]), "{seen}");
    assert_eq!((&seen["sealed"], &seen["endpoint"], &seen["uid"]), (&json!(true), &Value::Null, &json!(0)), "{seen}");
    assert!(!seen.to_string().contains(DEPLOYMENT), "{seen}");
    let opened = place.shown(&["--uid", "0", "--private-key-file", &key]);
    assert_eq!((&opened["repo"], &opened["revision"]), (&json!("user/policy"), &json!("0a1b2c3d")), "{opened}");
    assert_eq!(opened["endpoint"], DEPLOYMENT, "{opened}");
    assert_eq!((&opened["sealed"], &opened["reason"]), (&json!(true), &Value::Null), "{opened}");
    let closed = place.shown(&["--hotkey", ALICE, "--private-key-file", &place.path("stranger")]);
    assert_eq!(closed["endpoint"], Value::Null, "{closed}");
    assert!(closed["reason"].as_str().unwrap().contains("does not open"), "{closed}");

    // Older backends read the other form; the key can be named by hand or by a variable.
    let mut open = place.as_alice(&[&SEALED[..], &["--sealed-form", "open", "--json"]].concat());
    // A wallet that is named goes before a secret in the surroundings.
    open.env("KINITRO_BACKEND_PUBLIC_KEY", &stranger).env("KINITRO_HOTKEY_SEED", CHARLIE_PHRASE);
    let committed = json_of(open);
    assert_eq!(committed["hotkey"], ALICE);
    assert_eq!((&committed["sealed_form"], &committed["sealed_for"]), (&json!("open"), &json!(stranger)));
    let opened = place.shown(&["--hotkey", ALICE, "--private-key-file", &place.path("stranger")]);
    assert_eq!(opened["endpoint"], DEPLOYMENT, "{opened}");

    // A published key is shown as one, and is lost to no mistake.
    let published = place.shown(&["--hotkey", BOB]);
    assert_eq!((&published["public_key"], &published["repo"]), (&json!(public), &Value::Null), "{published}");
    let endpoint = ["--endpoint", "http://127.0.0.1:9000"];
    assert_refused(place.as_bob(&[&COMMIT[..], &endpoint].concat()), 1, &["public key", "--replace"]);
    assert_refused(
        place.as_alice(&["crypto", "publish-public-key", "--private-key-file", &key]),
        1,
        &["user/policy", "--replace"],
    );
    // What is shown is what was committed, character for character.
    let odd = json_of(place.as_alice(&[&COMMIT[..], &["--endpoint", "http://127.0.0.1:9000/it's", "--json"]].concat()));
    assert!(odd["commitment"].as_str().unwrap().contains("it's"), "{odd}");
    assert_eq!(place.shown(&["--hotkey", ALICE])["commitment"], odd["commitment"]);
    // A new key replaces the old one without a question.
    let new = ["crypto", "publish-public-key", "--public-key-file", &place.path("stranger.pub"), "--json"];
    assert_eq!(json_of(place.as_bob(&new))["public_key"], stranger.as_str());
}

#[test]
fn a_plain_commitment_is_shown_to_everybody_as_it_stands_on_the_chain() {
    // The older runtime, on which a netuid is a plain number.
    let place = Place::new(&["--block-ms", "50", "--spec", "419"]);
    let none = place.shown(&["--uid", "0"]);
    assert_eq!((&none["commitment"], &none["hotkey"]), (&Value::Null, &json!(ALICE)), "{none}");

    let committed = json_of(place.as_alice(&[&COMMIT[..], &["--deployment-id", DEPLOYMENT, "--json"]].concat()));
    assert_eq!(committed["commitment"], format!("user/policy:0a1b2c3d:{DEPLOYMENT}"));
    assert_eq!((&committed["sealed"], &committed["sealed_for"]), (&json!(false), &Value::Null), "{committed}");

    // A wallet that was made from a URI signs, too.
    let hotkeys = place.folder.path().join("wallets/uri/hotkeys");
    fs::create_dir_all(&hotkeys).unwrap();
    let key = json!({ "cryptoType": 1, "privateKey": format!("0x{ALICE_EXPANDED}"), "ss58Address": ALICE });
    secret_file(&hotkeys.join("first"), &key.to_string());
    let wallet = ["--wallet-path", &place.wallets, "--wallet-name", "uri", "--hotkey-name", "first"];
    let expanded = json_of(place.command(&[&COMMIT[..], &["--deployment-id", DEPLOYMENT, "--json"], &wallet].concat()));
    assert_eq!(expanded["hotkey"], ALICE, "{expanded}");

    // For people: what is sent on stderr, what came of it on stdout.
    let output = place.as_alice(&[&COMMIT[..], &["--endpoint", "grpc://127.0.0.1:9000"]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("user/policy:0a1b2c3d:grpc://127.0.0.1:9000") && stdout.contains("finalized"), "{stdout}");
    assert!(stderr.contains(ALICE), "{stderr}");

    // The wallet's own hotkey needs no secret to be looked up.
    fs::remove_file(place.folder.path().join("chain.toml")).unwrap();
    let own = place.as_alice(&["miner", "show-commitment"]).output().unwrap();
    assert!(own.status.success(), "{}", text(&own));
    let own = String::from_utf8_lossy(&own.stdout).into_owned();
    assert!(own.contains("grpc://127.0.0.1:9000") && own.contains(ALICE), "{own}");
    let seen = place.shown(&["--hotkey", ALICE]);
    assert_eq!((&seen["endpoint"], &seen["sealed"]), (&json!("grpc://127.0.0.1:9000"), &json!(false)), "{seen}");
    // Who is not registered may be looked up; nothing is there.
    let stranger = "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y";
    let unknown = place.shown(&["--hotkey", stranger]);
    assert_eq!((&unknown["uid"], &unknown["commitment"]), (&Value::Null, &Value::Null), "{unknown}");
}

#[test]
fn of_a_whole_hash_eight_characters_are_committed_unless_all_of_it_is_wanted() {
    let place = Place::new(&["--block-ms", "50"]);
    let public = place.key_pair("backend");
    let hash = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
    let sealed = ["--deployment-id", DEPLOYMENT, "--encrypt", "--backend-public-key", &public];
    let full = [&["miner", "commit", "--repo", "user/policy", "--revision", hash][..], &sealed].concat();
    let short = json_of(place.as_alice(&[&full[..], &["--json"]].concat()));
    assert!(short["commitment"].as_str().unwrap().starts_with("user/policy:0a1b2c3d:b:"), "{short}");
    let endpoint = ["--endpoint", "http://127.0.0.1:9000", "--full-revision"];
    let plain_full = [&["miner", "commit", "--repo", "user/policy", "--revision", hash][..], &endpoint].concat();
    let written = json_of(place.as_alice(&[&plain_full[..], &["--json"]].concat()));
    assert_eq!(written["commitment"], json!(format!("user/policy:{hash}:http://127.0.0.1:9000")));
}

#[test]
fn what_cannot_be_committed_is_refused_with_what_to_do() {
    let place = Place::new(&["--block-ms", "50"]);
    let plain = [&COMMIT[..], &["--deployment-id", DEPLOYMENT]].concat();
    let with = |more: &[&str]| place.as_alice(&[&COMMIT[..], more].concat());
    let public = place.key_pair("backend");

    let mut charlie = place.command(&plain);
    charlie.env("KINITRO_HOTKEY_SEED", CHARLIE_PHRASE);
    assert_refused(charlie, 1, &["not registered on subnet 1", "btcli subnet register"]);
    let elsewhere =
        [&plain[..], &["--hotkey-seed-file", &place.bob, "--netuid", "7", "--network", &place.node.url]].concat();
    assert_refused(kinitro(Path::new("/"), &elsewhere), 1, &["has no subnet 7", "--netuid"]);

    let long = format!("http://127.0.0.1:9000/{}", "x".repeat(100));
    assert_refused(with(&["--endpoint", &long]), 1, &["15 more than the chain's 128", "shorten the endpoint"]);
    let hash = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
    let sealed = ["--deployment-id", DEPLOYMENT, "--encrypt", "--backend-public-key", &public];
    let full = [&["miner", "commit", "--repo", "user/policy", "--revision", hash][..], &sealed].concat();
    let whole = [&full[..], &["--full-revision"]].concat();
    assert_refused(place.as_alice(&whole), 1, &["shorten the revision", "leave out --full-revision"]);
    assert_refused(
        place.as_alice(&[&["miner", "commit", "--repo", "policy", "--revision", "v1"][..], &sealed].concat()),
        1,
        &["user/name"],
    );
    assert_refused(with(&["--endpoint", "127.0.0.1:9000"]), 1, &["--endpoint", "grpc"]);

    assert_refused(place.as_alice(&SEALED), 1, &["--backend-hotkey", "--backend-public-key"]);
    let sealed_with = |variables: &[(&str, &str)]| {
        let mut command = place.as_alice(&SEALED);
        command.envs(variables.iter().copied());
        command
    };
    let (hotkey, key) = ("KINITRO_BACKEND_HOTKEY", "KINITRO_BACKEND_PUBLIC_KEY");
    assert_refused(sealed_with(&[(hotkey, BOB), (key, &public)]), 1, &["keep one of them"]);
    assert_refused(sealed_with(&[(hotkey, "Bob")]), 1, &[hotkey, "SS58"]);
    assert_refused(sealed_with(&[(hotkey, BOB)]), 1, &["no public key", "ask the operator"]);
    assert_refused(sealed_with(&[(key, "abc")]), 1, &[key, "64 hex digits"]);
    assert_refused(place.as_alice(&[&SEALED[..], &["--backend-public-key", "abc"]].concat()), 1, &["64 hex digits"]);
    let zero = "0".repeat(64);
    assert_refused(place.as_alice(&[&SEALED[..], &["--backend-public-key", &zero]].concat()), 1, &["cannot be sealed"]);

    let wallet = |name: &str| {
        place.command(
            &[&plain[..], &["--wallet-path", &place.wallets, "--wallet-name", name, "--hotkey-name", "first"]].concat(),
        )
    };
    assert_refused(wallet("yours"), 1, &["wallets/yours/hotkeys/first", "--wallet-name"]);
    let exposed = place.path("exposed.seed");
    fs::write(&exposed, BOB_SEED).unwrap();
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o666)).unwrap();
    assert_refused(place.command(&[&plain[..], &["--hotkey-seed-file", &exposed]].concat()), 1, &["chmod 600"]);
    let damaged = place.path("damaged.seed");
    secret_file(Path::new(&damaged), &BOB_SEED[1..]);
    assert_refused(
        place.command(&[&plain[..], &["--hotkey-seed-file", &damaged]].concat()),
        1,
        &["64 hex digits or a mnemonic"],
    );
    for secret in [format!("0x{BOB_SEED}"), BOB_SEED.to_owned(), CHARLIE_PHRASE.to_owned()] {
        let mistaken = place.command(&[&plain[..], &["--hotkey-seed-file", &secret]].concat());
        assert_refused(mistaken, 1, &["looks like a key", "64 hex digits or a mnemonic"]);
    }
    let away =
        [&plain[..], &["--netuid", "1", "--network", "ws://127.0.0.1:1", "--hotkey-seed-file", &place.bob]].concat();
    assert_refused(kinitro(Path::new("/"), &away), 1, &["ws://127.0.0.1:1 cannot be reached"]);
    let nowhere = [&plain[..], &["--netuid", "1", "--network", "finny", "--hotkey-seed-file", &place.bob]].concat();
    assert_refused(kinitro(Path::new("/"), &nowhere), 1, &["finney, test, local"]);
    // None of them left anything on the chain.
    assert_eq!(place.shown(&["--uid", "0"])["commitment"], Value::Null);
    assert_refused(place.command(&["miner", "show-commitment", "--uid", "9"]), 1, &["no uid 9"]);
}

#[test]
fn bad_usage_of_the_miners_commands_ends_with_2() {
    let place = Path::new("/");
    let on = ["--netuid", "1"];
    let bad = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ";
    for (arguments, said) in [
        (vec!["--deployment-id", DEPLOYMENT], "--netuid"),
        ([&on[..], &[]].concat(), "--deployment-id"),
        ([&on[..], &["--deployment-id", DEPLOYMENT, "--endpoint", "http://h"]].concat(), "--endpoint"),
        ([&on[..], &["--endpoint", "http://h", "--encrypt"]].concat(), "--encrypt"),
        ([&on[..], &["--deployment-id", "mine"]].concat(), "mine"),
        ([&on[..], &["--deployment-id", DEPLOYMENT, "--encrypt", "--backend-hotkey", bad]].concat(), "checksum"),
        (
            [
                &on[..],
                &["--deployment-id", DEPLOYMENT, "--encrypt", "--backend-hotkey", ALICE, "--backend-public-key", "00"],
            ]
            .concat(),
            "cannot be used with",
        ),
        // A seal that was asked for and forgotten would be a plain commitment for everybody to read.
        ([&on[..], &["--deployment-id", DEPLOYMENT, "--backend-hotkey", ALICE]].concat(), "--encrypt"),
        ([&on[..], &["--deployment-id", DEPLOYMENT, "--backend-public-key", &"09".repeat(32)]].concat(), "--encrypt"),
        ([&on[..], &["--deployment-id", DEPLOYMENT, "--sealed-form", "bound"]].concat(), "--encrypt"),
        ([&on[..], &["--endpoint", "http://h", "--backend-hotkey", ALICE]].concat(), "--backend-hotkey"),
        ([&on[..], &["--endpoint", "http://h", "--backend-public-key", "00"]].concat(), "--backend-public-key"),
        ([&on[..], &["--endpoint", "http://h", "--sealed-form", "open"]].concat(), "--sealed-form"),
        ([&on[..], &["--deployment-id", DEPLOYMENT, "--sealed-form", "shut"]].concat(), "bound"),
        (
            [&on[..], &["--deployment-id", DEPLOYMENT, "--hotkey-seed-file", "f", "--wallet-name", "w"]].concat(),
            "--wallet-name",
        ),
        ([&on[..], &["--deployment-id", DEPLOYMENT, "--hotkey-seed", ALICE_SEED]].concat(), "KINITRO_HOTKEY_SEED"),
        (
            [&on[..], &["--deployment-id", DEPLOYMENT, &format!("--hotkey-seed={ALICE_SEED}")]].concat(),
            "--hotkey-seed-file",
        ),
    ] {
        assert_refused(kinitro(place, &[&COMMIT[..], &arguments].concat()), 2, &[said]);
    }
}

#[test]
fn a_commitment_that_is_not_sealed_although_a_key_is_at_hand_is_warned_about() {
    let place = Place::new(&["--block-ms", "50"]);
    let plain = [&COMMIT[..], &["--deployment-id", DEPLOYMENT]].concat();
    let mut with_variable = place.as_alice(&plain);
    // An empty variable is none.
    with_variable.env("KINITRO_BACKEND_PUBLIC_KEY", "09".repeat(32)).env("KINITRO_BACKEND_HOTKEY", "");
    let output = with_variable.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains("warning: KINITRO_BACKEND_PUBLIC_KEY is set") && said.contains("--encrypt"), "{said}");
    assert!(!said.contains("KINITRO_BACKEND_HOTKEY"), "{said}");
    let without = place.as_alice(&plain).output().unwrap();
    assert!(without.status.success() && !text(&without).contains("warning"), "{}", text(&without));

    // Whoever fetches the key may have an empty variable, too.
    let mut fetch = place.command(&["crypto", "fetch-public-key"]);
    fetch.env("KINITRO_BACKEND_HOTKEY", "");
    assert_refused(fetch, 2, &["were not provided", "--backend-hotkey"]);
    let mut fetch = place.command(&["crypto", "fetch-public-key", "--backend-hotkey", BOB]);
    fetch.env("KINITRO_BACKEND_HOTKEY", "").env("KINITRO_CONFIG", "");
    assert_refused(fetch, 1, &["no public key"]);
}
