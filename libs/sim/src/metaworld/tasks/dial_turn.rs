//! Dial turn: turn a dial half round by its knob.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    metaworld::{
        numpy::unit_clip,
        reward::{
            Falloff::{Gaussian, LongTail},
            hamacher, tolerance,
        },
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// From the dial's axis to its knob, metres.
const DIAL_RADIUS: f64 = 0.05;
/// From the knob to where the gripper pushes it.
const PUSH_FROM: [f64; 3] = [0.05, 0.02, 0.09];
/// The goal of the knob, seen from the dial.
const GOAL: [f64; 3] = [0.0, 0.03, 0.03];
/// The knob within this distance of its goal is turned.
const TURNED: f64 = 0.07;
/// The gripper within this distance of where it pushes is there.
const REACHED: f64 = 0.005;

pub(in crate::metaworld) struct DialTurn {
    dial: usize,
    /// Where the knob was pushed from at the start.
    push_start: [f64; 3],
    target: [f64; 3],
}

fn knob(sawyer: &Sawyer, dial: usize) -> [f64; 3] {
    let (sin, cos) = sawyer.object_joint().sin_cos();
    add(sawyer.body(dial), [sin * DIAL_RADIUS, -cos * DIAL_RADIUS, 0.0])
}

impl Task for DialTurn {
    const NAME: &'static str = "dial-turn-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_dial.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    /// Where the dial stands.
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.7, 0.8], [0.0, 0.0]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.73, 0.0299], [0.1, 0.83, 0.0301]];

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("dial", [random[0], random[1], random[2]])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let dial = sawyer.body_named("dial")?;
        let target = add([random[0], random[1], random[2]], GOAL);
        Ok(Self { dial, push_start: add(knob(sawyer, dial), PUSH_FROM), target })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: knob(sawyer, self.dial), quaternion: sawyer.body_wxyz(self.dial) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let to_goal = distance(moment.object, self.target);
        let margin = (distance(self.push_start, self.target) - TURNED).abs();
        let in_place = tolerance(to_goal, [0.0, TURNED], margin, LongTail);
        let to_push = distance(add(moment.object, PUSH_FROM), moment.sawyer.tcp());
        let margin = (distance(self.push_start, moment.sawyer.parked_tcp()) - REACHED).abs();
        let reach = tolerance(to_push, [0.0, REACHED], margin, Gaussian);
        let reach = hamacher(reach, unit_clip(moment.action[3]));
        Judgement { reward: (hamacher(reach, in_place) * 10.0).value(), success: to_goal <= TURNED }
    }
}
