//! Coffee button: press the button of a coffee machine.

use crate::{
    SimError,
    environment::Judgement,
    geometry::add,
    metaworld::{
        button::{Press, Weights},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// How far the button can be pressed, metres.
const TRAVEL: f64 = 0.03;
/// Where a mug stands at the machine, and its button above, seen from the machine.
const MUG: [f64; 3] = [0.0, -0.22, 0.0];
const BUTTON: [f64; 3] = [0.0, -0.22, 0.3];
/// The gripper within this distance of the button is near it.
const NEAR: f64 = 0.05;
/// The button within this distance of its end, along y, solves the task.
const SOLVED: f64 = 0.02;
/// The components of the joints' velocities that the reset stops.
const MUG_MOTION: std::ops::Range<usize> = 9..15;

pub(in crate::metaworld) struct CoffeeButton {
    button: usize,
    target: [f64; 3],
}

impl Task for CoffeeButton {
    const NAME: &'static str = "coffee-button-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_coffee.xml";
    const HAND_START: [f64; 3] = [0.0, 0.4, 0.2];
    /// Where the machine stands.
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.8, 0.9], [-0.001, 0.001]];
    const GOAL_BOUNDS: Bounds = [[-0.101, 0.61, 0.298], [0.101, 0.71, 0.302]];

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("coffee_machine", [random[0], random[1], random[2]])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let machine = [random[0], random[1], random[2]];
        // The mug comes before the arm in this model's joints. Meta-World forgets that when it brings the mug to rest: some of the
        // arm's joints, the fingers and the button stop in its stead.
        sawyer.set_joints(|qpos, qvel| {
            qpos[..3].copy_from_slice(&add(machine, MUG));
            qvel[MUG_MOTION].fill(0.0);
        });
        let target = add(add(machine, BUTTON), [0.0, TRAVEL, 0.0]);
        Ok(Self { button: sawyer.site_named("buttonStart")?, target })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.site(self.button), quaternion: [1.0, 0.0, 0.0, 0.0] }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        Vec::new()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let left = (self.target[1] - moment.object[1]).abs();
        let press = Press::measured(moment, left, TRAVEL, NEAR);
        Judgement { reward: press.reward(moment.openness, Weights::FROM_FRONT), success: left <= SOLVED }
    }
}
