//! Wallets and secrets in files: what is read, what is refused, and that nothing of a secret shows.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use kinitro_chain::{ChainError, Signer, Wallet};
use proptest::prelude::*;
use tempfile::TempDir;

const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
/// The key of the phrase; facts from Substrate's development account.
const SEED: &str = "0xfac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e";
const ADDRESS: &str = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV";
const OTHER: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

struct Wallets {
    folder: TempDir,
    wallet: Wallet,
}

impl Wallets {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("main/hotkeys")).unwrap();
        let wallet = Wallet { path: folder.path().to_owned(), name: "main".to_owned(), hotkey: "hot".to_owned() };
        Self { folder, wallet }
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.folder.path().join("main/hotkeys").join(file);
        fs::write(&path, content).unwrap();
        chmod(&path, mode);
        path
    }

    fn refused(&self) -> String {
        let error = self.wallet.signer().unwrap_err();
        assert!(matches!(error, ChainError::KeyFile { .. }), "{error}");
        let said = format!("{error} {error:?}");
        for secret in ["bottom", "curtain", "fac7959d", "7797479e"] {
            assert!(!said.contains(secret), "{said}");
        }
        said
    }
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn key_file(fields: &[(&str, &str)]) -> String {
    let fields: serde_json::Map<_, _> =
        fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    serde_json::Value::Object(fields).to_string()
}

#[test]
fn a_key_file_of_bittensors_gives_the_key_by_phrase_or_seed() {
    for secret in [
        vec![("secretPhrase", PHRASE)],
        vec![("secretSeed", SEED)],
        vec![("secretPhrase", PHRASE), ("secretSeed", SEED)],
    ] {
        let wallets = Wallets::new();
        let fields = [&secret[..], &[("accountId", "0x00"), ("privateKey", "0x00"), ("ss58Address", ADDRESS)]].concat();
        wallets.write("hot", key_file(&fields), 0o600);
        assert_eq!(wallets.wallet.signer().unwrap().hotkey().as_str(), ADDRESS);
        assert_eq!(wallets.wallet.hotkey().unwrap().as_str(), ADDRESS);
    }
}

#[test]
fn a_key_file_made_from_a_uri_holds_the_expanded_key_alone() {
    // What bittensor-wallet 4.1.1 wrote for `Keypair.create_from_uri("//Alice")`.
    let expanded = "0x33a6f3093f158a7109f679410bef1a0c54168145e0cecb4df006c1c2fffb1f09\
                    925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011";
    let wallets = Wallets::new();
    wallets.write("hot", key_file(&[("privateKey", expanded), ("ss58Address", OTHER)]), 0o600);
    assert_eq!(wallets.wallet.signer().unwrap().hotkey().as_str(), OTHER);
    wallets.write("hot", key_file(&[("privateKey", expanded), ("ss58Address", ADDRESS)]), 0o600);
    assert!(wallets.refused().contains(OTHER));
    wallets.write("hot", key_file(&[("privateKey", expanded)]), 0o600);
    assert!(wallets.refused().contains("without the ss58Address"));
    // A seed is no expanded key.
    wallets.write("hot", key_file(&[("privateKey", SEED), ("ss58Address", ADDRESS)]), 0o600);
    assert!(wallets.refused().contains("128 hex digits"));
}

#[test]
fn a_secret_is_understood_as_people_and_editors_write_it() {
    let capital = PHRASE.to_uppercase();
    let half = PHRASE.len() / 2;
    let at = half + PHRASE[half..].find(' ').unwrap();
    let two_lines = format!("{}\r\n  {}\n", &PHRASE[..at], &PHRASE[at..]);
    let digits = &SEED[2..];
    for secret in [
        capital.clone(),
        two_lines.clone(),
        format!("\u{feff}{PHRASE}\n"),
        format!("\u{feff}{}\t", capital.replace(' ', "  ")),
        format!("\u{feff}{SEED}\r\n"),
        format!("0X{}", digits.to_uppercase()),
        format!("{}\n{}\n", &digits[..32], &digits[32..]),
    ] {
        assert_eq!(Signer::from_secret(&secret).unwrap().hotkey().as_str(), ADDRESS, "{secret:?}");
        let wallets = Wallets::new();
        let path = wallets.write("hot", &secret, 0o600);
        assert_eq!(Signer::from_file(&path).unwrap().hotkey().as_str(), ADDRESS, "{secret:?}");
    }
    for phrase in [&capital, &two_lines] {
        let wallets = Wallets::new();
        let marked = format!("\u{feff}{}", key_file(&[("secretPhrase", phrase), ("ss58Address", ADDRESS)]));
        wallets.write("hot", marked, 0o600);
        assert_eq!(wallets.wallet.signer().unwrap().hotkey().as_str(), ADDRESS);
        assert_eq!(wallets.wallet.hotkey().unwrap().as_str(), ADDRESS);
    }
    // What is derived keeps its capitals.
    let alice = Signer::from_secret(&format!("{capital}//Alice")).unwrap();
    assert_eq!(alice.hotkey().as_str(), OTHER);
    assert_ne!(Signer::from_secret(&format!("{capital}//alice")).unwrap().hotkey().as_str(), OTHER);
}

#[test]
fn the_fault_of_a_secret_is_named_and_the_secret_is_not() {
    let words: Vec<&str> = PHRASE.split(' ').collect();
    let swapped = PHRASE.replace("bottom drive", "drive bottom");
    let misspelt = PHRASE.replace("obey", "obay");
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(PHRASE.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for (secret, fault) in [
        (words[1..].join(" ").into_bytes(), "11 words"),
        (misspelt.into_bytes(), "word 3"),
        (swapped.into_bytes(), "checksum"),
        (SEED.as_bytes()[..65].to_vec(), "63 hex digits"),
        (utf16, "UTF-16"),
        (b"\xef\xbb\xbf \n".to_vec(), "is empty"),
    ] {
        let wallets = Wallets::new();
        let path = wallets.write("hot", &secret, 0o600);
        let refused = Signer::from_file(&path).unwrap_err();
        let said = format!("{refused} {refused:?}");
        assert!(said.contains(fault), "{fault}: {said}");
        for shown in ["bottom", "curtain", "obay", "fac7959d"] {
            assert!(!said.contains(shown), "{said}");
        }
    }
}

#[test]
fn the_address_needs_no_secret_when_the_public_file_is_there() {
    let wallets = Wallets::new();
    wallets.write("hotpub.txt", key_file(&[("ss58Address", ADDRESS)]), 0o644);
    assert_eq!(wallets.wallet.hotkey().unwrap().as_str(), ADDRESS);
    wallets.write("hot", "$NACL and then noise", 0o600);
    assert_eq!(wallets.wallet.hotkey().unwrap().as_str(), ADDRESS);
    assert!(wallets.refused().contains("--no-use-password"));
}

#[test]
fn a_file_with_another_address_than_its_secret_is_refused() {
    let wallets = Wallets::new();
    wallets.write("hot", key_file(&[("secretPhrase", PHRASE), ("ss58Address", OTHER)]), 0o600);
    let said = wallets.refused();
    assert!(said.contains(ADDRESS) && said.contains(OTHER), "{said}");

    wallets.write("hot", key_file(&[("secretPhrase", PHRASE), ("ss58Address", ADDRESS)]), 0o600);
    wallets.write("hotpub.txt", key_file(&[("ss58Address", OTHER)]), 0o644);
    assert!(wallets.refused().contains("hotpub.txt"));
}

#[test]
fn encrypted_files_are_refused_with_what_to_do() {
    for start in ["$NACL\u{1}\u{2}", "$ANSIBLE_VAULT;1.1;AES256\n3132", "gAAAAABh"] {
        let wallets = Wallets::new();
        wallets.write("hot", start, 0o600);
        assert!(wallets.refused().contains("regen-hotkey --no-use-password"), "{start}");
    }
    let wallets = Wallets::new();
    wallets.write("hot", [b"$NACL".as_slice(), &[0xff; 40]].concat(), 0o600);
    assert!(wallets.refused().contains("encrypted"));
}

#[test]
fn a_file_that_others_may_write_or_everybody_may_read_is_refused_and_one_that_a_group_may_read_is_not() {
    let wallets = Wallets::new();
    let path = wallets.write("hot", key_file(&[("secretPhrase", PHRASE)]), 0o620);
    for mode in [0o620, 0o602, 0o666, 0o644, 0o604] {
        chmod(&path, mode);
        assert!(wallets.refused().contains("chmod 600"), "{mode:o}");
    }
    for mode in [0o600, 0o400, 0o640, 0o440] {
        chmod(&path, mode);
        assert_eq!(wallets.wallet.signer().unwrap().hotkey().as_str(), ADDRESS);
    }
}

#[test]
fn a_phrase_without_words_makes_no_key() {
    // Each would be a key of the development phrase, which everybody knows.
    for phrase in ["//Alice", "/soft", "///password", " //Alice"] {
        let wallets = Wallets::new();
        let path = wallets.write("hot", key_file(&[("secretPhrase", phrase), ("secretSeed", SEED)]), 0o600);
        assert!(wallets.refused().contains("no words"), "{phrase}");
        assert!(Signer::from_file(&path).is_err(), "{phrase}");
    }
    for blank in ["", " ", "\n"] {
        let wallets = Wallets::new();
        wallets.write("hot", key_file(&[("secretPhrase", blank)]), 0o600);
        assert!(wallets.refused().contains("holds no secretPhrase"), "{blank:?}");
        wallets.write("hot", key_file(&[("secretPhrase", blank), ("secretSeed", SEED)]), 0o600);
        assert_eq!(wallets.wallet.signer().unwrap().hotkey().as_str(), ADDRESS, "{blank:?}");
    }
}

#[test]
fn an_encrypted_file_is_called_encrypted_wherever_it_lies() {
    let wallets = Wallets::new();
    for content in [[b"$NACL".as_slice(), &[0xff; 40]].concat(), b"gAAAAABh".to_vec()] {
        let path = wallets.write("hot", content, 0o600);
        let refused = Signer::from_file(&path).unwrap_err().to_string();
        assert!(refused.contains("it is encrypted"), "{refused}");
    }
}

#[test]
fn what_is_no_key_file_is_refused_without_being_quoted() {
    let long = format!("{{\"secretPhrase\": \"{PHRASE}{}\"}}", " ".repeat(20_000));
    for bad in [
        String::new(),
        PHRASE.to_owned(),
        format!("[\"{PHRASE}\"]"),
        format!("{{\"secretPhrase\": [\"{PHRASE}\"]}}"),
        format!("{{\"secretPhrase\": \"{PHRASE}\", \"secretSeed\": {{\"{SEED}\": 1}}}}"),
        format!("{{\"secretPhrase\": \"{PHRASE} walk\"}}"),
        format!("{{\"secretSeed\": \"{SEED}00\"}}"),
        format!("{{\"ss58Address\": \"{ADDRESS}\"}}"),
        format!("{{\"secretPhrase\": \"{PHRASE}\", \"ss58Address\": \"{SEED}\"}}"),
        long,
    ] {
        let wallets = Wallets::new();
        wallets.write("hot", bad, 0o600);
        wallets.refused();
    }
    let wallets = Wallets::new();
    assert!(wallets.refused().contains("hotkeys/hot"));
    fs::create_dir(wallets.folder.path().join("main/hotkeys/hot")).unwrap();
    assert!(wallets.refused().contains("no regular file"));
}

#[test]
fn a_secret_in_the_place_of_its_file_is_not_shown() {
    for secret in [SEED, &SEED[2..], PHRASE, &format!("{PHRASE}//hot")] {
        let error = Signer::from_file(Path::new(secret)).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("looks like a key") && !said.contains("fac7959d") && !said.contains("bottom"), "{said}");
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let wallets = Wallets::new();
    wallets.write("hot", key_file(&[("secretPhrase", PHRASE)]), 0o600);
    for name in ["", ".", "..", "../main", "a/b", "/etc", "a\\b", "a\0b", "a\nb", ".hidden", &"x".repeat(200)] {
        let wallet = Wallet { name: name.to_owned(), ..wallets.wallet.clone() };
        assert!(wallet.check().is_err(), "{name}");
        assert!(wallet.signer().unwrap_err().to_string().contains("the wallet's name"), "{name}");
        let wallet = Wallet { hotkey: name.to_owned(), ..wallets.wallet.clone() };
        assert!(wallet.hotkey().unwrap_err().to_string().contains("the hotkey's name"), "{name}");
    }
    assert!(Wallet::new("main", "hot").path.ends_with(".bittensor/wallets"));
}

#[test]
fn a_secret_comes_from_a_text_or_a_file_of_any_kind() {
    let wallets = Wallets::new();
    for secret in [PHRASE, SEED, &SEED[2..], &format!(" {PHRASE}\n"), &key_file(&[("secretSeed", SEED)])] {
        let path = wallets.write("secret", secret, 0o600);
        assert_eq!(Signer::from_file(&path).unwrap().hotkey().as_str(), ADDRESS);
        if !secret.starts_with('{') {
            assert_eq!(Signer::from_secret(secret).unwrap().hotkey().as_str(), ADDRESS);
        }
    }
    let derived = Signer::from_secret(&format!("{PHRASE}//Alice")).unwrap();
    assert_eq!(derived.hotkey().as_str(), OTHER);
    assert!(!format!("{derived:?}").contains("walk"));
}

/// A secret with something wrong: words swapped out, digits too few, things around it.
fn broken_secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{20,63}",
        "[0-9a-f]{65,200}",
        "0x[0-9a-g]{64}g",
        "([a-z]{4,8} ){11}[a-z]{4,8}",
        "([a-z]{4,8} ){3,30}//[A-Z]{3,9}///[a-z]{8}",
        "[a-zA-Z0-9 \\PC]{16,60}",
    ]
}

proptest! {
    #[test]
    fn no_part_of_a_refused_secret_shows_in_its_error(secret in broken_secret()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, &secret).unwrap();
        chmod(&path, 0o600);
        for result in [Signer::from_secret(&secret), Signer::from_seed_hex(&secret), Signer::from_uri(&secret), Signer::from_file(&path)] {
            let Err(error) = result else { continue };
            let said = format!("{error} {error:?}").replace(&folder.path().display().to_string(), "");
            let characters: Vec<char> = secret.chars().collect();
            for part in characters.windows(12) {
                let part: String = part.iter().collect();
                prop_assert!(!said.contains(&part), "{said}");
            }
        }
    }
}
