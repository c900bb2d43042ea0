//! Peg unplug side: pull a plug out of a block, sideways.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    metaworld::{
        caging::Caging,
        reward::{Falloff::LongTail, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.05;
/// The plug within this distance of the goal is a success.
const CLOSE: f64 = 0.07;
/// The plug in the block, seen from the block.
const PLUGGED: [f64; 3] = [0.044, 0.0, 0.131];
/// How far the plug is to be pulled.
const PULL: [f64; 3] = [0.15, 0.0, 0.0];
/// The goal, seen from the block; only the observation's bounds are made of it.
const GOAL: [f64; 3] = [0.194, 0.0, 0.131];

pub(in crate::metaworld) struct PegUnplugSide {
    plug: usize,
    end: usize,
    target: [f64; 3],
    caging: Caging,
}

impl Task for PegUnplugSide {
    const NAME: &'static str = "peg-unplug-side-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_peg_unplug_side.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Block x, y, z.
    const RANDOM: &'static [[f64; 2]] = &[[-0.25, -0.15], [0.6, 0.8], [-0.001, 0.001]];
    const GOAL_BOUNDS: Bounds =
        [[-0.25 + GOAL[0], 0.6 + GOAL[1], -0.001 + GOAL[2]], [-0.15 + GOAL[0], 0.8 + GOAL[1], 0.001 + GOAL[2]]];
    /// While the hand is parked, the plug lies where the block is.
    const PARKS_ALIKE: bool = false;

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("box", [random[0], random[1], random[2]])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let (plug, end) = (sawyer.body_named("plug1")?, sawyer.site_named("pegEnd")?);
        let plugged = add([random[0], random[1], random[2]], PLUGGED);
        // Upright, no longer moving, but still turning.
        sawyer.set_joints(|qpos, qvel| {
            qpos[9..12].copy_from_slice(&plugged);
            qpos[12..16].copy_from_slice(&[1.0, 0.0, 0.0, 0.0]);
            qvel[9..12].fill(0.0);
        });
        let caging = Caging {
            object_start: sawyer.site(end),
            object_radius: 0.025,
            pad_threshold: 0.05,
            xz_threshold: 0.005,
            effort: 0.8,
        };
        Ok(Self { plug, end, target: add(plugged, PULL), caging })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.site(self.end), quaternion: sawyer.body_wxyz(self.plug) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let start = self.caging.object_start;
        let to_goal = distance(moment.object, self.target);
        let in_place = tolerance(to_goal, [0.0, RADIUS], distance(start, self.target), LongTail);
        let pulled = moment.openness > 0.5 && moment.object[0] - start[0] > 0.015;
        let mut reward = self.caging.dense(moment, moment.object) * 2.0;
        if pulled && moment.grasps(0.035) {
            reward = reward + 1.0 + 5.0 * in_place;
        }
        let reward = if to_goal <= RADIUS { 10.0 } else { reward.value() };
        Judgement { reward, success: to_goal <= CLOSE }
    }
}
