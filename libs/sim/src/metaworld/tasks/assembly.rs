//! Assembly: put a nut on a peg.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance, weighted_distance},
    metaworld::{
        nut::{Nut, far_apart},
        reward::{Falloff::LongTail, Funnel, tolerance, working},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// The peg's middle, seen from its top.
const PEG: [f64; 3] = [0.0, 0.0, -0.05];
/// The nut's centre within this distance of the peg's axis is over the peg, or on it.
const ALIGNED: f64 = 0.02;
/// How high the nut is wanted, before it is on the peg.
const PEG_FUNNEL: Funnel = Funnel { mouth: 0.01, steepness: 0.02, height: 0.2 };
/// Errors in height count triple.
const WEIGHTS: [f64; 3] = [1.0, 1.0, 3.0];

pub(in crate::metaworld) struct Assembly {
    nut: Nut,
    peg_top: [f64; 3],
}

impl Assembly {
    /// Wants the nut above the peg first, and down only there.
    fn in_place(&self, centre: [f64; 3], away: f64) -> f64 {
        let lifted = if centre[2] > 0.02 || away < PEG_FUNNEL.mouth { 1.0 } else { 0.0 };
        let height = PEG_FUNNEL.floor(away);
        let error = weighted_distance([self.peg_top[0], self.peg_top[1], height], centre, WEIGHTS);
        0.1 * lifted + 0.9 * tolerance(error, [0.0, 0.02], 0.4, LongTail)
    }
}

impl Task for Assembly {
    const NAME: &'static str = "assembly-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_assembly_peg.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    /// Nut x, y, z, then the peg's top x, y, z.
    const RANDOM: &'static [[f64; 2]] = &[[0.0, 0.0], [0.6, 0.6], [0.02, 0.02], [-0.1, 0.1], [0.75, 0.85], [0.1, 0.1]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.75, 0.1], [0.1, 0.85, 0.1]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("peg", add([random[3], random[4], random[5]], PEG))]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let nut = Nut::place(sawyer, [random[0], random[1], random[2]])?;
        Ok(Self { nut, peg_top: [random[3], random[4], random[5]] })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.peg_top
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.nut.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("pegTop", self.peg_top)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let centre = self.nut.centre(moment.sawyer);
        let away = distance([self.peg_top[0], self.peg_top[1]], [centre[0], centre[1]]);
        let success = away < ALIGNED && centre[2] < self.peg_top[2];
        let reward = if success {
            10.0
        } else {
            let grasped = self.nut.caging.medium(moment, self.nut.grip(moment), 0.01);
            working(grasped, self.in_place(centre, away), self.nut.straight(moment.sawyer)).value()
        };
        Judgement { reward, success }
    }
}
