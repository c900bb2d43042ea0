//! Stick pull: take a stick, put it through a thermos's handle, and pull the thermos with it.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance, weighted_distance},
    metaworld::{
        caging::Caging,
        numpy::Real,
        reward::{Falloff::LongTail, hamacher, tolerance},
        sawyer::Sawyer,
        stick::{Stick, far_apart},
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.05;
/// The handle within this distance of the goal is a success.
const CLOSE: f64 = 0.12;
/// Where the stick is to go, seen from the thermos's handle.
const THROUGH: [f64; 3] = [0.05, 0.0, 0.0];
/// Errors in height count double for the stick.
const WEIGHTS: [f64; 3] = [1.0, 1.0, 2.0];

pub(in crate::metaworld) struct StickPull {
    stick: Stick,
    stick_end: usize,
    target: [f64; 3],
    caging: Caging,
}

/// Whether the stick's end is past the handle, and in it.
fn inserted(handle: [f64; 3], end: [f64; 3]) -> bool {
    end[0] >= handle[0] && (end[1] - handle[1]).abs() <= 0.04 && (end[2] - handle[2]).abs() <= 0.06
}

fn near(a: [f64; 3], b: [f64; 3], margin: f64) -> f64 {
    tolerance(distance(a, b), [0.0, RADIUS], margin, LongTail)
}

impl Task for StickPull {
    const NAME: &'static str = "stick-pull-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_stick_obj.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    const HAND_BOUNDS: Bounds = [[-0.5, 0.35, 0.05], [0.5, 1.0, 0.5]];
    /// Stick x, y, z, then goal x, y, z; neither z is used.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.1, 0.0], [0.55, 0.65], [0.0, 0.001], [0.35, 0.45], [0.45, 0.55], [0.0199, 0.0201]];
    const GOAL_BOUNDS: Bounds = [[0.35, 0.45, 0.0199], [0.45, 0.55, 0.0201]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let stick = Stick::place(sawyer, [random[0], random[1]], [0.0, 0.09])?;
        let stick_end = sawyer.site_named("stick_end")?;
        let target = [random[3], random[4], stick.start[2]];
        // The grasp is measured from where the thermos was, not the stick.
        let caging = Caging {
            object_start: stick.thermos_start,
            object_radius: 0.014,
            pad_threshold: 0.05,
            xz_threshold: 0.01,
            effort: 1.0,
        };
        Ok(Self { stick, stick_end, target, caging })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.stick.pose(sawyer), Pose::at(self.stick.handle(sawyer))]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let (stick, handle) = (moment.object, moment.second);
        let Stick { start, thermos_start, .. } = self.stick;
        let inserted = inserted(handle, moment.sawyer.site(self.stick_end));
        let success = distance(handle, self.target) <= CLOSE && inserted;

        let margin = weighted_distance(start, add(thermos_start, THROUGH), WEIGHTS);
        let to_handle = weighted_distance(stick, add(handle, THROUGH), WEIGHTS);
        let at_handle = tolerance(to_handle, [0.0, RADIUS], margin, LongTail);
        let held = self.stick.is_held(moment, stick);
        let grasped = if held { Real::Python(1.0) } else { self.caging.dense(moment, stick) };
        let reward = hamacher(grasped, at_handle).value();
        let reward = if !held {
            reward
        } else if success {
            10.0
        } else if inserted {
            let stick_in_place = near(stick, self.target, distance(start, self.target));
            let thermos_in_place = near(add(handle, THROUGH), self.target, distance(thermos_start, self.target));
            1.0 + reward + 5.0 + 2.0 * stick_in_place + thermos_in_place
        } else {
            1.0 + reward + 5.0 * at_handle
        };
        Judgement { reward, success }
    }
}
