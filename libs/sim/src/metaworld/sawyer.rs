//! The arm: its model's parts, how it is moved, and what is measured on it.

use std::sync::Arc;

use mujoco_rs::prelude::{MjData, MjModel, MjtObjBase, MjtWarning};

use crate::{
    SimError,
    geometry::{canonical_xyzw, distance},
    model,
    observation::Proprioception,
};

use super::task::Bounds;

/// MuJoCo steps in a step of an episode.
const SUBSTEPS: usize = 5;
/// Steps for which the hand is parked before an episode.
const PARKING_STEPS: usize = 50;
/// How far an action of 1 moves the hand's target, metres. Single precision, as in Meta-World.
const ACTION_SCALE: f32 = 0.01;
/// The hand's orientation, fingers down; MuJoCo normalises it.
const HAND_DOWN: [f64; 4] = [1.0, 0.0, 1.0, 0.0];
/// The distance between the open fingers, metres.
const FINGERS_OPEN: f64 = 0.1;
/// The first joint coordinates belong to the arm (7) and the fingers (2); the object's come next.
const OBJECT: usize = 9;

/// Where the parts of the arm are in the model's tables.
#[derive(Debug, Clone, Copy)]
struct Parts {
    hand: usize,
    claws: [usize; 2],
    pads: [usize; 2],
    fingertips: [usize; 2],
    finger_travel: f64,
}

/// The arm and everything around it: one episode's physics.
pub(super) struct Sawyer {
    data: MjData<Arc<MjModel>>,
    parts: Parts,
    parked_tcp: [f64; 3],
}

impl Sawyer {
    /// A fresh scene with the hand parked.
    pub(super) fn parked(model: Arc<MjModel>, hand_start: [f64; 3]) -> Result<Self, SimError> {
        let parts = Parts {
            hand: model::body(&model, "hand")?,
            claws: [model::body(&model, "rightclaw")?, model::body(&model, "leftclaw")?],
            pads: [model::body(&model, "leftpad")?, model::body(&model, "rightpad")?],
            fingertips: [model::site(&model, "rightEndEffector")?, model::site(&model, "leftEndEffector")?],
            finger_travel: model::travel(&model, "r_close")? + model::travel(&model, "l_close")?,
        };
        let data = MjData::try_new(model)
            .map_err(|error| SimError::Physics { what: "make a state", reason: error.to_string() })?;
        let mut sawyer = Self { data, parts, parked_tcp: [0.0; 3] };
        for _ in 0..PARKING_STEPS {
            sawyer.drag_hand_to(hand_start);
            sawyer.advance(-1.0);
        }
        sawyer.parked_tcp = sawyer.tcp();
        Ok(sawyer)
    }

    /// A copy to play an episode on, everything included, down to what is out of date in it.
    pub(super) fn duplicate(&self) -> Self {
        Self { data: self.data.clone(), ..*self }
    }

    /// Such a copy on a model that differs from this one's in nothing but values.
    pub(super) fn duplicate_onto(&self, model: Arc<MjModel>) -> Result<Self, SimError> {
        let refused = |reason: String| SimError::Physics { what: "copy a state", reason };
        let mut data = MjData::try_new(model).map_err(|error| refused(error.to_string()))?;
        self.data.copy_to(&mut data).map_err(|error| refused(error.to_string()))?;
        Ok(Self { data, ..*self })
    }

    /// One step of an episode: the hand's target moves within its bounds, the gripper pushes with an effort from -1 (open) to 1
    /// (closed). The error names the stability check that failed.
    pub(super) fn step(&mut self, action: [f32; 4], [low, high]: Bounds) -> Result<(), &'static str> {
        let mut target = self.data.mocap_pos()[0];
        for axis in 0..3 {
            let delta = action[axis].clamp(-1.0, 1.0) * ACTION_SCALE;
            target[axis] = (target[axis] + f64::from(delta)).clamp(low[axis], high[axis]);
        }
        self.drag_hand_to(target);
        self.advance(action[3]);
        self.data.forward();
        self.check_stability()
    }

    fn drag_hand_to(&mut self, position: [f64; 3]) {
        self.data.mocap_pos_mut()[0] = position;
        self.data.mocap_quat_mut()[0] = HAND_DOWN;
    }

    fn advance(&mut self, effort: f32) {
        let effort = f64::from(effort);
        self.data.ctrl_mut().copy_from_slice(&[effort, -effort]);
        for _ in 0..SUBSTEPS {
            self.data.step();
        }
    }

    /// MuJoCo answers numbers that are not finite, or absurdly large, by a warning and a silent reset of the state.
    fn check_stability(&self) -> Result<(), &'static str> {
        const CHECKS: [(MjtWarning, &str); 3] = [
            (MjtWarning::mjWARN_BADQPOS, "BADQPOS"),
            (MjtWarning::mjWARN_BADQVEL, "BADQVEL"),
            (MjtWarning::mjWARN_BADQACC, "BADQACC"),
        ];
        let warnings = self.data.warning();
        match CHECKS.into_iter().find(|(kind, _)| warnings[*kind as usize].number > 0) {
            Some((_, name)) => Err(name),
            None => Ok(()),
        }
    }

    /// Puts the free object somewhere, at rest, its orientation as it is.
    pub(super) fn place_free_object(&mut self, position: [f64; 3]) {
        self.data.qpos_mut()[OBJECT..OBJECT + 3].copy_from_slice(&position);
        self.data.qvel_mut()[OBJECT..OBJECT + 6].fill(0.0);
        self.data.forward();
    }

    /// Puts the sliding object somewhere along its joint, its velocity as it is.
    pub(super) fn place_sliding_object(&mut self, position: f64) {
        self.data.qpos_mut()[OBJECT] = position;
        self.data.forward();
    }

    /// The hand's position.
    pub(super) fn hand(&self) -> [f64; 3] {
        self.body(self.parts.hand)
    }

    /// The point between the fingertips.
    pub(super) fn tcp(&self) -> [f64; 3] {
        let sites = self.data.site_xpos();
        let [right, left] = self.parts.fingertips.map(|fingertip| sites[fingertip]);
        std::array::from_fn(|axis| (right[axis] + left[axis]) / 2.0)
    }

    /// The point between the fingertips at the end of the parking.
    pub(super) fn parked_tcp(&self) -> [f64; 3] {
        self.parked_tcp
    }

    /// The distance between the fingers in units of 10 cm, at most 1.
    pub(super) fn openness(&self) -> f64 {
        (self.finger_distance() / FINGERS_OPEN).clamp(0.0, 1.0)
    }

    fn finger_distance(&self) -> f64 {
        let [right, left] = self.parts.claws.map(|claw| self.body(claw));
        distance(right, left)
    }

    /// The positions of the left and the right pad.
    pub(super) fn pads(&self) -> [[f64; 3]; 2] {
        self.parts.pads.map(|pad| self.body(pad))
    }

    /// The position of a body.
    pub(super) fn body(&self, body: usize) -> [f64; 3] {
        self.data.xpos()[body]
    }

    /// The rotation matrix of a geom, in row order.
    pub(super) fn geom_rotation(&self, geom: usize) -> [f64; 9] {
        self.data.geom_xmat()[geom]
    }

    pub(super) fn body_named(&self, name: &str) -> Result<usize, SimError> {
        model::body(self.data.model(), name)
    }

    pub(super) fn geom_named(&self, name: &str) -> Result<usize, SimError> {
        model::geom(self.data.model(), name)
    }

    /// The hand's own state. Only meaningful after a forward pass, as every step and every placement ends with one.
    pub(super) fn proprioception(&self) -> Proprioception {
        let velocity = self.data.object_velocity(MjtObjBase::mjOBJ_XBODY, self.parts.hand, false);
        let [wx, wy, wz, vx, vy, vz] = velocity;
        Proprioception {
            ee_pos: self.hand(),
            ee_quat: canonical_xyzw(self.data.xquat()[self.parts.hand]),
            ee_vel_lin: [vx, vy, vz],
            ee_vel_ang: [wx, wy, wz],
            gripper: ((FINGERS_OPEN - self.finger_distance()) / self.parts.finger_travel).clamp(0.0, 1.0),
        }
    }

    /// Positions and velocities of all joints.
    pub(super) fn physics(&self) -> (&[f64], &[f64]) {
        (self.data.qpos(), self.data.qvel())
    }

    /// Position and orientation (wxyz) of the body that drags the hand.
    pub(super) fn mocap(&self) -> ([f64; 3], [f64; 4]) {
        (self.data.mocap_pos()[0], self.data.mocap_quat()[0])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{assets::Assets, diagnostics};

    fn parked_arm() -> Sawyer {
        diagnostics::install();
        let path = Assets::find(None).unwrap().path("sawyer_xyz/sawyer_reach_v3.xml");
        Sawyer::parked(Arc::new(model::load_physics(&path).unwrap()), [0.0, 0.6, 0.2]).unwrap()
    }

    fn moving_arm() -> Sawyer {
        let mut sawyer = parked_arm();
        for (joint, velocity) in sawyer.data.qvel_mut()[..OBJECT].iter_mut().enumerate() {
            *velocity = 0.3 * (1.0 + joint as f64).sin();
        }
        sawyer.data.forward();
        sawyer
    }

    /// Moves the arm for a microsecond along its velocity and looks where the hand went.
    #[test]
    fn velocities_are_the_hands_motion_along_the_worlds_axes() {
        const DT: f64 = 1e-6;
        let mut sawyer = moving_arm();
        let before = sawyer.proprioception();
        let velocities: Vec<f64> = sawyer.data.qvel()[..OBJECT].to_vec();
        for (position, velocity) in sawyer.data.qpos_mut().iter_mut().zip(velocities) {
            *position += velocity * DT;
        }
        sawyer.data.forward();
        let after = sawyer.proprioception();
        for axis in 0..3 {
            let moved = (after.ee_pos[axis] - before.ee_pos[axis]) / DT;
            assert!((moved - before.ee_vel_lin[axis]).abs() < 1e-5, "axis {axis}: {moved} and {:?}", before.ee_vel_lin);
        }
        // For a small turn, after = (1, θ/2) ∘ before, so θ/2 is the vector part of after ∘ before⁻¹.
        let ([ax, ay, az, aw], [bx, by, bz, bw]) = (after.ee_quat, before.ee_quat);
        let turned = [
            2.0 * (-aw * bx + ax * bw - ay * bz + az * by) / DT,
            2.0 * (-aw * by + ay * bw - az * bx + ax * bz) / DT,
            2.0 * (-aw * bz + az * bw - ax * by + ay * bx) / DT,
        ];
        assert!(distance(turned, before.ee_vel_ang) < 1e-5, "{turned:?} and {:?}", before.ee_vel_ang);
        assert!(distance(before.ee_vel_ang, [0.0; 3]) > 0.1, "the arm turns");
    }

    #[test]
    fn a_parked_hand_points_down_with_open_fingers() {
        let sawyer = parked_arm();
        let own = sawyer.proprioception();
        assert!(distance(own.ee_pos, [0.0, 0.6, 0.2]) < 0.02, "{own:?}");
        assert!(distance(own.ee_quat, [0.0, 0.5_f64.sqrt(), 0.0, 0.5_f64.sqrt()]) < 0.05, "{own:?}");
        assert!(own.gripper < 0.02, "{own:?}");
        let below = own.ee_pos[2] - sawyer.tcp()[2];
        assert!((0.03..0.06).contains(&below), "the fingertips are {below} below the hand");
    }

    #[test]
    fn numbers_out_of_hand_are_reported_and_not_played_on() {
        let mut sawyer = moving_arm();
        sawyer.data.qvel_mut()[0] = f64::NAN;
        assert_eq!(sawyer.step([0.0; 4], [[-1.0; 3], [1.0; 3]]), Err("BADQVEL"));
    }
}
