//! What can go wrong in a simulation.

use std::path::PathBuf;

use kinitro_domain::EnvId;

/// An error of the simulator. Except for [`SimError::InvalidAction`] and [`SimError::UnknownEnvironment`], none of them is the
/// caller's or a policy's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The Meta-World assets are nowhere.
    #[error(
        "no Meta-World assets in {}: run `make setup`, or set KINITRO_METAWORLD_ASSETS to the folder that holds `sawyer_xyz`",
        .looked.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
    )]
    AssetsMissing {
        /// The folders that were tried, in order.
        looked: Vec<PathBuf>,
    },

    /// No such environment in this build.
    #[error("no environment `{env_id}` here: this simulator plays {}", .known.join(", "))]
    UnknownEnvironment {
        /// What was asked for.
        env_id: EnvId,
        /// What there is.
        known: Vec<String>,
    },

    /// MuJoCo could not load a model.
    #[error("cannot load the model `{}`: {reason}; run `make setup` to restore the assets", .path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// MuJoCo's words.
        reason: String,
    },

    /// A model lacks a part that the environment relies on.
    #[error(
        "the model has no {kind} `{name}`: the assets are not those of Meta-World 3.1.1; run `make setup` to restore them"
    )]
    MissingPart {
        /// body, site, geom, joint or camera.
        kind: &'static str,
        /// Its name.
        name: String,
    },

    /// MuJoCo refused a call, e.g. for want of memory.
    #[error("the physics engine refused to {what}: {reason}")]
    Physics {
        /// What was tried.
        what: &'static str,
        /// MuJoCo's words.
        reason: String,
    },

    /// The physics left the range of finite numbers. The engine's own answer to that is a silent reset, so the episode ends. The same
    /// actions in the same scene end it there every time.
    #[error("the physics of `{env_id}` became unstable at step {step} ({warning}) under the actions that were played")]
    Unstable {
        /// The environment.
        env_id: EnvId,
        /// The step, counted from 1.
        step: u32,
        /// Which of MuJoCo's checks failed.
        warning: &'static str,
    },

    /// A step was asked of an episode that has ended.
    #[error("the episode has ended: start another one")]
    Finished,

    /// An action has a component that is not a finite number.
    #[error("`{channel}`[{index}] is not a finite number: send numbers, {range}")]
    InvalidAction {
        /// `ee_twist` or `gripper`.
        channel: &'static str,
        /// Which component.
        index: usize,
        /// The range it should be in.
        range: &'static str,
    },

    /// A given random vector does not suit the task.
    #[error("the random vector of `{env_id}` has {expected} finite components, got {got:?}")]
    RandomVector {
        /// The environment.
        env_id: EnvId,
        /// How many components the task draws.
        expected: usize,
        /// What was given.
        got: Vec<f64>,
    },

    /// There is no OpenGL to draw reference images with.
    #[error(
        "cannot draw camera images: {reason}; install the packages libegl1 libegl-mesa0 libgl1-mesa-dri, or play with images of \
         quality `fast`, or with none"
    )]
    Graphics {
        /// What OpenGL or MuJoCo said.
        reason: String,
    },

    /// The variable that chooses the device for reference images is no good.
    #[error(
        "MUJOCO_EGL_DEVICE_ID: {reason}; EGL knows {}; set one of them, or unset the variable for the first that works",
        match .devices {
            0 => "no device".to_owned(),
            1 => "1 device: only 0".to_owned(),
            devices => format!("{devices} devices, 0 to {}", devices - 1),
        }
    )]
    EglDevice {
        /// What is wrong with its value.
        reason: String,
        /// How many devices there are.
        devices: usize,
    },

    /// The thread that draws is gone.
    #[error("the thread that draws camera images has died: start the episode again, the next one gets a new thread")]
    RendererGone,

    /// The thread that draws could not be started.
    #[error("cannot start the thread that draws camera images: {0}")]
    RendererThread(#[source] std::io::Error),
}
