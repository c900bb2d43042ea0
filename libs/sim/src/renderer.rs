//! Camera images, drawn by one thread.
//!
//! An OpenGL context belongs to the thread that made it, so one thread owns them all, one context an environment, made when the
//! first image of that environment is asked for. It draws from its own visual model: a [`View`] brings joint positions and what the
//! episode moved, never a pointer. Requests queue up in a channel; each asker waits for its answer, so there are never more of
//! them than threads that play episodes.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, PoisonError, mpsc},
    thread::{Builder, JoinHandle},
};

use mujoco_rs::{
    prelude::{MjData, MjModel, MjvCamera},
    renderer::MjRenderer,
};

use crate::{
    Image, SimError,
    model::{self, IMAGE_SIDE},
};

/// All that is needed to draw one state of one scene.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The model's file.
    pub(crate) model: PathBuf,
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

type Images = Vec<(&'static str, Image)>;

struct Request {
    view: View,
    answer: mpsc::SyncSender<Result<Images, SimError>>,
}

/// Starts the thread when it is needed, and again should it have died.
#[derive(Default)]
pub(crate) struct Renderer(Mutex<Option<(mpsc::Sender<Request>, JoinHandle<()>)>>);

/// A way to ask the thread.
#[derive(Clone)]
pub(crate) struct RendererHandle(mpsc::Sender<Request>);

impl Renderer {
    pub(crate) fn handle(&self) -> Result<RendererHandle, SimError> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((requests, thread)) = &*running
            && !thread.is_finished()
        {
            return Ok(RendererHandle(requests.clone()));
        }
        let (requests, inbox) = mpsc::channel();
        let thread = Builder::new().name("renderer".to_owned()).spawn(move || draw_all(&inbox));
        *running = Some((requests.clone(), thread.map_err(SimError::RendererThread)?));
        Ok(RendererHandle(requests))
    }
}

impl RendererHandle {
    /// Draws every camera of the view. Blocks until it is done.
    pub(crate) fn draw(&self, view: View) -> Result<Images, SimError> {
        let (answer, inbox) = mpsc::sync_channel(1);
        self.0.send(Request { view, answer }).map_err(|_| SimError::RendererGone)?;
        inbox.recv().map_err(|_| SimError::RendererGone)?
    }
}

/// The thread's life: until nobody can ask any more.
fn draw_all(inbox: &mpsc::Receiver<Request>) {
    let mut studios: HashMap<PathBuf, Studio> = HashMap::new();
    for Request { view, answer } in inbox {
        let studio = match studios.remove(&view.model) {
            Some(studio) => Ok(studio),
            None => Studio::open(&view),
        };
        let images = studio.and_then(|mut studio| {
            let images = studio.draw(&view);
            studios.insert(view.model, studio);
            images
        });
        // The asker may have given up, e.g. because its thread is unwinding; the images are of no use to anybody else.
        let _ = answer.send(images);
    }
}

/// One environment's visual model and OpenGL context.
struct Studio {
    model: MjModel,
    renderer: MjRenderer,
}

impl Studio {
    fn open(view: &View) -> Result<Self, SimError> {
        let model = model::load_visual(&view.model)?;
        let side = IMAGE_SIDE as usize;
        let renderer = MjRenderer::new(&model, side, side, 0).map_err(graphics)?;
        tracing::debug!(model = %view.model.display(), "opened an offscreen context");
        Ok(Self { model, renderer })
    }

    fn draw(&mut self, view: &View) -> Result<Images, SimError> {
        for moved in &view.moved {
            match *moved {
                Moved::Body(name, position) => {
                    let body = model::body(&self.model, name)?;
                    self.model.body_pos_mut()[body] = position;
                }
                Moved::Site(name, position) => {
                    let site = model::site(&self.model, name)?;
                    self.model.site_pos_mut()[site] = position;
                }
            }
        }
        let mut data = MjData::try_new(&self.model)
            .map_err(|error| SimError::Physics { what: "make a state to draw", reason: error.to_string() })?;
        data.qpos_mut().copy_from_slice(&view.qpos);
        data.mocap_pos_mut().fill(view.mocap_pos);
        data.mocap_quat_mut().fill(view.mocap_quat);
        data.forward();
        let mut images = Vec::with_capacity(view.cameras.len());
        for name in view.cameras {
            self.renderer.set_camera(MjvCamera::new_fixed(model::camera(&self.model, name)?));
            self.renderer.sync_data(&mut data).map_err(graphics)?;
            self.renderer.render().map_err(graphics)?;
            let rgb = self.renderer.rgb_flat().expect("the renderer was made for colours").to_vec();
            images.push((*name, Image { width: IMAGE_SIDE as u32, height: IMAGE_SIDE as u32, rgb }));
        }
        Ok(images)
    }
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
