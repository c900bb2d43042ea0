//! What miners write, well-formed and not.
#![allow(clippy::unwrap_used)]

use kinitro_commitment::{
    COMMITMENT_LIMIT, Commitment, CommitmentError, Endpoint, Opened, Opening, Spelling, WrittenCommitment,
    WrittenEndpoint, parse_commitment, write_bound_commitment, write_commitment, write_sealed_commitment,
};
use kinitro_crypto::{Binding, PrivateKey};
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

const UUID: &str = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";

/// The first vector of `kinitro-crypto`, made by an independent implementation.
struct Vector {
    key: PrivateKey,
    binding: Binding,
    sealed: String,
    bound: String,
}

fn vector() -> Vector {
    let vectors: Value = serde_json::from_str(include_str!("../../crypto/tests/vectors/sealed.json")).unwrap();
    let text = |name: &str| vectors[0][name].as_str().unwrap().to_owned();
    assert_eq!(text("deployment"), UUID);
    let hotkey = hex::decode(text("hotkey")).unwrap().try_into().unwrap();
    Vector {
        key: PrivateKey::from_hex(&text("private")).unwrap(),
        binding: Binding { netuid: vectors[0]["netuid"].as_u64().unwrap().try_into().unwrap(), hotkey },
        sealed: text("sealed"),
        bound: text("bound"),
    }
}

fn deployment() -> Endpoint {
    Endpoint::deployment(UUID.parse().unwrap())
}

#[test]
fn both_plain_spellings_are_read() {
    let colons = format!("user/repo:0a1b2c3d:{UUID}");
    let json = format!(r#"{{"m":"user/repo","r":"0a1b2c3d","d":"{UUID}"}}"#);
    for text in [colons, json] {
        let commitment = parse_commitment(text.as_bytes(), None).unwrap();
        assert_eq!((commitment.repo.as_str(), commitment.revision.as_str()), ("user/repo", "0a1b2c3d"));
        assert_eq!((commitment.endpoint, commitment.opened), (deployment(), None));
    }
}

#[test]
fn a_url_keeps_its_colons() {
    let commitment = parse_commitment(b"user/repo:0a1b2c3d:http://127.0.0.1:9001/policy", None).unwrap();
    assert_eq!(commitment.endpoint.url(), "http://127.0.0.1:9001/policy");
}

#[test]
fn every_sealed_spelling_opens_with_one_of_the_keys() {
    let Vector { key, binding, sealed, bound } = vector();
    let keys = [PrivateKey::generate(), key];
    let spellings = [
        (format!("user/repo:0a1b2c3d:e:{sealed}"), false),
        (format!(r#"{{"m":"user/repo","r":"0a1b2c3d","e":"{sealed}"}}"#), false),
        (format!("user/repo:0a1b2c3d:b:{bound}"), true),
        (format!(r#"{{"m":"user/repo","r":"0a1b2c3d","b":"{bound}"}}"#), true),
    ];
    for (text, bound) in spellings {
        let commitment = parse_commitment(text.as_bytes(), Some(&Opening { keys: &keys, binding })).unwrap();
        assert_eq!((commitment.endpoint, commitment.opened), (deployment(), Some(Opened { key: 1, bound })));

        for none in [None, Some(&Opening { keys: &[], binding })] {
            let refused = parse_commitment(text.as_bytes(), none).unwrap_err();
            assert_eq!(refused.policy(), Some(("user/repo", "0a1b2c3d")));
            assert_eq!(refused.to_string(), "the endpoint is sealed and no key is configured to open it");
        }
        let stranger = [PrivateKey::generate()];
        let refused = parse_commitment(text.as_bytes(), Some(&Opening { keys: &stranger, binding })).unwrap_err();
        assert!(matches!(refused, CommitmentError::NotOpened { .. }), "{refused}");

        // A copy under another hotkey, and on another subnet.
        let mut neighbour = binding;
        neighbour.hotkey[0] ^= 1;
        for other in [neighbour, Binding { netuid: binding.netuid + 1, ..binding }] {
            let copied = parse_commitment(text.as_bytes(), Some(&Opening { keys: &keys, binding: other }));
            assert_eq!(copied.is_err(), bound, "{text}: {copied:?}");
        }
    }
}

#[test]
fn every_defect_has_its_sentence() {
    let long = "x".repeat(129);
    for (text, sentence) in [
        ("", "is empty"),
        (" \n ", "is empty"),
        (long.as_str(), "has 129 bytes"),
        (&"\0".repeat(128), "no printable ASCII"),
        ("user/r\u{e9}po:rev:d", "no printable ASCII"),
        ("user/repo:rev", "is neither"),
        ("hello", "is neither"),
        ("{", "no valid JSON"),
        ("{\"m\":1}", "no valid JSON"),
        ("{\"m\":\"a/b\",\"m\":\"a/b\",\"r\":\"c\",\"d\":\"e\"}", "no valid JSON"),
        (&format!("{{\"x\":{}", "[".repeat(120)), "no valid JSON"),
        ("{\"m\":\"\\ud800\",\"r\":\"c\",\"d\":\"http://h\"}", "no valid JSON"),
        ("{\"r\":\"c\",\"d\":\"http://h\"}", "no member `m`"),
        ("{\"m\":\"a/b\",\"r\":\"c\"}", "no member `d`"),
        ("{\"m\":\"a/b\",\"r\":\"c\",\"d\":\"http://h\",\"e\":\"x\"}", "has both a plain"),
        ("{\"m\":\"a/b\",\"r\":\"c\",\"b\":\"x\",\"e\":\"x\"}", "has both a plain"),
        ("{\"t\":\"pk\",\"k\":\"00\"}", "is a published key"),
        ("{\"type\":\"backend_pubkey\"}", "is a published key"),
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
        ("a/b:rev:e:", "has 80 characters, this one has 0"),
        ("a/b:rev:b:abc", "has 80 characters, this one has 3"),
        (&format!("a/b:rev:b:{}", ":".repeat(80)), "no base85"),
        (&format!("{{\"m\":\"a/b\",\"r\":\"c\",\"e\":\"{}\"}}", "~".repeat(80)), "no base85"),
    ] {
        let refused = parse_commitment(text.as_bytes(), None).unwrap_err().to_string();
        assert!(refused.contains(sentence), "{text:?}: {refused}");
    }
    for invalid in [&[0xff; 128][..], b"a/b:rev:http://\xc3\x28", b"\xed\xa0\x80"] {
        assert_eq!(parse_commitment(invalid, None), Err(CommitmentError::NotText), "{invalid:?}");
    }
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    let url = "(https?|grpcs?)://[a-z]{1,12}\\.example(:[1-9][0-9]{0,3})?";
    prop_oneof![
        any::<u128>().prop_map(|deployment| Endpoint::deployment(Uuid::from_u128(deployment))),
        url.prop_map(|url| url.parse().unwrap()),
        "https?://[0-9a-z.-]{0,9}[a-z](:[1-9][0-9]{0,3})?(/[a-z0-9._~%20-]{1,8}){0,3}/?"
            .prop_filter_map("a URL that is none", |url| url.parse().ok()),
    ]
}

proptest! {
    #[test]
    fn random_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let Vector { key, binding, .. } = vector();
        let _ = parse_commitment(&data, Some(&Opening { keys: &[key], binding }));
    }

    #[test]
    fn whatever_is_written_is_within_the_limit_and_read_back_as_it_was(
        repo in "[a-z][a-z0-9_.-]{0,40}[a-z0-9]/[a-z][a-z0-9_-]{0,40}",
        revision in "[0-9a-f]{1,40}",
        endpoint in any_endpoint(),
        uuid in any::<u128>(),
        netuid in any::<u16>(),
        hotkey in any::<[u8; 32]>(),
    ) {
        prop_assume!(!repo.contains(".."));
        let (key, binding, uuid) = (PrivateKey::generate(), Binding { netuid, hotkey }, Uuid::from_u128(uuid));
        let cases = [
            (WrittenEndpoint::Plain(endpoint.clone()), endpoint, None),
            (WrittenEndpoint::seal(&uuid, &key.public()).unwrap(), Endpoint::deployment(uuid), Some(Opened { key: 0, bound: false })),
            (
                WrittenEndpoint::seal_bound(&uuid, &key.public(), &binding).unwrap(),
                Endpoint::deployment(uuid),
                Some(Opened { key: 0, bound: true }),
            ),
        ];
        let keys = [key];
        for (written, endpoint, opened) in cases {
            let commitment = WrittenCommitment { repo: repo.clone(), revision: revision.clone(), endpoint: written };
            for spelling in [Spelling::Colons, Spelling::Json] {
                let data = match commitment.write(spelling) {
                    Ok(data) => data,
                    Err(CommitmentError::DoesNotFit { length, excess, .. }) => {
                        prop_assert!(length == COMMITMENT_LIMIT + excess && excess > 0);
                        continue;
                    }
                    Err(other) => panic!("{other}"),
                };
                prop_assert!(data.len() <= COMMITMENT_LIMIT && data.is_ascii());
                prop_assert_eq!(&WrittenCommitment::read(&data).unwrap(), &commitment);
                let read = parse_commitment(&data, Some(&Opening { keys: &keys, binding })).unwrap();
                let expected = Commitment { repo: repo.clone(), revision: revision.clone(), endpoint: endpoint.clone(), opened };
                prop_assert_eq!(read, expected);
            }
        }
    }
}

#[test]
fn the_short_ways_write_the_colon_spelling() {
    let key = PrivateKey::generate();
    let (uuid, binding) = (Uuid::from_u128(9), Binding { netuid: 7, hotkey: [3; 32] });
    let plain = write_commitment("a/b", "v1", &deployment()).unwrap();
    assert_eq!(plain.as_str(), format!("a/b:v1:{UUID}"));
    let sealed = write_sealed_commitment("a/b", "v1", &uuid, &key.public()).unwrap();
    let bound = write_bound_commitment("a/b", "v1", &uuid, &key.public(), &binding).unwrap();
    assert!(sealed.as_str().starts_with("a/b:v1:e:") && bound.as_str().starts_with("a/b:v1:b:"), "{sealed} {bound}");
    let keys = [key];
    for data in [sealed, bound] {
        let read = parse_commitment(&data, Some(&Opening { keys: &keys, binding })).unwrap();
        assert_eq!(read.endpoint, Endpoint::deployment(uuid));
    }
}
