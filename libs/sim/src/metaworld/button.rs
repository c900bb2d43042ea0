//! Pressing a button: the button on a box that four tasks share, and the reward for pressing, which coffee-button shares too.

use std::marker::PhantomData;

use super::{
    reward::{Falloff::LongTail, hamacher, tolerance},
    sawyer::Sawyer,
    task::{Bounds, Moment, Pose, Task},
};
use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    renderer::Moved,
};

/// Within this distance of its end, metres, a button counts as pressed fully.
const FULLY_PRESSED: f64 = 0.005;

/// How far the pressing has come.
pub(super) struct Press {
    /// From the gripper to the button.
    pub(super) to_button: f64,
    /// 1 where the gripper is at the button.
    near: f64,
    /// 1 where the button is pressed fully.
    pub(super) pressed: f64,
}

impl Press {
    /// `left` to press of `travel`; the gripper is near within `near` metres of the button.
    pub(super) fn measured(moment: &Moment<'_>, left: f64, travel: f64, near: f64) -> Self {
        let to_button = distance(moment.object, moment.sawyer.tcp());
        let margin = distance(moment.object, moment.sawyer.parked_tcp());
        Self {
            to_button,

            near: tolerance(to_button, [0.0, near], margin, LongTail),
            pressed: tolerance(left, [0.0, FULLY_PRESSED], travel, LongTail),
        }
    }

    /// Coming near with the fingers as they ought to be (`fingers`, 0 to 1), then pressing.
    pub(super) fn reward(&self, fingers: f64, weights: Weights) -> f64 {
        let reaching = weights.reaching * self.reaching(fingers);
        if self.to_button <= weights.touch { reaching + weights.pressing * self.pressed } else { reaching }
    }

    /// Coming near with the fingers as they ought to be.
    pub(super) fn reaching(&self, fingers: f64) -> f64 {
        hamacher(fingers, self.near).value()
    }
}

/// What the parts of the reward are worth.
pub(super) struct Weights {
    pub(super) reaching: f64,
    pub(super) pressing: f64,
    /// Pressing counts once the gripper is within this distance of the button, metres.
    pub(super) touch: f64,
}

impl Weights {
    /// Those of the buttons that are pressed from the front.
    pub(super) const FROM_FRONT: Self = Self { reaching: 2.0, pressing: 8.0, touch: 0.05 };
    /// Those of the buttons that are pressed from above.
    pub(super) const FROM_ABOVE: Self = Self { reaching: 5.0, pressing: 5.0, touch: 0.03 };
}

/// What distinguishes the tasks with a button on a box.
pub(super) trait ButtonOnBox: Send + Sync + 'static {
    const NAME: &'static str;
    const MODEL: &'static str;
    /// Where the box stands.
    const RANDOM: &'static [[f64; 2]];
    /// The button's cap, seen from the origin of its body.
    const CAP: [f64; 3];
    /// The axis along which it is pressed.
    const AXIS: usize;
    /// The gripper within this distance of the button is near it.
    const NEAR: f64;
    /// The button within this distance of its end, along its axis, solves the task.
    const SOLVED: f64;
    /// Whether the reset pulls the button out; its spring has done so already, to within its stop's give.
    const PULLED_OUT: bool;

    fn reward(press: &Press, openness: f64) -> f64;
}

pub(super) struct Button<B> {
    button: usize,
    target: [f64; 3],
    travel: f64,
    task: PhantomData<B>,
}

impl<B: ButtonOnBox> Task for Button<B> {
    const NAME: &'static str = B::NAME;
    const MODEL: &'static str = B::MODEL;
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.4_f32 as f64, 0.2_f32 as f64];
    const RANDOM: &'static [[f64; 2]] = B::RANDOM;
    const GOAL_BOUNDS: Bounds = Self::HAND_BOUNDS;

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("box", [random[0], random[1], random[2]])]
    }

    fn place(sawyer: &mut Sawyer, _: &[f64]) -> Result<Self, SimError> {
        let (button, end, start) =
            (sawyer.body_named("button")?, sawyer.site_named("hole")?, sawyer.site_named("buttonStart")?);
        if B::PULLED_OUT {
            sawyer.place_jointed_object(0.0);
        } else {
            sawyer.refresh();
        }
        let target = sawyer.site(end);
        let travel = (target[B::AXIS] - sawyer.site(start)[B::AXIS]).abs();
        Ok(Self { button, target, travel, task: PhantomData })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        let position = add(sawyer.body(self.button), B::CAP);
        [Pose { position, quaternion: sawyer.body_wxyz(self.button) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        Vec::new()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let left = (self.target[B::AXIS] - moment.object[B::AXIS]).abs();
        let press = Press::measured(moment, left, self.travel, B::NEAR);
        Judgement { reward: B::reward(&press, moment.openness), success: left <= B::SOLVED }
    }
}
