//! Moving a mug to or from the coffee machine.

use std::marker::PhantomData;

use super::{
    caging::Caging,
    cylinder::far_apart,
    reward::{Falloff::LongTail, carrying, tolerance},
    sawyer::Sawyer,
    task::{Bounds, Moment, Pose, Task},
};
use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance, weighted_distance},
    renderer::Moved,
};

/// The machine, seen from a mug that stands in it.
const MACHINE: [f64; 3] = [0.0, 0.22, 0.0];
const RADIUS: f64 = 0.05;
/// The mug within this distance of the goal is a success, metres.
const CLOSE: f64 = 0.07;
/// Errors on the table count double in the reward.
const WEIGHTS: [f64; 3] = [2.0, 2.0, 1.0];
/// The gripper within this distance of the mug has it.
const REACH: f64 = 0.04;
/// The components of the joints' velocities that the reset stops.
const STOPPED: std::ops::Range<usize> = 9..15;

/// A way to move it.
pub(super) trait Errand: Send + Sync + 'static {
    const NAME: &'static str;
    /// Mug x, y, z, then goal x, y, z.
    const RANDOM: &'static [[f64; 2]];
    const GOAL_BOUNDS: Bounds;

    /// Where a mug would be in the machine: where it is at the start, or where it is wanted.
    fn in_machine(random: &[f64]) -> [f64; 3];
}

pub(super) struct Mug<E> {
    body: usize,
    target: [f64; 3],
    caging: Caging,
    errand: PhantomData<E>,
}

impl<E: Errand> Task for Mug<E> {
    const NAME: &'static str = E::NAME;
    const MODEL: &'static str = "sawyer_xyz/sawyer_coffee.xml";
    const HAND_START: [f64; 3] = [0.0, 0.4, 0.2];
    const RANDOM: &'static [[f64; 2]] = E::RANDOM;
    const GOAL_BOUNDS: Bounds = E::GOAL_BOUNDS;

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("coffee_machine", add(E::in_machine(random), MACHINE))]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let object_start = [random[0], random[1], random[2]];
        // The mug comes before the arm in this model's joints. Meta-World forgets that when it brings the mug to rest: some of the
        // arm's joints, the fingers and the machine's button stop in its stead.
        sawyer.set_joints(|qpos, qvel| {
            qpos[..3].copy_from_slice(&object_start);
            qvel[STOPPED].fill(0.0);
        });
        let caging = Caging { object_start, object_radius: 0.02, pad_threshold: 0.05, xz_threshold: 0.05, effort: 0.7 };
        let target = [random[3], random[4], random[5]];
        Ok(Self { body: sawyer.body_named("obj")?, target, caging, errand: PhantomData })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        // Meta-World reads the orientation off the mesh, which the physics model does without; it lies straight in its body.
        [Pose { position: sawyer.body(self.body), quaternion: sawyer.body_xyzw(self.body) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("mug_goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let away = weighted_distance(moment.object, self.target, WEIGHTS);
        let margin = weighted_distance(self.caging.object_start, self.target, WEIGHTS);
        let in_place = tolerance(away, [0.0, RADIUS], margin, LongTail);
        let grasped = self.caging.medium(moment, moment.object, REACH);
        let reward = if away < RADIUS { 10.0 } else { carrying(grasped, in_place, moment.grasps(REACH)).value() };
        Judgement { reward, success: distance(moment.object, self.target) <= CLOSE }
    }
}
