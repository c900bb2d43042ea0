//! What miners write, well-formed and not.
#![allow(clippy::unwrap_used)]

use kinitro_chain::{
    COMMITMENT_LIMIT, CommitmentError, Endpoint, parse_commitment, write_commitment, write_sealed_commitment,
};
use kinitro_crypto::PrivateKey;
use proptest::prelude::*;
use uuid::Uuid;

const UUID: &str = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";
/// The key and the blob of the test vector in `kinitro-crypto`.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const BLOB: &str = "eVimQWjTUe7?$OKC>eJ~c|7I}zT>S&+MNfuU!`6u?&pCnkOAL=BGjbKkP6Yk1uYy4_2em(85fRdP}n25";

fn keys() -> [PrivateKey; 2] {
    [PrivateKey::generate(), PrivateKey::from_hex(KEY).unwrap()]
}

#[test]
fn both_plain_spellings_are_read() {
    let colons = format!("user/repo:0a1b2c3d:{UUID}");
    let json = format!(r#"{{"m":"user/repo","r":"0a1b2c3d","d":"{UUID}"}}"#);
    for text in [colons, json] {
        let commitment = parse_commitment(text.as_bytes(), None).unwrap();
        assert_eq!((commitment.repo.as_str(), commitment.revision.as_str()), ("user/repo", "0a1b2c3d"));
        assert_eq!(commitment.endpoint, Endpoint::Deployment(UUID.parse().unwrap()));
        assert!(!commitment.sealed);
    }
}

#[test]
fn a_url_keeps_its_colons() {
    let commitment = parse_commitment(b"user/repo:0a1b2c3d:http://127.0.0.1:9001/policy", None).unwrap();
    assert_eq!(commitment.endpoint.url(), "http://127.0.0.1:9001/policy");
}

#[test]
fn both_sealed_spellings_open_with_one_of_the_keys() {
    let colons = format!("user/repo:0a1b2c3d:e:{BLOB}");
    let json = format!(r#"{{"m":"user/repo","r":"0a1b2c3d","e":"{BLOB}"}}"#);
    for text in [colons, json] {
        let commitment = parse_commitment(text.as_bytes(), Some(&keys())).unwrap();
        assert_eq!(commitment.endpoint, Endpoint::Deployment(UUID.parse().unwrap()));
        assert!(commitment.sealed);

        for none in [None, Some(&[][..])] {
            let refused = parse_commitment(text.as_bytes(), none).unwrap_err();
            assert_eq!(refused.policy(), Some(("user/repo", "0a1b2c3d")));
            assert_eq!(refused.to_string(), "the endpoint is sealed and no key is configured to open it");
        }
        let other = parse_commitment(text.as_bytes(), Some(&[PrivateKey::generate()])).unwrap_err();
        assert!(matches!(other, CommitmentError::NotOpened { .. }), "{other}");
    }
}

#[test]
fn every_defect_has_its_sentence() {
    let long = "x".repeat(129);
    for (text, sentence) in [
        ("", "is empty"),
        (" \n ", "is empty"),
        (long.as_str(), "has 129 bytes"),
        ("user/r\u{e9}po:rev:d", "no printable ASCII"),
        ("user/repo:rev", "is neither"),
        ("hello", "is neither"),
        ("{", "no valid JSON"),
        ("{\"m\":1}", "no valid JSON"),
        ("{\"m\":\"a/b\",\"m\":\"a/b\",\"r\":\"c\",\"d\":\"e\"}", "no valid JSON"),
        ("{\"r\":\"c\",\"d\":\"http://h\"}", "no member `m`"),
        ("{\"m\":\"a/b\",\"r\":\"c\"}", "no member `d`"),
        ("{\"m\":\"a/b\",\"r\":\"c\",\"d\":\"http://h\",\"e\":\"x\"}", "both a plain endpoint"),
        ("repo:rev:http://h", "repository must be"),
        ("a/b/c:rev:http://h", "repository must be"),
        ("../..:rev:http://h", "repository must be"),
        ("a/..:rev:http://h", "repository must be"),
        ("a/b c:rev:http://h", "repository must be"),
        ("a/b::http://h", "revision must have"),
        ("a/b:x/y:http://h", "revision must have"),
        ("a/b:rev:", "the endpoint is empty"),
        ("a/b:rev:ftp://host", "the endpoint is neither"),
        ("a/b:rev:http://user:pw@host", "user name or password"),
    ] {
        let refused = parse_commitment(text.as_bytes(), None).unwrap_err().to_string();
        assert!(refused.contains(sentence), "{text:?}: {refused}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_commitment(&data, Some(&keys()));
    }

    #[test]
    fn random_text_that_resembles_a_commitment_never_panics(
        text in r#"[{ ]?"?[a-z/]{0,5}[:"/,{}me]{0,4}[ -~]{0,30}(:e:|:|"e":|http://)?[ -~]{0,84}"#,
    ) {
        if let Ok(commitment) = parse_commitment(text.as_bytes(), Some(&keys())) {
            let url = commitment.endpoint.url();
            prop_assert!(url.starts_with("http://") || url.starts_with("https://"), "{url}");
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        repo in "[a-z][a-z0-9_-]{0,11}/[a-z][a-z0-9_-]{0,11}",
        revision in "[0-9a-f]{1,8}",
        deployment in any::<u128>(),
        url in prop::option::of("https?://[a-z]{1,12}\\.example(:[1-9][0-9]{0,3})?(/[a-z]{1,8}){0,2}"),
    ) {
        let endpoint = match url {
            Some(url) => url.parse().unwrap(),
            None => Endpoint::Deployment(Uuid::from_u128(deployment)),
        };
        let written = write_commitment(&repo, &revision, &endpoint).unwrap();
        prop_assert!(written.len() <= COMMITMENT_LIMIT);
        let read = parse_commitment(&written, None).unwrap();
        prop_assert_eq!(read.endpoint.url(), endpoint.url());
        prop_assert_eq!((&read.repo, &read.revision, read.sealed), (&repo, &revision, false));

        let keys = keys();
        let written = write_sealed_commitment(&repo, &revision, &Uuid::from_u128(deployment), &keys[1].public()).unwrap();
        let read = parse_commitment(&written, Some(&keys)).unwrap();
        prop_assert_eq!(read.endpoint, Endpoint::Deployment(Uuid::from_u128(deployment)));
        prop_assert_eq!((read.repo, read.revision, read.sealed), (repo, revision, true));
    }
}
