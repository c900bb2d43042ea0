//! Who takes part in a simulated cycle: honest miners and one attacker, who may have several uids.

use super::args::AttackArgs;

/// The last rate that honest miners go down to.
const LEAST: f64 = 0.05;
/// What each honest miner has less than the one before.
const STEP: f64 = 0.1;

/// One kind of attack, or the late improver, who is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Attack {
    /// So many copies of the best honest miner's policy, committed after everybody else.
    Clones(u32),
    /// One copy that is a point worse everywhere.
    WorseClone,
    /// Commits before everybody else and can do nothing. One environment, where there are several, nobody can solve yet.
    Squatter,
    /// Very good in one environment and bad in all others, after everybody else.
    Specialist,
    /// Twenty uids with one policy of their own, 10 points worse than the best honest miner's, after everybody else.
    Swarm,
    /// Better than the best honest miner everywhere by so many points, after everybody else.
    Improver(u32),
}

impl Attack {
    /// All that the panel shows with so many environments.
    pub fn all(environments: u32) -> Vec<Self> {
        let mut all = vec![
            Self::Clones(1),
            Self::Clones(5),
            Self::Clones(20),
            Self::Clones(100),
            Self::WorseClone,
            Self::Squatter,
            Self::Specialist,
            Self::Swarm,
            Self::Improver(1),
            Self::Improver(2),
            Self::Improver(5),
            Self::Improver(10),
        ];
        all.retain(|attack| environments > 1 || *attack != Self::Specialist);
        all
    }

    /// As it is printed.
    pub fn name(self) -> String {
        match self {
            Self::Clones(1) => "1 clone".to_owned(),
            Self::Clones(count) => format!("{count} clones"),
            Self::WorseClone => "clone, 1 point worse".to_owned(),
            Self::Squatter => "zero skill, first".to_owned(),
            Self::Specialist => "specialist".to_owned(),
            Self::Swarm => "swarm of 20, 10 points worse".to_owned(),
            Self::Improver(1) => "improver by 1 point".to_owned(),
            Self::Improver(points) => format!("improver by {points} points"),
        }
    }

    /// Whether the crown is deserved.
    pub fn deserving(self) -> bool {
        matches!(self, Self::Improver(_))
    }
}

/// One uid.
#[derive(Debug, Clone, PartialEq)]
pub struct Player {
    /// Its policy: players with the same one are the same program.
    pub policy: usize,
    /// The block of its commitment.
    pub block: u64,
    /// Its success rate in every environment.
    pub rates: Vec<f64>,
    /// Whether it is the attacker's.
    pub attacking: bool,
}

/// The players of a cycle, the honest ones first. The index is the uid.
pub fn population(args: &AttackArgs, attack: Attack) -> Vec<Player> {
    let environments = args.environments as usize;
    let unsolved =
        |environment: usize| attack == Attack::Squatter && environments > 1 && environment == environments - 1;
    let rates = |rate: &dyn Fn(usize) -> f64| -> Vec<f64> {
        (0..environments).map(|it| if unsolved(it) { args.floor } else { rate(it).clamp(0.0, 1.0) }).collect()
    };
    let mut players: Vec<Player> = (0..args.honest)
        .map(|index| Player {
            policy: index as usize,
            block: 10 + u64::from(index),
            rates: rates(&|_| match index {
                0 => args.rate,
                index => (args.rate - STEP * f64::from(index)).max(LEAST.min(args.rate)),
            }),
            attacking: false,
        })
        .collect();
    let own = args.honest as usize;
    let mut attacking = |count: u32, policy: usize, rate: &dyn Fn(usize) -> f64| {
        for index in 0..count {
            let block = if attack == Attack::Squatter { 1 } else { 1000 + u64::from(index) };
            players.push(Player { policy, block, rates: rates(rate), attacking: true });
        }
    };
    match attack {
        Attack::Clones(count) => attacking(count, 0, &|_| args.rate),
        Attack::WorseClone => attacking(1, 0, &|_| args.rate - 0.01),
        Attack::Squatter => attacking(1, own, &|_| args.floor),
        Attack::Specialist => attacking(1, own, &|environment| if environment == 0 { 0.95 } else { 0.1 }),
        Attack::Swarm => attacking(20, own, &|_| args.rate - 0.1),
        Attack::Improver(points) => attacking(1, own, &|_| args.rate + f64::from(points) / 100.0),
    }
    players
}
