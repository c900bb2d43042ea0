use kinitro_chain::Signer;
use kinitro_commitment::{PublishedKey, write_bound_commitment, write_commitment, write_sealed_commitment};
use kinitro_domain::Hotkey;

use super::*;

const NETUID: u16 = 7;
/// The block that is read.
const NOW: BlockNumber = BlockNumber(100);
const UUID: &str = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";

fn hotkey(name: &str) -> Hotkey {
    Signer::from_uri(name).expect("a development key").hotkey()
}

fn binding(name: &str) -> Binding {
    Binding { netuid: NETUID, hotkey: account_of(&hotkey(name)).expect("an address") }
}

fn rules(keys: &[&PrivateKey]) -> Rules {
    Rules { netuid: NETUID, keys: keys.iter().map(|key| (*key).clone()).collect(), allow_private_endpoints: false }
}

fn neuron(uid: u16, name: &str) -> Neuron {
    Neuron { uid: MinerUid(uid), hotkey: hotkey(name) }
}

fn raw(name: &str, block: u64, data: impl AsRef<[u8]>) -> RawCommitment {
    RawCommitment { hotkey: hotkey(name), block: Some(BlockNumber(block)), data: Ok(data.as_ref().to_vec()) }
}

/// Names and what they committed, at which block; the uids are their places.
fn read(miners: &[(&str, u64, &[u8])], rules: &Rules, first: &mut FirstCommitments) -> Assessed {
    let neurons = miners.iter().enumerate().map(|(uid, (name, ..))| neuron(uid as u16, name)).collect();
    let committed = miners.iter().filter(|(_, block, _)| *block > 0);
    let commitments = committed.map(|(name, block, data)| raw(name, *block, data)).collect();
    let assessed = assess(NOW, neurons, commitments, rules, first);
    first.learn(assessed.new_policies.clone());
    assessed
}

fn statuses(assessed: &Assessed) -> Vec<&'static str> {
    assessed.miners.iter().map(|miner| miner.status.as_str()).collect()
}

#[test]
fn the_first_block_of_a_policy_is_kept_and_a_new_revision_starts_anew() {
    let mut first = FirstCommitments::default();
    let mut read = |block, data: &str| {
        let assessed = read(&[("//Alice", block, data.as_bytes())], &Rules::default(), &mut first);
        (assessed.miners[0].first_commit_block.0, assessed.miners[0].commit_block.0)
    };
    assert_eq!(read(10, "a/b:rev1:http://h:1"), (10, 10));
    assert_eq!(read(20, "a/b:rev1:http://h:1"), (10, 20), "the same policy again, in the same spelling");
    assert_eq!(read(25, r#"{"m":"a/b","r":"rev1","d":"http://h:1/"}"#), (10, 25), "and in the other one");
    assert_eq!(read(30, "a/b:rev2:http://h:1"), (30, 30), "a new revision");
    assert_eq!(read(40, "a/b:rev1:http://h:2"), (40, 40), "a new endpoint");
    assert_eq!(read(50, "a/b:rev1:http://h:1"), (10, 50), "back to the first");
}

#[test]
fn a_revision_and_its_beginning_are_one_policy() {
    let hash = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
    let block = |committed: &[(u64, String)]| {
        let mut first = FirstCommitments::default();
        let mut last = 0;
        for (block, data) in committed {
            let assessed = read(&[("//Alice", *block, data.as_bytes())], &Rules::default(), &mut first);
            last = assessed.miners[0].first_commit_block.0;
        }
        last
    };
    let of = |block: u64, revision: &str| (block, format!("a/b:{revision}:http://h:1"));
    for (before, after) in [
        (&hash[..8], hash),
        (hash, &hash[..8]),
        (&hash[..7], &hash[..12]),
        (&hash.to_uppercase(), &hash[..8]),
        ("release-", "release-2026"),
    ] {
        assert_eq!(block(&[of(10, before), of(20, after)]), 10, "{before} {after}");
        let stored = PolicyKey::stored(hotkey("//Alice").to_string(), format!("a/b {before} http://h:1"));
        let first = FirstCommitments::stored(vec![(stored, BlockNumber(10))]);
        let key = PolicyKey::stored(hotkey("//Alice").to_string(), format!("a/b {after} http://h:1"));
        assert_eq!(first.of_policy(&key), Some(BlockNumber(10)), "from Postgres: {before} {after}");
    }
    for (before, after) in
        [(&hash[..6], hash), (hash, &hash[..6]), (&hash[1..], hash), ("v1", "v10"), ("Release-", "release-2026")]
    {
        assert_eq!(block(&[of(10, before), of(20, after)]), 20, "{before} {after}");
    }
    assert_eq!(block(&[of(10, &hash[..8]), (20, format!("a/c:{hash}:http://h:1"))]), 20, "another repository");
    assert_eq!(block(&[of(10, &hash[..8]), (20, format!("a/b:{hash}:http://h:2"))]), 20, "another endpoint");
    let other = format!("{}ffff", &hash[..7]);
    let several = [of(10, &hash[..7]), of(20, &other), of(30, "v2"), of(40, &hash[..9]), of(50, hash)];
    assert_eq!(block(&several), 10, "of several that are the same, the oldest counts");
    assert_eq!(block(&[of(10, hash), of(20, &other)]), 20, "two that only begin alike");
}

#[test]
fn a_uid_taken_over_is_another_miner_without_the_old_policy() {
    let commitments = || vec![raw("//Alice", 10, "a/b:rev1:http://h:1")];
    let (rules, first) = (Rules::default(), FirstCommitments::default());
    let before = assess(NOW, vec![neuron(0, "//Alice")], commitments(), &rules, &first);
    let after = assess(NOW, vec![neuron(0, "//Bob")], commitments(), &rules, &first);
    assert_eq!(before.miners[0].status, Status::Active);
    assert_eq!((after.miners[0].status, after.miners[0].hotkey.clone()), (Status::Uncommitted, hotkey("//Bob")));
    assert!(after.miners[0].endpoint.is_empty() && after.new_policies.is_empty());
}

#[test]
fn what_nobody_can_read_is_kept_with_its_reason_and_stops_nobody() {
    let neurons = vec![neuron(0, "//Alice"), neuron(1, "//Bob"), neuron(2, "//Charlie")];
    let mut commitments = vec![raw("//Alice", 10, "\u{1}\u{2}"), raw("//Bob", 11, "a/b:rev1:http://h:1")];
    commitments.push(RawCommitment { block: None, ..raw("//Charlie", 0, "a/b:rev1:http://h:2") });
    let miners = assess(NOW, neurons, commitments, &Rules::default(), &FirstCommitments::default()).miners;
    let seen: Vec<_> = miners.iter().map(|miner| (miner.status, miner.status_reason.is_empty())).collect();
    assert_eq!(seen, [(Status::Invalid, false), (Status::Active, true), (Status::Invalid, false)]);
    assert_eq!(miners[0].commitment, [1, 2]);
}

#[test]
fn a_published_key_is_no_policy_and_says_so() {
    let data = PublishedKey(PrivateKey::generate().public()).write();
    let assessed = read(&[("//Alice", 10, &data)], &Rules::default(), &mut FirstCommitments::default());
    let miner = &assessed.miners[0];
    assert_eq!(miner.status, Status::Invalid);
    assert!(miner.status_reason.contains("published key"), "{}", miner.status_reason);
}

#[test]
fn private_addresses_are_invalid_unless_the_operator_allows_them() {
    let closed = rules(&[]);
    let open = Rules { allow_private_endpoints: true, ..rules(&[]) };
    for url in ["http://127.0.0.1:9001", "grpc://[fd00::1]:50051", "http://localhost"] {
        let data = format!("a/b:v1:{url}");
        let mut first = FirstCommitments::default();
        let refused = read(&[("//Alice", 10, data.as_bytes())], &closed, &mut first);
        let miner = &refused.miners[0];
        assert_eq!((miner.status, miner.repo.as_str(), miner.endpoint.as_str()), (Status::Invalid, "a/b", ""), "{url}");
        assert!(miner.status_reason.contains("not called") && !miner.status_reason.contains("127"), "{miner:?}");
        assert!(refused.new_policies.is_empty());
        let allowed = read(&[("//Alice", 10, data.as_bytes())], &open, &mut first);
        assert_eq!((statuses(&allowed), allowed.miners[0].endpoint.as_str()), (vec!["active"], url));
    }
}

#[test]
fn no_operator_can_allow_an_address_that_gives_credentials_away() {
    let open = Rules { allow_private_endpoints: true, ..rules(&[]) };
    for url in ["http://169.254.169.254", "http://[fd00:ec2::254]", "grpc://[fe80::1]:50051", "http://100.100.100.200"]
    {
        let data = format!("a/b:v1:{url}");
        let refused = read(&[("//Alice", 10, data.as_bytes())], &open, &mut FirstCommitments::default());
        let miner = &refused.miners[0];
        assert_eq!((miner.status, miner.endpoint.as_str()), (Status::Invalid, ""), "{url}");
        assert!(miner.status_reason.contains("not called"), "{miner:?}");
    }
}

#[test]
fn sealed_endpoints_open_with_a_configured_key_only_and_the_previous_one_is_counted() {
    let (old, new) = (PrivateKey::generate(), PrivateKey::generate());
    let deployment = UUID.parse().expect("a UUID");
    let sealed = write_sealed_commitment("a/b", "rev1", &deployment, &old.public()).expect("it fits");
    let bound =
        write_bound_commitment("a/b", "rev1", &deployment, &old.public(), &binding("//Alice")).expect("it fits");
    for data in [&sealed, &bound] {
        let read = |rules: &Rules| read(&[("//Alice", 10, data)], rules, &mut FirstCommitments::default());
        let without = read(&rules(&[])).miners.remove(0);
        let wrong = read(&rules(&[&new])).miners.remove(0);
        let with = read(&rules(&[&new, &old]));
        assert_eq!((without.status, without.repo.as_str(), without.endpoint.as_str()), (Status::Invalid, "a/b", ""));
        assert_eq!(with.miners[0].endpoint, format!("https://{UUID}.deployments.basilica.ai"));
        assert!(with.miners[0].endpoint_encrypted && without.endpoint_encrypted && wrong.endpoint_encrypted);
        assert_eq!(wrong.status, Status::Invalid);
        assert_eq!((with.opened.len(), with.with_previous_key()), (1, 1));
        assert_eq!(read(&rules(&[&old])).with_previous_key(), 0);
    }
}

#[test]
fn a_copy_of_a_bound_endpoint_does_not_open() {
    let key = PrivateKey::generate();
    let deployment = UUID.parse().expect("a UUID");
    let data = write_bound_commitment("a/b", "v1", &deployment, &key.public(), &binding("//Alice")).expect("it fits");
    let miners = [("//Bob", 5, &data[..]), ("//Alice", 10, &data[..])];
    let assessed = read(&miners, &rules(&[&key]), &mut FirstCommitments::default());
    assert_eq!(statuses(&assessed), ["invalid", "active"], "although the copy is older");
    assert!(assessed.miners[0].status_reason.contains("another key, hotkey or subnet"), "{:?}", assessed.miners[0]);
}

#[test]
fn the_later_of_two_with_one_endpoint_is_a_duplicate_until_the_first_leaves() {
    let mut first = FirstCommitments::default();
    let rules = rules(&[]);
    let (original, copy, respelt) =
        (&b"a/b:v1:http://h:1"[..], &b"c/d:v9:http://H.:1/"[..], &br#"{"m":"e/f","r":"1","d":"grpc://h:1"}"#[..]);
    let all = [("//Charlie", 30, respelt), ("//Bob", 20, copy), ("//Alice", 10, original)];
    let assessed = read(&all, &rules, &mut first);
    assert_eq!(statuses(&assessed), ["duplicate_endpoint", "duplicate_endpoint", "active"]);
    for late in &assessed.miners[..2] {
        assert_eq!((late.status_reason.as_str(), late.endpoint.as_str()), ("uid 2 committed this endpoint first", ""));
    }
    assert_eq!(assessed.miners[1].first_commit_block, BlockNumber(20));
    assert_eq!(assessed.new_policies.len(), 3, "a duplicate's first block counts from now on as well");

    // A new revision keeps the endpoint.
    let revised = [all[0], all[1], ("//Alice", 40, &b"a/b:v2:http://h:1"[..])];
    assert_eq!(statuses(&read(&revised, &rules, &mut first)), ["duplicate_endpoint", "duplicate_endpoint", "active"]);
    // Elsewhere, it does not.
    let moved = [all[0], all[1], ("//Alice", 50, &b"a/b:v2:http://h:2"[..])];
    let assessed = read(&moved, &rules, &mut first);
    assert_eq!(statuses(&assessed), ["duplicate_endpoint", "active", "active"]);
    assert_eq!(assessed.miners[0].status_reason, "uid 1 committed this endpoint first");
    assert_eq!(
        (assessed.miners[1].first_commit_block, assessed.miners[1].endpoint.as_str()),
        (BlockNumber(20), "http://h.:1")
    );
    // Coming back, it was still the first.
    let back = [all[0], all[1], ("//Alice", 60, original)];
    assert_eq!(statuses(&read(&back, &rules, &mut first)), ["duplicate_endpoint", "duplicate_endpoint", "active"]);
    // Nobody is in the way who is not registered any more.
    assert_eq!(statuses(&read(&all[..2], &rules, &mut first)), ["duplicate_endpoint", "active"]);
    assert_eq!(statuses(&read(&all[..1], &rules, &mut first)), ["active"]);
}

#[test]
fn a_copied_seal_is_a_duplicate_and_gives_nothing_away() {
    let key = PrivateKey::generate();
    let deployment = UUID.parse().expect("a UUID");
    let sealed = write_sealed_commitment("a/b", "v1", &deployment, &key.public()).expect("it fits");
    let resealed = write_sealed_commitment("c/d", "v1", &deployment, &key.public()).expect("it fits");
    let plain = write_commitment("e/f", "v1", &UUID.parse().expect("a UUID")).expect("it fits");
    let hidden = format!("g/h:v1:http://{UUID}.deployments.basilica.ai:8000/x");
    let miners = [
        ("//Alice", 10, &sealed[..]),
        ("//Bob", 20, &sealed[..]),
        ("//Charlie", 20, &resealed[..]),
        ("//Dave", 20, &plain[..]),
        ("//Eve", 20, hidden.as_bytes()),
    ];
    let assessed = read(&miners, &rules(&[&key]), &mut FirstCommitments::default());
    assert_eq!(statuses(&assessed)[0], "active");
    for (miner, reason) in assessed.miners[1..].iter().zip([
        "uid 0 committed this endpoint first",
        "uid 0 committed this endpoint first",
        "another hotkey committed this endpoint first",
        "another hotkey committed this endpoint first",
    ]) {
        assert_eq!((miner.status, miner.endpoint.as_str()), (Status::DuplicateEndpoint, ""));
        assert_eq!(miner.status_reason, reason);
    }
}

#[test]
fn a_sealed_copy_of_a_plain_endpoint_is_not_told_whose_it_is() {
    let key = PrivateKey::generate();
    let deployment = UUID.parse().expect("a UUID");
    let plain = write_commitment("a/b", "v1", &UUID.parse().expect("a UUID")).expect("it fits");
    let sealed = write_sealed_commitment("c/d", "v1", &deployment, &key.public()).expect("it fits");
    let bound =
        write_bound_commitment("e/f", "v1", &deployment, &key.public(), &binding("//Charlie")).expect("it fits");
    let miners = [("//Alice", 10, &plain[..]), ("//Bob", 20, &sealed[..]), ("//Charlie", 20, &bound[..])];
    let assessed = read(&miners, &rules(&[&key]), &mut FirstCommitments::default());
    assert_eq!(statuses(&assessed), ["active", "duplicate_endpoint", "duplicate_endpoint"]);
    for late in &assessed.miners[1..] {
        assert_eq!(late.status_reason, "another hotkey committed this endpoint first", "uid 0 shows where it is");
    }
}

#[test]
fn a_commitment_of_a_block_to_come_is_invalid_and_teaches_nothing() {
    let mut first = FirstCommitments::default();
    for (data, block, status) in
        [("a/b:v1:http://h:1", 100, "active"), ("a/b:v2:http://h:2", 101, "invalid"), ("\u{1}", u64::MAX, "invalid")]
    {
        let assessed = read(&[("//Alice", block, data.as_bytes())], &rules(&[]), &mut first);
        assert_eq!(statuses(&assessed), [status], "{block}");
        let miner = &assessed.miners[0];
        assert_eq!(assessed.new_policies.len(), usize::from(status == "active"));
        assert_eq!(miner.commitment, data.as_bytes());
        assert!(status == "active" || (miner.commit_block == NO_BLOCK && miner.status_reason.contains("of block 100")));
    }
}

#[test]
fn policies_are_learned_from_whatever_can_be_evaluated() {
    let key = PrivateKey::generate();
    let bound = write_bound_commitment("a/b", "v1", &UUID.parse().expect("a UUID"), &key.public(), &binding("//Alice"));
    let bound = bound.expect("it fits");
    let commitments = vec![
        raw("//Alice", 10, &bound[..]),
        raw("//Bob", 11, &bound[..]),
        raw("//Charlie", 12, "a/b:v1:http://h:1"),
        raw("//Dave", 12, "a/b:v1:http://10.0.0.1"),
        raw("//Eve", 101, "a/b:v1:http://h:1"),
        RawCommitment { block: None, ..raw("//Ferdie", 0, "a/b:v1:http://h:1") },
    ];
    let learned: Vec<_> = policies(NOW, commitments, &rules(&[&key])).collect();
    let expected = [("//Alice", format!("a/b v1 https://{UUID}.deployments.basilica.ai"), 10)]
        .into_iter()
        .chain([("//Charlie", "a/b v1 http://h:1".to_owned(), 12)])
        .map(|(name, policy, block)| (PolicyKey::stored(hotkey(name).to_string(), policy), BlockNumber(block)));
    assert_eq!(learned, expected.collect::<Vec<_>>());
}

#[test]
fn an_endpoint_that_is_not_taken_keeps_nobody_from_it() {
    // The first to commit it is invalid for another reason: it may not be called there, and nobody may.
    let miners = [("//Alice", 10, &b"a/b:v1:http://10.0.0.1"[..]), ("//Bob", 20, &b"a/b:v1:http://10.0.0.1"[..])];
    let assessed = read(&miners, &rules(&[]), &mut FirstCommitments::default());
    assert_eq!(statuses(&assessed), ["invalid", "invalid"]);
}
