//! The door with a handle that door-open and door-close share.

use super::{sawyer::Sawyer, task::Pose};
use crate::{SimError, geometry::add, renderer::Moved};

/// Where the door may stand.
pub(super) const STANDS: &[[f64; 2]] = &[[0.0, 0.1], [0.85, 0.95], [0.15, 0.15]];

pub(super) struct Door {
    handle: usize,
    /// Where the handle is to go.
    pub(super) target: [f64; 3],
}

impl Door {
    pub(super) fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("door", at(random))]
    }

    /// Swings the door to an angle about its hinge: 0 is shut, negative is open. `goal` is seen from the door.
    pub(super) fn swung(sawyer: &mut Sawyer, angle: f64, random: &[f64], goal: [f64; 3]) -> Result<Self, SimError> {
        sawyer.place_jointed_object(angle);
        Ok(Self { handle: sawyer.geom_named("handle")?, target: add(at(random), goal) })
    }

    pub(super) fn marker(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    pub(super) fn pose(&self, sawyer: &Sawyer) -> Pose {
        Pose { position: sawyer.geom(self.handle), quaternion: sawyer.geom_xyzw(self.handle) }
    }
}

fn at(random: &[f64]) -> [f64; 3] {
    [random[0], random[1], random[2]]
}
