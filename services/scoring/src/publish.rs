//! From the tallies of a cycle to what is published of it. Pure: a replay does the same again.
//!
//! A miner that falls short (see `kinitro_domain::Evidence`) is not evaluated: the scheme scores the others as if it were not there. It
//! keeps the weight that it had in the vector before, [`MAX_IN_A_ROW`] cycles in a row at most and 0 after that, and the others share
//! the rest. It is found there by its hotkey, so that a uid that changed hands inherits nothing.
//!
//! When no miner succeeded, a setting decides. It decides for cycles that were played: while a miner is not evaluated, the weights of
//! before stand.

use std::collections::BTreeMap;

use kinitro_domain::{Evidence, Hotkey, MinerUid};
use kinitro_pareto::{MinerScore, Scheme, Scores, Tallies};
use kinitro_proto::scoring::v1 as proto;

use crate::{
    input::{Input, Invalid},
    no_success::WithoutSuccess,
    statistics,
};

/// A miner keeps its weight for so many cycles in a row without being evaluated.
pub(crate) const MAX_IN_A_ROW: u32 = 3;

/// The weights that stood until now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Previous {
    pub cycle_id: u64,
    /// The weight of each hotkey, 0 where it was burnt, and in how many cycles in a row it was not evaluated.
    pub miners: BTreeMap<Hotkey, (f64, u32)>,
}

/// What is published.
#[derive(Debug)]
pub(crate) struct Publication {
    /// Of all miners; the weights are those that are published, unless those of before are kept.
    pub scores: Scores,
    pub statistics: proto::Statistics,
    /// Absent for a request of before there was any.
    pub evidence: Option<Evidence>,
    /// Miners that were not evaluated, and in how many cycles in a row.
    pub not_evaluated: BTreeMap<MinerUid, u32>,
    /// What was done because no miner succeeded.
    pub no_success: Option<WithoutSuccess>,
    /// Why the weights of before stand.
    pub kept: Option<&'static str>,
}

/// Scores a cycle and decides what is published. An error says that too little was played, or what the scheme refuses.
pub(crate) fn publish(
    scheme: &Scheme,
    without_success: WithoutSuccess,
    input: &Input,
    previous: Option<&Previous>,
) -> Result<Publication, Invalid> {
    let Some(required) = input.required else { return as_before(scheme, &input.tallies) };
    let evidence = evidence(input, &required);
    evidence.suffices(&required).map_err(|too_little| Invalid::new("tallies", too_little))?;
    let evaluated = input.tallies.only(|uid| !evidence.short.contains(&uid))?;
    let mut scores = scheme.score(&evaluated)?;
    let statistics = statistics::of(&evaluated, &scores);
    let (mut no_success, mut kept) = (None, None);
    if !has_success(&evaluated) {
        // It decides where all was played.
        let decided = if evidence.short.is_empty() { without_success } else { WithoutSuccess::Keep };
        match decided {
            WithoutSuccess::Keep => kept = Some("no miner that was evaluated succeeded in any episode"),
            WithoutSuccess::Burn(burn_uid) => burn(&mut scores, burn_uid),
            WithoutSuccess::Published => {}
        }
        no_success = Some(decided);
    }
    if kept.is_none() && scores.burn.is_some() && !evidence.short.is_empty() {
        kept = Some("no miner that was evaluated earned anything, and not all were evaluated");
    }
    if kept.is_some() {
        scores.burn = None;
    }
    let not_evaluated = in_a_row(input, &evidence, previous);
    carry(&mut scores, input, &not_evaluated, previous);
    Ok(Publication { scores, statistics, evidence: Some(evidence), not_evaluated, no_success, kept })
}

/// As cycles were scored whose requests do not say what had to be played.
fn as_before(scheme: &Scheme, tallies: &Tallies) -> Result<Publication, Invalid> {
    let scores = scheme.score(tallies)?;
    let statistics = statistics::of(tallies, &scores);
    Ok(Publication { scores, statistics, evidence: None, not_evaluated: BTreeMap::new(), no_success: None, kept: None })
}

fn evidence(input: &Input, required: &kinitro_domain::Required) -> Evidence {
    let tallies = &input.tallies;
    let pairs = tallies.miners().iter().enumerate().flat_map(|(index, miner)| {
        (0..tallies.environments().len()).map(move |column| {
            let episodes = u32::try_from(tallies.outcomes(index, column).as_slice().len()).unwrap_or(u32::MAX);
            (miner.uid, tallies.counted(index, column), episodes)
        })
    });
    Evidence::of(pairs, &input.slow, required)
}

fn has_success(tallies: &Tallies) -> bool {
    let columns = 0..tallies.environments().len();
    (0..tallies.miners().len()).any(|miner| columns.clone().any(|column| tallies.rate(miner, column) > 0.0))
}

/// The whole weight to one uid.
fn burn(scores: &mut Scores, burn_uid: MinerUid) {
    scores.burn = Some(burn_uid);
    for miner in &mut scores.miners {
        miner.weight = f64::from(miner.uid == burn_uid);
    }
}

/// In how many cycles in a row each miner that falls short was not evaluated, this one included.
fn in_a_row(input: &Input, evidence: &Evidence, previous: Option<&Previous>) -> BTreeMap<MinerUid, u32> {
    let before = |uid| of(input, uid, previous).map_or(0, |(_, cycles)| cycles);
    evidence.short.iter().map(|uid| (*uid, before(*uid).saturating_add(1))).collect()
}

/// What the vector before says about the hotkey that is at a uid now.
fn of(input: &Input, uid: MinerUid, previous: Option<&Previous>) -> Option<(f64, u32)> {
    previous?.miners.get(input.hotkeys.get(&uid)?).copied()
}

/// Adds the miners that were not evaluated, with the weights that they keep; the others share the rest.
fn carry(scores: &mut Scores, input: &Input, not_evaluated: &BTreeMap<MinerUid, u32>, previous: Option<&Previous>) {
    if not_evaluated.is_empty() {
        return;
    }
    let keeps = |(uid, cycles): (&MinerUid, &u32)| {
        let weight = of(input, *uid, previous).filter(|_| *cycles <= MAX_IN_A_ROW).map_or(0.0, |(weight, _)| weight);
        MinerScore { uid: *uid, points: 0, standard_error: None, weight }
    };
    let kept: Vec<MinerScore> = not_evaluated.iter().map(keeps).collect();
    // In the order of the uids, so that the sum is the same on every machine.
    let sum: f64 = kept.iter().map(|miner| miner.weight).sum();
    let rest = (1.0 - sum).max(0.0);
    scores.miners.iter_mut().for_each(|miner| miner.weight *= rest);
    scores.miners.extend(kept);
    scores.miners.sort_by_key(|miner| miner.uid);
}
