use std::{net::SocketAddr, pin::pin, time::Duration};

use kinitro_chain::{ErrorKind, Signer, Wait};
use kinitro_devchain::{Devchain, NeuronSeed, RpcServer};
use kinitro_domain::Hotkey;
use tokio::{net::TcpListener, time::sleep};

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

fn gap(after: Option<u64>, newest: u64) -> Gap {
    let mut gap = Gap::default();
    gap.reach(after.map(BlockNumber), BlockNumber(newest));
    gap
}

/// The blocks that are read, and the commitments that are seen, by whoever read `after` and then `newest`.
fn walk(history: &History, after: Option<u64>, newest: u64) -> (Vec<u64>, BTreeSet<(String, u64)>) {
    let mut gap = gap(after, newest);
    let (mut read, mut seen) = (Vec::new(), BTreeSet::new());
    let mut next = Some(BlockNumber(newest));
    while let Some(number) = next {
        let commitments = standing(history, number.0);
        gap.note(number, &commitments);
        gap.close(number, None);
        let of =
            |commitment: &RawCommitment| (commitment.hotkey.to_string(), commitment.block.map_or(0, |block| block.0));
        seen.extend(commitments.iter().map(of));
        next = gap.next();
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
    let mut gap = gap(Some(10), 20);
    let alice = hotkey("//Alice");
    for block in [0, 1, 10, 11, 21, 22, u64::MAX] {
        gap.note(BlockNumber(20), &standing(&[(alice.clone(), vec![block])], block));
    }
    assert_eq!(gap.next(), None);
}

#[test]
fn a_gap_that_grows_keeps_what_was_read_and_what_was_to_be_read() {
    let alice = hotkey("//Alice");
    let mut gap = gap(Some(10), 20);
    gap.note(BlockNumber(20), &standing(&[(alice.clone(), vec![15])], 20));
    gap.close(BlockNumber(14), None);
    gap.note(BlockNumber(14), &standing(&[(alice.clone(), vec![13])], 14));
    assert_eq!(gap.next(), Some(BlockNumber(12)));

    gap.reach(Some(BlockNumber(10)), BlockNumber(400));
    gap.note(BlockNumber(400), &standing(&[(alice.clone(), vec![15]), (hotkey("//Bob"), vec![200])], 400));
    assert_eq!(gap.wanted, [12, 199].into(), "what was wanted may be old by now");
    // Somebody else stored a newer block.
    gap.reach(Some(BlockNumber(150)), BlockNumber(400));
    assert_eq!(gap.wanted, [199].into());
}

const BUSY: (i32, &str) = (-32603, "busy");
const GONE: (i32, &str) = (4003, "Client error: UnknownBlock: State already discarded for 0x00");
const UNKNOWN: (i32, &str) = (4003, "Client error: UnknownBlock: Header was not found in the database: 0x00");

/// A chain on which each of some hotkeys committed two revisions in turn, and whoever read the block before that.
struct Skipped {
    chain: Devchain,
    node: Option<RpcServer>,
    address: SocketAddr,
    client: ChainClient,
    after: Option<BlockNumber>,
    newest: BlockRef,
    standing: Vec<RawCommitment>,
    /// Where the first revisions stood.
    first: Vec<(PolicyKey, BlockNumber)>,
    gap: Gap,
}

impl Skipped {
    async fn by(names: &[&str]) -> Self {
        let neurons = names.iter().copied().map(NeuronSeed::new).collect();
        let config =
            kinitro_devchain::Config { netuid: NETUID, block_ms: 0, control: true, neurons, ..Default::default() };
        let chain = Devchain::new(&config).expect("a chain");
        chain.advance(5).expect("blocks");
        // Nobody calls out from this address, so the port stays free while the node is away.
        let listener = TcpListener::bind("127.0.0.2:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = ChainClient::new(&format!("ws://{address}")).expect("an address");
        let node = Some(chain.serve(listener).expect("a node"));
        let after = Some(client.best_head().await.expect("a block").number);
        let mut first = Vec::new();
        for name in names {
            let block = commit(&chain, &client, name, "a/b:v1:http://h:1").await;
            commit(&chain, &client, name, "a/b:v2:http://h:1").await;
            first.push((PolicyKey::stored(hotkey(name).to_string(), "a/b v1 http://h:1".to_owned()), block));
        }
        let newest = client.best_head().await.expect("a block");
        let standing = client.commitments_at(newest.hash, NETUID).await.expect("commitments");
        assert_eq!(standing.len(), names.len());
        Self { chain, node, address, client, after, newest, standing, first, gap: Gap::default() }
    }

    async fn stop_node(&mut self) {
        self.node.take().expect("it runs").stop().await;
    }

    async fn start_node(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is free");
        self.node = Some(self.chain.serve(listener).expect("a node"));
    }

    fn fail(&self, times: u32, (code, message): (i32, &str)) {
        self.chain.fail_next("chain_getBlockHash", times, code, message);
    }

    /// One attempt: the first revisions that were found, in order of the block.
    async fn look(&mut self) -> Result<Vec<(PolicyKey, BlockNumber)>, ChainError> {
        let rules = Rules { netuid: NETUID, ..Rules::default() };
        let found = self.gap.replaced_policies(&self.client, &rules, self.after, self.newest, &self.standing).await?;
        let is_first = |(policy, _): &(&PolicyKey, &BlockNumber)| policy.policy().contains(" v1 ");
        let mut found: Vec<_> = found.iter().filter(is_first).map(|(policy, block)| (policy.clone(), *block)).collect();
        found.sort_by_key(|(_, block)| *block);
        Ok(found)
    }

    /// As many attempts as it takes, and how many failed.
    async fn look_on(&mut self) -> (u32, Vec<(PolicyKey, BlockNumber)>) {
        for failed in 0..100 {
            match self.look().await {
                Ok(found) => return (failed, found),
                Err(error) => assert!([ErrorKind::Node, ErrorKind::Unreachable].contains(&error.kind()), "{error}"),
            }
        }
        panic!("the gap is never closed");
    }
}

async fn commit(chain: &Devchain, client: &ChainClient, name: &str, data: &str) -> BlockNumber {
    let signer = Signer::from_uri(name).expect("a development key");
    let mut submitted = pin!(client.set_commitment(&signer, NETUID, data.as_bytes(), Wait::Inclusion));
    loop {
        tokio::select! {
            receipt = &mut submitted => return receipt.expect("it is included").block.number,
            () = sleep(Duration::from_millis(100)) => { chain.advance(1).expect("a block"); }
        }
    }
}

#[tokio::test]
async fn a_state_that_is_gone_is_left_out_at_once() {
    let mut skipped = Skipped::by(&["//Bob", "//Alice"]).await;
    // The first block that is asked for is the one that shows Alice's.
    skipped.fail(1, GONE);
    assert_eq!(skipped.look().await.expect("the node answers"), skipped.first[..1]);
    assert!(skipped.gap.take_advanced());
}

#[tokio::test]
async fn a_node_that_cannot_answer_now_is_asked_again() {
    let mut skipped = Skipped::by(&["//Bob", "//Alice"]).await;
    for failure in [BUSY, UNKNOWN] {
        skipped.gap = Gap::default();
        skipped.fail(TRIES - 1, failure);
        for _ in 1..TRIES {
            assert_eq!(skipped.look().await.expect_err("it fails").kind(), ErrorKind::Node);
            assert!(!skipped.gap.take_advanced());
        }
        assert_eq!(skipped.look().await.expect("the node answers"), skipped.first);
    }
}

#[tokio::test]
async fn a_block_that_fails_every_time_is_left_out_in_the_end() {
    let mut skipped = Skipped::by(&["//Bob", "//Alice"]).await;
    skipped.fail(TRIES, BUSY);
    assert_eq!(skipped.look_on().await, (TRIES - 1, skipped.first[..1].to_vec()));
    assert_eq!(skipped.gap.lost.len(), 1);
}

#[tokio::test]
async fn a_node_that_fails_with_every_old_block_holds_nobody_up_for_ever() {
    let mut skipped = Skipped::by(&["//Alice", "//Bob", "//Charlie", "//Dave", "//Eve"]).await;
    skipped.fail(1_000, BUSY);
    assert_eq!(skipped.look_on().await, (3 * (TRIES - 1), Vec::new()), "only three of the five are tried often");
    assert_eq!((skipped.gap.lost.len(), skipped.gap.wanted.len()), (5, 0));
}

#[tokio::test]
async fn a_lost_connection_costs_nothing_that_was_read_before() {
    let mut skipped = Skipped::by(&["//Alice", "//Bob", "//Charlie"]).await;
    let rules = Rules { netuid: NETUID, ..Rules::default() };
    skipped.gap.reach(skipped.after, skipped.newest.number);
    skipped.gap.note(skipped.newest.number, &skipped.standing);
    let newest = skipped.gap.next().expect("a block is wanted");
    skipped.gap.try_block(&skipped.client, &rules, newest).await.expect("the node answers");

    skipped.stop_node().await;
    for _ in 0..2 {
        assert_eq!(skipped.look().await.expect_err("the node is away").kind(), ErrorKind::Unreachable);
        assert_eq!(skipped.gap.read, [newest.0].into());
    }
    skipped.start_node().await;
    let second = skipped.gap.next().expect("a block is wanted");
    assert!(second < newest);
    skipped.gap.try_block(&skipped.client, &rules, second).await.expect("the node answers");
    skipped.chain.drop_connections();
    assert_eq!(skipped.look_on().await.1, skipped.first);
    assert!(skipped.gap.lost.is_empty());

    // Of a gap that was read nothing is asked any more: whatever failed after it can be tried again.
    skipped.stop_node().await;
    assert_eq!(skipped.look().await.expect("nobody is asked"), skipped.first);
}

#[tokio::test]
async fn a_node_that_goes_away_after_some_blocks_failed_loses_no_other_block() {
    let mut skipped = Skipped::by(&["//Alice"]).await;
    let error = ChainError::BlockNotFound { address: String::new(), block: String::new() };
    skipped.gap.lost = (1_000..).take(GIVEN_UP).map(|block| (block, error.clone())).collect();
    skipped.stop_node().await;
    for _ in 0..2 * TRIES {
        assert_eq!(skipped.look().await.expect_err("the node is away").kind(), ErrorKind::Unreachable);
    }
    skipped.start_node().await;
    assert_eq!(skipped.look().await.expect("the node answers"), skipped.first);
}
