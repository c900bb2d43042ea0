//! Bringing the gripper to a point in the air. A cylinder stands on the table and plays no part.

use std::marker::PhantomData;

use super::{
    cylinder::{Cylinder, far_apart},
    reward::{Falloff::LongTail, tolerance},
    sawyer::Sawyer,
    task::{Bounds, Moment, Pose, Task},
};
use crate::{SimError, environment::Judgement, geometry::distance, renderer::Moved};

const RADIUS: f64 = 0.05;

/// Where it is reached for.
pub(super) trait Place: Send + Sync + 'static {
    const NAME: &'static str;
    const MODEL: &'static str;
    /// Cylinder x, y, z, then target x, y, z.
    const RANDOM: &'static [[f64; 2]];
    const GOAL_BOUNDS: Bounds;
}

pub(super) struct Reaching<P> {
    cylinder: Cylinder,
    target: [f64; 3],
    place: PhantomData<P>,
}

impl<P: Place> Task for Reaching<P> {
    const NAME: &'static str = P::NAME;
    const MODEL: &'static str = P::MODEL;
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    const RANDOM: &'static [[f64; 2]] = P::RANDOM;
    const GOAL_BOUNDS: Bounds = P::GOAL_BOUNDS;

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let cylinder = Cylinder::find(sawyer)?;
        sawyer.place_free_object([random[0], random[1], random[2]]);
        Ok(Self { cylinder, target: [random[3], random[4], random[5]], place: PhantomData })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.cylinder.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let away = distance(moment.sawyer.tcp(), self.target);
        let in_place = tolerance(away, [0.0, RADIUS], distance(Self::HAND_START, self.target), LongTail);
        Judgement { reward: 10.0 * in_place, success: away <= RADIUS }
    }
}
