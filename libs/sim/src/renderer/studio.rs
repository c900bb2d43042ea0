//! Quality `reference`: MuJoCo's renderer with everything that Meta-World's models ask of it, on OpenGL through EGL.
//!
//! A GPU is used when EGL offers one, else Mesa draws on the CPU; `MUJOCO_EGL_DEVICE_ID` chooses among several. An OpenGL context belongs to the thread that made it, so one
//! thread owns them all, one context an environment, made when the first picture of that environment is asked for. Requests queue
//! up in a channel; each asker waits for its answer, so there are never more of them than threads that play episodes.
//!
//! A context with its model takes some 150 MB, most of it the shadow map, so only the last few environments keep theirs.

use std::{
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{Builder, JoinHandle},
};

use mujoco_rs::prelude::{MjData, MjModel, MjrContext, MjrRectangle, MjvCamera, MjvOption, MjvPerturb, MjvScene};

use super::{IMAGE_SIDE, Images, Moved, View, context::Context, graphics, opengl};
use crate::{Image, SimError, model};

/// How many environments keep their context.
const KEPT: usize = 4;

/// Room in a scene for what is drawn beside the model's own parts.
const MORE_PARTS: usize = 100;

type Answer<T> = mpsc::SyncSender<Result<T, SimError>>;

enum Request {
    Draw(View, Answer<Images>),
    Describe(Arc<PathBuf>, Answer<String>),
}

/// The thread: started when it is needed, and again should it have died.
#[derive(Default)]
pub(super) struct Studios(Mutex<Option<(mpsc::Sender<Request>, JoinHandle<()>)>>);

impl Studios {
    /// Draws every camera of the view. Blocks until it is done.
    pub(super) fn draw(&self, view: View) -> Result<Images, SimError> {
        self.ask(|answer| Request::Draw(view, answer))
    }

    /// OpenGL's own description of what draws this model.
    pub(super) fn opengl(&self, model: Arc<PathBuf>) -> Result<String, SimError> {
        self.ask(|answer| Request::Describe(model, answer))
    }

    fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, SimError> {
        let (answer, inbox) = mpsc::sync_channel(1);
        self.thread()?.send(request(answer)).map_err(|_| SimError::RendererGone)?;
        inbox.recv().map_err(|_| SimError::RendererGone)?
    }

    fn thread(&self) -> Result<mpsc::Sender<Request>, SimError> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((requests, thread)) = &*running
            && !thread.is_finished()
        {
            return Ok(requests.clone());
        }
        let (requests, inbox) = mpsc::channel();
        let thread = Builder::new().name("renderer".to_owned()).spawn(move || serve(&inbox));
        *running = Some((requests.clone(), thread.map_err(SimError::RendererThread)?));
        Ok(requests)
    }
}

/// The thread's life: until nobody can ask any more.
fn serve(inbox: &mpsc::Receiver<Request>) {
    // The last used one is the last.
    let mut studios: Vec<Studio> = Vec::new();
    for request in inbox {
        // The asker may have given up, e.g. because its thread is unwinding; the answer is of no use to anybody else.
        match request {
            Request::Draw(view, answer) => {
                let _ = answer.send(enter(&mut studios, &view.model).and_then(|studio| studio.draw(&view)));
            }
            Request::Describe(model, answer) => {
                let _ = answer.send(enter(&mut studios, &model).and_then(Studio::describe));
            }
        }
    }
}

/// The studio of a model.
fn enter<'a>(studios: &'a mut Vec<Studio>, model: &Arc<PathBuf>) -> Result<&'a mut Studio, SimError> {
    let studio = match studios.iter().position(|studio| studio.path == *model) {
        Some(index) => studios.remove(index),
        None => {
            studios.drain(..studios.len().saturating_sub(KEPT - 1));
            Studio::open(model)?
        }
    };
    studios.push(studio);
    Ok(studios.last_mut().expect("it was just pushed"))
}

/// One environment's model, state and OpenGL context.
struct Studio {
    path: Arc<PathBuf>,
    data: MjData<Box<MjModel>>,
    scene: MjvScene,
    /// What MuJoCo has on the device. Given back while `context` is there and current.
    painter: MjrContext,
    context: Context,
}

impl Drop for Studio {
    fn drop(&mut self) {
        if let Err(error) = self.context.make_current() {
            tracing::warn!(%error, "what an environment's pictures were drawn with may stay on the device");
        }
    }
}

impl Studio {
    fn open(path: &Arc<PathBuf>) -> Result<Self, SimError> {
        let mut model = MjModel::from_xml(path.as_path())
            .map_err(|error| SimError::Model { path: path.to_path_buf(), reason: error.to_string() })?;
        // The size of the buffer to draw in, of which the picture is a part: it changes no pixel.
        model.vis_mut().global.offwidth = IMAGE_SIDE;
        model.vis_mut().global.offheight = IMAGE_SIDE;
        let side = NonZeroU32::new(IMAGE_SIDE as u32).expect("a picture has a side");
        let context = Context::open(side, side)?;
        // SAFETY: the context was just made current on this thread, which alone has it, and is so again when the painter is dropped.
        let mut painter = unsafe { MjrContext::new(&model) };
        painter.offscreen();
        let scene = MjvScene::new(&model, model.ngeom() as usize + MORE_PARTS);
        tracing::debug!(model = %path.display(), "opened an offscreen context");
        let data = MjData::try_new(Box::new(model))
            .map_err(|error| SimError::Physics { what: "make a state to draw", reason: error.to_string() })?;
        Ok(Self { path: Arc::clone(path), data, scene, painter, context })
    }

    fn describe(&mut self) -> Result<String, SimError> {
        self.context.make_current()?;
        opengl::describe()
    }

    fn draw(&mut self, view: &View) -> Result<Images, SimError> {
        for moved in &view.moved {
            match *moved {
                Moved::Body(name, position) => {
                    let body = model::body(self.data.model(), name)?;
                    // SAFETY: the model stays the same one, and a position is no size, index or address.
                    unsafe { self.data.model_mut() }.body_pos_mut()[body] = position;
                }
                Moved::Site(name, position) => {
                    let site = model::site(self.data.model(), name)?;
                    // SAFETY: as above.
                    unsafe { self.data.model_mut() }.site_pos_mut()[site] = position;
                }
            }
        }
        self.data.qpos_mut().copy_from_slice(&view.qpos);
        self.data.mocap_pos_mut().fill(view.mocap_pos);
        self.data.mocap_quat_mut().fill(view.mocap_quat);
        self.data.forward_kinematics();
        self.context.make_current()?;
        let (whole, side) = (MjrRectangle::new(0, 0, IMAGE_SIDE, IMAGE_SIDE), IMAGE_SIDE as usize);
        let mut images = Vec::with_capacity(view.cameras.len());
        for name in view.cameras {
            let mut camera = MjvCamera::new_fixed(model::camera(self.data.model(), name)?);
            self.scene.update(&mut self.data, &MjvOption::default(), &MjvPerturb::default(), &mut camera);
            self.scene.render(&whole, &self.painter);
            let mut rows = vec![0; side * side * 3];
            self.painter.read_pixels(Some(&mut rows), None, &whole).map_err(graphics)?;
            // OpenGL's first row is the lowest.
            let rgb = rows.rchunks_exact(side * 3).flatten().copied().collect();
            images.push((*name, Image { width: IMAGE_SIDE as u32, height: IMAGE_SIDE as u32, rgb }));
        }
        Ok(images)
    }
}
