//! The round nut with a handle that is put on a peg, or taken off it.

use super::{
    caging::Caging,
    reward::straight,
    sawyer::Sawyer,
    task::{Moment, Pose},
};
use crate::{SimError, geometry::distance};

/// Half the length of the part of the handle by which it may be held.
const HALF_HANDLE: f64 = 0.02 / 2.0;
/// Flat, the handle towards the arm, wxyz.
const FLAT: [f64; 4] = [0.707, 0.0, 0.0, 0.707];

pub(super) struct Nut {
    body: usize,
    handle: usize,
    centre: usize,
    pub(super) caging: Caging,
}

impl Nut {
    pub(super) fn place(sawyer: &mut Sawyer, object_start: [f64; 3]) -> Result<Self, SimError> {
        sawyer.place_free_object(object_start);
        Ok(Self {
            body: sawyer.body_named("RoundNut")?,
            handle: sawyer.site_named("RoundNut-8")?,
            centre: sawyer.site_named("RoundNut")?,
            caging: Caging { object_start, object_radius: 0.015, pad_threshold: 0.02, xz_threshold: 0.01, effort: 1.0 },
        })
    }

    pub(super) fn pose(&self, sawyer: &Sawyer) -> Pose {
        Pose { position: sawyer.site(self.handle), quaternion: sawyer.body_wxyz(self.body) }
    }

    /// The middle of the ring.
    pub(super) fn centre(&self, sawyer: &Sawyer) -> [f64; 3] {
        sawyer.site(self.centre)
    }

    /// The point of the handle that the hand may take.
    pub(super) fn grip(&self, moment: &Moment<'_>) -> [f64; 3] {
        moment.along_handle(HALF_HANDLE)
    }

    /// How flat it is held.
    pub(super) fn straight(&self, sawyer: &Sawyer) -> f64 {
        straight(sawyer.body_wxyz(self.body), FLAT, 0.4)
    }
}

/// Whether nut and peg are at least 10 cm apart on the table.
pub(super) fn far_apart(random: &[f64]) -> bool {
    distance([random[0], random[1]], [random[3], random[4]]) >= 0.1
}
