use std::pin::pin;

use kinitro_chain::{Signer, Wait};
use kinitro_devchain::{Devchain, NeuronSeed};
use kinitro_domain::Hotkey;
use tokio::net::TcpListener;

use super::*;

const NETUID: u16 = 7;

fn hotkey(name: &str) -> Hotkey {
    Signer::from_uri(name).expect("a development key").hotkey()
}

/// Hotkeys and the blocks at which they committed.
type History = [(Hotkey, Vec<u64>)];

/// What stands at a block.
fn standing(history: &History, at: u64) -> Vec<RawCommitment> {
    let newest = |blocks: &[u64]| blocks.iter().copied().filter(|block| *block <= at).max();
    let stands = |(hotkey, blocks): &(Hotkey, Vec<u64>)| {
        let block = Some(BlockNumber(newest(blocks)?));
        Some(RawCommitment { hotkey: hotkey.clone(), block, data: Ok(b"a/b:v1:http://h".to_vec()) })
    };
    history.iter().filter_map(stands).collect()
}

/// The blocks that are read, and the commitments that are seen, by whoever read `after` and then `newest`.
fn walk(history: &History, after: Option<u64>, newest: u64) -> (Vec<u64>, BTreeSet<(String, u64)>) {
    let mut gap = Gap::new(after.map(BlockNumber), BlockNumber(newest));
    let (mut read, mut seen) = (Vec::new(), BTreeSet::new());
    let mut next = Some(BlockNumber(newest));
    while let Some(number) = next {
        let commitments = standing(history, number.0);
        gap.note(number, &commitments);
        let of =
            |commitment: &RawCommitment| (commitment.hotkey.to_string(), commitment.block.map_or(0, |block| block.0));
        seen.extend(commitments.iter().map(of));
        next = gap.pop();
        read.extend(next.map(|number| number.0));
    }
    (read, seen)
}

#[test]
fn blocks_in_which_nothing_new_can_stand_are_not_read() {
    let history = [(hotkey("//Alice"), vec![5, 11]), (hotkey("//Bob"), vec![7])];
    assert_eq!(walk(&history, Some(11), 12).0, [0; 0], "nothing was skipped");
    assert_eq!(walk(&history, Some(10), 11).0, [0; 0], "what stood before block 11 was read in block 10");
    assert_eq!(walk(&history, Some(12), 200).0, [0; 0], "nobody committed anything");
    assert_eq!(walk(&history, Some(8), 40).0, [10], "whatever the number of skipped blocks is");
}

#[test]
fn every_commitment_of_a_gap_is_seen() {
    let history = [
        (hotkey("//Alice"), vec![10, 11, 13, 30]),
        (hotkey("//Bob"), vec![11, 12]),
        (hotkey("//Eve"), vec![5, 30, 31]),
    ];
    for after in 0..=40 {
        let (read, seen) = walk(&history, Some(after), 40);
        for (hotkey, blocks) in &history {
            for block in blocks.iter().filter(|block| **block > after) {
                assert!(seen.contains(&(hotkey.to_string(), *block)), "{hotkey} {block} after {after}");
            }
        }
        assert!(read.is_sorted_by(|one, next| one > next) && read.iter().all(|block| *block > after), "{read:?}");
    }
}

#[test]
fn no_more_blocks_are_read_than_a_node_keeps() {
    let alice = hotkey("//Alice");
    let restless = [(alice.clone(), (1..=5_000).collect::<Vec<_>>())];
    for after in [None, Some(0), Some(10), Some(4_000)] {
        let (read, _) = walk(&restless, after, 5_000);
        assert_eq!((read.len(), read.last()), (255, Some(&4_745)), "{after:?}");
    }
    assert_eq!(walk(&restless, None, 3).0, [2, 1], "near the genesis block");
    // Replaced in the blocks that are still there, it is seen in them, however old it is.
    let (read, seen) = walk(&[(alice.clone(), vec![10, 4_900])], Some(5), 5_000);
    assert_eq!((read, seen.contains(&(alice.to_string(), 10))), (vec![4_899], true));
}

#[test]
fn a_node_that_names_blocks_to_come_sends_nobody_there() {
    let mut gap = Gap::new(Some(BlockNumber(10)), BlockNumber(20));
    let alice = hotkey("//Alice");
    for block in [0, 1, 10, 11, 21, 22, u64::MAX] {
        gap.note(BlockNumber(20), &standing(&[(alice.clone(), vec![block])], block));
    }
    assert_eq!(gap.pop(), None);
}

async fn commit(chain: &Devchain, client: &ChainClient, name: &str, data: &str) -> u64 {
    let signer = Signer::from_uri(name).expect("a development key");
    let mut submitted = pin!(client.set_commitment(&signer, NETUID, data.as_bytes(), Wait::Inclusion));
    loop {
        tokio::select! {
            receipt = &mut submitted => return receipt.expect("it is included").block.number.0,
            () = sleep(Duration::from_millis(100)) => { chain.advance(1).expect("a block"); }
        }
    }
}

#[tokio::test]
async fn a_state_that_is_gone_is_left_out_and_a_node_that_is_busy_is_asked_again() {
    let neurons = ["//Alice", "//Bob"].map(NeuronSeed::new).to_vec();
    let config = kinitro_devchain::Config { netuid: NETUID, block_ms: 0, control: true, neurons, ..Default::default() };
    let chain = Devchain::new(&config).expect("a chain");
    chain.advance(5).expect("blocks");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    let node = chain.serve(listener).expect("a node");
    let client = ChainClient::new(&url).expect("an address");
    let after = Some(client.best_head().await.expect("a block").number);
    let mut blocks = Vec::new();
    for (name, revision) in [("//Bob", 1), ("//Bob", 2), ("//Alice", 1), ("//Alice", 2)] {
        // Bob's second one stands in the block that is read for Alice's sake, and is found there as well.
        blocks.push(commit(&chain, &client, name, &format!("a/b:v{revision}:http://h:1")).await);
    }
    let rules = Rules { netuid: NETUID, ..Rules::default() };
    let newest = client.best_head().await.expect("a block");
    let standing = client.commitments_at(newest.hash, NETUID).await.expect("two commitments");
    assert_eq!(standing.len(), 2);
    let found = async || replaced_policies(&client, &rules, after, newest, &standing).await;
    let of = |name: &str, revision, block| {
        (PolicyKey::stored(hotkey(name).to_string(), format!("a/b {revision} http://h:1")), BlockNumber(block))
    };
    let bobs = of("//Bob", "v1", blocks[0]);
    let all = [bobs.clone(), of("//Bob", "v2", blocks[1]), of("//Alice", "v1", blocks[2])].into();
    let fail = |times, code, message: &str| chain.fail_next("chain_getBlockHash", times, code, message);

    assert_eq!(found().await.expect("the node answers"), all);
    fail(2, -32603, "busy");
    assert_eq!(found().await.expect("the node answers"), all);
    // The first block that is asked for is the one that shows Alice's.
    fail(1, 4003, "Client error: UnknownBlock: State already discarded for 0x00");
    assert_eq!(found().await.expect("the node answers"), [bobs].into());
    node.stop().await;
    assert_eq!(found().await.expect_err("the node is away").kind(), ErrorKind::Unreachable);
}
