//! Hammer: drive a nail into a block with a hammer.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    metaworld::{
        caging::Caging,
        reward::{Falloff::LongTail, straight, tolerance, working},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// Half the length of the hammer's handle, anywhere along which it may be held.
const HALF_HANDLE: f64 = 0.14 / 2.0;
/// The hammer's head, seen from the hammer.
const HEAD: [f64; 3] = [0.16, 0.06, 0.0];
/// The nail is in when it was driven further than this.
const DRIVEN: f64 = 0.09;

pub(in crate::metaworld) struct Hammer {
    hammer: usize,
    nail: usize,
    nail_slide: usize,
    target: [f64; 3],
    caging: Caging,
}

impl Task for Hammer {
    const NAME: &'static str = "hammer-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_hammer.xml";
    const HAND_START: [f64; 3] = [0.0, 0.4, 0.2];
    /// Hammer x, y, z.
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.4, 0.5], [0.0, 0.0]];
    const GOAL_BOUNDS: Bounds = [[0.2399, 0.7399, 0.109], [0.2401, 0.7401, 0.111]];

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let object_start = [random[0], random[1], random[2]];
        sawyer.place_free_object(object_start);
        Ok(Self {
            hammer: sawyer.body_named("hammer")?,
            nail: sawyer.body_named("nail_link")?,
            nail_slide: sawyer.world().joint_named("NailSlideJoint")?.0,
            target: sawyer.site(sawyer.site_named("goal")?),
            caging: Caging { object_start, object_radius: 0.015, pad_threshold: 0.02, xz_threshold: 0.01, effort: 1.0 },
        })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.hammer, self.nail].map(|body| Pose { position: sawyer.body(body), quaternion: sawyer.body_wxyz(body) })
    }

    fn markers(&self) -> Vec<Moved> {
        Vec::new()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let success = moment.sawyer.physics().0[self.nail_slide] > DRIVEN;
        let head = add(moment.object, HEAD);
        let lifted = if head[2] > 0.02 { 1.0 } else { 0.0 };
        let in_place = 0.1 * lifted + 0.9 * tolerance(distance(self.target, head), [0.0, 0.02], 0.2, LongTail);
        let grasped = self.caging.dense(moment, moment.along_handle(HALF_HANDLE));
        let straight = straight(moment.sawyer.body_wxyz(self.hammer), [1.0, 0.0, 0.0, 0.0], 0.4);
        let reward = working(grasped, in_place, straight).value();
        Judgement { reward: if success && reward > 5.0 { 10.0 } else { reward }, success }
    }
}
