//! Disassemble: take a nut off a peg.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    metaworld::{
        nut::{Nut, far_apart},
        reward::{Falloff::LongTail, tolerance, working},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// The goal, the peg's middle and the peg's top, seen from the nut on the peg.
const GOAL: [f64; 3] = [0.0, 0.0, 0.15];
const PEG: [f64; 3] = [0.0, 0.0, 0.03];
const PEG_TOP: [f64; 3] = [0.0, 0.0, 0.08];
/// How far above the goal the nut is drawn to.
const BEYOND: [f64; 3] = [0.0, 0.0, 0.1];

pub(in crate::metaworld) struct Disassemble {
    nut: Nut,
    target: [f64; 3],
}

impl Task for Disassemble {
    const NAME: &'static str = "disassemble-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_assembly_peg.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.4_f32 as f64, 0.2_f32 as f64];
    /// Nut x, y, z; the rest only has to be away from it.
    const RANDOM: &'static [[f64; 2]] =
        &[[0.0, 0.1], [0.6, 0.75], [0.025, 0.02501], [-0.1, 0.1], [0.6, 0.75], [0.1699, 0.1701]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.6, 0.1699 + 0.005], [0.1, 0.75, 0.1701 + 0.005]];
    /// While the hand is parked, the nut may lie where the peg is.
    const PARKS_ALIKE: bool = false;

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("peg", add([random[0], random[1], random[2]], PEG))]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let start = [random[0], random[1], random[2]];
        Ok(Self { nut: Nut::place(sawyer, start)?, target: add(start, GOAL) })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.nut.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("pegTop", add(self.nut.caging.object_start, PEG_TOP))]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        if moment.object[2] > self.target[2] {
            return Judgement { reward: 10.0, success: true };
        }
        let centre = self.nut.centre(moment.sawyer);
        let lifted = if centre[2] > 0.02 { 1.0 } else { 0.0 };
        let away = distance(add(self.target, BEYOND), centre);
        let in_place = 0.1 * lifted + 0.9 * tolerance(away, [0.0, 0.02], 0.2, LongTail);
        let grasped = self.nut.caging.dense(moment, self.nut.grip(moment));
        Judgement { reward: working(grasped, in_place, self.nut.straight(moment.sawyer)).value(), success: false }
    }
}
