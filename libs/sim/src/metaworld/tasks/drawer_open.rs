//! Drawer open: pull a drawer open by its handle.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance, weighted_distance},
    metaworld::{
        reward::{Falloff::LongTail, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// How far the drawer is to be pulled out, metres.
const PULL: f64 = 0.2;
/// The handle, seen from the drawer.
const HANDLE: [f64; 3] = [0.0, -0.16, 0.0];
/// The goal of the handle, seen from the chest.
const GOAL: [f64; 3] = [0.0, -0.16 - PULL, 0.09];
/// How much a distance from the hand to the handle counts along each axis.
const SCALE: [f64; 3] = [3.0, 3.0, 1.0];
/// The hand within this distance of the handle, scaled, has it.
const HELD: f64 = 0.01;
/// The handle within this distance of its goal earns everything.
const RADIUS: f64 = 0.02;
/// The handle within this distance of its goal solves the task.
const SOLVED: f64 = 0.03;

pub(in crate::metaworld) struct DrawerOpen {
    drawer: usize,
    target: [f64; 3],
}

impl Task for DrawerOpen {
    const NAME: &'static str = "drawer-open-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_drawer.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    /// Where the chest of drawers stands.
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.9, 0.9], [0.0, 0.0]];
    const GOAL_BOUNDS: Bounds = Self::HAND_BOUNDS;

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("drawer", [random[0], random[1], random[2]])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let target = add([random[0], random[1], random[2]], GOAL);
        Ok(Self { drawer: sawyer.body_named("drawer_link")?, target })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        let position = add(sawyer.body(self.drawer), HANDLE);
        [Pose { position, quaternion: sawyer.body_wxyz(self.drawer) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let to_goal = distance(moment.object, self.target);
        let opened = tolerance(to_goal, [0.0, RADIUS], PULL, LongTail);
        let handle_start = add(self.target, [0.0, PULL, 0.0]);
        let margin = weighted_distance(handle_start, moment.sawyer.parked_tcp(), SCALE);
        let held = tolerance(weighted_distance(moment.object, moment.hand, SCALE), [0.0, HELD], margin, LongTail);
        Judgement { reward: 5.0 * (held + opened), success: to_goal <= SOLVED }
    }
}
