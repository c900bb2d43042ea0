//! Stick push: take a stick, and push a thermos with it.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    metaworld::{
        caging::Caging,
        reward::{Falloff::LongTail, tolerance},
        sawyer::Sawyer,
        stick::{Stick, far_apart},
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.12;
/// Where the stick is to be gripped, seen from its middle.
const GRIP: [f64; 3] = [0.015, 0.0, 0.0];
/// The thermos, seen from its handle.
const THERMOS: [f64; 3] = [0.0, 0.09, 0.0];

pub(in crate::metaworld) struct StickPush {
    stick: Stick,
    stick_geom: usize,
    target: [f64; 3],
    caging: Caging,
}

impl StickPush {
    fn in_place(&self, position: [f64; 3], start: [f64; 3]) -> f64 {
        let margin = distance(start, self.target) - RADIUS;
        tolerance(distance(position, self.target), [0.0, RADIUS], margin, LongTail)
    }
}

impl Task for StickPush {
    const NAME: &'static str = "stick-push-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_stick_obj.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Stick x, y, z, then goal x, y, z; neither z is used.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.08, -0.03], [0.58, 0.62], [0.0, 0.001], [0.399, 0.401], [0.55, 0.6], [0.1319, 0.1321]];
    const GOAL_BOUNDS: Bounds = [[0.399, 0.55, 0.1319], [0.401, 0.6, 0.1321]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let stick = Stick::place(sawyer, [random[0], random[1]], [0.0, 0.0])?;
        sawyer.feel()?;
        // The thermos slides on the table: its handle is always this high.
        let target = [random[3], random[4], stick.handle(sawyer)[2]];
        let caging = Caging {
            object_start: stick.start,
            object_radius: 0.04,
            pad_threshold: 0.05,
            xz_threshold: 0.01,
            effort: 1.0,
        };
        Ok(Self { stick, stick_geom: sawyer.geom_named("objGeom")?, target, caging })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.stick.pose(sawyer), Pose::at(add(self.stick.handle(sawyer), THERMOS))]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let (grip, thermos) = (add(moment.object, GRIP), moment.second);
        let pushed = distance(thermos, self.target) <= RADIUS;
        let off_the_table = moment.openness > 0.0 && moment.lifted(self.stick.start, 0.01);
        let reward = if !self.stick.is_held(moment, grip) {
            self.caging.dense(moment, grip).value()
        } else if pushed {
            10.0
        } else {
            let stick_in_place = self.in_place(grip, self.stick.start);
            2.0 + 5.0 * stick_in_place + 3.0 * self.in_place(thermos, self.stick.thermos_start)
        };
        // The only task whose success asks for the fingers' pressure.
        Judgement { reward, success: pushed && off_the_table && moment.sawyer.squeezes(self.stick_geom) }
    }
}
