//! Camera images, in two qualities, from the same [`View`] of a scene.
//!
//! *Fast* pictures are drawn by the thread that asks for them, without OpenGL (`raster`). *Reference* pictures are MuJoCo's own,
//! drawn with OpenGL by a thread that owns all of its contexts (`studio`). Both draw 84×84 pixels of a model of their own: a view
//! brings joint positions and what the episode moved, never a pointer.

mod context;
mod opengl;
mod raster;
mod studio;

use std::{path::PathBuf, sync::Arc};

use raster::Raster;
use studio::Studios;

use crate::{Image, ImageQuality, SimError};

/// The side of the square pictures, pixels.
const IMAGE_SIDE: i32 = 84;

/// All that is needed to draw one state of one scene.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The model's file.
    pub(crate) model: Arc<PathBuf>,
    pub(crate) cameras: &'static [&'static str],
    pub(crate) qpos: Vec<f64>,
    pub(crate) mocap_pos: [f64; 3],
    pub(crate) mocap_quat: [f64; 4],
    /// Everything that episodes of this environment move in the model, by name; the same names in every view.
    pub(crate) moved: Vec<Moved>,
}

/// A part that stands elsewhere than the model's file says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moved {
    Body(&'static str, [f64; 3]),
    Site(&'static str, [f64; 3]),
}

/// One for each camera of a view, in its order.
type Images = Vec<(&'static str, Image)>;

/// Draws for all environments. Loads and starts nothing before the first picture is asked for.
#[derive(Default)]
pub(crate) struct Renderer(Arc<Both>);

#[derive(Default)]
struct Both {
    raster: Raster,
    studios: Studios,
}

/// Whether the device that the environment chooses for reference pictures, if it does, is there.
pub(crate) fn check_device() -> Result<(), SimError> {
    context::check()
}

/// The error with all that caused it: the outermost one alone says little.
fn graphics(error: impl std::error::Error) -> SimError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    SimError::Graphics { reason }
}

/// A way to have pictures of one quality drawn.
#[derive(Clone)]
pub(crate) struct RendererHandle {
    both: Arc<Both>,
    quality: ImageQuality,
}

impl Renderer {
    pub(crate) fn handle(&self, quality: ImageQuality) -> RendererHandle {
        RendererHandle { both: Arc::clone(&self.0), quality }
    }
}

impl RendererHandle {
    /// Draws every camera of the view. Blocks until it is done.
    pub(crate) fn draw(&self, view: View) -> Result<Images, SimError> {
        match self.quality {
            ImageQuality::Fast => self.both.raster.draw(&view),
            ImageQuality::Reference => self.both.studios.draw(view),
        }
    }

    /// What draws reference images of this view: OpenGL's renderer and version.
    pub(crate) fn opengl(&self, view: View) -> Result<String, SimError> {
        self.both.studios.opengl(view.model)
    }
}
