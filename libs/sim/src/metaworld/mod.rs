//! Meta-World v3: a Sawyer arm at a table.
//!
//! The behaviour is that of Meta-World 3.1.1 on the libmujoco that we link, held by the parity tests to recorded rollouts of the
//! Python package. What is peculiar about it, and kept:
//!
//! - The arm is dragged by a weld to a *mocap body*. An action moves that body by at most a centimetre an axis, computed in
//!   single precision from a single-precision action; everything else is double, but for a few rewards (see [`numpy`]).
//! - A step is five MuJoCo steps of 2.5 ms and one `mj_forward`, after which the observation and the reward are taken.
//! - A reset parks the hand for 50 such steps with the gripper open, *then* places the object. Some of what the reset reads
//!   comes from before the last of these MuJoCo steps, because `mj_step` leaves positions as they were at its start.
//! - All that varies between episodes is one *random vector*, uniform in the task's range.

mod button;
mod caging;
mod cylinder;
mod detour;
mod door;
mod experts;
mod faucet;
mod handle;
mod lock;
mod mug;
mod numpy;
mod nut;
mod pinch;
mod plate;
mod reaching;
mod reward;
mod sawyer;
mod scene;
mod shoulder;
mod stage;
mod stick;
mod task;
mod tasks;
mod window;

pub(crate) use experts::TaskExpert;

use crate::environment::Environment;

/// Every task of the family.
pub(crate) fn environments() -> Vec<Box<dyn Environment>> {
    tasks::all()
}
