//! What must hold of published weights before they are looked at any further. Pure: no clock, no chain, no disk.
//!
//! Three questions, in this order: do the weights make sense by themselves ([`check`]), are they of the right time
//! ([`timely`]), and do they follow what was accepted before ([`follows`]).

use std::collections::BTreeSet;

use kinitro_chain::account_of;
use kinitro_domain::{BlockNumber, CycleId, Hotkey, MinerUid};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::document::Document;

/// For each weight, the sum may be off by this much: what adding doubles in another order can change, and more.
const SUM_TOLERANCE: f64 = 1e-9;

/// The backend's node may be ahead of ours by this many blocks, ten minutes.
const AHEAD_BLOCKS: u64 = 50;

/// Why published weights are not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The answer cannot be read.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// The answer contradicts itself.
    #[error("the answer makes no sense: {0}")]
    Inconsistent(String),
    /// The cycle says that too little of it was played.
    #[error(
        "of cycle {cycle_id} {played} of {planned} episodes were played, too few to pay by ({least} must be): look at the backend's executors"
    )]
    TooLittlePlayed {
        /// The evaluation.
        cycle_id: CycleId,
        /// Episodes that count.
        played: u64,
        /// Episodes that were to be played.
        planned: u64,
        /// How many must count.
        least: u64,
    },
    /// The block is not there yet.
    #[error(
        "the weights are of block {block}, but the chain is finalized up to {finalized} only: check that backend and validator use the same chain"
    )]
    Ahead {
        /// The block of the weights.
        block: BlockNumber,
        /// The finalized head.
        finalized: BlockNumber,
    },
    /// The block is too long ago.
    #[error(
        "the weights are of block {block}, {age} blocks ago, and may be {limit} blocks old: the backend no longer evaluates, or max_weights_age_blocks is too small"
    )]
    TooOld {
        /// The block of the weights.
        block: BlockNumber,
        /// How long ago that is.
        age: u64,
        /// The limit.
        limit: u64,
    },
    /// Newer weights were accepted before.
    #[error(
        "the weights are of block {block} and cycle {cycle_id}, but those of block {known_block} and cycle {known_cycle} were accepted before: the backend went backwards"
    )]
    Backwards {
        /// The block now.
        block: BlockNumber,
        /// The cycle now.
        cycle_id: CycleId,
        /// The block that was accepted.
        known_block: BlockNumber,
        /// The cycle that was accepted.
        known_cycle: CycleId,
    },
    /// A cycle's weights are not what they were.
    #[error(
        "the weights of block {block} and cycle {cycle_id} changed after they were accepted: a cycle has one result"
    )]
    Changed {
        /// The block.
        block: BlockNumber,
        /// The cycle.
        cycle_id: CycleId,
    },
}

impl Refusal {
    /// The label of the metric.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Inconsistent(_) => "inconsistent",
            Self::TooLittlePlayed { .. } => "too_little_played",
            Self::Ahead { .. } => "ahead",
            Self::TooOld { .. } => "too_old",
            Self::Backwards { .. } => "backwards",
            Self::Changed { .. } => "changed",
        }
    }
}

/// Weights that make sense by themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The block at which the miners were read.
    pub block: BlockNumber,
    /// The evaluation.
    pub cycle_id: CycleId,
    /// Ascending by uid; every weight finite and not negative, the sum 1.
    pub shares: Vec<Share>,
    /// Where everything is because nobody earned anything.
    pub burn_uid: Option<MinerUid>,
}

/// One uid's weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The place.
    pub uid: MinerUid,
    /// The weight.
    pub weight: f64,
    /// Who was scored there; nobody at the burn uid.
    pub hotkey: Option<Hotkey>,
}

/// Which weights were accepted last, for the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Their block.
    pub block: BlockNumber,
    /// Their cycle.
    pub cycle_id: CycleId,
    /// [`Published::digest`].
    pub digest: String,
}

impl Published {
    /// SHA-256 of everything that decides what is set, in hex.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for share in &self.shares {
            let hotkey = share.hotkey.as_ref().map_or("", Hotkey::as_str);
            hash.update(format!("{} {:016x} {hotkey}\n", share.uid, share.weight.to_bits()));
        }
        if let Some(burn_uid) = self.burn_uid {
            hash.update(format!("burn {burn_uid}\n"));
        }
        hex::encode(hash.finalize())
    }

    /// What is remembered of these weights.
    pub fn accepted(&self) -> Accepted {
        Accepted { block: self.block, cycle_id: self.cycle_id, digest: self.digest() }
    }
}

/// Whether the document makes sense by itself.
pub fn check(document: Document) -> Result<Published, Refusal> {
    let nonsense = |reason: String| Err(Refusal::Inconsistent(reason));
    check_played(&document)?;
    let Document { block, block_number, cycle_id, weights, weights_u16, mut hotkeys, burn_uid, .. } = document;
    if let Some(other) = block_number.filter(|other| *other != block) {
        return nonsense(format!("`block` is {block} and `block_number` is {other}"));
    }
    let burn_uid = burn_uid.map(MinerUid);
    let mut shares = Vec::with_capacity(weights.0.len());
    let mut named = BTreeSet::new();
    for (uid, weight) in weights.0 {
        if !weight.is_finite() || weight < 0.0 {
            return nonsense(format!("the weight of uid {uid} is {weight}"));
        }
        let hotkey = hotkeys.0.remove(&uid);
        match &hotkey {
            Some(_) if burn_uid == Some(uid) => {
                return nonsense(format!("uid {uid} is the burn uid and a miner's at once"));
            }
            Some(hotkey) if account_of(hotkey).is_err() => {
                return nonsense(format!("`hotkeys` gives uid {uid} an address whose checksum is wrong"));
            }
            Some(hotkey) if !named.insert(hotkey.clone()) => {
                return nonsense(format!("{hotkey} is at two uids, one of them {uid}"));
            }
            None if burn_uid != Some(uid) => {
                return nonsense(format!("`hotkeys` does not say who was scored at uid {uid}; update the backend"));
            }
            _ => {}
        }
        shares.push(Share { uid, weight, hotkey });
    }
    let sum = shares.iter().fold(0.0, |sum, share| sum + share.weight);
    let off = (sum - 1.0).abs();
    if off.is_nan() || off > SUM_TOLERANCE * shares.len() as f64 {
        return nonsense(format!("the {} weights sum to {sum}", shares.len()));
    }
    if let Some(burn_uid) = burn_uid {
        check_burn(&shares, burn_uid)?;
    }
    check_scaled(&shares, &weights_u16.uids, &weights_u16.values)?;
    Ok(Published { block: BlockNumber(block), cycle_id: CycleId(cycle_id), shares, burn_uid })
}

/// A cycle that says that too little of it was played is not paid by, whatever came out.
fn check_played(document: &Document) -> Result<(), Refusal> {
    let nonsense = |reason: String| Err(Refusal::Inconsistent(reason));
    let required = document.min_played_share.unwrap_or(0.0);
    let (planned, played) = match (document.episodes_planned, document.episodes_played) {
        (Some(planned), Some(played)) => (planned, played),
        (None, None) if document.min_played_share.is_none() => return Ok(()),
        _ => return nonsense("it does not say both `episodes_planned` and `episodes_played`".to_owned()),
    };
    if played > planned {
        return nonsense(format!("`episodes_played` is {played} of {planned}"));
    }
    if !(0.0..=1.0).contains(&required) {
        return nonsense(format!("`min_played_share` is {required}"));
    }
    let share = if planned == 0 { 0.0 } else { played as f64 / planned as f64 };
    if let Some(other) = document.played_share.filter(|other| (other - share).abs() > SUM_TOLERANCE || other.is_nan()) {
        return nonsense(format!("`played_share` is {other}, but {played} of {planned} episodes were played"));
    }
    // At least one, whatever is required.
    let least = ((required * planned as f64 - SUM_TOLERANCE).ceil() as u64).max(1);
    if played < least {
        return Err(Refusal::TooLittlePlayed { cycle_id: CycleId(document.cycle_id), played, planned, least });
    }
    Ok(())
}

fn check_burn(shares: &[Share], burn_uid: MinerUid) -> Result<(), Refusal> {
    let expected = |share: &Share| if share.uid == burn_uid { 1.0 } else { 0.0 };
    let burnt = shares.iter().any(|share| share.uid == burn_uid);
    if burnt && shares.iter().all(|share| share.weight == expected(share)) {
        return Ok(());
    }
    Err(Refusal::Inconsistent(format!("`burn_uid` is {burn_uid}, but not all the weight is there")))
}

/// The integers must be those of the weights, by the one rule of scaling.
fn check_scaled(shares: &[Share], uids: &[u16], values: &[u16]) -> Result<(), Refusal> {
    let nonsense = |reason: String| Err(Refusal::Inconsistent(reason));
    let weights: Vec<f64> = shares.iter().map(|share| share.weight).collect();
    let expected = shares.iter().map(|share| share.uid.0).zip(kinitro_pareto::scale(&weights));
    let expected: Vec<(u16, u16)> = expected.filter(|(_, value)| *value > 0).collect();
    if uids.len() != values.len() {
        return nonsense(format!("`weights_u16` has {} uids and {} values", uids.len(), values.len()));
    }
    let mut given: Vec<(u16, u16)> = uids.iter().copied().zip(values.iter().copied()).collect();
    given.sort_unstable();
    if given == expected {
        return Ok(());
    }
    let common = given.iter().zip(&expected).take_while(|(given, expected)| given == expected).count();
    let at = given.get(common).or(expected.get(common)).map_or(0, |(uid, _)| *uid);
    nonsense(format!("`weights_u16` are not the scaled `weights`: they differ at uid {at}"))
}

/// Whether the weights' block is neither in the future nor too long ago.
pub fn timely(block: BlockNumber, finalized: BlockNumber, limit: u64) -> Result<(), Refusal> {
    if block.0 > finalized.0.saturating_add(AHEAD_BLOCKS) {
        return Err(Refusal::Ahead { block, finalized });
    }
    let age = finalized.0.saturating_sub(block.0);
    if age > limit { Err(Refusal::TooOld { block, age, limit }) } else { Ok(()) }
}

/// Whether the weights are those that were accepted last, or newer ones.
pub fn follows(published: &Published, last: Option<&Accepted>) -> Result<(), Refusal> {
    let Some(last) = last else { return Ok(()) };
    let &Published { block, cycle_id, .. } = published;
    match (block, cycle_id).cmp(&(last.block, last.cycle_id)) {
        std::cmp::Ordering::Greater => Ok(()),
        std::cmp::Ordering::Equal if published.digest() == last.digest => Ok(()),
        std::cmp::Ordering::Equal => Err(Refusal::Changed { block, cycle_id }),
        std::cmp::Ordering::Less => {
            let (known_block, known_cycle) = (last.block, last.cycle_id);
            Err(Refusal::Backwards { block, cycle_id, known_block, known_cycle })
        }
    }
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::document::tests::PUBLISHED;

    /// The example of the contract.
    pub fn published() -> Published {
        checked(PUBLISHED).unwrap()
    }

    fn checked(body: &str) -> Result<Published, Refusal> {
        check(Document::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn the_gateways_weights_make_sense() {
        let published = published();
        assert_eq!((published.block, published.cycle_id), (BlockNumber(12), CycleId(1)));
        let uids: Vec<u16> = published.shares.iter().map(|share| share.uid.0).collect();
        assert_eq!(uids, [2, 9, 10]);
    }

    #[test]
    fn everything_at_the_burn_uid_makes_sense() {
        let burnt = r#"{"block":12,"cycle_id":1,"weights":{"0":1.0,"2":0.0},"weights_u16":{"uids":[0],"values":[65535]},
            "hotkeys":{"2":"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"},"burn_uid":0}"#;
        assert_eq!(checked(burnt).unwrap().burn_uid, Some(MinerUid(0)));
        for (from, to) in [
            ("\"burn_uid\":0", "\"burn_uid\":2"),
            ("\"burn_uid\":0", "\"burn_uid\":7"),
            ("\"burn_uid\":0", "\"burn_uid\":null"),
            ("\"0\":1.0,\"2\":0.0", "\"0\":0.5,\"2\":0.5"),
            ("{\"2\":\"5Grw", "{\"0\":\"5Grw"),
        ] {
            let refused = checked(&burnt.replacen(from, to, 1));
            assert!(matches!(refused, Err(Refusal::Inconsistent(_))), "{to}: {refused:?}");
        }
    }

    #[test]
    fn weights_that_make_no_sense_are_refused_with_the_reason() {
        let with = |from: &str, to: &str| PUBLISHED.replacen(from, to, 1);
        let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        let nobody = r#"{"block":1,"cycle_id":1,"weights":{},"weights_u16":{"uids":[],"values":[]}}"#.to_owned();
        for (body, reason) in [
            (with("\"block_number\":12", "\"block_number\":13"), "`block_number` is 13"),
            (with("0.04201006613406605", "-0.04201006613406605"), "the weight of uid 2 is -0.042"),
            (with("0.04201006613406605", "0.14201006613406605"), "sum to 1.1"),
            (with("0.8437947344813395", "0.7437947344813395"), "sum to 0.8999"),
            (with("0.8437947344813395", "1.7e308"), "sum to 170000"),
            (with("\"9\":\"5F", "\"11\":\"5F"), "does not say who was scored at uid 9"),
            (with("\"hotkeys\"", "\"other\""), "does not say who was scored at uid 2"),
            (with("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty", alice), "is at two uids, one of them 9"),
            (with("UhjJM694ty", "UhjJM694tz"), "checksum is wrong"),
            (with("65535,8869", "65535,8870"), "they differ at uid 10"),
            (with("65535,8869", "65535"), "3 uids and 2 values"),
            (with("[2,9,10]", "[2,9,11]"), "they differ at uid 11"),
            (with("[2,9,10],\"values\":[3263,65535,8869]", "[2,9],\"values\":[3263,65535]"), "they differ at uid 10"),
            (with("[2,9,10],\"values\":[3263,", "[2,2,9,10],\"values\":[3263,3263,"), "they differ at uid 2"),
            (nobody, "the 0 weights sum to 0"),
        ] {
            match checked(&body) {
                Err(Refusal::Inconsistent(shown)) => assert!(shown.contains(reason), "{shown} / {reason}"),
                other => panic!("{reason}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_cycle_of_which_too_little_was_played_is_not_paid_by() {
        let with =
            |fields: &str| checked(&PUBLISHED.replacen("\"cycle_id\":1,", &format!("\"cycle_id\":1,{fields}"), 1));
        let played = |planned, played, required| {
            with(&format!(
                "\"episodes_planned\":{planned},\"episodes_played\":{played},\"min_played_share\":{required},"
            ))
        };
        assert!(played(20, 18, "0.9").is_ok());
        assert!(played(20, 17, "null").is_ok(), "nothing was required then");
        let refused = played(20, 17, "0.9").unwrap_err();
        assert!(
            refused.to_string().starts_with("of cycle 1 17 of 20 episodes were played, too few to pay by (18 must be)")
        );
        for nothing in [played(18, 0, "0.9"), played(18, 0, "null"), played(0, 0, "null"), played(0, 0, "0.0")] {
            assert!(matches!(nothing, Err(Refusal::TooLittlePlayed { .. })), "{nothing:?}");
        }
        for nonsense in [
            played(17, 18, "0.9"),
            played(20, 18, "1.5"),
            played(20, 18, "-0.1"),
            with("\"min_played_share\":0.9,"),
            with("\"episodes_planned\":20,"),
            with("\"episodes_planned\":20,\"episodes_played\":10,\"played_share\":0.9,"),
        ] {
            assert!(matches!(nonsense, Err(Refusal::Inconsistent(_))), "{nonsense:?}");
        }
    }

    #[test]
    fn weights_are_set_within_their_time_only() {
        let at = |block, finalized| timely(BlockNumber(block), BlockNumber(finalized), 100);
        for (block, finalized) in [(12, 12), (12, 112), (62, 12), (0, 100)] {
            assert_eq!(at(block, finalized), Ok(()), "{block} {finalized}");
        }
        assert!(matches!(at(12, 113), Err(Refusal::TooOld { age: 101, .. })));
        assert!(matches!(at(63, 12), Err(Refusal::Ahead { .. })));
        assert!(matches!(at(u64::MAX, 0), Err(Refusal::Ahead { .. })));
    }

    #[test]
    fn a_backend_may_go_forwards_only_and_change_nothing() {
        let now = published();
        let known = |block, cycle, digest: &str| Accepted {
            block: BlockNumber(block),
            cycle_id: CycleId(cycle),
            digest: digest.to_owned(),
        };
        assert_eq!(follows(&now, None), Ok(()));
        assert_eq!(follows(&now, Some(&now.accepted())), Ok(()));
        for (block, cycle) in [(11, 1), (11, 0), (11, 9), (12, 0)] {
            assert_eq!(follows(&now, Some(&known(block, cycle, "x"))), Ok(()), "{block} {cycle}");
        }
        for (block, cycle) in [(12, 2), (13, 0), (13, 1)] {
            let refused = follows(&now, Some(&known(block, cycle, &now.digest())));
            assert!(matches!(refused, Err(Refusal::Backwards { .. })), "{block} {cycle}: {refused:?}");
        }
        assert!(matches!(follows(&now, Some(&known(12, 1, "x"))), Err(Refusal::Changed { .. })));
    }

    #[test]
    fn the_digest_covers_weights_hotkeys_and_the_burn_uid() {
        let digest = published().digest();
        let changes: [fn(&mut Published); 4] = [
            |other| other.shares[0].weight = 0.042,
            |other| other.shares[0].uid = MinerUid(3),
            |other| other.shares[0].hotkey = None,
            |other| other.burn_uid = Some(MinerUid(0)),
        ];
        for change in changes {
            let mut other = published();
            change(&mut other);
            assert_ne!(other.digest(), digest);
        }
        let mut later = published();
        later.block = BlockNumber(13);
        assert_eq!(later.digest(), digest, "the block is compared by itself");
    }

    proptest! {
        /// Whatever happens to an answer on its way, what is accepted of it can be computed with.
        #[test]
        fn no_answer_gets_nonsense_in(at in 0..PUBLISHED.len(), drop in 0..20_usize, insert in "[0-9eE+.,:\"{}\\[\\]NaInf-]{0,12}") {
            let end = (at + drop).min(PUBLISHED.len());
            let body = format!("{}{insert}{}", &PUBLISHED[..at], &PUBLISHED[end..]);
            if let Ok(published) = Document::parse(body.as_bytes()).and_then(check) {
                let sum: f64 = published.shares.iter().map(|share| share.weight).sum();
                prop_assert!((sum - 1.0).abs() <= 1e-8);
                prop_assert!(published.shares.iter().all(|share| share.weight.is_finite() && share.weight >= 0.0));
                prop_assert!(published.shares.is_sorted_by(|one, next| one.uid < next.uid));
            }
        }
    }
}
