//! The world of one episode: a task on its arm, with the observation that Meta-World makes of it.

use std::{path::PathBuf, sync::Arc};

use super::{
    sawyer::Sawyer,
    task::{Bounds, Moment, Task},
};
use crate::{
    Action,
    environment::{Judgement, Scene},
    observation::Proprioception,
    renderer::{Moved, View},
};

/// What the policies see through.
const CAMERAS: &[&str] = &["corner", "corner2"];
/// Length of one frame: hand 3, openness 1, up to two objects of 3 + 4.
const FRAME: usize = 18;
/// What the hand's position and the openness are clipped to in an observation. Objects are not clipped.
const FRAME_BOUNDS: [[f64; 4]; 2] = [[-0.525, 0.348, -0.0525, -1.0], [0.525, 1.025, 0.7, 1.0]];

pub(super) struct TaskScene<T> {
    model: Arc<PathBuf>,
    sawyer: Sawyer,
    task: T,
    moved: Vec<Moved>,
    /// Before the first step the observation shows the same frame twice, and is not clipped.
    stepped: bool,
    frame: [f64; FRAME],
    previous_frame: [f64; FRAME],
}

impl<T: Task> TaskScene<T> {
    pub(super) fn new(model: Arc<PathBuf>, sawyer: Sawyer, task: T, moved: Vec<Moved>) -> Self {
        let frame = frame(&sawyer, &task);
        Self { model, sawyer, task, moved, stepped: false, frame, previous_frame: frame }
    }
}

/// What Meta-World observes at one moment: hand, openness, first object, second object.
fn frame<T: Task>(sawyer: &Sawyer, task: &T) -> [f64; FRAME] {
    let mut frame = [0.0; FRAME];
    frame[..3].copy_from_slice(&sawyer.hand());
    frame[3] = sawyer.openness();
    for (object, part) in task.objects(sawyer).iter().zip(frame[4..].chunks_exact_mut(7)) {
        part[..3].copy_from_slice(&object.position);
        part[3..].copy_from_slice(&object.quaternion);
    }
    frame
}

/// A policy's action as Meta-World's: the translation, and the gripper's effort from -1 (open) to 1 (closed).
fn native(action: &Action) -> [f32; 4] {
    let [x, y, z, ..] = action.ee_twist();
    [x, y, z, 2.0 * action.gripper() - 1.0].map(|value| value as f32)
}

fn clipped(value: &mut f64, low: f64, high: f64) {
    *value = value.clamp(low, high);
}

impl<T: Task> Scene for TaskScene<T> {
    fn step(&mut self, action: &Action) -> Result<Judgement, &'static str> {
        self.step_native(native(action))
    }

    fn step_native(&mut self, action: [f32; 4]) -> Result<Judgement, &'static str> {
        self.sawyer.step(action, T::HAND_BOUNDS)?;
        self.stepped = true;
        self.previous_frame = self.frame;
        self.frame = frame(&self.sawyer, &self.task);
        let at = |from: usize| [self.frame[from], self.frame[from + 1], self.frame[from + 2]];
        let [low, high] = FRAME_BOUNDS;
        let hand = std::array::from_fn(|axis| self.frame[axis].clamp(low[axis], high[axis]));
        let (object, second, openness) = (at(4), at(11), self.frame[3]);
        Ok(self.task.judge(&Moment { sawyer: &self.sawyer, hand, object, second, openness, action }))
    }

    fn step_bare(&mut self, action: &Action) {
        self.sawyer.drive(native(action), T::HAND_BOUNDS);
    }

    /// 39 numbers: this frame, the one before, the goal (zeros when it is hidden).
    fn native_observation(&self, goal_visible: bool) -> Vec<f64> {
        let [goal_low, goal_high]: Bounds = T::GOAL_BOUNDS;
        let mut frames = [self.frame, self.previous_frame];
        let mut goal = if goal_visible { self.task.target(&self.sawyer) } else { [0.0; 3] };
        if self.stepped {
            for frame in &mut frames {
                for (i, value) in frame.iter_mut().enumerate().take(FRAME_BOUNDS[0].len()) {
                    clipped(value, FRAME_BOUNDS[0][i], FRAME_BOUNDS[1][i]);
                }
            }
            if goal_visible {
                for (axis, value) in goal.iter_mut().enumerate() {
                    clipped(value, goal_low[axis], goal_high[axis]);
                }
            }
        }
        frames.iter().flatten().chain(&goal).copied().collect()
    }

    fn proprioception(&self) -> Proprioception {
        self.sawyer.proprioception()
    }

    fn physics(&self) -> (&[f64], &[f64]) {
        self.sawyer.physics()
    }

    fn view(&self) -> View {
        let (mocap_pos, mocap_quat) = self.sawyer.mocap();
        View {
            model: Arc::clone(&self.model),
            cameras: CAMERAS,
            qpos: self.sawyer.physics().0.to_vec(),
            mocap_pos,
            mocap_quat,
            moved: self.moved.iter().copied().chain(self.task.markers()).collect(),
        }
    }
}
