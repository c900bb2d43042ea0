//! What stands in the scenes of one environment, taken from its model once: props, lights, cameras, and the skeleton that moves
//! them. Afterwards the model is not needed any more.
//!
//! MuJoCo itself says what is to be seen and in which colours: the props are the geoms of its abstract scene (`mjvScene`), which
//! leaves out hidden groups and works out materials. What it would draw with OpenGL display lists is in `mesh`; how it wraps
//! textures, here: like `mjr_render`, by coordinates of the prop's own frame.

use std::{collections::HashMap, path::Path, sync::Arc};

use mujoco_rs::prelude::{
    MjData, MjModel, MjtColorSpace, MjtGeom, MjtLightType, MjtObj, MjtObjBase, MjtTexture, MjtTextureRole, MjvCamera,
    MjvGeom, MjvOption, MjvPerturb, MjvScene,
};

use super::{
    library::Library,
    mesh::Mesh,
    skeleton::Skeleton,
    texture::Texture,
    vector::{Pose, V3, unit},
};
use crate::{SimError, model};

/// Room for decorations in the abstract scene, beyond the model's geoms and sites.
const SPARE_GEOMS: usize = 100;

pub(super) struct Set {
    pub(super) skeleton: Skeleton,
    pub(super) props: Vec<Prop>,
    /// By name.
    pub(super) cameras: HashMap<String, Camera>,
    pub(super) bodies: HashMap<String, usize>,
    pub(super) sites: HashMap<String, usize>,
    /// The colour of the sky, by direction.
    pub(super) sky: Option<Arc<Texture>>,
}

/// One thing to draw.
pub(super) struct Prop {
    pub(super) mesh: Arc<Mesh>,
    pub(super) body: usize,
    /// In the body's frame.
    pub(super) pose: Pose,
    /// The site's number, for a marker.
    pub(super) site: Option<usize>,
    pub(super) material: Material,
    pub(super) texture: Option<(Arc<Texture>, Wrapping)>,
    /// The radius that MuJoCo sorts see-through things by.
    pub(super) radius: f32,
}

pub(super) struct Material {
    pub(super) rgba: [f32; 4],
    pub(super) emission: f32,
    pub(super) specular: f32,
    /// The exponent of highlights.
    pub(super) shininess: f32,
}

/// Texture coordinates: a position of the prop's frame, axis by axis, times a factor, plus an offset.
pub(super) struct Wrapping {
    pub(super) factor: V3,
    pub(super) offset: V3,
}

pub(super) struct Camera {
    pub(super) position: V3,
    pub(super) forward: V3,
    pub(super) up: V3,
    pub(super) right: V3,
    pub(super) near: f32,
    /// Half the picture's height at distance 1.
    pub(super) half_height: f32,
    /// As seen by this camera: one of them sits on it.
    pub(super) lights: Vec<Light>,
}

/// A light from infinitely far away.
pub(super) struct Light {
    /// Where it comes from.
    pub(super) from: V3,
    pub(super) ambient: V3,
    pub(super) diffuse: V3,
    pub(super) specular: V3,
}

impl Set {
    /// Takes everything over from a model's file, with the cameras of these names.
    pub(super) fn load(path: &Path, cameras: &[&str], library: &Library) -> Result<Self, SimError> {
        let refused = |reason: String| SimError::Model { path: path.to_owned(), reason };
        let model = MjModel::from_xml(path).map_err(|error| refused(error.to_string()))?;
        let mut data = MjData::try_new(&model).map_err(|error| refused(error.to_string()))?;
        data.forward();
        let room = model.geom_bodyid().len() + model.site_bodyid().len() + SPARE_GEOMS;
        let mut scene = MjvScene::new(&model, room);
        let (options, nothing) = (MjvOption::default(), MjvPerturb::default());
        let mut shot = HashMap::new();
        for name in cameras {
            let camera = model::camera(&model, name)?;
            scene.update(&mut data, &options, &nothing, &mut MjvCamera::new_fixed(camera));
            if model.body_weldid()[index(model.cam_bodyid()[camera])] != 0 {
                return Err(refused(format!("the camera `{name}` moves, which quality `fast` cannot draw")));
            }
            shot.insert((*name).to_owned(), Camera::of(&scene).map_err(refused)?);
        }
        if model.light_bodyid().iter().any(|body| model.body_weldid()[index(*body)] != 0) {
            return Err(refused("a light moves, which quality `fast` cannot draw".to_owned()));
        }
        let textures = textures(&model, library);
        let props = scene.geoms().iter().map(|geom| Prop::of(&model, geom, &textures, library).map_err(refused));
        let named = |count: usize, name: &dyn Fn(usize) -> Option<String>| {
            (0..count).filter_map(|id| name(id).map(|name| (name, id))).collect()
        };
        Ok(Self {
            skeleton: Skeleton::of(&model),
            props: props.collect::<Result<_, _>>()?,
            cameras: shot,
            bodies: named(model.body_pos().len(), &|id| {
                model.id_to_name(MjtObjBase::mjOBJ_BODY, id).map(str::to_owned)
            }),
            sites: named(model.site_pos().len(), &|id| model.id_to_name(MjtObjBase::mjOBJ_SITE, id).map(str::to_owned)),
            sky: (0..textures.len())
                .find(|id| model.tex_type()[*id] == MjtTexture::mjTEXTURE_SKYBOX)
                .map(|id| Arc::clone(&textures[id])),
        })
    }
}

/// An index that MuJoCo gave; it gives no negative ones where this is used.
fn index(value: i32) -> usize {
    usize::try_from(value).expect("an index of a part that exists")
}

fn textures(model: &MjModel, library: &Library) -> Vec<Arc<Texture>> {
    (0..model.tex_type().len()).map(|id| library.texture(model, id)).collect()
}

/// A texture as the model holds it.
pub(super) fn texture_source(model: &MjModel, id: usize) -> super::texture::Source<'_> {
    let from = |value: i32| usize::try_from(value).unwrap_or_default();
    let (width, height) = (from(model.tex_width()[id]), from(model.tex_height()[id]));
    let channels = from(model.tex_nchannel()[id]);
    let start = usize::try_from(model.tex_adr()[id]).unwrap_or_default();
    let bytes = &model.tex_data()[start..start + width * height * channels];
    let cube = model.tex_type()[id] != MjtTexture::mjTEXTURE_2D;
    // The pictures of cubes are uploaded as they are, whatever colour space they say (`mjr_uploadTexture`).
    let srgb = model.tex_colorspace()[id] == MjtColorSpace::mjCOLORSPACE_SRGB && !cube;
    super::texture::Source { width, height, channels, srgb, cube, bytes }
}

impl Prop {
    fn of(model: &MjModel, geom: &MjvGeom, textures: &[Arc<Texture>], library: &Library) -> Result<Self, String> {
        let id = index(geom.objid);
        let (body, pose, site) = match geom.objtype {
            kind if kind == MjtObj::mjOBJ_GEOM as i32 => {
                let pose = Pose { position: model.geom_pos()[id], quaternion: model.geom_quat()[id] };
                (model.geom_bodyid()[id], pose, None)
            }
            kind if kind == MjtObj::mjOBJ_SITE as i32 => {
                let pose = Pose { position: model.site_pos()[id], quaternion: model.site_quat()[id] };
                (model.site_bodyid()[id], pose, Some(id))
            }
            other => return Err(format!("quality `fast` cannot draw objects of MuJoCo's type {other}")),
        };
        let kinds = [
            MjtGeom::mjGEOM_PLANE,
            MjtGeom::mjGEOM_SPHERE,
            MjtGeom::mjGEOM_CAPSULE,
            MjtGeom::mjGEOM_ELLIPSOID,
            MjtGeom::mjGEOM_CYLINDER,
            MjtGeom::mjGEOM_BOX,
            MjtGeom::mjGEOM_MESH,
        ];
        let kind = kinds.into_iter().find(|kind| *kind as i32 == geom.type_);
        let infinite = kind == Some(MjtGeom::mjGEOM_PLANE) && (geom.size[0] <= 0.0 || geom.size[1] <= 0.0);
        let mesh = match kind {
            // Meshes come in pairs there: the mesh and its convex hull.
            Some(MjtGeom::mjGEOM_MESH) => Some(library.mesh(model, index(geom.dataid) / 2)),
            // The size that light is worked out on is in the model alone.
            Some(MjtGeom::mjGEOM_PLANE) if !infinite => {
                let [x, y, grid] = model.geom_size()[id].map(|size| size as f32);
                Mesh::of_shape(MjtGeom::mjGEOM_PLANE, [x, y, grid]).map(Arc::new)
            }
            Some(kind) if !infinite => Mesh::of_shape(kind, geom.size).map(Arc::new),
            _ => None,
        };
        let Some((mesh, kind)) = mesh.zip(kind) else {
            return Err(format!(
                "quality `fast` cannot draw geoms of MuJoCo's type {} (endless: {infinite})",
                geom.type_
            ));
        };
        let textured = usize::try_from(geom.matid).ok().and_then(|material| {
            let texture = model.mat_texid()[material][MjtTextureRole::mjTEXROLE_RGB as usize];
            usize::try_from(texture).ok().map(|texture| (material, texture))
        });
        if textured.is_some() && geom.texcoord != 0 {
            return Err("quality `fast` cannot draw meshes with texture coordinates of their own".to_owned());
        }
        let texture = textured.map(|(material, texture)| {
            let wrapping = Wrapping::of(model, geom, kind, material, texture);
            (Arc::clone(&textures[texture]), wrapping)
        });
        let [x, y, z] = geom.size;
        let radius = match kind {
            MjtGeom::mjGEOM_SPHERE => x,
            MjtGeom::mjGEOM_CAPSULE => x + z,
            MjtGeom::mjGEOM_CYLINDER => (x * x + z * z).sqrt(),
            _ => (x * x + y * y + z * z).sqrt(),
        };
        let material = Material {
            rgba: geom.rgba,
            emission: geom.emission,
            specular: geom.specular,
            shininess: geom.shininess * 128.0,
        };
        Ok(Self { mesh, body: index(body), pose, site, material, texture, radius })
    }
}

impl Wrapping {
    fn of(model: &MjModel, geom: &MjvGeom, kind: MjtGeom, material: usize, texture: usize) -> Self {
        let uniform = model.mat_texuniform()[material];
        let size = geom.size;
        // Basic shapes are drawn in units of their size, the others in metres.
        let in_metres = matches!(kind, MjtGeom::mjGEOM_MESH | MjtGeom::mjGEOM_PLANE);
        if model.tex_type()[texture] == MjtTexture::mjTEXTURE_2D {
            let repeat = model.mat_texrepeat()[material];
            let factor = |axis: usize| {
                let relative = if size[axis] > 0.0 && !uniform { repeat[axis] / size[axis] } else { repeat[axis] };
                0.5 * relative
            };
            Self { factor: [factor(0), -factor(1), 0.0], offset: [-0.5, -0.5, 0.0] }
        } else {
            let factor = match (uniform, in_metres) {
                (true, true) => size,
                (false, false) => size.map(|size| 1.0 / size.max(f32::MIN_POSITIVE)),
                _ => [1.0; 3],
            };
            Self { factor, offset: [0.0; 3] }
        }
    }
}

impl Camera {
    /// The camera that the scene was last updated for.
    fn of(scene: &MjvScene) -> Result<Self, String> {
        let [left, right] = scene.camera();
        let middle = |a: V3, b: V3| std::array::from_fn(|i| (a[i] + b[i]) / 2.0);
        let (forward, up) = (unit(left.forward), unit(left.up));
        let unusual = left.orthographic != 0 || left.frustum_width != 0.0 || left.frustum_bottom != -left.frustum_top;
        if unusual {
            return Err("quality `fast` draws cameras with a symmetric perspective only".to_owned());
        }
        let light = |light: &mujoco_rs::prelude::MjvLight| {
            if light.type_ != MjtLightType::mjLIGHT_DIRECTIONAL as i32 {
                return Err(format!("quality `fast` cannot draw lights of MuJoCo's type {}", light.type_));
            }
            let from = unit(light.dir.map(|value| -value));
            Ok(Light { from, ambient: light.ambient, diffuse: light.diffuse, specular: light.specular })
        };
        Ok(Self {
            position: middle(left.pos, right.pos),
            forward,
            up,
            right: super::vector::cross(forward, up),
            near: left.frustum_near,
            half_height: left.frustum_top / left.frustum_near,
            lights: scene.lights().iter().map(light).collect::<Result<_, _>>()?,
        })
    }
}
