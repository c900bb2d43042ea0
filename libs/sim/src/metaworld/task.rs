//! What distinguishes one Meta-World task from another.

use super::sawyer::Sawyer;
use crate::{SimError, environment::Judgement};

/// An axis-aligned box: lower corner, upper corner.
pub(super) type Bounds = [[f64; 3]; 2];

/// Where the observed object is, as Meta-World tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    pub(super) position: [f64; 3],
    /// xyzw; zeros where the task tells no orientation.
    pub(super) quaternion: [f64; 4],
}

/// What a judgement may look at.
pub(super) struct Moment<'a> {
    pub(super) sawyer: &'a Sawyer,
    /// The observed object's position.
    pub(super) object: [f64; 3],
    /// The distance between the fingers, 0 to 1, where 1 is 10 cm.
    pub(super) openness: f64,
    /// The action as it was given: x, y, z, gripper effort; not clipped.
    pub(super) action: [f32; 4],
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

    /// Whether a drawn random vector is used, or drawn again.
    fn accepts(_random: &[f64]) -> bool {
        true
    }

    /// The body of the model that this episode stands elsewhere, and where.
    fn moved_body(_random: &[f64]) -> Option<(&'static str, [f64; 3])> {
        None
    }

    /// Sets the scene up, once the hand is parked. `random` has as many components as `RANDOM`.
    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError>;

    /// The goal.
    fn target(&self) -> [f64; 3];

    /// The object that is observed.
    fn object(&self, sawyer: &Sawyer) -> Pose;

    /// Reward and success of the step that was just made.
    fn judge(&self, moment: &Moment<'_>) -> Judgement;
}
