//! Where the bodies of a model are, given its joints: MuJoCo's forward kinematics, without the rest of a simulation.
//!
//! The definitions are those of MuJoCo's documentation ("Computation", kinematics). Needs a few kilobytes where a model and its
//! data take megabytes, and reads a view without writing to anything.

use mujoco_rs::prelude::{MjModel, MjtJoint};

use super::vector::{Pose, normalised, product};

/// The tree of bodies and joints, as it hangs.
pub(super) struct Skeleton {
    bodies: Vec<Body>,
}

struct Body {
    parent: usize,
    /// In the parent's frame.
    pose: Pose,
    mocap: bool,
    joints: Vec<Joint>,
}

struct Joint {
    kind: MjtJoint,
    /// Where its coordinates begin in `qpos`.
    at: usize,
    anchor: [f64; 3],
    axis: [f64; 3],
    /// The coordinate at which the body is where the model's file says.
    rest: f64,
}

/// What the joints do at one moment.
pub(super) struct Posture<'a> {
    pub(super) qpos: &'a [f64],
    pub(super) mocap: Pose,
    /// Bodies that stand elsewhere than the model's file says.
    pub(super) moved: &'a [(usize, [f64; 3])],
}

impl Skeleton {
    pub(super) fn of(model: &MjModel) -> Self {
        let index =
            |value: i32| usize::try_from(value).expect("the model gives this body joints, so it says where they are");
        let bodies = (0..model.body_pos().len()).map(|body| {
            let joints = (0..model.body_jntnum()[body]).map(|offset| {
                let joint = index(model.body_jntadr()[body] + offset);
                let at = index(model.jnt_qposadr()[joint]);
                Joint {
                    kind: model.jnt_type()[joint],
                    at,
                    anchor: model.jnt_pos()[joint],
                    axis: model.jnt_axis()[joint],
                    rest: model.qpos0()[at],
                }
            });
            Body {
                parent: index(model.body_parentid()[body]),
                pose: Pose { position: model.body_pos()[body], quaternion: model.body_quat()[body] },
                mocap: model.body_mocapid()[body] >= 0,
                joints: joints.collect(),
            }
        });
        Self { bodies: bodies.collect() }
    }

    /// Whether a body stands still whatever the joints do, if none of the `moved` ones carries it.
    pub(super) fn stands_still(&self, mut body: usize, moved: &[usize]) -> bool {
        while body != 0 {
            let here = &self.bodies[body];
            if here.mocap || !here.joints.is_empty() || moved.contains(&body) {
                return false;
            }
            body = here.parent;
        }
        true
    }

    /// The world's pose of every body.
    pub(super) fn pose_into(&self, posture: &Posture<'_>, poses: &mut Vec<Pose>) {
        poses.clear();
        poses.push(Pose::IDENTITY);
        for (index, body) in self.bodies.iter().enumerate().skip(1) {
            let mut rest = body.pose;
            if let Some((_, position)) = posture.moved.iter().find(|(moved, _)| *moved == index) {
                rest.position = *position;
            }
            if body.mocap {
                rest = posture.mocap;
            }
            let mut pose = poses[body.parent].then(&rest);
            for joint in &body.joints {
                joint.apply(posture.qpos, &mut pose);
            }
            pose.quaternion = normalised(pose.quaternion);
            poses.push(pose);
        }
    }
}

impl Joint {
    fn apply(&self, qpos: &[f64], pose: &mut Pose) {
        let at = self.at;
        match self.kind {
            MjtJoint::mjJNT_FREE => {
                pose.position = [qpos[at], qpos[at + 1], qpos[at + 2]];
                pose.quaternion = normalised([qpos[at + 3], qpos[at + 4], qpos[at + 5], qpos[at + 6]]);
            }
            MjtJoint::mjJNT_BALL => {
                self.turn(pose, normalised([qpos[at], qpos[at + 1], qpos[at + 2], qpos[at + 3]]));
            }
            MjtJoint::mjJNT_SLIDE => {
                let travel = qpos[at] - self.rest;
                pose.position = pose.point(self.axis.map(|component| component * travel));
            }
            MjtJoint::mjJNT_HINGE => {
                let (sin, cos) = ((qpos[at] - self.rest) / 2.0).sin_cos();
                self.turn(pose, [cos, self.axis[0] * sin, self.axis[1] * sin, self.axis[2] * sin]);
            }
        }
    }

    /// Turns about the anchor, which stays where it is.
    fn turn(&self, pose: &mut Pose, by: [f64; 4]) {
        let anchor = pose.point(self.anchor);
        pose.quaternion = product(pose.quaternion, by);
        let arm = pose.direction(self.anchor);
        pose.position = [anchor[0] - arm[0], anchor[1] - arm[1], anchor[2] - arm[2]];
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use mujoco_rs::prelude::MjData;

    use super::*;
    use crate::diagnostics;

    const EVERY_JOINT: &str = r#"<mujoco><worldbody>
        <body mocap="true" pos="1 2 3"><geom size=".1"/></body>
        <body pos=".1 .2 .3" euler="10 20 30">
          <joint type="slide" axis="1 1 0" ref=".1"/><joint type="hinge" axis="0 1 1" pos=".05 0 .1" ref="20"/>
          <geom size=".1"/>
          <body pos="0 .1 .2" quat=".5 .5 .5 .5"><joint type="ball" pos=".1 0 -.2"/><geom size=".1"/>
            <body name="moved" pos=".3 0 0"><joint type="hinge" axis="1 2 3"/><geom size=".1"/></body>
          </body>
        </body>
        <body pos="0 0 5"><freejoint/><geom size=".1"/><body pos=".1 .1 .1"><geom size=".1"/></body></body>
    </worldbody></mujoco>"#;

    #[test]
    fn bodies_are_where_mujoco_says() {
        diagnostics::install();
        let mut model = MjModel::from_xml_string(EVERY_JOINT).unwrap();
        let skeleton = Skeleton::of(&model);
        let (moved, place) = (crate::model::body(&model, "moved").unwrap(), [-0.2, 0.4, 0.1]);
        model.body_pos_mut()[moved] = place;
        let qpos: Vec<f64> = (0..model.qpos0().len()).map(|i| (i as f64 * 1.7 + 0.3).sin()).collect();
        let mocap = Pose { position: [0.3, -0.1, 0.8], quaternion: normalised([1.0, 0.0, 1.0, 0.5]) };
        let mut data = MjData::try_new(&model).unwrap();
        data.qpos_mut().copy_from_slice(&qpos);
        data.mocap_pos_mut().fill(mocap.position);
        data.mocap_quat_mut().fill(mocap.quaternion);
        data.forward_kinematics();
        let mut poses = Vec::new();
        skeleton.pose_into(&Posture { qpos: &qpos, mocap, moved: &[(moved, place)] }, &mut poses);
        assert_eq!(poses.len(), data.xpos().len());
        for (body, pose) in poses.iter().enumerate() {
            let same = |a: &[f64], b: &[f64], sign: f64| a.iter().zip(b).all(|(a, b)| (a - sign * b).abs() < 1e-12);
            assert!(same(&pose.position, &data.xpos()[body], 1.0), "{body}: {pose:?}");
            let turned = &data.xquat()[body];
            assert!(
                [1.0, -1.0].iter().any(|sign| same(&pose.quaternion, turned, *sign)),
                "{body}: {pose:?} {turned:?}"
            );
        }
    }

    #[test]
    fn only_what_nothing_carries_stands_still() {
        diagnostics::install();
        let model = MjModel::from_xml_string(EVERY_JOINT).unwrap();
        let skeleton = Skeleton::of(&model);
        assert!(skeleton.stands_still(0, &[]));
        assert!((1..model.body_pos().len()).all(|body| !skeleton.stands_still(body, &[])));
        let nested = r#"<mujoco><worldbody><body><body><geom size="1"/></body></body></worldbody></mujoco>"#;
        let still = Skeleton::of(&MjModel::from_xml_string(nested).unwrap());
        assert!(still.stands_still(2, &[]) && !still.stands_still(2, &[1]) && still.stands_still(1, &[2]));
    }
}
