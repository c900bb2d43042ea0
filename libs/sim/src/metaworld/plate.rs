//! Sliding a plate over the table: into a cabinet or out of it, to the front or to the side.

use std::marker::PhantomData;

use super::{
    reward::{Falloff::LongTail, tolerance},
    sawyer::Sawyer,
    task::{Bounds, Moment, Pose, Task},
};
use crate::{SimError, environment::Judgement, geometry::distance, renderer::Moved};

/// The plate within this distance of its goal earns everything; the gripper within it of the plate is there.
const RADIUS: f64 = 0.05;
/// The plate within this distance of its goal solves the task.
const SOLVED: f64 = 0.07;
/// The gripper below this height, and within this distance of the plate, pushes it.
const LOW: f64 = 0.03;
const PUSHING: f64 = 0.07;
/// The two joints of the plate, along x and y.
const PLATE: std::ops::Range<usize> = 9..11;

/// How far the plate has come.
pub(super) struct Sliding {
    /// The gripper's height.
    height: f64,
    to_plate: f64,
    to_goal: f64,
    /// From where the hand was parked to where the plate began, and on to the goal.
    hand_way: f64,
    plate_way: f64,
}

impl Sliding {
    /// 1 where the gripper is at the plate, falling off over the way from where it was parked, less `less`.
    pub(super) fn reached(&self, less: f64) -> f64 {
        tolerance(self.to_plate, [0.0, RADIUS], self.hand_way - less, LongTail)
    }

    /// 1 where the plate is at its goal, falling off over the way from where it began, less `less`.
    pub(super) fn in_place(&self, less: f64) -> f64 {
        tolerance(self.to_goal, [0.0, RADIUS], self.plate_way - less, LongTail)
    }

    /// Reaching for the plate from above; once the gripper is low beside it, sliding it to the goal.
    fn reach_then_slide(&self) -> f64 {
        if self.height <= LOW && self.to_plate < PUSHING {
            2.0 + 7.0 * self.in_place(RADIUS)
        } else {
            1.5 * self.reached(RADIUS)
        }
    }
}

/// A way to slide it.
pub(super) trait Slide: Send + Sync + 'static {
    const NAME: &'static str;
    const MODEL: &'static str;
    /// What the reward takes for the plate's start, x, y, z, then goal x, y, z.
    const RANDOM: &'static [[f64; 2]];
    const GOAL_BOUNDS: Bounds;
    /// Where the plate begins along its two joints.
    const START: [f64; 2];

    /// Where the cabinet stands, if it does not where the model's file says.
    fn cabinet(_random: &[f64]) -> Option<[f64; 3]> {
        None
    }

    /// The reward before the plate is at its goal.
    fn reward(sliding: &Sliding) -> f64 {
        sliding.reach_then_slide()
    }
}

pub(super) struct Plate<S> {
    plate: usize,
    start: [f64; 3],
    target: [f64; 3],
    task: PhantomData<S>,
}

impl<S: Slide> Task for Plate<S> {
    const NAME: &'static str = S::NAME;
    const MODEL: &'static str = S::MODEL;
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    const RANDOM: &'static [[f64; 2]] = S::RANDOM;
    const GOAL_BOUNDS: Bounds = S::GOAL_BOUNDS;

    fn moved(random: &[f64]) -> Vec<Moved> {
        S::cabinet(random).map(|cabinet| Moved::Body("puck_goal", cabinet)).into_iter().collect()
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        sawyer.set_joints(|qpos, _| qpos[PLATE].copy_from_slice(&S::START));
        let start = [random[0], random[1], random[2]];
        let target = [random[3], random[4], random[5]];
        Ok(Self { plate: sawyer.geom_named("puck")?, start, target, task: PhantomData })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.geom(self.plate), quaternion: sawyer.geom_xyzw(self.plate) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let tcp = moment.sawyer.tcp();
        let sliding = Sliding {
            height: tcp[2],
            to_plate: distance(tcp, moment.object),
            to_goal: distance(moment.object, self.target),
            hand_way: distance(moment.sawyer.parked_tcp(), self.start),
            plate_way: distance(self.start, self.target),
        };
        let reward = if sliding.to_goal < RADIUS { 10.0 } else { S::reward(&sliding) };
        Judgement { reward, success: sliding.to_goal <= SOLVED }
    }
}
