//! The free cylinder that stands on the table in several tasks.

use super::{sawyer::Sawyer, task::Pose};
use crate::{SimError, geometry::distance};

#[derive(Debug, Clone, Copy)]
pub(super) struct Cylinder {
    body: usize,
    geom: usize,
}

impl Cylinder {
    pub(super) fn find(sawyer: &Sawyer) -> Result<Self, SimError> {
        Ok(Self { body: sawyer.body_named("obj")?, geom: sawyer.geom_named("objGeom")? })
    }

    pub(super) fn pose(self, sawyer: &Sawyer) -> Pose {
        Pose { position: self.position(sawyer), quaternion: sawyer.geom_xyzw(self.geom) }
    }

    pub(super) fn position(self, sawyer: &Sawyer) -> [f64; 3] {
        sawyer.body(self.body)
    }
}

/// Whether object and goal, the first and the last three components of a random vector, are at least 15 cm apart on the table.
pub(super) fn far_apart(random: &[f64]) -> bool {
    distance([random[0], random[1]], [random[3], random[4]]) >= 0.15
}
