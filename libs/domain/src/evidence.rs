//! How much of a cycle was played, and whether that is enough to pay miners by. The one rule: scheduling ends a cycle with too little
//! of it unscored, and scoring refuses it once more.
//!
//! An episode counts when it has a result, for the miner or against it; what a miner loses by its own fault is a result. A miner falls
//! short when less than a part of its episodes count in some environment. One may fall short, and more of them while they are no larger
//! part of the field than the part of the episodes that may be missing: they are not evaluated, and the others are. A simulator that is
//! broken for all of them, or a single miner with nothing to compare it to, is no cycle to pay by.
//!
//! A few miners must not be able to hold up the pay of all by being slow. Those that had taken far more of the executors' time than the
//! others when the cycle's time was up are named with the cycle as `slow`. Where the cycle does not suffice with them, it is judged without
//! them: how much of a slow miner was played is then asked of that miner alone. In all, more than half of the miners must be evaluated.

use std::collections::BTreeSet;

use crate::MinerUid;

/// A product of a share and a count may be off by this much: 0.55 · 100 is 55.00000000000001.
const ROUNDING: f64 = 1e-9;

/// What must have been played. Both are shares above 0, at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Required {
    /// Of all episodes, and of the miners.
    pub in_all: f64,
    /// Of the episodes of each miner in each environment.
    pub of_miner: f64,
}

impl Default for Required {
    fn default() -> Self {
        Self { in_all: 0.9, of_miner: 0.5 }
    }
}

impl Required {
    /// Whether both are shares.
    pub fn is_valid(&self) -> bool {
        [self.in_all, self.of_miner].iter().all(|share| *share > 0.0 && *share <= 1.0)
    }
}

/// What was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Episodes that were to be played, without those of the miners in `slow`.
    pub planned: u64,
    /// Those of them that count.
    pub played: u64,
    /// How many miners there are, slow ones too.
    pub miners: usize,
    /// The miners that fall short, slow ones too.
    pub short: BTreeSet<MinerUid>,
    /// The slow miners without which the cycle is judged; none where it suffices with them.
    pub slow: BTreeSet<MinerUid>,
}

/// Why a cycle is not to be paid by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooLittle {
    /// Too few episodes count.
    #[error("{played} of {planned} episodes count, and at least {needed} must")]
    Episodes {
        /// Episodes that count.
        played: u64,
        /// Episodes that were to be played.
        planned: u64,
        /// How many must count.
        needed: u64,
    },
    /// Too many miners fall short.
    #[error(
        "{} of {miners} miners have too few episodes that count in some environment, and at most {most} may (uids {})",
        short.len(),
        some(short)
    )]
    Miners {
        /// Those that fall short.
        short: BTreeSet<MinerUid>,
        /// How many miners there are.
        miners: usize,
        /// How many may fall short.
        most: usize,
    },
}

fn some(uids: &BTreeSet<MinerUid>) -> String {
    const SHOWN: usize = 10;
    let mut text = uids.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if uids.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

impl TooLittle {
    /// A short name for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Episodes { .. } => "too_few_episodes",
            Self::Miners { .. } => "too_many_miners_short",
        }
    }
}

impl Evidence {
    /// Of every miner in every environment: the episodes that count, and those that were to be played; and the miners that were slow.
    /// Naming a miner as slow never makes a cycle insufficient that suffices with it.
    pub fn of(
        pairs: impl IntoIterator<Item = (MinerUid, u32, u32)>,
        slow: &BTreeSet<MinerUid>,
        required: &Required,
    ) -> Self {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let with_all = Self::without(&pairs, BTreeSet::new(), required);
        if with_all.suffices(required).is_ok() {
            return with_all;
        }
        let without_slow = Self::without(&pairs, slow.clone(), required);
        if without_slow.suffices(required).is_ok() { without_slow } else { with_all }
    }

    fn without(pairs: &[(MinerUid, u32, u32)], slow: BTreeSet<MinerUid>, required: &Required) -> Self {
        let (mut planned, mut played, mut miners, mut short) = (0, 0, BTreeSet::new(), BTreeSet::new());
        for &(uid, counted, episodes) in pairs {
            if !slow.contains(&uid) {
                planned += u64::from(episodes);
                played += u64::from(counted);
            }
            miners.insert(uid);
            if episodes == 0 || u64::from(counted) < needed(required.of_miner, episodes.into()) {
                short.insert(uid);
            }
        }
        let slow = slow.intersection(&miners).copied().collect();
        Self { planned, played, miners: miners.len(), short, slow }
    }

    /// Whether the miners that do not fall short can be paid by this.
    pub fn suffices(&self, required: &Required) -> Result<(), TooLittle> {
        let &Self { planned, played, .. } = self;
        let short: BTreeSet<MinerUid> = self.short.difference(&self.slow).copied().collect();
        let miners = self.miners - self.slow.len();
        let needed_episodes = needed(required.in_all, planned).max(1);
        if played < needed_episodes {
            return Err(TooLittle::Episodes { played, planned, needed: needed_episodes });
        }
        let must = usize::try_from(needed(required.in_all, miners as u64)).unwrap_or(miners);
        let most = (miners - must.min(miners)).max(1).min(miners.saturating_sub(1));
        if short.len() > most {
            return Err(TooLittle::Miners { short, miners, most });
        }
        // Slow miners come on top of those that may fall short. More than half of the miners must be left to evaluate.
        if !self.slow.is_empty() && self.short.union(&self.slow).count() * 2 >= self.miners {
            let most = self.miners.div_ceil(2) - 1;
            return Err(TooLittle::Miners { short: self.short.clone(), miners: self.miners, most });
        }
        Ok(())
    }
}

/// The least count that is so large a share.
fn needed(share: f64, of: u64) -> u64 {
    (share * of as f64 - ROUNDING).ceil().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUIRED: Required = Required { in_all: 0.9, of_miner: 0.5 };

    fn of(pairs: &[(u16, u32, u32)]) -> Evidence {
        of_slow(pairs, &[])
    }

    fn of_slow(pairs: &[(u16, u32, u32)], slow: &[u16]) -> Evidence {
        let slow = slow.iter().copied().map(MinerUid).collect();
        let pairs = pairs.iter().map(|&(uid, counted, episodes)| (MinerUid(uid), counted, episodes));
        Evidence::of(pairs, &slow, &REQUIRED)
    }

    /// So many miners that were played wholly in two environments, and those given.
    fn field(whole: u16, more: &[(u16, u32, u32)]) -> Evidence {
        let mut pairs: Vec<_> = (0..whole).flat_map(|uid| [(uid, 10, 10), (uid, 10, 10)]).collect();
        pairs.extend(more);
        of(&pairs)
    }

    #[test]
    fn nine_episodes_in_ten_must_count() {
        assert_eq!(of(&[(1, 18, 20), (2, 18, 20)]).suffices(&REQUIRED), Ok(()));
        let refused = of(&[(1, 18, 20), (2, 17, 20)]).suffices(&REQUIRED).expect_err("35 of 40");
        assert_eq!(refused.to_string(), "35 of 40 episodes count, and at least 36 must");
        let nothing = of(&[(1, 0, 6), (2, 0, 6), (3, 0, 6)]).suffices(&REQUIRED).expect_err("0 of 18");
        assert_eq!(nothing, TooLittle::Episodes { played: 0, planned: 18, needed: 17 });
    }

    #[test]
    fn a_miner_falls_short_with_less_than_half_of_its_episodes_in_one_environment() {
        assert!(field(9, &[(9, 10, 10), (9, 5, 10)]).short.is_empty());
        let evidence = field(9, &[(9, 10, 10), (9, 4, 10)]);
        assert_eq!(evidence.short, BTreeSet::from([MinerUid(9)]));
        assert_eq!(evidence.suffices(&REQUIRED), Ok(()), "one may");
    }

    #[test]
    fn of_a_large_field_a_tenth_may_fall_short_and_of_a_small_one_a_single_miner() {
        let short = |uids: std::ops::Range<u16>| uids.flat_map(|uid| [(uid, 10, 10), (uid, 4, 10)]).collect::<Vec<_>>();
        assert_eq!(field(18, &short(18..20)).suffices(&REQUIRED), Ok(()));
        let refused = field(17, &short(17..20)).suffices(&REQUIRED).expect_err("three of twenty");
        assert!(
            refused.to_string().starts_with("3 of 20 miners") && refused.to_string().ends_with("(uids 17, 18, 19)")
        );
        assert!(field(8, &short(8..10)).suffices(&REQUIRED).is_err(), "two of ten");
        // A simulator that is broken in one environment of twenty.
        let broken: Vec<_> =
            (0..5).flat_map(|uid| (0..20).map(move |env| (uid, if env == 0 { 0 } else { 10 }, 10))).collect();
        assert!(matches!(of(&broken).suffices(&REQUIRED), Err(TooLittle::Miners { .. })));
    }

    #[test]
    fn nothing_is_never_enough() {
        let anything = Required { in_all: f64::MIN_POSITIVE, of_miner: f64::MIN_POSITIVE };
        assert!(of(&[]).suffices(&anything).is_err());
        assert!(of(&[(1, 0, 0)]).suffices(&anything).is_err());
        assert!(of(&[(1, 0, 100), (2, 0, 100)]).suffices(&anything).is_err());
        // A single miner that falls short leaves none to pay.
        assert!(of(&[(1, 99, 100), (1, 0, 1)]).suffices(&REQUIRED).is_err());
        assert!(of_slow(&[(1, 0, 100), (2, 0, 100), (3, 0, 100)], &[3]).suffices(&REQUIRED).is_err());
    }

    #[test]
    fn slow_miners_hold_up_nobody_and_are_asked_for_half_of_their_episodes_as_ever() {
        let sixteen = |slow: u32| -> Vec<(u16, u32, u32)> {
            (0..20).map(|uid| (uid, if uid < 16 { 150 } else { slow }, 150)).collect()
        };
        let veto = of(&sixteen(60)).suffices(&REQUIRED).expect_err("2640 of 3000");
        assert!(matches!(veto, TooLittle::Episodes { played: 2640, planned: 3000, .. }), "{veto}");
        let evidence = of_slow(&sixteen(60), &[16, 17, 18, 19]);
        assert_eq!(evidence.suffices(&REQUIRED), Ok(()));
        assert_eq!((evidence.planned, evidence.played, evidence.miners), (2400, 2400, 20));
        assert_eq!(evidence.short, (16..20).map(MinerUid).collect(), "they are not evaluated");
        assert!(of_slow(&sixteen(75), &[16, 17, 18, 19]).short.is_empty(), "half is enough");
        let sufficient = of_slow(&sixteen(140), &[16, 17, 18, 19]);
        assert_eq!((sufficient.planned, sufficient.slow.len()), (3000, 0), "it suffices with them");

        // What the others lack is asked for as ever, and the slow are always fewer than half.
        let mut broken = sixteen(60);
        broken[..3].iter_mut().for_each(|pair| pair.1 = 60);
        assert!(of_slow(&broken, &[16, 17, 18, 19]).suffices(&REQUIRED).is_err());
        assert!(of_slow(&sixteen(60), &(10..20).collect::<Vec<u16>>()).suffices(&REQUIRED).is_err());
        assert!(of_slow(&sixteen(60), &[77]).suffices(&REQUIRED).is_err(), "no miner of the cycle");
        // Nine slow ones and one that falls short beside them leave half of the field.
        let mut half: Vec<_> = (0..20).map(|uid| (uid, if uid < 11 { 100 } else { 10 }, 100)).collect();
        let nine: Vec<u16> = (11..20).collect();
        assert_eq!(of_slow(&half, &nine).suffices(&REQUIRED), Ok(()));
        half.extend((0..20).map(|uid| (uid, if uid == 0 { 40 } else { 100 }, 100)));
        assert!(of_slow(&half, &nine).suffices(&REQUIRED).is_err());
    }

    proptest! {
        #[test]
        fn more_results_never_make_it_too_little(
            pairs in prop::collection::vec((0_u16..6, 0_u32..20, 1_u32..20), 1..24), more in any::<prop::sample::Index>(),
        ) {
            let mut pairs: Vec<_> = pairs.into_iter().map(|(uid, counted, episodes)| (uid, counted.min(episodes), episodes)).collect();
            let before = of(&pairs);
            let at = more.index(pairs.len());
            pairs[at].1 = (pairs[at].1 + 1).min(pairs[at].2);
            let after = of(&pairs);
            prop_assert!(before.suffices(&REQUIRED).is_err() || after.suffices(&REQUIRED).is_ok());
            prop_assert!(after.played <= after.planned);
        }

        #[test]
        fn naming_a_miner_as_slow_never_makes_it_too_little_and_never_leaves_half_of_the_field(
            pairs in prop::collection::vec((0_u16..12, 0_u32..20, 1_u32..20), 1..48), slow in prop::collection::btree_set(0_u16..14, 0..8),
        ) {
            let pairs: Vec<_> = pairs.into_iter().map(|(uid, counted, episodes)| (uid, counted.min(episodes), episodes)).collect();
            let slow: Vec<u16> = slow.into_iter().collect();
            let evidence = of_slow(&pairs, &slow);
            prop_assert!(of(&pairs).suffices(&REQUIRED).is_err() || evidence.suffices(&REQUIRED).is_ok());
            if evidence.suffices(&REQUIRED).is_ok() && !evidence.slow.is_empty() {
                prop_assert!(evidence.short.union(&evidence.slow).count() * 2 < evidence.miners);
            }
        }
    }
}
