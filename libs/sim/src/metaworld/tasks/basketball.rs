//! Basketball: put a ball into a basket.

use crate::{
    SimError,
    environment::Judgement,
    geometry::weighted_distance,
    metaworld::{
        caging::Caging,
        cylinder::far_apart,
        numpy::Real,
        reward::{Falloff::LongTail, carrying, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.08;
/// The height at which the ball is set down, given in single precision.
const BALL_HEIGHT: f64 = 0.03_f32 as f64;
/// The ball is wanted this high over the table, somewhat above the hoop.
const ABOVE_HOOP: f64 = 0.3;
/// Errors in height count double.
const WEIGHTS: [f64; 3] = [1.0, 1.0, 2.0];

pub(in crate::metaworld) struct Basketball {
    ball: usize,
    hoop: [f64; 3],
    caging: Caging,
}

impl Task for Basketball {
    const NAME: &'static str = "basketball-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_basketball.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    /// Ball x, y, z, of which z is not used, then basket x, y, z.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.1, 0.1], [0.6, 0.7], [0.0299, 0.0301], [-0.1, 0.1], [0.85, 0.9 + 1e-7], [0.0, 0.0]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.85 - 0.083, 0.2499], [0.1, 0.9 + 1e-7 - 0.083, 0.2501]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("basket_goal", [random[3], random[4], random[5]])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let object_start = [random[0], random[1], BALL_HEIGHT];
        sawyer.place_free_object(object_start);
        let hoop = sawyer.site(sawyer.site_named("goal")?);
        let caging =
            Caging { object_start, object_radius: 0.025, pad_threshold: 0.06, xz_threshold: 0.005, effort: 1.0 };
        Ok(Self { ball: sawyer.body_named("bsktball")?, hoop, caging })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.hoop
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.body(self.ball), quaternion: sawyer.body_wxyz(self.ball) }, Pose::NONE]
    }

    /// The goal is marked in the hoop, and moves with it.
    fn markers(&self) -> Vec<Moved> {
        Vec::new()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let start = self.caging.object_start;
        let target = [self.hoop[0], self.hoop[1], ABOVE_HOOP];
        let to_goal = weighted_distance(moment.object, target, WEIGHTS);
        let in_place = tolerance(to_goal, [0.0, RADIUS], weighted_distance(start, target, WEIGHTS), LongTail);
        let held = moment.grasps(0.035) && moment.lifted(start, 0.01);
        let grasped = if held { Real::Python(1.0) } else { self.caging.dense(moment, moment.object) };
        let reward = if to_goal < RADIUS { 10.0 } else { carrying(grasped, in_place, held).value() };
        Judgement { reward, success: to_goal <= RADIUS }
    }
}
