//! The stick with which a thermos is moved.

use super::{
    sawyer::Sawyer,
    task::{Moment, Pose},
};
use crate::{SimError, geometry::distance};

/// The height at which the stick is laid down.
const STICK_HEIGHT: f64 = 0.02;

#[derive(Debug, Clone, Copy)]
pub(super) struct Stick {
    body: usize,
    insertion: usize,
    /// Where the stick was at the start.
    pub(super) start: [f64; 3],
    /// Where the thermos was at the start.
    pub(super) thermos_start: [f64; 3],
}

impl Stick {
    /// Lays the stick down, and puts the thermos somewhere along its two slides.
    pub(super) fn place(sawyer: &mut Sawyer, [x, y]: [f64; 2], slides: [f64; 2]) -> Result<Self, SimError> {
        let start = [x, y, STICK_HEIGHT];
        sawyer.place_free_object(start);
        // Meta-World stops the thermos along its second slide only: it counts in positions, of which the stick has one more.
        sawyer.set_joints(|qpos, qvel| {
            qpos[16..18].copy_from_slice(&slides);
            qvel[16..].fill(0.0);
        });
        let thermos_start = sawyer.body(sawyer.body_named("object")?);
        Ok(Self { body: sawyer.body_named("stick")?, insertion: sawyer.site_named("insertion")?, start, thermos_start })
    }

    pub(super) fn pose(&self, sawyer: &Sawyer) -> Pose {
        Pose { position: sawyer.body(self.body), quaternion: sawyer.body_xyzw(self.body) }
    }

    /// The middle of the thermos's handle, where the stick goes in.
    pub(super) fn handle(&self, sawyer: &Sawyer) -> [f64; 3] {
        sawyer.site(self.insertion)
    }

    /// Whether the gripper is at this point of the stick, and the stick off the table.
    pub(super) fn is_held(&self, moment: &Moment<'_>, grip: [f64; 3]) -> bool {
        distance(grip, moment.sawyer.tcp()) < 0.02 && moment.openness > 0.0 && moment.lifted(self.start, 0.01)
    }
}

/// Whether stick and goal are at least 10 cm apart on the table.
pub(super) fn far_apart(random: &[f64]) -> bool {
    distance([random[0], random[1]], [random[3], random[4]]) >= 0.1
}
