//! Soccer: push a ball into the goal.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{distance, weighted_distance},
    metaworld::{
        cylinder::far_apart,
        pinch::Pinch,
        reward::{Falloff::LongTail, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.07;
/// The height at which the ball is set down.
const BALL_HEIGHT: f64 = 0.03;
/// Errors across the goal's mouth count triple in the reward.
const WEIGHTS: [f64; 3] = [3.0, 1.0, 1.0];
/// The goal line in front of the goal's middle.
const GOAL_LINE: f64 = 0.1;
/// A ball over the line further to a side than this has missed the goal.
const POST: f64 = 0.1;

pub(in crate::metaworld) struct Soccer {
    ball: usize,
    target: [f64; 3],
    pinch: Pinch,
}

impl Soccer {
    fn in_place(&self, ball: [f64; 3]) -> f64 {
        let rolled = weighted_distance(ball, self.pinch.object_start, WEIGHTS);
        let in_place = tolerance(weighted_distance(ball, self.target, WEIGHTS), [0.0, RADIUS], rolled, LongTail);
        let line = self.target[1] - GOAL_LINE;
        if ball[1] > line && (ball[0] - self.target[0]).abs() > POST {
            (in_place - 2.0 * ((ball[1] - line) / (1.0 - line))).clamp(0.0, 1.0)
        } else {
            in_place
        }
    }
}

impl Task for Soccer {
    const NAME: &'static str = "soccer-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_soccer.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Ball x, y, z, of which z is not used, then goal x, y, z.
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.6, 0.7], [0.03, 0.03], [-0.1, 0.1], [0.8, 0.9], [0.0, 0.0]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.8, 0.0], [0.1, 0.9, 0.0]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("goal_whole", [random[3], random[4], random[5]])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let ball = sawyer.body_named("soccer_ball")?;
        let object_start = [random[0], random[1], BALL_HEIGHT];
        sawyer.place_free_object(object_start);
        let pinch = Pinch { object_start, object_radius: 0.013, xz_threshold: 0.005 };
        Ok(Self { ball, target: [random[3], random[4], random[5]], pinch })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.body(self.ball), quaternion: sawyer.body_xyzw(self.ball) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let reward = if weighted_distance(moment.object, self.target, WEIGHTS) < RADIUS {
            10.0
        } else {
            3.0 * self.pinch.by_contact(moment, 0.01) + 6.5 * self.in_place(moment.object)
        };
        Judgement { reward, success: distance(moment.object, self.target) <= RADIUS }
    }
}
