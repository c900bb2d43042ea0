//! What stands on the chain, and what ingestion makes of it.

use kinitro_commitment::{PublishedKey, write_bound_commitment, write_sealed_commitment};
use kinitro_crypto::PrivateKey;
use kinitro_ingestion::Config;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::support::{Ingestion, World, binding, hotkey};

const UUIDS: [&str; 4] = [
    "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d",
    "0b1cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d",
    "1c2dd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d",
    "2d3ed2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d",
];

#[tokio::test]
async fn commitments_in_every_spelling_show_what_they_say() {
    let world = World::new(&["//Alice", "//Bob", "//Charlie", "//Dave", "//Ferdie", "//Eve"]).await;
    let key = PrivateKey::generate();
    let uuid = |number: usize| UUIDS[number].parse().unwrap();
    let sealed = write_sealed_commitment("carl/arm", "v3", &uuid(1), &key.public()).unwrap();
    let other = write_sealed_commitment("a/b", "c", &uuid(2), &key.public()).unwrap();
    let (_, blob) = other.as_str().split_once(":e:").unwrap();
    let bound = write_bound_commitment("ferdie/arm", "v5", &uuid(3), &key.public(), &binding("//Ferdie")).unwrap();
    let data = [
        format!("alice/arm:0a1b2c3d:{}", UUIDS[0]),
        r#"{"m":"bob/arm","r":"v2","d":"https://policy.example:8443/base/"}"#.to_owned(),
        sealed.to_string(),
        format!(r#"{{"m":"dave/a","r":"v4","e":"{blob}"}}"#),
        bound.to_string(),
    ];
    let mut blocks = Vec::new();
    for (name, data) in ["//Alice", "//Bob", "//Charlie", "//Dave", "//Ferdie"].into_iter().zip(&data) {
        blocks.push(world.commit(name, data).await);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    key.write_file(&file).unwrap();
    let mut config = world.config();
    config.backend_private_key_file = Some(file);

    let list = Ingestion::start(config).await.list_at(blocks[4]).await;
    assert_eq!(list.netuid, 7);
    assert!(list.block_hash.starts_with("0x") && list.block_hash.len() == 66, "{}", list.block_hash);
    let deployment = |number: usize| format!("https://{}.deployments.basilica.ai", UUIDS[number]);
    let expected = [
        ("//Alice", "alice/arm", "0a1b2c3d", deployment(0), false),
        ("//Bob", "bob/arm", "v2", "https://policy.example:8443/base".to_owned(), false),
        ("//Charlie", "carl/arm", "v3", deployment(1), true),
        ("//Dave", "dave/a", "v4", deployment(2), true),
        ("//Ferdie", "ferdie/arm", "v5", deployment(3), true),
    ];
    assert_eq!(list.miners.len(), 6);
    for (uid, (name, repo, revision, endpoint, sealed)) in expected.into_iter().enumerate() {
        let miner = &list.miners[uid];
        assert_eq!((miner.uid as usize, &miner.hotkey), (uid, &hotkey(name)));
        assert_eq!((miner.status.as_str(), miner.status_reason.as_str()), ("active", ""));
        assert_eq!((miner.repo.as_str(), miner.revision.as_str()), (repo, revision));
        assert_eq!((&miner.endpoint, miner.endpoint_encrypted), (&endpoint, sealed));
        assert_eq!((miner.first_commit_block, miner.commit_block), (blocks[uid], blocks[uid]));
    }
    let eve = &list.miners[5];
    assert_eq!((eve.status.as_str(), eve.first_commit_block, eve.endpoint.as_str()), ("uncommitted", 0, ""));

    // The same chain for an operator without the key: the policy is known, the endpoint is not.
    let ingestion = world.ingest().await;
    let list =
        ingestion.list_when("the chain is read without the key", |list| list.miners[2].status == "invalid").await;
    for uid in [2, 3, 4] {
        let miner = &list.miners[uid];
        assert_eq!((miner.status.as_str(), miner.endpoint.as_str()), ("invalid", ""));
        assert!(miner.endpoint_encrypted && miner.status_reason.contains("no key is configured"), "{miner:?}");
    }
    assert_eq!(list.miners[2].repo, "carl/arm");
}

/// Bytes as the chain stores a commitment of one raw field, made at block 3.
fn stored(data: &[u8]) -> Vec<u8> {
    [&[0; 8][..], &3_u32.to_le_bytes(), &[4, 1 + data.len() as u8], data].concat()
}

#[tokio::test]
async fn whatever_cannot_be_read_is_kept_with_the_reason_and_stops_nobody() {
    let cases: Vec<(Vec<u8>, &str)> = vec![
        // No commitment at all to a decoder, or none with one raw field.
        (vec![], "cannot be decoded"),
        (vec![0xff; 40], "cannot be decoded"),
        (vec![0; 5_000], "more than 4096 bytes"),
        ([&[0; 8][..], &3_u32.to_le_bytes(), &[8, 2, 1, 2, 1]].concat(), "has 2 raw fields"),
        // Bytes that are no policy.
        (stored(b"\x01\x02\x00\xff"), "no printable ASCII text"),
        (stored(b"hello"), "neither"),
        (stored(b"{\"m\":"), "no valid JSON"),
        (stored(br#"{"m":"a/b","r":"v1"}"#), "no member `d`"),
        (stored(br#"{"m":"a\u0000/b","r":"v1","d":"http://h"}"#), "the repository must be"),
        (stored(b"../..:v1:http://h"), "the repository must be"),
        (stored(b"<script>/x:v1:http://h"), "the repository must be"),
        (stored(br#"{"m":"a/b","r":"v1 ; drop table","d":"http://h"}"#), "the revision must"),
        // Endpoints that are none, or more than one.
        (stored(br#"{"m":"a/b","r":"v1","d":"http://h\u0000"}"#), "characters that a URL cannot have"),
        (stored(br#"{"m":"a/b","r":"v1","d":"http://h\r\nHost: x"}"#), "characters that a URL cannot have"),
        (stored(b"a/b:v1:http://me:secret@h"), "user name or password"),
        (stored(b"a/b:v1:file:///etc/passwd"), "neither a deployment's UUID nor"),
        (stored(b"a/b:v1:javascript:alert(1)"), "neither a deployment's UUID nor"),
        (stored(b"a/b:v1:http://h/?to=http://other"), "query or a fragment"),
        (stored(b"a/b:v1:http://h:0"), "port 0"),
        (stored(b"a/b:v1:http:///h"), "names no host"),
        (stored(b"a/b:v1:e:not-sealed"), "has 80 characters, this one has 10"),
        (stored(&[&b"a/b:v1:b:"[..], &[b'~'; 80]].concat()), "no base85"),
        (stored(&[0; 127]), "no printable ASCII text"),
        (stored(b"a/b:v1:http://h\xc3\x28"), "no printable ASCII text"),
        // Tricks with hosts.
        (stored(b"a/b:v1:http://good.example@10.0.0.1"), "user name or password"),
        (stored(b"a/b:v1:http://good.example\\.evil.example"), "a backslash"),
        (stored(b"a/b:v1:http://%31%32%37.0.0.1"), "in percent signs"),
        (stored(b"a/b:v1:http://xn--a.example"), "internationalised"),
        (stored(b"a/b:v1:http://0177.0.0.1"), "four decimal numbers"),
        (stored(b"a/b:v1:http://2130706433"), "four decimal numbers"),
        (stored(b"a/b:v1:http://169.254.169.254/latest/meta-data"), "not called: cloud metadata"),
        (stored(b"a/b:v1:http://192.168.1.1:8000"), "not called: private"),
        (stored(b"a/b:v1:grpc://127.0.0.1:50051"), "not called: loopback"),
        (stored(b"a/b:v1:http://[::ffff:7f00:1]"), "not called: IPv4-mapped"),
        (stored(b"a/b:v1:http://[fe80::1]"), "not called: link-local"),
        (stored(b"a/b:v1:http://0.0.0.0"), "not called: unspecified"),
        (stored(b"a/b:v1:http://LOCALHOST.:8000"), "not called: localhost"),
        // What an operator commits.
        (stored(&PublishedKey(PrivateKey::generate().public()).write()), "is a published key"),
    ];
    let names: Vec<String> = (0..=cases.len()).map(|n| format!("//Miner/{n}")).collect();
    let world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (name, (bytes, _)) in names.iter().zip(&cases) {
        world.chain.set_commitment_raw(name, bytes.clone()).unwrap();
    }
    world.chain.set_commitment_raw(&names[cases.len()], stored(b"a/b:v1:http://good:1")).unwrap();
    let ingestion = world.ingest().await;
    let list = ingestion.list_at(world.finalize()).await;

    let (good, bad) = list.miners.split_last().unwrap();
    assert_eq!((good.status.as_str(), good.endpoint.as_str(), good.commit_block), ("active", "http://good:1", 3));
    assert_eq!(bad.len(), cases.len());
    for (miner, (bytes, reason)) in bad.iter().zip(&cases) {
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!((miner.status.as_str(), miner.endpoint.as_str()), ("invalid", ""), "{shown}");
        assert!(miner.status_reason.contains(reason), "{shown}: {}", miner.status_reason);
        assert!(!miner.status_reason.contains(char::is_control), "{shown}: {:?}", miner.status_reason);
        assert_eq!(miner.first_commit_block, 0, "{shown}");
    }
    assert_eq!(bad[3].commit_block, 3, "the block is known although the bytes are none");

    let mut database = PgConnection::connect(&world.database_url).await.unwrap();
    let row = sqlx::query("SELECT status, commitment FROM ingestion.miners WHERE uid = 4").fetch_one(&mut database);
    let row = row.await.unwrap();
    assert_eq!(row.get::<&str, _>("status"), "invalid");
    assert_eq!(row.get::<Vec<u8>, _>("commitment"), b"\x01\x02\x00\xff", "what was committed is kept");
}

#[tokio::test]
async fn private_addresses_are_taken_where_the_operator_allows_them() {
    let world = World::new(&["//Alice"]).await;
    let block = world.commit("//Alice", "a/b:v1:http://127.0.0.1:9001").await;
    let closed = world.ingest().await;
    let miner = closed.list_at(block).await.miners.remove(0);
    assert_eq!((miner.status.as_str(), miner.repo.as_str(), miner.commit_block), ("invalid", "a/b", block));
    assert_eq!((miner.endpoint.as_str(), miner.first_commit_block), ("", 0));
    closed.stop().await;

    let open = Ingestion::start(Config { allow_private_endpoints: true, ..world.config() }).await;
    let list = open.list_when("the miner is active", |list| list.miners[0].status == "active").await;
    let miner = &list.miners[0];
    assert_eq!((miner.endpoint.as_str(), miner.first_commit_block), ("http://127.0.0.1:9001", block));
}
