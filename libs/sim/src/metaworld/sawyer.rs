//! The arm: its model's parts, how it is moved, and what is measured on it.

use std::sync::Arc;

use mujoco_rs::prelude::MjModel;

use crate::{
    SimError,
    geometry::{canonical_xyzw, distance, quaternion_of},
    observation::Proprioception,
    renderer::Moved,
    world::World,
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
    world: World,
    parts: Parts,
    /// The fingers' pads, where the task wants to know what they press on.
    feeling: Option<[usize; 2]>,
    parked_tcp: [f64; 3],
}

impl Sawyer {
    /// A fresh scene, with parts of it moved, and the hand parked but for the last MuJoCo step, which [`Sawyer::finish_parking`]
    /// makes.
    pub(super) fn parking(model: Arc<MjModel>, moved: &[Moved], hand_start: [f64; 3]) -> Result<Self, SimError> {
        let mut world = World::new(model)?;
        world.relocate(moved)?;
        let parts = Parts {
            hand: world.body_named("hand")?,
            claws: [world.body_named("rightclaw")?, world.body_named("leftclaw")?],
            pads: [world.body_named("leftpad")?, world.body_named("rightpad")?],
            fingertips: [world.site_named("rightEndEffector")?, world.site_named("leftEndEffector")?],
            finger_travel: world.travel("r_close")? + world.travel("l_close")?,
        };
        let mut sawyer = Self { world, parts, feeling: None, parked_tcp: [0.0; 3] };
        for step in 1..=PARKING_STEPS {
            sawyer.world.set_mocap(hand_start, HAND_DOWN);
            sawyer.push(-1.0);
            sawyer.world.step(if step < PARKING_STEPS { SUBSTEPS } else { SUBSTEPS - 1 });
        }
        Ok(sawyer)
    }

    /// The last MuJoCo step of the parking, in a world in which these parts stand elsewhere. It leaves all positions as they were at
    /// its start, which is what Meta-World's resets read.
    pub(super) fn finish_parking(&mut self, moved: &[Moved]) -> Result<(), SimError> {
        self.world.relocate(moved)?;
        self.world.step(1);
        self.parked_tcp = self.tcp();
        Ok(())
    }

    /// A copy to play an episode on, everything included, down to what is out of date in it.
    pub(super) fn duplicate(&self) -> Self {
        Self { world: self.world.duplicate(), ..*self }
    }

    /// One step of an episode: the hand's target moves within its bounds, the gripper pushes with an effort from -1 (open) to 1
    /// (closed). The error names the stability check that failed.
    pub(super) fn step(&mut self, action: [f32; 4], bounds: Bounds) -> Result<(), &'static str> {
        self.drive(action, bounds);
        if self.feeling.is_some() {
            self.world.refresh_forces();
        } else {
            self.world.refresh();
        }
        self.world.check_stability()
    }

    /// MuJoCo's part of a step alone.
    pub(super) fn drive(&mut self, action: [f32; 4], [low, high]: Bounds) {
        let (mut target, _) = self.world.mocap();
        for axis in 0..3 {
            let delta = action[axis].clamp(-1.0, 1.0) * ACTION_SCALE;
            target[axis] = (target[axis] + f64::from(delta)).clamp(low[axis], high[axis]);
        }
        self.world.set_mocap(target, HAND_DOWN);
        self.push(action[3]);
        self.world.step(SUBSTEPS);
    }

    /// The effort with which the fingers push from now on.
    fn push(&mut self, effort: f32) {
        let effort = f64::from(effort);
        self.world.ctrl_mut().copy_from_slice(&[effort, -effort]);
    }

    /// Lets the scene settle for the length of one step, the arm as it is.
    pub(super) fn settle(&mut self) {
        self.world.step(SUBSTEPS);
    }

    /// From now on, each step ends with the forces of contacts up to date, for [`Sawyer::squeezes`]. It takes as long as a MuJoCo step.
    pub(super) fn feel(&mut self) -> Result<(), SimError> {
        self.feeling = Some([self.geom_named("leftpad_geom")?, self.geom_named("rightpad_geom")?]);
        Ok(())
    }

    /// Whether both fingers press on a geom. Never, unless the arm feels.
    pub(super) fn squeezes(&self, geom: usize) -> bool {
        self.feeling.is_some_and(|pads| pads.iter().all(|pad| self.world.pressure(*pad, geom) > 0.0))
    }

    /// Puts joints elsewhere: the callback gets `qpos` and `qvel`. Everything derived from them is up to date afterwards.
    pub(super) fn set_joints(&mut self, set: impl FnOnce(&mut [f64], &mut [f64])) {
        self.world.set_joints(set);
        self.world.refresh();
    }

    /// Puts the free object somewhere, at rest, its orientation as it is.
    pub(super) fn place_free_object(&mut self, position: [f64; 3]) {
        self.set_joints(|qpos, qvel| {
            qpos[OBJECT..OBJECT + 3].copy_from_slice(&position);
            qvel[OBJECT..OBJECT + 6].fill(0.0);
        });
    }

    /// Puts the object on a single joint somewhere along it, at rest.
    pub(super) fn place_jointed_object(&mut self, position: f64) {
        self.set_joints(|qpos, qvel| {
            qpos[OBJECT] = position;
            qvel[OBJECT] = 0.0;
        });
    }

    /// Puts the sliding object somewhere along its joint, its velocity as it is.
    pub(super) fn place_sliding_object(&mut self, position: f64) {
        self.set_joints(|qpos, _| qpos[OBJECT] = position);
    }

    /// Where the object is on its single joint.
    pub(super) fn object_joint(&self) -> f64 {
        self.world.qpos()[OBJECT]
    }

    /// Brings all positions up to date with the joints and with what was moved.
    pub(super) fn refresh(&mut self) {
        self.world.refresh();
    }

    /// The scene's physics, for what only one task looks at.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    pub(super) fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// The hand's position.
    pub(super) fn hand(&self) -> [f64; 3] {
        self.body(self.parts.hand)
    }

    /// The point between the fingertips.
    pub(super) fn tcp(&self) -> [f64; 3] {
        let [right, left] = self.parts.fingertips.map(|fingertip| self.world.site(fingertip));
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
        self.world.body(body)
    }

    /// The orientation of a body, wxyz.
    pub(super) fn body_wxyz(&self, body: usize) -> [f64; 4] {
        self.world.body_wxyz(body)
    }

    /// The orientation of a body, xyzw, as SciPy makes it of the rotation matrix.
    pub(super) fn body_xyzw(&self, body: usize) -> [f64; 4] {
        quaternion_of(self.world.body_rotation(body))
    }

    /// The position of a geom.
    pub(super) fn geom(&self, geom: usize) -> [f64; 3] {
        self.world.geom(geom)
    }

    /// The orientation of a geom, xyzw, as SciPy makes it of the rotation matrix.
    pub(super) fn geom_xyzw(&self, geom: usize) -> [f64; 4] {
        quaternion_of(self.world.geom_rotation(geom))
    }

    /// The position of a site.
    pub(super) fn site(&self, site: usize) -> [f64; 3] {
        self.world.site(site)
    }

    /// The orientation of a site, xyzw, as SciPy makes it of the rotation matrix.
    pub(super) fn site_xyzw(&self, site: usize) -> [f64; 4] {
        quaternion_of(self.world.site_rotation(site))
    }

    pub(super) fn body_named(&self, name: &str) -> Result<usize, SimError> {
        self.world.body_named(name)
    }

    pub(super) fn geom_named(&self, name: &str) -> Result<usize, SimError> {
        self.world.geom_named(name)
    }

    pub(super) fn site_named(&self, name: &str) -> Result<usize, SimError> {
        self.world.site_named(name)
    }

    /// The hand's own state. Only meaningful once positions are up to date, as every step and every placement leaves them.
    pub(super) fn proprioception(&self) -> Proprioception {
        let (ee_vel_ang, ee_vel_lin) = self.world.body_velocity(self.parts.hand);
        Proprioception {
            ee_pos: self.hand(),
            ee_quat: canonical_xyzw(self.world.body_wxyz(self.parts.hand)),
            ee_vel_lin,
            ee_vel_ang,
            gripper: ((FINGERS_OPEN - self.finger_distance()) / self.parts.finger_travel).clamp(0.0, 1.0),
        }
    }

    /// Positions and velocities of all joints.
    pub(super) fn physics(&self) -> (&[f64], &[f64]) {
        (self.world.qpos(), self.world.qvel())
    }

    /// Position and orientation (wxyz) of the body that drags the hand.
    pub(super) fn mocap(&self) -> ([f64; 3], [f64; 4]) {
        self.world.mocap()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{assets::Assets, diagnostics, model};

    fn parked_arm() -> Sawyer {
        diagnostics::install();
        let path = Assets::find(None).unwrap().path("sawyer_xyz/sawyer_reach_v3.xml");
        let mut sawyer = Sawyer::parking(Arc::new(model::load_physics(&path).unwrap()), &[], [0.0, 0.6, 0.2]).unwrap();
        sawyer.finish_parking(&[]).unwrap();
        sawyer
    }

    fn moving_arm() -> Sawyer {
        let mut sawyer = parked_arm();
        sawyer.set_joints(|_, qvel| {
            for (joint, velocity) in qvel[..OBJECT].iter_mut().enumerate() {
                *velocity = 0.3 * (1.0 + joint as f64).sin();
            }
        });
        sawyer
    }

    /// Moves the arm for a microsecond along its velocity and looks where the hand went.
    #[test]
    fn velocities_are_the_hands_motion_along_the_worlds_axes() {
        const DT: f64 = 1e-6;
        let mut sawyer = moving_arm();
        let before = sawyer.proprioception();
        let velocities: Vec<f64> = sawyer.world.qvel()[..OBJECT].to_vec();
        sawyer.set_joints(|qpos, _| {
            for (position, velocity) in qpos.iter_mut().zip(velocities) {
                *position += velocity * DT;
            }
        });
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
        sawyer.set_joints(|_, qvel| qvel[0] = f64::NAN);
        assert_eq!(sawyer.step([0.0; 4], [[-1.0; 3], [1.0; 3]]), Err("BADQVEL"));
    }
}
