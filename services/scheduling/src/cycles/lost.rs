//! Attempts that were lost as our fault after the policy had seen an observation: whether they are the miner's doing after all.
//!
//! Each is played again on another seed, so losing one brings no second look. But a policy that can make us fail could do so whenever it is
//! about to lose, and be given scenes until one suits it. So what is lost beyond a small share counts as the miner's failures, if it is the
//! miner alone that loses so much:
//!
//! - more attempts of it ended as a fault that an executor reported so than its share allows (at least [`ALWAYS_ALLOWED`]),
//! - most miners of the cycle are not like that: else it is our side, and nothing is held against any of them, and
//! - so many of these were lost alone: no attempt of another miner that is not like that was lost at the same executor within [`TOGETHER`].
//!   An executor that dies, and the process of a family, take episodes of several miners with them.
//!
//! Leases that expired, leases that were handed back, and faults of executors that do not tell whether the policy had seen anything (those of
//! the Python system) never count against a miner: too little is known of how these attempts ended.

use std::collections::{BTreeMap, BTreeSet};

/// So many lost attempts in a cycle are nothing yet, however few episodes it has.
const ALWAYS_ALLOWED: u64 = 2;
/// Attempts that were lost within so many microseconds at one executor were lost together.
const TOGETHER: i64 = 10_000_000;

/// An attempt that was lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Lost {
    /// The miner.
    pub uid: u32,
    /// The environment.
    pub env_id: String,
    /// Counted from 0 in its environment.
    pub episode: usize,
    /// Who played it.
    pub executor_id: String,
    /// When it ended, in microseconds since 1970.
    pub ended_us: i64,
    /// An executor said that it failed after the policy had seen an observation; else its lease expired or was handed back, or its executor
    /// does not tell.
    pub reported: bool,
    /// The reward of the result that the episode came to, 0 when there is none.
    pub reward: f64,
}

/// Those of the lost attempts whose episodes count as failures of their miners. `episodes` is how many each miner of the cycle has, and
/// `share` how many of a hundredth may be lost: 0.05 for five in a hundred.
pub fn held_against_miners<'a>(lost: &'a [Lost], episodes: &BTreeMap<u32, u64>, share: f64) -> Vec<&'a Lost> {
    let mut reported: BTreeMap<u32, u64> = BTreeMap::new();
    for attempt in lost.iter().filter(|attempt| attempt.reported) {
        *reported.entry(attempt.uid).or_default() += 1;
    }
    let allowed = |uid: u32| {
        let episodes = episodes.get(&uid).copied().unwrap_or_default();
        ((episodes as f64 * share) as u64).max(ALWAYS_ALLOWED)
    };
    let conspicuous: BTreeSet<u32> =
        reported.iter().filter(|(uid, count)| **count > allowed(**uid)).map(|(uid, _)| *uid).collect();
    if conspicuous.len() * 2 > episodes.len() {
        return Vec::new();
    }
    let mut others: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for attempt in lost.iter().filter(|attempt| !conspicuous.contains(&attempt.uid)) {
        others.entry(&attempt.executor_id).or_default().insert(attempt.ended_us);
    }
    let alone = |attempt: &Lost| {
        let around = attempt.ended_us.saturating_sub(TOGETHER)..=attempt.ended_us.saturating_add(TOGETHER);
        others.get(attempt.executor_id.as_str()).is_none_or(|times| times.range(around).next().is_none())
    };
    let mut by_uid: BTreeMap<u32, Vec<&Lost>> = BTreeMap::new();
    for attempt in lost.iter().filter(|attempt| attempt.reported && conspicuous.contains(&attempt.uid)) {
        if alone(attempt) {
            by_uid.entry(attempt.uid).or_default().push(attempt);
        }
    }
    by_uid.into_iter().filter(|(uid, held)| held.len() as u64 > allowed(*uid)).flat_map(|(_, held)| held).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn lost(uid: u32, episode: usize, executor_id: &str, second: i64) -> Lost {
        Lost {
            uid,
            env_id: "metaworld/push-v3".to_owned(),
            episode,
            executor_id: executor_id.to_owned(),
            ended_us: second * SECOND,
            reported: true,
            reward: 1.0,
        }
    }

    fn episodes(miners: u32, each: u64) -> BTreeMap<u32, u64> {
        (0..miners).map(|uid| (uid, each)).collect()
    }

    fn held(lost: &[Lost], episodes: &BTreeMap<u32, u64>) -> Vec<(u32, usize)> {
        held_against_miners(lost, episodes, 0.05).iter().map(|lost| (lost.uid, lost.episode)).collect()
    }

    #[test]
    fn what_one_miner_alone_loses_beyond_a_small_share_is_held_against_it() {
        let ten: Vec<Lost> = (0..10).map(|n| lost(1, n, "a", 100 * n as i64)).collect();
        assert_eq!(held(&ten, &episodes(4, 18)).len(), 10);
        assert_eq!(held(&ten[..3], &episodes(4, 18)).len(), 3);
        assert_eq!(held(&ten[..2], &episodes(4, 18)), [], "two may be chance");
        assert_eq!(held(&ten, &episodes(4, 200)), [], "five in a hundred");
        let expired: Vec<Lost> = ten.iter().map(|lost| Lost { reported: false, ..lost.clone() }).collect();
        assert_eq!(held(&expired, &episodes(4, 18)), []);
    }

    #[test]
    fn an_executor_that_takes_others_with_it_is_held_against_no_miner() {
        // It dies three times, each time with the same two episodes and one of a third miner.
        let together: Vec<Lost> = (0..3)
            .flat_map(|n| [lost(1, n, "a", 100 * n as i64), lost(2, n, "a", 100 * n as i64 + 3)])
            .chain((0..3).map(|n| Lost { reported: false, ..lost(3 + n, 0, "a", 100 * i64::from(n) + 9) }))
            .collect();
        assert_eq!(held(&together, &episodes(20, 18)), []);
        // At another executor, or at another time, it is another matter.
        let elsewhere: Vec<Lost> = together
            .iter()
            .map(|lost| if lost.uid > 2 { Lost { executor_id: "b".to_owned(), ..lost.clone() } } else { lost.clone() })
            .collect();
        assert_eq!(held(&elsewhere, &episodes(20, 18)).len(), 6);
    }

    #[test]
    fn what_most_miners_lose_is_ours() {
        let all: Vec<Lost> = (0..4).flat_map(|uid| (0..9).map(move |n| lost(uid, n, "a", 1000 * n as i64))).collect();
        assert_eq!(held(&all, &episodes(4, 18)), []);
        assert_eq!(held(&all[..9], &episodes(1, 18)), [], "there is none to compare with");
        assert_eq!(held(&all[..9], &episodes(2, 18)).len(), 9);
    }

    #[test]
    fn miners_that_lose_as_much_excuse_each_other_in_nothing() {
        let both: Vec<Lost> = (0..2).flat_map(|uid| (0..9).map(move |n| lost(uid, n, "a", 1000 * n as i64))).collect();
        assert_eq!(held(&both, &episodes(6, 18)).len(), 18);
    }
}
