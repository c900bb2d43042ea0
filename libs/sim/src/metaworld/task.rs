//! What distinguishes one Meta-World task from another.

use super::sawyer::Sawyer;
use crate::{SimError, environment::Judgement, geometry::distance, renderer::Moved};

/// An axis-aligned box: lower corner, upper corner.
pub(super) type Bounds = [[f64; 3]; 2];

/// Where an observed object is, as Meta-World tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    pub(super) position: [f64; 3],
    /// In the order that the task tells it (most tell xyzw, some MuJoCo's wxyz); zeros where the task tells no orientation.
    pub(super) quaternion: [f64; 4],
}

impl Pose {
    /// Nothing: what stands in the observation for a second object where there is none.
    pub(super) const NONE: Self = Self { position: [0.0; 3], quaternion: [0.0; 4] };

    /// An object whose orientation the task does not tell.
    pub(super) fn at(position: [f64; 3]) -> Self {
        Self { position, ..Self::NONE }
    }
}

/// What a judgement may look at: the state after the step, and the action that led to it.
pub(super) struct Moment<'a> {
    pub(super) sawyer: &'a Sawyer,
    /// The hand's position as observed, that is, clipped to what an observation can show.
    pub(super) hand: [f64; 3],
    /// The observed object's position.
    pub(super) object: [f64; 3],
    /// The position of the second observed object.
    pub(super) second: [f64; 3],
    /// The distance between the fingers, 0 to 1, where 1 is 10 cm.
    pub(super) openness: f64,
    /// The action as it was given: x, y, z, gripper effort; not clipped.
    pub(super) action: [f32; 4],
}

impl Moment<'_> {
    /// Whether the gripper is within `reach` metres of the object, and not shut.
    pub(super) fn grasps(&self, reach: f64) -> bool {
        distance(self.object, self.sawyer.tcp()) < reach && self.openness > 0.0
    }

    /// The point of the object's handle that is to be grasped: level with the hand, where that is at most so far along x.
    pub(super) fn along_handle(&self, half_length: f64) -> [f64; 3] {
        let [x, y, z] = self.object;
        [if (x - self.hand[0]).abs() < half_length { self.hand[0] } else { x }, y, z]
    }

    /// Whether the object is more than `height` metres above where it stood.
    pub(super) fn lifted(&self, start: [f64; 3], height: f64) -> bool {
        self.object[2] - height > start[2]
    }
}

/// One task: a value of it is the task of one episode, with that episode's goal.
pub(super) trait Task: Send + Sync + Sized + 'static {
    /// The name after `metaworld/`.
    const NAME: &'static str;
    /// The model, relative to the assets.
    const MODEL: &'static str;
    /// Where the hand is parked before the episode.
    const HAND_START: [f64; 3];
    /// Where the hand may be sent.
    const HAND_BOUNDS: Bounds = [[-0.5, 0.4, 0.05], [0.5, 1.0, 0.5]];
    /// Lower and upper end of each component of the random vector.
    const RANDOM: &'static [[f64; 2]];
    /// What the goal is clipped to in the observation.
    const GOAL_BOUNDS: Bounds;
    /// Whether the world comes to rest in the same state, to the last bit, whatever the random vector is, so that one parked world
    /// serves all episodes. `false` where what [`Task::moved`] moves bears on something that is not fixed.
    const PARKS_ALIKE: bool = true;

    /// Whether a drawn random vector is used, or drawn again.
    fn accepts(_random: &[f64]) -> bool {
        true
    }

    /// What the episode makes stand elsewhere in the model, from before the hand is parked.
    fn moved(_random: &[f64]) -> Vec<Moved> {
        Vec::new()
    }

    /// Sets the scene up, once the hand is parked. `random` has as many components as `RANDOM`.
    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError>;

    /// The goal.
    fn target(&self, sawyer: &Sawyer) -> [f64; 3];

    /// The observed object, and the second one or [`Pose::NONE`].
    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2];

    /// Sites that only the pictures show elsewhere than the model's file says: where the goal is marked.
    fn markers(&self) -> Vec<Moved>;

    /// Reward and success of the step that was just made.
    fn judge(&mut self, moment: &Moment<'_>) -> Judgement;
}
