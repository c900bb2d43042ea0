//! From the episodes of a closed cycle to the tallies that scoring reads: pure, so that anybody can check it.
//!
//! A task with a result is a success or a failure of the miner. A task without one does not count, with two exceptions.
//!
//! One of which no attempt reached the policy may be either side's fault: the miner's server was away, or the network on our side was. It
//! counts as the miner's failure when an executor reached its beacon at that time, or when the policy of at least one *other* miner was
//! reached in the same cycle, by whichever executor: then our network worked. So a miner cannot dodge a hard episode by going offline, and
//! an operator's broken network is blamed on none of them. That others could not be reached either excuses no miner: they may have
//! vanished together. Our network being down for a while is dealt with while the cycle runs, by waiting (see `tasks::outage`). An episode
//! that ended as `endpoint_refused` is no evidence of a working network: no connection was tried.
//!
//! Our network may also have gone for good after the first episodes. When more than half of all miners, at more than half of all hosts, were away and then
//! no policy was reached any more, what was left counts for no miner; if that is much, the cycle is not scored. Fewer than half of the
//! hosts cannot bring that about by vanishing.
//!
//! Attempts that were lost after the policy had seen an observation may be the miner's doing: see [`lost`](super::lost).

use std::collections::{BTreeMap, BTreeSet};

use kinitro_domain::{Outcome, Outcomes};

use super::lost::Lost;

/// One episode as its row tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Episode {
    /// Solved.
    Success,
    /// Not solved, or a policy fault.
    Failure,
    /// Solved, on a seed of its own.
    SuccessApart,
    /// Not solved, or a policy fault, on a seed of its own.
    FailureApart,
    /// No attempt could reach the policy.
    Unreachable,
    /// The same, and after its first attempt no other miner's policy was reached in the cycle.
    Unwitnessed,
    /// No attempt could reach the policy, and an executor reached its beacon at that time.
    Away,
    /// Not played for any other reason.
    Missing,
}

impl Episode {
    /// The letter by which the query names it; an unknown one is an episode that does not count.
    fn from_letter(letter: char) -> Self {
        match letter {
            '1' => Self::Success,
            '0' => Self::Failure,
            's' => Self::SuccessApart,
            'f' => Self::FailureApart,
            'u' => Self::Unreachable,
            'n' => Self::Unwitnessed,
            'U' => Self::Away,
            _ => Self::Missing,
        }
    }
}

/// The episodes of one miner in one environment, in the order of the cycle's seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// The miner.
    pub uid: u32,
    /// The environment.
    pub env_id: String,
    /// In the order of the seeds.
    pub episodes: Vec<Episode>,
    /// The sum of the total rewards of the episodes that have a result.
    pub reward_sum: f64,
    /// Episodes in which the policy was reached.
    pub reached: u64,
}

impl Played {
    /// One letter an episode: `1` success, `0` failure, `s` and `f` the same on a seed of its own, `u` never reached, `n` never reached
    /// and no other miner after that, `U` never reached although our network worked, anything else missing.
    pub fn new(uid: u32, env_id: String, letters: &str, reward_sum: f64, reached: u64) -> Self {
        Self { uid, env_id, episodes: letters.chars().map(Episode::from_letter).collect(), reward_sum, reached }
    }
}

/// What counts for one miner in one environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Tallied {
    /// The miner.
    pub uid: u32,
    /// The environment.
    pub env_id: String,
    /// In the order of the seeds.
    pub outcomes: Outcomes,
    /// Over the episodes that count; an unreachable one counts with reward 0. 0 when none counts.
    pub mean_reward: f64,
}

/// Takes what was not reached, and after which no other miner was, as our network's: when it is of more than half of all hosts and of more
/// than half of all miners. Whether it was.
pub fn excuse_our_outage(played: &mut [Played], hosts: &BTreeMap<u32, String>) -> bool {
    let all: BTreeSet<&str> = hosts.values().map(String::as_str).collect();
    let away: BTreeSet<u32> =
        played.iter().filter(|group| group.episodes.contains(&Episode::Unwitnessed)).map(|group| group.uid).collect();
    let away_hosts: BTreeSet<&str> = away.iter().filter_map(|uid| hosts.get(uid).map(String::as_str)).collect();
    // Many miners at one host are one that can vanish; of many miners at one host, one may be away alone.
    let ours = away_hosts.len() * 2 > all.len() && away.len() * 2 > hosts.len();
    if ours {
        let left = played.iter_mut().flat_map(|group| &mut group.episodes);
        left.filter(|episode| **episode == Episode::Unwitnessed).for_each(|episode| *episode = Episode::Missing);
    }
    ours
}

/// Decides the episodes that were not reached, counts the lost attempts that are held against their miners as failures with reward 0, and
/// averages the rewards. Keeps the order.
pub fn settle(played: Vec<Played>, held: &[&Lost]) -> Vec<Tallied> {
    let mut failed: BTreeMap<(u32, &str), BTreeSet<usize>> = BTreeMap::new();
    let mut rewards: BTreeMap<(u32, &str), f64> = BTreeMap::new();
    for lost in held {
        let group = (lost.uid, lost.env_id.as_str());
        if failed.entry(group).or_default().insert(lost.episode) {
            *rewards.entry(group).or_default() += lost.reward;
        }
    }
    let mut reached_by_uid: BTreeMap<u32, u64> = BTreeMap::new();
    for group in &played {
        *reached_by_uid.entry(group.uid).or_default() += group.reached;
    }
    let reached: u64 = reached_by_uid.values().sum();
    played
        .into_iter()
        .map(|group| {
            let reached_by_others = reached - reached_by_uid.get(&group.uid).copied().unwrap_or(0);
            let key = (group.uid, group.env_id.as_str());
            let failed = failed.get(&key);
            let outcomes: Outcomes = group
                .episodes
                .iter()
                .enumerate()
                .map(|(position, episode)| match episode {
                    _ if failed.is_some_and(|failed| failed.contains(&position)) => Outcome::Failure,
                    Episode::Success => Outcome::Success,
                    Episode::Failure | Episode::Away => Outcome::Failure,
                    Episode::SuccessApart => Outcome::SuccessApart,
                    Episode::FailureApart => Outcome::FailureApart,
                    Episode::Unreachable | Episode::Unwitnessed if reached_by_others > 0 => Outcome::Failure,
                    Episode::Unreachable | Episode::Unwitnessed | Episode::Missing => Outcome::Missing,
                })
                .collect();
            let mean_reward = match outcomes.counted() {
                0 => 0.0,
                counted => (group.reward_sum - rewards.get(&key).unwrap_or(&0.0)) / f64::from(counted),
            };
            Tallied { uid: group.uid, env_id: group.env_id, outcomes, mean_reward }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn played(letters: &str, uid: u32) -> Played {
        let reached = letters.chars().filter(|letter| matches!(letter, '0' | '1' | 's' | 'f')).count() as u64;
        let successes = letters.chars().filter(|letter| matches!(letter, '1' | 's')).count() as f64;
        Played::new(uid, "metaworld/push-v3".to_owned(), letters, 10.0 * successes, reached)
    }

    #[test]
    fn an_unreachable_episode_counts_only_when_another_miner_was_reached() {
        let tallied = settle(vec![played("1u-", 1), played("u0u", 2)], &[]);
        assert_eq!(tallied[0].outcomes.to_string(), "10-");
        assert_eq!(tallied[0].mean_reward, 5.0);
        assert_eq!(tallied[1].outcomes.to_string(), "000");

        let alone = settle(vec![played("1u-", 1), played("uuu", 2)], &[]);
        assert_eq!(alone[0].outcomes.to_string(), "1--", "its own episodes prove nothing about the others' network");
        assert_eq!(alone[1].outcomes.to_string(), "000");

        let nobody = settle(vec![played("uuu", 1), played("u-u", 2)], &[]);
        assert!(nobody.iter().all(|tally| tally.outcomes.counted() == 0 && tally.mean_reward == 0.0));
    }

    #[test]
    fn an_episode_that_was_lost_by_the_miner_is_a_failure_without_reward() {
        let lost = |episode| Lost {
            uid: 1,
            env_id: "metaworld/push-v3".to_owned(),
            episode,
            executor_id: "a".to_owned(),
            ended_us: 0,
            reported: true,
            reward: 10.0,
        };
        let lost = [lost(1), lost(1), lost(2)];
        let tallied = settle(vec![played("1ssf-", 1), played("1", 2)], &lost.iter().collect::<Vec<_>>());
        assert_eq!((tallied[0].outcomes.to_string().as_str(), tallied[0].mean_reward), ("100f-", 2.5));
        assert_eq!(tallied[1].outcomes.to_string(), "1");
    }

    #[test]
    fn a_miner_that_was_away_while_our_beacon_was_there_failed_even_when_no_other_was_reached() {
        let tallied = settle(vec![played("Uu-", 1)], &[]);
        assert_eq!(tallied[0].outcomes.to_string(), "0--");
    }

    #[test]
    fn miners_that_vanish_together_excuse_each_other_in_nothing() {
        let mut cycle: Vec<Played> = (0..5).map(|uid| played("11uuuuuuu", uid)).collect();
        cycle.push(played("1", 9));
        let tallied = settle(cycle, &[]);
        assert!(tallied[..5].iter().all(|tally| tally.outcomes.to_string() == "110000000"));
    }

    #[test]
    fn what_was_left_when_our_network_went_for_good_counts_for_no_miner() {
        let hosts: BTreeMap<u32, String> = (0..4).map(|uid| (uid, format!("host-{uid}"))).collect();
        let settled = |letters: [&str; 4], hosts: &BTreeMap<u32, String>| -> (bool, Vec<String>) {
            let mut cycle: Vec<Played> = (0..).zip(letters).map(|(uid, letters)| played(letters, uid)).collect();
            let ours = excuse_our_outage(&mut cycle, hosts);
            (ours, settle(cycle, &[]).iter().map(|tally| tally.outcomes.to_string()).collect())
        };
        let (ours, outcomes) = settled(["1nn", "0nu", "11n", "111"], &hosts);
        assert!(ours);
        assert_eq!(outcomes, ["1--", "0-0", "11-", "111"], "`u` was not reached while another was");
        let (ours, outcomes) = settled(["1nn", "0nn", "111", "111"], &hosts);
        assert!(!ours, "half of the hosts may vanish together");
        assert_eq!(outcomes, ["100", "000", "111", "111"]);
        let all_here = (0..4).map(|uid| (uid, "host".to_owned())).collect();
        assert!(!settled(["1nn", "011", "111", "111"], &all_here).0, "one of four that share a host");
        // Three miners at one host are one that vanished.
        let one_host = (0..4).map(|uid| (uid, if uid < 3 { "host" } else { "other" }.to_owned())).collect();
        assert_eq!(
            settled(["1nn", "0nn", "11n", "111"], &one_host),
            (false, vec!["100".into(), "000".into(), "110".into(), "111".into()])
        );
    }

    #[test]
    fn a_refused_endpoint_is_no_evidence_of_a_working_network() {
        let mut refused = played("000", 1);
        refused.reached = 0;
        let tallied = settle(vec![refused, played("uuu", 2)], &[]);
        assert_eq!(tallied[0].outcomes.to_string(), "000");
        assert_eq!(tallied[1].outcomes.to_string(), "---");
    }

    fn cycles() -> impl Strategy<Value = Vec<Played>> {
        prop::collection::vec(("[01sfunU-]{0,12}", 0_u32..4), 0..8)
            .prop_map(|groups| groups.iter().map(|(letters, uid)| played(letters, *uid)).collect())
    }

    proptest! {
        #[test]
        fn results_are_never_changed_and_missing_episodes_never_counted(cycle in cycles()) {
            let tallied = settle(cycle.clone(), &[]);
            prop_assert_eq!(tallied.len(), cycle.len());
            for (before, after) in cycle.iter().zip(&tallied) {
                prop_assert_eq!((before.uid, before.episodes.len()), (after.uid, after.outcomes.as_slice().len()));
                let others = cycle.iter().any(|group| group.uid != before.uid && group.reached > 0);
                for (episode, outcome) in before.episodes.iter().zip(after.outcomes.as_slice()) {
                    let expected = match episode {
                        Episode::Success => Outcome::Success,
                        Episode::Failure | Episode::Away => Outcome::Failure,
                        Episode::SuccessApart => Outcome::SuccessApart,
                        Episode::FailureApart => Outcome::FailureApart,
                        Episode::Missing => Outcome::Missing,
                        Episode::Unreachable | Episode::Unwitnessed if others => Outcome::Failure,
                        Episode::Unreachable | Episode::Unwitnessed => Outcome::Missing,
                    };
                    prop_assert_eq!(*outcome, expected);
                }
                prop_assert!(after.mean_reward.is_finite());
            }
        }

        #[test]
        fn going_offline_never_helps_when_others_were_reached(letters in "[01]{1,12}", away in prop::collection::vec(any::<bool>(), 12)) {
            let dodged: String =
                letters.chars().zip(&away).map(|(letter, away)| if *away { 'u' } else { letter }).collect();
            let honest = settle(vec![played(&letters, 1), played("0", 2)], &[]);
            let dodging = settle(vec![played(&dodged, 1), played("0", 2)], &[]);
            prop_assert!(dodging[0].outcomes.success_rate() <= honest[0].outcomes.success_rate());
            prop_assert!(dodging[0].mean_reward <= honest[0].mean_reward);
            prop_assert_eq!(dodging[0].outcomes.counted(), honest[0].outcomes.counted());
        }
    }
}
