//! What the sample policies do, given where their hand is.

use std::f64::consts::TAU;

use clap::ValueEnum;

/// How far the hand's target moves in one step at full deflection, metres (Meta-World's action scale).
const STEP: f64 = 0.01;
/// A waypoint counts as reached within this distance, metres.
const REACHED: f64 = 0.015;
/// Steps after which a waypoint that cannot be reached (a drawer in the way, say) is given up.
const PATIENCE: u32 = 40;

/// Which sample policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Never moves.
    Idle,
    /// Moves at random.
    Random,
    /// Lowers the hand and pushes straight forward, then a little to each side: closes drawers.
    Push,
    /// Passes through the space in front of it row by row: reaches most goals without knowing where they are.
    Sweep,
}

/// A hand position in the robot's frame, metres: x to the right, y forward, z up.
type Point = [f64; 3];

const PUSH: &[Point] = &[
    [0.0, 0.55, 0.09],
    [0.0, 0.90, 0.09],
    [0.0, 0.55, 0.09],
    [0.08, 0.55, 0.09],
    [0.08, 0.90, 0.09],
    [0.08, 0.55, 0.09],
    [-0.08, 0.55, 0.09],
    [-0.08, 0.90, 0.09],
    [-0.08, 0.55, 0.09],
];

const SWEEP: &[Point] = &[
    [-0.08, 0.84, 0.27],
    [0.08, 0.84, 0.27],
    [0.08, 0.84, 0.19],
    [-0.08, 0.84, 0.19],
    [-0.08, 0.84, 0.11],
    [0.08, 0.84, 0.11],
    [0.08, 0.86, 0.06],
    [-0.08, 0.86, 0.06],
    [-0.08, 0.60, 0.06],
    [0.0, 0.60, 0.06],
    [0.0, 0.86, 0.06],
];

/// One episode's memory of a policy.
#[derive(Debug, Clone)]
pub struct Player {
    kind: Kind,
    waypoint: usize,
    steps_here: u32,
    noise: Noise,
}

/// What a policy answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Linear and angular velocity command, each in [-1, 1].
    pub ee_twist: [f64; 6],
    /// 0 open, 1 closed.
    pub gripper: f64,
}

impl Player {
    /// A player at the start of an episode; `seed` is the one that `/reset` brought.
    pub fn new(kind: Kind, seed: u64) -> Self {
        Self { kind, waypoint: 0, steps_here: 0, noise: Noise(seed) }
    }

    /// The next action from where the hand is.
    pub fn act(&mut self, hand: Point) -> Answer {
        match self.kind {
            Kind::Idle => Answer { ee_twist: [0.0; 6], gripper: 0.0 },
            Kind::Random => {
                let mut ee_twist = [0.0; 6];
                ee_twist.fill_with(|| 2.0 * self.noise.next() - 1.0);
                Answer { ee_twist, gripper: self.noise.next() }
            }
            Kind::Push => self.follow(PUSH, hand),
            Kind::Sweep => self.follow(SWEEP, hand),
        }
    }

    /// Heads for the next waypoint with closed fingers; round and round.
    fn follow(&mut self, path: &[Point], hand: Point) -> Answer {
        let target = path[self.waypoint % path.len()];
        let offset: Point = std::array::from_fn(|axis| target[axis] - hand[axis]);
        let distance = offset.iter().map(|component| component * component).sum::<f64>().sqrt();
        self.steps_here += 1;
        if distance < REACHED || self.steps_here > PATIENCE {
            self.waypoint += 1;
            self.steps_here = 0;
        }
        let mut ee_twist = [0.0; 6];
        for axis in 0..3 {
            ee_twist[axis] = (offset[axis] / STEP).clamp(-1.0, 1.0);
        }
        Answer { ee_twist, gripper: 1.0 }
    }
}

/// A small deterministic generator: the random policy needs to be unsteady, not unpredictable.
#[derive(Debug, Clone)]
struct Noise(u64);

impl Noise {
    /// The next number in [0, 1): the fractional part of an irrational rotation, folded by a sine.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(1) % 1_000_003;
        let folded = (self.0 as f64 * TAU * 0.618_033_988_749_895).sin() * 43_758.545_3;
        folded - folded.floor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_a_valid_action() {
        for kind in Kind::value_variants() {
            let mut player = Player::new(*kind, u64::MAX);
            for step in 0..1000 {
                let answer = player.act([0.0, 0.6 + f64::from(step % 7) * 0.1, 0.2]);
                assert!(
                    answer.ee_twist.iter().all(|component| (-1.0..=1.0).contains(component)),
                    "{kind:?} {answer:?}"
                );
                assert!((0.0..=1.0).contains(&answer.gripper), "{kind:?} {answer:?}");
            }
        }
    }

    #[test]
    fn a_blocked_waypoint_is_given_up() {
        let mut player = Player::new(Kind::Push, 0);
        for _ in 0..=PATIENCE {
            player.act([0.0, 0.0, 0.0]);
        }
        assert_eq!(player.waypoint, 1);
    }
}
