//! What must hold of every input, whatever it is.

use kinitro_commitment::{
    COMMITMENT_LIMIT, Commitment, CommitmentError, Endpoint, Opening, PublishedKey, Spelling, WrittenCommitment,
    parse_commitment,
};
use url::{Host, Url};

use crate::inputs::{DEPLOYMENTS, World};

pub enum Verdict {
    Plain,
    Opened {
        bound: bool,
    },
    /// The name of the error.
    Refused(String),
}

pub fn check(input: &[u8], world: &World) -> Verdict {
    let opening = Opening { keys: &world.keys, binding: world.binding };
    let read = parse_commitment(input, Some(&opening));
    check_without_keys(input, &read, world);
    check_published(input, &read);
    check_crypto(input, world);
    match read {
        Ok(commitment) => {
            assert!(input.len() <= COMMITMENT_LIMIT);
            check_written(input);
            check_endpoint(&commitment.endpoint);
            match commitment.opened {
                None => Verdict::Plain,
                Some(opened) => {
                    check_opened(input, &commitment, opened.bound, world);
                    Verdict::Opened { bound: opened.bound }
                }
            }
        }
        Err(error) => {
            check_reason(&error.to_string(), world);
            let debug = format!("{error:?}");
            assert!(world.secrets.iter().all(|secret| !debug.contains(secret)));
            Verdict::Refused(debug.chars().take_while(char::is_ascii_alphanumeric).collect())
        }
    }
}

/// What anybody sees without a key: the same, but nothing that was sealed.
fn check_without_keys(input: &[u8], read: &Result<Commitment, CommitmentError>, world: &World) {
    let without = parse_commitment(input, None);
    match (read, &without) {
        (Ok(opened), Err(CommitmentError::Sealed { repo, revision })) => {
            assert!(opened.opened.is_some() && (&opened.repo, &opened.revision) == (repo, revision));
        }
        (Err(CommitmentError::NotOpened { .. }), Err(CommitmentError::Sealed { .. })) => {}
        _ => assert_eq!(read, &without),
    }
    if let Err(error) = without {
        check_reason(&error.to_string(), world);
    }
}

fn check_published(input: &[u8], read: &Result<Commitment, CommitmentError>) {
    match PublishedKey::parse(input) {
        Ok(key) => {
            assert_eq!(PublishedKey::parse(&key.write()), Ok(key));
            assert_eq!(read, &Err(CommitmentError::PublishedKey));
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control)),
    }
}

/// The blobs' own parser, on what is no blob.
fn check_crypto(input: &[u8], world: &World) {
    let text = String::from_utf8_lossy(input);
    for piece in [&text, text.rsplit(':').next().unwrap_or_default()] {
        let opened = kinitro_crypto::open(piece, &world.keys[0]);
        let bound = kinitro_crypto::open_bound(piece, &world.keys[0], &world.binding);
        assert!(opened.is_err() || bound.is_err(), "one blob opens in both forms");
        let shaped = kinitro_crypto::check_blob(piece).is_ok();
        assert!(shaped || (opened.is_err() && bound.is_err()));
        for error in [opened.err(), bound.err()].into_iter().flatten() {
            check_reason(&error.to_string(), world);
        }
    }
}

/// What was accepted can be written, and is then read as the same.
fn check_written(input: &[u8]) {
    let commitment = WrittenCommitment::read(input).unwrap();
    for spelling in [Spelling::Colons, Spelling::Json] {
        match commitment.write(spelling) {
            Ok(data) => {
                assert!(data.len() <= COMMITMENT_LIMIT);
                assert_eq!(WrittenCommitment::read(&data).as_ref(), Ok(&commitment));
            }
            Err(CommitmentError::DoesNotFit { length, excess, part, .. }) => {
                assert_eq!(length, COMMITMENT_LIMIT + excess);
                assert!(excess > 0 && ["repository", "revision", "endpoint"].contains(&part));
                // The colon spelling is the shorter one, so what fitted once fits in it, but for an IPv6 address, which has one
                // spelling only here.
                assert!(spelling == Spelling::Json || input.contains(&b'['), "{commitment:?}");
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// The rules of endpoints, said once more in other words.
fn check_endpoint(endpoint: &Endpoint) {
    let text = endpoint.url();
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['@', '?', '#', '\\', '"']), "{text}");
    let (scheme, rest) = text.split_once("://").unwrap();
    assert!(["http", "https", "grpc", "grpcs"].contains(&scheme), "{text}");
    assert!(!rest.starts_with('/') && !rest.ends_with('/') && !rest.split('/').next().unwrap().contains('%'), "{text}");
    assert!(!scheme.starts_with("grpc") || !rest.contains('/'), "{text}");
    let url = Url::parse(&format!("{}://{rest}", if scheme.ends_with('s') { "https" } else { "http" })).unwrap();
    assert!(url.username().is_empty() && url.password().is_none() && url.port() != Some(0), "{text}");
    let host = url.host_str().unwrap();
    assert!(!host.is_empty() && rest.starts_with(host), "{text}: the host is what was written");
    let read: Endpoint = text.parse().unwrap();
    assert_eq!((read.url(), read.identity()), (text.clone(), endpoint.identity()));
    assert_eq!(endpoint.to_string().parse::<Endpoint>().as_ref(), Ok(endpoint));
    // Percent signs make no other endpoint of it.
    if let Some((host, path)) = rest.split_once('/') {
        let respelt: String = path.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let respelt: Endpoint = format!("{scheme}://{host}//{respelt}").parse().unwrap();
        assert!(respelt.identity() == endpoint.identity(), "{text}");
    }

    // Whatever is let through without leave is no address of ours.
    let allowed = endpoint.check_address(false).is_ok();
    let ours = match url.host().unwrap() {
        Host::Ipv4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Host::Ipv6(address) => address.is_loopback() || address.to_ipv4_mapped().is_some(),
        Host::Domain(name) => name.trim_end_matches('.').ends_with("localhost") && !name.contains('-'),
    };
    let looks_only =
        matches!(url.host().unwrap(), Host::Domain(name) if !name.split('.').any(|label| label == "localhost"));
    assert!(!allowed || !ours || looks_only, "{text}");
}

/// What opened is what its miner sealed: nobody makes a blob that opens as something else, or a bound one for somebody else.
fn check_opened(input: &[u8], commitment: &Commitment, bound: bool, world: &World) {
    let uuid = commitment.endpoint.as_deployment().expect("only deployments are sealed");
    assert_eq!(uuid.as_u128() >> 16, DEPLOYMENTS >> 16, "a blob opens as what nobody sealed");
    let copied = parse_commitment(input, Some(&Opening { keys: &world.keys, binding: world.other }));
    assert_eq!(copied.is_err(), bound);
    if let Err(error) = copied {
        check_reason(&error.to_string(), world);
    }
}

/// A reason is one bounded line, and never holds a key or what was sealed.
fn check_reason(reason: &str, world: &World) {
    assert!(
        !reason.is_empty() && reason.len() < 300 && !reason.contains(|character: char| character.is_control()),
        "{reason:?}"
    );
    let lower = reason.to_ascii_lowercase();
    assert!(world.secrets.iter().all(|secret| !lower.contains(secret)), "a reason holds a private key");
    assert!(!lower.contains("8a4cd2e1"), "a reason holds a deployment: {reason}");
}
