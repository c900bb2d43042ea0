//! Turning a faucet's handle: one way in faucet-open, the other in faucet-close.

use std::marker::PhantomData;

use super::{
    reward::{
        Falloff::{Gaussian, LongTail},
        tolerance,
    },
    sawyer::Sawyer,
    task::{Bounds, Moment, Pose, Task},
};
use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    renderer::Moved,
};

/// The length of the handle, metres.
pub(super) const HANDLE_LENGTH: f64 = 0.175;
/// The height of the handle over the faucet's foot, metres.
const HANDLE_HEIGHT: f64 = 0.125;
/// What is observed of the handle, seen from its site.
const OBSERVED: [f64; 3] = [0.0, 0.0, -0.01];
/// The handle within this distance of its goal is turned.
const TURNED: f64 = 0.07;
/// The gripper within this distance of the handle touches it.
const TOUCH: f64 = 0.01;

/// A way to turn it.
pub(super) trait Turn: Send + Sync + 'static {
    const NAME: &'static str;
    /// Where the faucet stands.
    const RANDOM: &'static [[f64; 2]];
    /// The site at the handle's end.
    const HANDLE: &'static str;
    /// The site that marks the goal.
    const GOAL: &'static str;
    /// The goal of the handle's end, beside the faucet.
    const GOAL_X: f64;
    /// Where the gripper pushes and what is measured, seen from what is observed.
    const PUSHED: [f64; 3];
    /// Whether the reset brings positions up to date.
    const REFRESHES: bool;
}

pub(super) struct Faucet<T> {
    handle: usize,
    foot: usize,
    foot_at: [f64; 3],
    target: [f64; 3],
    task: PhantomData<T>,
}

impl<T: Turn> Task for Faucet<T> {
    const NAME: &'static str = T::NAME;
    const MODEL: &'static str = "sawyer_xyz/sawyer_faucet.xml";
    const HAND_START: [f64; 3] = [0.0, 0.4, 0.2];
    const HAND_BOUNDS: Bounds = [[-0.5, 0.4, -0.15], [0.5, 1.0, 0.5]];
    const RANDOM: &'static [[f64; 2]] = T::RANDOM;
    const GOAL_BOUNDS: Bounds = Self::HAND_BOUNDS;

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("faucetBase", [random[0], random[1], random[2]])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        if T::REFRESHES {
            sawyer.refresh();
        }
        let foot_at = [random[0], random[1], random[2]];
        let target = add(foot_at, [T::GOAL_X, 0.0, HANDLE_HEIGHT]);
        let (handle, foot) = (sawyer.site_named(T::HANDLE)?, sawyer.body_named("faucetBase")?);
        Ok(Self { handle, foot, foot_at, target, task: PhantomData })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        let position = add(sawyer.site(self.handle), OBSERVED);
        [Pose { position, quaternion: sawyer.body_wxyz(self.foot) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site(T::GOAL, self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let handle = add(moment.object, T::PUSHED);
        let to_goal = distance(handle, self.target);
        let success = to_goal <= TURNED;
        if success {
            return Judgement { reward: 10.0, success };
        }
        let margin = (distance(self.foot_at, self.target) - TURNED).abs();
        let in_place = tolerance(to_goal, [0.0, TURNED], margin, LongTail);
        let margin = (distance(self.foot_at, moment.sawyer.parked_tcp()) - TOUCH).abs();
        let reach = tolerance(distance(handle, moment.sawyer.tcp()), [0.0, TOUCH], margin, Gaussian);
        Judgement { reward: 2.0 * (2.0 * reach + 3.0 * in_place), success }
    }
}
