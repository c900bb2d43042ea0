//! Box close: take a lid and put it on a box.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance, weighted_distance},
    metaworld::{
        reward::{Falloff::LongTail, Funnel, above, hamacher, straight, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// The lid's knob, seen from the lid.
const KNOB: [f64; 3] = [0.0, 0.0, 0.02];
/// The height at which the lid is laid down, given in single precision.
const LID_HEIGHT: f64 = 0.02_f32 as f64;
/// The lid within this distance of the goal is on the box.
const CLOSED: f64 = 0.08;
/// Keeps the hand up until it is over the knob.
const APPROACH: Funnel = Funnel { mouth: 0.02, steepness: 0.04, height: 0.4 };
/// Errors in height count triple.
const WEIGHTS: [f64; 3] = [1.0, 1.0, 3.0];
/// The lid lying straight, wxyz.
const STRAIGHT: [f64; 4] = [0.707, 0.0, 0.0, 0.707];

pub(in crate::metaworld) struct BoxClose {
    lid: usize,
    target: [f64; 3],
}

/// From above, the hand comes to the knob.
fn ready_to_lift(hand: [f64; 3], knob: [f64; 3]) -> f64 {
    let floor = APPROACH.floor(distance([hand[0], hand[1]], [knob[0], knob[1]]));
    let at_knob = tolerance(distance(hand, knob), [0.0, 0.02], 0.5, LongTail);
    hamacher(above(floor, hand[2], floor / 2.0), at_knob).value()
}

/// From 0 for an open to 1 for a closed gripper, in single precision.
fn effort(action: f32) -> f64 {
    f64::from((action.clamp(-1.0, 1.0) + 1.0) / 2.0)
}

impl Task for BoxClose {
    const NAME: &'static str = "box-close-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_box.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    /// Lid x, y, z, of which z is not used, then the lid's place on the box x, y, z.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.05, 0.05], [0.5, 0.55], [0.02, 0.02], [-0.1, 0.1], [0.7, 0.8], [0.133, 0.133]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.7, 0.133], [0.1, 0.8, 0.133]];
    /// While the hand is parked, the lid lies on the box.
    const PARKS_ALIKE: bool = false;

    fn accepts(random: &[f64]) -> bool {
        distance([random[0], random[1]], [random[3], random[4]]) >= 0.25
    }

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("boxbody", [random[3], random[4], 0.0])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        sawyer.settle();
        sawyer.place_free_object([random[0], random[1], LID_HEIGHT]);
        Ok(Self { lid: sawyer.body_named("top_link")?, target: [random[3], random[4], random[5]] })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.body(self.lid), quaternion: sawyer.body_wxyz(self.lid) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let success = distance(moment.object, self.target) < CLOSED;
        let reward = if success {
            10.0
        } else {
            let knob = add(moment.object, KNOB);
            let error = weighted_distance(self.target, knob, WEIGHTS);
            let off_the_table = if knob[2] > 0.04 { 1.0 } else { 0.0 };
            let lifted = 0.2 * off_the_table + 0.8 * tolerance(error, [0.0, 0.05], 0.25, LongTail);
            let grasped = hamacher(effort(moment.action[3]), ready_to_lift(moment.hand, knob)).value();
            2.0 * grasped + 8.0 * lifted
        };
        Judgement { reward: reward * straight(moment.sawyer.body_wxyz(self.lid), STRAIGHT, 0.2), success }
    }
}
