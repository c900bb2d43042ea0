//! One simulated cycle, scored with the attacker and without.

use anyhow::Result;
use kinitro_domain::{BlockNumber, EnvId, MinerUid, Outcomes};
use kinitro_pareto::{Miner, Scheme, Scores, Tallies, Tally};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

use super::{
    model::{Model, Seeds},
    population::{Attack, Player},
};

/// What the trials of one line have in common.
pub struct Line {
    pub attack: Attack,
    pub seeds: Seeds,
    pub episodes: u32,
    players: Vec<Player>,
    model: Model,
}

/// What one scheme made of trials, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tallied {
    pub trials: u32,
    /// The attacker's weight, all uids together.
    pub share: f64,
    /// Cycles with a false crown, or with a deserved one.
    pub crowns: u32,
    /// Cycles in which one of the attacker's uids had points.
    pub points: u32,
}

impl Tallied {
    pub fn add(&mut self, other: Self) {
        self.trials += other.trials;
        self.share += other.share;
        self.crowns += other.crowns;
        self.points += other.points;
    }
}

impl Line {
    pub fn new(attack: Attack, seeds: Seeds, episodes: u32, players: Vec<Player>, difficulty: f64) -> Self {
        let model = Model::new(&players, difficulty);
        Self { attack, seeds, episodes, players, model }
    }

    /// Plays the trials with these numbers and scores each of them by every scheme.
    pub fn play(
        &self,
        env_ids: &[EnvId],
        schemes: &[Scheme],
        seed: u64,
        trials: std::ops::Range<u32>,
    ) -> Result<Vec<Tallied>> {
        let mut tallied = vec![Tallied::default(); schemes.len()];
        for trial in trials {
            let mut random = self.random(seed, trial);
            let outcomes: Vec<Vec<Outcomes>> = (0..env_ids.len())
                .map(|environment| {
                    let outcomes = self.model.play(environment, self.episodes, self.seeds, &mut random);
                    outcomes.into_iter().map(Outcomes::from_iter).collect()
                })
                .collect();
            let attacked = self.tallies(env_ids, &outcomes, |_| true)?;
            let honest = self.tallies(env_ids, &outcomes, |player| !player.attacking)?;
            for (scheme, tallied) in schemes.iter().zip(&mut tallied) {
                tallied.add(self.judge(&scheme.score(&attacked)?, &scheme.score(&honest)?));
            }
        }
        Ok(tallied)
    }

    /// A generator for this line and trial, whatever other lines there are.
    fn random(&self, seed: u64, trial: u32) -> ChaCha8Rng {
        let attack = match self.attack {
            Attack::Clones(count) => (0, count),
            Attack::WorseClone => (1, 0),
            Attack::Squatter => (2, 0),
            Attack::Specialist => (3, 0),
            Attack::Swarm => (4, 0),
            Attack::Improver(points) => (5, points),
        };
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let parts = [trial, self.episodes, self.seeds as u32, attack.0, attack.1];
        for (place, part) in key[8..].chunks_exact_mut(4).zip(parts) {
            place.copy_from_slice(&part.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }

    fn tallies(
        &self,
        env_ids: &[EnvId],
        outcomes: &[Vec<Outcomes>],
        takes_part: impl Fn(&Player) -> bool,
    ) -> Result<Tallies> {
        let players = || (0_u16..).zip(&self.players).filter(|(_, player)| takes_part(player));
        let miners = players()
            .map(|(uid, player)| Miner { uid: MinerUid(uid), first_commit_block: BlockNumber(player.block) })
            .collect();
        let tallies = env_ids.iter().zip(outcomes).flat_map(|(env_id, outcomes)| {
            players().map(move |(uid, _)| Tally {
                uid: MinerUid(uid),
                env_id: env_id.clone(),
                outcomes: outcomes[usize::from(uid)].clone(),
                mean_reward: 0.0,
            })
        });
        Ok(Tallies::new(miners, env_ids.to_vec(), tallies)?)
    }

    fn judge(&self, attacked: &Scores, honest: &Scores) -> Tallied {
        let attacking = |uid: MinerUid| self.players[usize::from(uid.0)].attacking;
        let its_own = || attacked.miners.iter().filter(|miner| attacking(miner.uid));
        let crowned = crown(attacked);
        let crown = if self.attack.deserving() {
            crowned.is_some_and(attacking)
        } else {
            crown(honest).is_some_and(|rightful| crowned != Some(rightful))
        };
        Tallied {
            trials: 1,
            share: its_own().map(|miner| miner.weight).sum(),
            crowns: crown.into(),
            points: its_own().any(|miner| miner.points > 0).into(),
        }
    }
}

/// Who has more weight than anybody else.
fn crown(scores: &Scores) -> Option<MinerUid> {
    let largest = scores.miners.iter().map(|miner| miner.weight).fold(0.0, f64::max);
    let mut crowned = scores.miners.iter().filter(|miner| miner.weight == largest && largest > 0.0);
    let first = crowned.next()?;
    crowned.next().is_none().then_some(first.uid)
}
