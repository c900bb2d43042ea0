//! The handle on the front of a box that four tasks share: pressed down, or pulled up.

use std::marker::PhantomData;

use super::{
    caging::Caging,
    reward::{Falloff::LongTail, hamacher, tolerance},
    sawyer::Sawyer,
    task::{Bounds, Moment, Pose, Task},
};
use crate::{SimError, environment::Judgement, geometry::distance, renderer::Moved};

/// The handle's travel at the start of a press, and of a pull: nearly up, and all the way down, metres.
const UP: f64 = -0.001;
const DOWN: f64 = -0.1;
/// A handle to press within this height of its goal solves the task.
const PRESSED: f64 = 0.02;
/// The gripper within this distance of a handle to press touches it.
const TOUCH: f64 = 0.02;
/// A handle to pull within this distance of its goal earns everything.
pub(super) const PULLED: f64 = 0.05;
/// The gripper within this distance of a handle to pull may have it.
const HELD: f64 = 0.035;

/// In all four.
const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];

fn moved(random: &[f64]) -> Vec<Moved> {
    vec![Moved::Body("box", [random[0], random[1], random[2]])]
}

/// What distinguishes the tasks in which it is pressed.
pub(super) trait Pressed: Send + Sync + 'static {
    const NAME: &'static str;
    const MODEL: &'static str;
    /// Where the box stands.
    const RANDOM: &'static [[f64; 2]];
    const GOAL_BOUNDS: Bounds;
}

pub(super) struct Press<P> {
    handle: usize,
    start: [f64; 3],
    target: [f64; 3],
    task: PhantomData<P>,
}

impl<P: Pressed> Task for Press<P> {
    const NAME: &'static str = P::NAME;
    const MODEL: &'static str = P::MODEL;
    const HAND_START: [f64; 3] = HAND_START;
    const RANDOM: &'static [[f64; 2]] = P::RANDOM;
    const GOAL_BOUNDS: Bounds = P::GOAL_BOUNDS;
    /// While it is parked, the hand meets the handle.
    const PARKS_ALIKE: bool = false;

    fn moved(random: &[f64]) -> Vec<Moved> {
        moved(random)
    }

    fn place(sawyer: &mut Sawyer, _: &[f64]) -> Result<Self, SimError> {
        let (handle, goal) = (sawyer.site_named("handleStart")?, sawyer.site_named("goalPress")?);
        sawyer.place_jointed_object(UP);
        Ok(Self { handle, start: sawyer.site(handle), target: sawyer.site(goal), task: PhantomData })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose::at(sawyer.site(self.handle)), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        Vec::new()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let left = (moment.object[2] - self.target[2]).abs();
        let success = left <= PRESSED;
        if success {
            return Judgement { reward: 10.0, success };
        }
        let margin = ((self.start[2] - self.target[2]).abs() - PRESSED).abs();
        let in_place = tolerance(left, [0.0, PRESSED], margin, LongTail);
        let margin = (distance(self.start, moment.sawyer.parked_tcp()) - TOUCH).abs();
        let reach = tolerance(distance(moment.object, moment.sawyer.tcp()), [0.0, TOUCH], margin, LongTail);
        Judgement { reward: 10.0 * hamacher(reach, in_place).value(), success }
    }
}

/// What distinguishes the tasks in which it is pulled.
pub(super) trait Pulled: Send + Sync + 'static {
    const NAME: &'static str;
    const MODEL: &'static str;
    /// Where the box stands.
    const RANDOM: &'static [[f64; 2]];
    const GOAL_BOUNDS: Bounds;
    /// The site where the handle is gripped.
    const GRIP: &'static str;
    /// Half the handle's width between the fingers.
    const WIDTH: f64;
    /// A finger's pad within this distance of the handle, sideways, is in place.
    const PAD_THRESHOLD: f64;
    /// The handle within this of its goal solves the task.
    const SOLVED: f64;

    /// What the rewards take for the handle's start, of where the box and the handle are.
    fn start(the_box: [f64; 3], handle: [f64; 3]) -> [f64; 3];

    /// How far the handle is from its goal.
    fn left(handle: [f64; 3], target: [f64; 3]) -> f64;

    /// Whether the handle has left its start.
    fn lifted(handle: [f64; 3], start: [f64; 3]) -> bool;
}

pub(super) struct Pull<P> {
    handle: usize,
    target: [f64; 3],
    caging: Caging,
    task: PhantomData<P>,
}

impl<P: Pulled> Task for Pull<P> {
    const NAME: &'static str = P::NAME;
    const MODEL: &'static str = P::MODEL;
    const HAND_START: [f64; 3] = HAND_START;
    const RANDOM: &'static [[f64; 2]] = P::RANDOM;
    const GOAL_BOUNDS: Bounds = P::GOAL_BOUNDS;
    /// While it is parked, the hand meets the handle.
    const PARKS_ALIKE: bool = false;

    fn moved(random: &[f64]) -> Vec<Moved> {
        moved(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let (handle, goal) = (sawyer.site_named(P::GRIP)?, sawyer.site_named("goalPull")?);
        sawyer.place_jointed_object(DOWN);
        let caging = Caging {
            object_start: P::start([random[0], random[1], random[2]], sawyer.site(handle)),
            object_radius: P::WIDTH,
            pad_threshold: P::PAD_THRESHOLD,
            xz_threshold: 0.01,
            effort: 1.0,
        };
        Ok(Self { handle, target: sawyer.site(goal), caging, task: PhantomData })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose::at(sawyer.site(self.handle)), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        Vec::new()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let start = self.caging.object_start;
        let left = P::left(moment.object, self.target);
        let success = left <= P::SOLVED;
        if left < PULLED {
            return Judgement { reward: 10.0, success };
        }
        let in_place = tolerance(left, [0.0, PULLED], P::left(start, self.target), LongTail);
        let mut reward = hamacher(self.caging.dense(moment, moment.object), in_place);
        let held = distance(moment.object, moment.sawyer.tcp()) < HELD && moment.openness > 0.0;
        if held && P::lifted(moment.object, start) {
            reward = reward + (1.0 + 5.0 * in_place);
        }
        Judgement { reward: reward.value(), success }
    }
}
