//! Lever pull: pull a lever up by a quarter turn.

use std::f64::consts::PI;

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    metaworld::{
        reward::{Falloff::LongTail, hamacher, tolerance},
        sawyer::Sawyer,
        shoulder::Shoulder,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// The end of the lever at the start, and its goal, seen from the lever's foot.
const END: [f64; 3] = [0.12, -LENGTH, 0.25];
const GOAL: [f64; 3] = [0.12, 0.0, 0.25 + LENGTH];
/// From the lever's axis to its end, metres.
const LENGTH: f64 = 0.2;
/// The end within this distance of its goal earns everything.
const RADIUS: f64 = 0.04;
/// How much a distance from the shoulder to the lever counts along each axis.
const SCALE: [f64; 3] = [4.0, 1.0, 4.0];
/// The lever's angle when it is up, radians, and how near to it counts.
const UP: f64 = PI / 2.0;
const SOLVED: f64 = PI / 24.0;

pub(in crate::metaworld) struct LeverPull {
    end: usize,
    lever: usize,
    shoulder: Shoulder,
    target: [f64; 3],
}

impl Task for LeverPull {
    const NAME: &'static str = "lever-pull-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_lever_pull.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.4_f32 as f64, 0.2_f32 as f64];
    const HAND_BOUNDS: Bounds = [[-0.5, 0.4, -0.15], [0.5, 1.0, 0.5]];
    /// Where the lever stands.
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.7, 0.8], [0.0, 0.0]];
    const GOAL_BOUNDS: Bounds = Self::HAND_BOUNDS;
    /// The last bit of the angle at which the lever comes to rest depends on where it stands.
    const PARKS_ALIKE: bool = false;

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("lever", [random[0], random[1], random[2]])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let foot = [random[0], random[1], random[2]];
        Ok(Self {
            end: sawyer.site_named("leverStart")?,
            lever: sawyer.geom_named("objGeom")?,
            shoulder: Shoulder { object_start: add(foot, END), scale: SCALE },
            target: add(foot, GOAL),
        })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.site(self.end), quaternion: sawyer.geom_xyzw(self.lever) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let margin = distance(self.shoulder.object_start, self.target);
        let in_place = tolerance(distance(moment.object, self.target), [0.0, RADIUS], margin, LongTail);
        let reward = 10.0 * hamacher(self.shoulder.ready(moment), in_place).value();
        let angle = -moment.sawyer.object_joint();
        Judgement { reward, success: (angle - UP).abs() <= SOLVED }
    }
}
