//! Quality `fast`: pictures drawn by this crate itself, without OpenGL.
//!
//! Measured with OpenGL on a CPU (Mesa's llvmpipe), most of a small picture's time goes into the arm's 67,000 triangles, most of
//! which are far smaller than a pixel, and into what each of thirty draw calls costs, whatever it draws. So this draws what MuJoCo
//! would draw, by the same rules (OpenGL's fixed pipeline: light at the corners, textures, mipmaps), with three differences:
//!
//! - meshes are simplified to a tenth of a pixel (`simplify`);
//! - what stands still in all episodes of an environment is drawn once, with its depths, and copied (`Backdrop`);
//! - there are no shadows and no reflections, and a plane is seen from its front only.
//!
//! A pixel is the mean of 2×2 samples, each with its own colour; MuJoCo takes four, which share theirs.
//!
//! A picture is a function of the view alone: no state is carried from one to the next, and any thread may draw. Nothing depends
//! on a graphics driver, so all machines of an architecture draw the same pictures.

mod canvas;
mod library;
mod mesh;
mod paint;
mod set;
mod simplify;
mod skeleton;
mod texture;
mod vector;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use library::Library;
use paint::{Backdrop, Scratch};
use set::Set;
use skeleton::Posture;
use vector::{Pose, normalised};

use super::{IMAGE_SIDE, Images, Moved, View};
use crate::SimError;

/// All environments that were drawn so far.
#[derive(Default)]
pub(super) struct Raster {
    library: Library,
    stands: Mutex<HashMap<Arc<PathBuf>, Arc<Stand>>>,
    /// Memory to draw in, one for each thread that draws at the same time.
    scratches: Mutex<Vec<Scratch>>,
}

/// One environment.
#[derive(Default)]
struct Stand {
    /// Held while loading, so that it is loaded once.
    set: Mutex<Option<Arc<Set>>>,
    backdrops: Mutex<HashMap<Vec<Part>, Arc<Backdrop>>>,
}

/// A part that episodes move, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Body(usize),
    Site(usize),
}

impl Raster {
    /// Draws every camera of the view.
    pub(super) fn draw(&self, view: &View) -> Result<Images, SimError> {
        let stand = {
            let mut stands = self.stands.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(stands.entry(Arc::clone(&view.model)).or_default())
        };
        let set = stand.set(view, &self.library)?;
        let (parts, bodies, sites) = moved(&set, view)?;
        let backdrop = stand.backdrop(&set, view, parts);
        let idle = self.scratches.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = idle.unwrap_or_default();
        let mocap = Pose { position: view.mocap_pos, quaternion: normalised(view.mocap_quat) };
        set.skeleton.pose_into(&Posture { qpos: &view.qpos, mocap, moved: &bodies }, &mut scratch.poses);
        let mut images = Vec::with_capacity(view.cameras.len());
        for name in view.cameras {
            let camera = set.cameras.get(*name).zip(backdrop.canvases.get(*name));
            let (camera, canvas) =
                camera.ok_or_else(|| SimError::MissingPart { kind: "camera", name: (*name).to_owned() })?;
            scratch.draw(&set, camera, &backdrop.still, canvas, &sites);
            images.push((*name, scratch.picture()));
        }
        self.scratches.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        Ok(images)
    }
}

impl Stand {
    fn set(&self, view: &View, library: &Library) -> Result<Arc<Set>, SimError> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = &*set {
            return Ok(Arc::clone(set));
        }
        let loaded = Arc::new(Set::load(&view.model, view.cameras, library)?);
        tracing::debug!(model = %view.model.display(), triangles = loaded.triangles(), "prepared a scene for drawing");
        *set = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// What never moves while these parts may.
    fn backdrop(&self, set: &Set, view: &View, parts: Vec<Part>) -> Arc<Backdrop> {
        let mut backdrops = self.backdrops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = backdrops.get(&parts) {
            return Arc::clone(known);
        }
        let backdrop = Arc::new(Backdrop::new(set, view.qpos.len(), &parts));
        backdrops.insert(parts, Arc::clone(&backdrop));
        backdrop
    }
}

type Places = Vec<(usize, [f64; 3])>;

/// What the view moves: all of it, the bodies and where they are, the sites and where they are.
fn moved(set: &Set, view: &View) -> Result<(Vec<Part>, Places, Places), SimError> {
    let (mut parts, mut bodies, mut sites) = (Vec::with_capacity(view.moved.len()), Vec::new(), Vec::new());
    for moved in &view.moved {
        let (kind, name, known) = match moved {
            Moved::Body(name, _) => ("body", name, &set.bodies),
            Moved::Site(name, _) => ("site", name, &set.sites),
        };
        let id = known.get(*name).copied();
        let id = id.ok_or_else(|| SimError::MissingPart { kind, name: (*name).to_owned() })?;
        match *moved {
            Moved::Body(_, position) => {
                parts.push(Part::Body(id));
                bodies.push((id, position));
            }
            Moved::Site(_, position) => {
                parts.push(Part::Site(id));
                sites.push((id, position));
            }
        }
    }
    Ok((parts, bodies, sites))
}
