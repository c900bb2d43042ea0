//! Drawer close: push an open drawer shut.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    metaworld::{
        numpy::unit_clip,
        reward::{
            Falloff::{Gaussian, LongTail},
            hamacher, tolerance,
        },
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// How far the drawer is pulled out at the start.
const PULLED_OUT: f64 = 0.15;
/// The handle, seen from the drawer.
const HANDLE: [f64; 3] = [0.0, -0.16, 0.05];
/// The closed handle, seen from the chest.
const CLOSED: [f64; 3] = [0.0, -0.16, 0.09];
/// The base class's radius: drawer-close sets one of its own, under a name that nobody reads.
const RADIUS: f64 = 0.05;
/// The handle within this distance of its closed place counts as shut.
const SHUT: f64 = RADIUS + 0.015;
/// The gripper within this distance of the handle touches it.
const TOUCH: f64 = 0.005;

pub(in crate::metaworld) struct DrawerClose {
    drawer: usize,
    handle_start: [f64; 3],
    target: [f64; 3],
}

impl DrawerClose {
    fn handle(sawyer: &Sawyer, drawer: usize) -> [f64; 3] {
        add(sawyer.body(drawer), HANDLE)
    }
}

impl Task for DrawerClose {
    const NAME: &'static str = "drawer-close-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_drawer.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    /// Where the chest of drawers stands.
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.9, 0.9], [0.0, 0.0]];
    const GOAL_BOUNDS: Bounds = Self::HAND_BOUNDS;

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("drawer", [random[0], random[1], random[2]])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let drawer = sawyer.body_named("drawer_link")?;
        sawyer.place_sliding_object(-PULLED_OUT);
        let target = add([random[0], random[1], random[2]], CLOSED);
        Ok(Self { drawer, handle_start: Self::handle(sawyer, drawer), target })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose::at(Self::handle(sawyer, self.drawer)), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let to_goal = distance(moment.object, self.target);
        let success = to_goal <= SHUT;
        if success {
            return Judgement { reward: 10.0, success };
        }
        let margin = (distance(self.handle_start, self.target) - RADIUS).abs();
        let in_place = tolerance(to_goal, [0.0, RADIUS], margin, LongTail);
        let margin = (distance(self.handle_start, moment.sawyer.parked_tcp()) - TOUCH).abs();
        let to_handle = distance(moment.object, moment.sawyer.tcp());
        let reach = tolerance(to_handle, [0.0, TOUCH], margin, Gaussian);
        let reach = hamacher(reach, unit_clip(moment.action[3]));
        Judgement { reward: (hamacher(reach, in_place) * 10.0).value(), success }
    }
}
