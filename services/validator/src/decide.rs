//! What to do now. Pure: everything that counts is in the [`Situation`].
//!
//! The chain decides what is set: weights that it shows already are not set again before they would go stale. A chain that hides
//! weights (commit-reveal), or that stores them otherwise than they were sent, is asked differently: what this validator set last is
//! still there as long as the chain's `LastUpdate` is the block of that.

use kinitro_domain::{BlockNumber, MinerUid};

use crate::Obstacle;

/// What the subnet asks of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How many uids there are.
    pub neurons: u16,
    /// Blocks between two settings.
    pub rate_limit: u64,
    /// The version key that is asked for.
    pub version: u64,
    /// The fewest weights that are taken; fewer when there are fewer neurons.
    pub min_allowed_weights: u16,
    /// The largest share of one uid, of 65535.
    pub max_weight_limit: u16,
    /// Weights without an update for so many blocks count no more.
    pub activity_cutoff: u64,
    /// Weights are committed hidden and revealed later.
    pub commit_reveal: bool,
}

impl Terms {
    /// How long a vector of weights must be at least. Zeros count.
    pub fn least(&self) -> usize {
        usize::from(self.min_allowed_weights.min(self.neurons))
    }
}

/// What the chain says about the hotkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its place.
    pub uid: MinerUid,
    /// Whether it may set weights for others.
    pub permit: bool,
    /// It belongs to the subnet's owner, who needs no permit.
    pub owner: bool,
    /// The block of its last weights or commit; 0 for never.
    pub last_update: BlockNumber,
}

/// Everything that counts.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The finalized head, so the block of a transaction is later.
    pub now: BlockNumber,
    /// What is to be on the chain; ascending, the largest 65535, none 0.
    pub wanted: &'a [(MinerUid, u16)],
    /// How many zeros could make it longer.
    pub zeros: usize,
    /// What is on the chain, without zeros.
    pub on_chain: &'a [(MinerUid, u16)],
    /// What this validator set or committed last, and at which block.
    pub last_set: Option<(BlockNumber, &'a [(MinerUid, u16)])>,
    /// The subnet's terms.
    pub terms: Terms,
    /// The hotkey; `None` when it is not registered.
    pub standing: Option<Standing>,
    /// After how many blocks unchanged weights are set again, when that is set.
    pub refresh_blocks: Option<u64>,
    /// The version key that is sent, when that is set.
    pub version_key: Option<u64>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The chain shows what it should; it is set again after this block.
    Nothing {
        /// The last block at which nothing is to be done.
        until: BlockNumber,
    },
    /// There is something to set and the rate limit forbids it up to this block.
    Wait {
        /// The last block at which it is forbidden.
        until: BlockNumber,
    },
    /// Set the weights now.
    Set,
    /// Commit them hidden now.
    Commit,
    /// Nothing can be set.
    Refuse(Obstacle),
}

/// Decides.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let terms = &situation.terms;
    let standing = match allowed(situation) {
        Ok(standing) => standing,
        Err(obstacle) => return Decision::Refuse(obstacle),
    };
    let last = standing.last_update.0;
    let ours = situation.last_set.filter(|(block, _)| *block == standing.last_update).map(|(_, weights)| weights);
    let there = match ours {
        Some(ours) if terms.commit_reveal => ours == situation.wanted,
        Some(ours) => ours == situation.wanted || situation.on_chain == situation.wanted,
        // Somebody else set them, or the memory is lost.
        None => situation.on_chain == situation.wanted,
    };
    let stale_at = last.saturating_add(refresh_blocks(terms, situation.refresh_blocks));
    if there && situation.now.0 <= stale_at {
        return Decision::Nothing { until: BlockNumber(stale_at) };
    }
    // The chain takes `now - last >= limit`; one block more costs nothing and is right on both sides of the boundary.
    let free_after = last.saturating_add(terms.rate_limit);
    if last != 0 && situation.now.0 <= free_after {
        return Decision::Wait { until: BlockNumber(free_after) };
    }
    if terms.commit_reveal { Decision::Commit } else { Decision::Set }
}

/// After how many blocks unchanged weights are set again. A setting that would let them go stale gives way to the default.
pub fn refresh_blocks(terms: &Terms, configured: Option<u64>) -> u64 {
    let cutoff = terms.activity_cutoff;
    let refresh = configured.filter(|blocks| *blocks < cutoff).unwrap_or(cutoff / 2);
    refresh.max(terms.rate_limit)
}

/// What the chain would refuse and a reader of its storage can know. Whether the stake suffices is not among it: the chain adds stakes
/// from elsewhere before it compares.
fn allowed(situation: &Situation<'_>) -> Result<Standing, Obstacle> {
    let (terms, wanted) = (&situation.terms, situation.wanted);
    let standing = situation.standing.ok_or(Obstacle::NotRegistered)?;
    if let Some(sent) = situation.version_key.filter(|sent| *sent < terms.version) {
        return Err(Obstacle::VersionKey { asked: terms.version, sent });
    }
    // Who weights itself alone needs neither permit nor company (the runtime's own exemption).
    if matches!(wanted, [(uid, _)] if *uid == standing.uid) {
        return Ok(standing);
    }
    if !standing.permit && !standing.owner {
        return Err(Obstacle::NoPermit);
    }
    bearable(terms, wanted, situation.zeros)?;
    Ok(standing)
}

/// Whether the subnet takes such weights from anyone but the uid that they are all for.
pub fn bearable(terms: &Terms, wanted: &[(MinerUid, u16)], zeros: usize) -> Result<(), Obstacle> {
    let (least, longest) = (terms.least(), wanted.len() + zeros);
    if longest < least {
        return Err(Obstacle::TooFewWeights { weights: longest, least });
    }
    let sum: u64 = wanted.iter().map(|(_, value)| u64::from(*value)).sum();
    let largest = wanted.iter().max_by_key(|(_, value)| *value);
    if let Some((uid, value)) = largest
        && terms.max_weight_limit != u16::MAX
        && u64::from(*value) * u64::from(u16::MAX) > u64::from(terms.max_weight_limit) * sum
    {
        return Err(Obstacle::WeightTooLarge { uid: *uid, limit: terms.max_weight_limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &[(MinerUid, u16)] = &[(MinerUid(1), 65535), (MinerUid(2), 32768)];
    const OLD: &[(MinerUid, u16)] = &[(MinerUid(1), 65535)];
    /// The validator's own uid alone.
    const OWN: &[(MinerUid, u16)] = &[(MinerUid(0), 65535)];

    const TERMS: Terms = Terms {
        neurons: 8,
        rate_limit: 100,
        version: 0,
        min_allowed_weights: 1,
        max_weight_limit: u16::MAX,
        activity_cutoff: 5000,
        commit_reveal: false,
    };
    const STANDING: Standing =
        Standing { uid: MinerUid(0), permit: true, owner: false, last_update: BlockNumber(1000) };
    /// A validator in good standing, whose weights on the chain are old and may be replaced.
    const SITUATION: Situation<'static> = Situation {
        now: BlockNumber(2000),
        wanted: NEW,
        zeros: 0,
        on_chain: OLD,
        last_set: None,
        terms: TERMS,
        standing: Some(STANDING),
        refresh_blocks: None,
        version_key: None,
    };

    fn at(now: u64, change: impl FnOnce(&mut Situation<'static>)) -> Decision {
        let mut situation = Situation { now: BlockNumber(now), ..SITUATION };
        change(&mut situation);
        decide(&situation)
    }

    fn nothing(until: u64) -> Decision {
        Decision::Nothing { until: BlockNumber(until) }
    }

    fn wait(until: u64) -> Decision {
        Decision::Wait { until: BlockNumber(until) }
    }

    #[test]
    fn new_weights_are_set_as_soon_as_the_rate_limit_allows() {
        assert_eq!(at(1001, |_| {}), wait(1100));
        assert_eq!(at(1100, |_| {}), wait(1100));
        assert_eq!(at(1101, |_| {}), Decision::Set);
        assert_eq!(at(1001, |now| now.terms.rate_limit = 0), Decision::Set);
        // Never set before: there is nothing to wait for.
        let never = Standing { last_update: BlockNumber(0), ..STANDING };
        assert_eq!(at(50, |now| (now.standing, now.on_chain) = (Some(never), &[])), Decision::Set);
        assert_eq!(at(1001, |now| now.terms.rate_limit = u64::MAX), wait(u64::MAX));
    }

    #[test]
    fn unchanged_weights_are_set_again_before_they_go_stale() {
        let same = |now: &mut Situation<'static>| now.on_chain = NEW;
        assert_eq!(at(1001, same), nothing(3500));
        assert_eq!(at(3500, same), nothing(3500));
        assert_eq!(at(3501, same), Decision::Set);
        let configured =
            |blocks| move |now: &mut Situation<'static>| (now.on_chain, now.refresh_blocks) = (NEW, Some(blocks));
        assert_eq!(at(1300, configured(300)), nothing(1300));
        assert_eq!(at(1301, configured(300)), Decision::Set);
        // A refresh within the rate limit waits for it; one behind the cutoff would be too late.
        assert_eq!(at(1050, configured(20)), nothing(1100));
        assert_eq!(at(1200, configured(5000)), nothing(3500));
    }

    #[test]
    fn what_was_set_last_is_there_also_when_the_chain_shows_it_otherwise() {
        let ours =
            |block, weights| move |now: &mut Situation<'static>| now.last_set = Some((BlockNumber(block), weights));
        assert_eq!(at(2000, ours(1000, NEW)), nothing(3500));
        assert_eq!(at(3501, ours(1000, NEW)), Decision::Set);
        // Something else was set since, by somebody else with the same hotkey.
        assert_eq!(at(2000, ours(900, NEW)), Decision::Set);
        assert_eq!(at(2000, ours(1000, OLD)), Decision::Set);
    }

    #[test]
    fn hidden_weights_are_committed_once() {
        let hidden = |last_set, on_chain| {
            move |now: &mut Situation<'static>| {
                now.terms.commit_reveal = true;
                (now.last_set, now.on_chain) = (last_set, on_chain);
            }
        };
        let (ours, other) = (Some((BlockNumber(1000), NEW)), Some((BlockNumber(1000), OLD)));
        assert_eq!(at(2000, hidden(None, OLD)), Decision::Commit);
        assert_eq!(at(1050, hidden(None, OLD)), wait(1100));
        assert_eq!(at(2000, hidden(ours, OLD)), nothing(3500), "not revealed yet");
        assert_eq!(at(2000, hidden(ours, NEW)), nothing(3500), "revealed");
        assert_eq!(at(3501, hidden(ours, NEW)), Decision::Commit);
        assert_eq!(at(2000, hidden(other, NEW)), Decision::Commit, "what is committed will replace what is shown");
        assert_eq!(at(2000, hidden(None, NEW)), nothing(3500), "the memory is lost");
    }

    #[test]
    fn what_the_chain_would_refuse_is_not_sent() {
        let mut without: Vec<(Obstacle, Situation<'static>)> = Vec::new();
        let mut add = |obstacle: Obstacle, change: fn(&mut Situation<'static>)| {
            let mut situation = SITUATION;
            change(&mut situation);
            without.push((obstacle, situation));
        };
        add(Obstacle::NotRegistered, |now| now.standing = None);
        add(Obstacle::NoPermit, |now| now.standing = Some(Standing { permit: false, ..STANDING }));
        add(Obstacle::VersionKey { asked: 8, sent: 7 }, |now| (now.terms.version, now.version_key) = (8, Some(7)));
        add(Obstacle::TooFewWeights { weights: 2, least: 3 }, |now| now.terms.min_allowed_weights = 3);
        add(Obstacle::TooFewWeights { weights: 2, least: 8 }, |now| now.terms.min_allowed_weights = 1024);
        add(Obstacle::WeightTooLarge { uid: MinerUid(1), limit: 43689 }, |now| now.terms.max_weight_limit = 43689);
        add(Obstacle::TooFewWeights { weights: 3, least: 4 }, |now| {
            (now.terms.min_allowed_weights, now.zeros) = (4, 1);
        });
        // Another one's uid alone is no exemption.
        add(Obstacle::NoPermit, |now| {
            (now.wanted, now.standing) = (OWN, Some(Standing { uid: MinerUid(2), permit: false, ..STANDING }));
        });
        for (obstacle, situation) in without {
            assert_eq!(decide(&situation), Decision::Refuse(obstacle));
        }
        let allowed: [fn(&mut Situation<'static>); 6] = [
            |now| (now.terms.min_allowed_weights, now.zeros) = (3, 1),
            |now| {
                (now.wanted, now.standing) = (OWN, Some(Standing { uid: MinerUid(0), permit: false, ..STANDING }));
                (now.terms.min_allowed_weights, now.terms.max_weight_limit) = (8, 1);
            },
            |now| now.terms.max_weight_limit = 43690,
            |now| (now.terms.min_allowed_weights, now.terms.neurons) = (1024, 2),
            |now| (now.terms.version, now.version_key) = (8, Some(8)),
            |now| now.standing = Some(Standing { permit: false, owner: true, ..STANDING }),
        ];
        for change in allowed {
            assert_eq!(at(2000, change), Decision::Set);
        }
    }
}
