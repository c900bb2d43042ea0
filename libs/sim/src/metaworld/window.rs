//! Sliding a window by its handle: one way in window-open, the other in window-close.

use std::marker::PhantomData;

use super::{
    reward::{Falloff, Falloff::LongTail, hamacher, tolerance},
    sawyer::Sawyer,
    task::{Bounds, Moment, Pose, Task},
};
use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    renderer::Moved,
};

/// How far the window slides, along x, metres.
pub(super) const TRAVEL: f64 = 0.2;
/// The handle within this distance of its goal, along x, solves the task.
const RADIUS: f64 = 0.05;
/// The gripper within this distance of the handle has it.
const HELD: f64 = 0.02;

/// A way to slide it.
pub(super) trait Slide: Send + Sync + 'static {
    const NAME: &'static str;
    /// Where the window stands.
    const RANDOM: &'static [[f64; 2]];
    /// The site on the handle.
    const HANDLE: &'static str;
    /// How far the window has slid at the start.
    const SLID: f64;
    /// The goal of the handle, seen from the window.
    const GOAL: [f64; 3];
    /// How reaching for the handle falls off.
    const REACH: Falloff;

    /// Where the way to the goal is taken to begin, along x, of the positions of the window and of its handle at the start.
    fn start(window: [f64; 3], handle: [f64; 3]) -> f64;
}

pub(super) struct Window<S> {
    handle: usize,
    handle_start: [f64; 3],
    way: f64,
    target: [f64; 3],
    task: PhantomData<S>,
}

impl<S: Slide> Task for Window<S> {
    const NAME: &'static str = S::NAME;
    const MODEL: &'static str = "sawyer_xyz/sawyer_window_horizontal.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.4_f32 as f64, 0.2_f32 as f64];
    const RANDOM: &'static [[f64; 2]] = S::RANDOM;
    const GOAL_BOUNDS: Bounds = Self::HAND_BOUNDS;

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("window", [random[0], random[1], random[2]])]
    }

    /// The window slides without anything being brought up to date: the first observation shows it where it was.
    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let handle = sawyer.site_named(S::HANDLE)?;
        let (joint, _) = sawyer.world().joint_named("window_slide")?;
        let window = [random[0], random[1], random[2]];
        let handle_start = add(sawyer.site(handle), [S::SLID, 0.0, 0.0]);
        sawyer.world_mut().set_joints(|qpos, _| qpos[joint] = S::SLID);
        let target = add(window, S::GOAL);
        let way = (S::start(window, handle_start) - target[0]).abs();
        Ok(Self { handle, handle_start, way, target, task: PhantomData })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose::at(sawyer.site(self.handle)), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let to_goal = (moment.object[0] - self.target[0]).abs();
        let in_place = tolerance(to_goal, [0.0, RADIUS], (self.way - RADIUS).abs(), LongTail);
        let margin = (distance(self.handle_start, moment.sawyer.parked_tcp()) - HELD).abs();
        let reach = tolerance(distance(moment.object, moment.sawyer.tcp()), [0.0, HELD], margin, S::REACH);
        Judgement { reward: 10.0 * hamacher(reach, in_place).value(), success: to_goal <= RADIUS }
    }
}
