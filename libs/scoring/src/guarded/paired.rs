//! Outcomes as bits, so that two miners are compared 64 episodes at a time.

use kinitro_domain::Outcome;

use super::gap::Difference;
use crate::Tallies;

/// The outcomes of all miners in all environments. With the most that a cycle can have, this is 164 MB.
pub(super) struct Paired {
    environments: usize,
    /// Of every miner and environment.
    played: Vec<Played>,
}

struct Played {
    /// Which episodes can be compared, and which of them succeeded.
    bits: Vec<(u64, u64)>,
    /// How many succeeded, if all of them can be compared.
    successes: Option<u32>,
}

impl Paired {
    pub(super) fn new(tallies: &Tallies) -> Self {
        let environments = tallies.environments().len();
        let pairs = (0..tallies.miners().len()).flat_map(|miner| (0..environments).map(move |column| (miner, column)));
        let played = pairs.map(|(miner, column)| {
            let outcomes = tallies.outcomes(miner, column);
            Played {
                bits: outcomes.as_slice().chunks(64).map(word).collect(),
                successes: outcomes.as_slice().iter().all(|outcome| outcome.is_shared()).then(|| outcomes.successes()),
            }
        });
        Self { environments, played: played.collect() }
    }

    /// Two miners in an environment, all by index; `None` when it is plain that the challenger is not ahead, which spares
    /// the look at every episode.
    pub(super) fn difference(&self, challenger: usize, holder: usize, column: usize) -> Option<Difference> {
        let of = |miner: usize| &self.played[miner * self.environments + column];
        let (challenger, holder) = (of(challenger), of(holder));
        if let (Some(challenger), Some(holder)) = (challenger.successes, holder.successes)
            && challenger <= holder
        {
            return None;
        }
        let mut difference = Difference { episodes: 0, challenger: 0, holder: 0 };
        for ((counts, challenger), (holder_counts, holder)) in challenger.bits.iter().zip(&holder.bits) {
            let both = counts & holder_counts;
            difference.episodes += u64::from(both.count_ones());
            difference.challenger += u64::from((both & challenger & !holder).count_ones());
            difference.holder += u64::from((both & holder & !challenger).count_ones());
        }
        Some(difference)
    }
}

fn word(outcomes: &[Outcome]) -> (u64, u64) {
    outcomes.iter().enumerate().fold((0, 0), |(counts, successes), (bit, outcome)| {
        let (counted, success) = match outcome {
            Outcome::Success => (1, 1),
            Outcome::Failure => (1, 0),
            // Other scenes than those of the other miner.
            Outcome::Missing | Outcome::SuccessApart | Outcome::FailureApart => (0, 0),
        };
        (counts | counted << bit, successes | success << bit)
    })
}

#[cfg(test)]
mod tests {
    use kinitro_domain::{BlockNumber, MinerUid, Outcomes};

    use super::*;
    use crate::{Miner, Tally};

    #[test]
    fn episodes_on_seeds_drawn_anew_are_compared_with_no_other() {
        let env_id: kinitro_domain::EnvId = "metaworld/push-v3".parse().expect("valid");
        let tally = |uid, text: &str| Tally {
            uid: MinerUid(uid),
            env_id: env_id.clone(),
            outcomes: text.parse::<Outcomes>().expect("valid"),
            mean_reward: 0.0,
        };
        let miners = [1, 2].map(|uid| Miner { uid: MinerUid(uid), first_commit_block: BlockNumber(u64::from(uid)) });
        let tallies = Tallies::new(miners.to_vec(), vec![env_id.clone()], vec![tally(1, "1ss10f"), tally(2, "000000")]);
        let tallies = tallies.expect("valid");
        assert_eq!(tallies.rate(0, 0), 4.0 / 6.0, "they count");
        let difference = Paired::new(&tallies).difference(0, 1, 0).expect("ahead");
        assert_eq!(difference, Difference { episodes: 3, challenger: 2, holder: 0 });
    }
}
