//! Loading MuJoCo models, and finding parts of them by name.
//!
//! Each environment has two models of the same file. The *physics* model drops everything that is only to be looked at (3 MB
//! instead of 18), but for geoms with names, which a task may look at. That changes no bit of the dynamics: the parity tests hold
//! it against rollouts of the whole model. The *visual* model keeps everything, belongs to the renderer, and exists only once
//! images were asked for: for good where MuJoCo draws them, for a moment where this crate does.

use std::path::Path;

use mujoco_rs::prelude::{MjModel, MjSpec, MjtDisableBit, MjtEq, MjtObjBase, MjtSensor, SpecElement as _};
use sha2::{Digest as _, Sha256};

use crate::SimError;

/// What Meta-World writes over the first eleven numbers of every weld when it loads a model: no anchor offset, the relative
/// pose (position 0, quaternion (-1, 0, 0, 0)), and the torque scale 5. MuJoCo 3.17 has a twelfth number, which keeps its default.
const WELD: [f64; 11] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 5.0];

/// Loads the model that physics runs on.
pub(crate) fn load_physics(path: &Path) -> Result<MjModel, SimError> {
    let refused = |reason: String| SimError::Model { path: path.to_owned(), reason };
    let mut spec = MjSpec::from_xml(path).map_err(|error| refused(error.to_string()))?;
    keep_named_geoms(&mut spec);
    spec.compiler_mut().set_discardvisual(true);
    let mut model = spec.compile().map_err(|error| refused(error.to_string()))?;
    model.opt_mut().disableflags |= MjtDisableBit::mjDSBL_SENSOR as i32;
    let welds: Vec<bool> = model.eq_type().iter().map(|kind| *kind == MjtEq::mjEQ_WELD).collect();
    // SAFETY: what must stay in bounds in this table are indices, and only other kinds of equalities keep indices here. The
    // numbers of a weld are lengths, a quaternion and a scale.
    let equalities = unsafe { model.eq_data_mut() };
    for (data, _) in equalities.iter_mut().zip(welds).filter(|(_, weld)| *weld) {
        data[..WELD.len()].copy_from_slice(&WELD);
    }
    Ok(model)
}

/// MuJoCo's compiler discards no geom that something refers to, so a sensor refers to each. Nobody reads these sensors, and
/// [`load_physics`] turns all of them off.
fn keep_named_geoms(spec: &mut MjSpec) {
    let names: Vec<_> = spec.world_body().geom_iter(true).map(|geom| geom.name().to_owned()).collect();
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        let sensor = spec.add_sensor().with_objname(&name).with_objtype(MjtObjBase::mjOBJ_GEOM);
        sensor.set_type(MjtSensor::mjSENS_FRAMEPOS);
    }
}

/// SHA-256 over the whole model in MuJoCo's binary form, and a state.
pub(crate) fn fingerprint<'a>(model: &MjModel, state: impl Iterator<Item = &'a f64>) -> [u8; 32] {
    let mut bytes = vec![0; model.size()];
    model.save_to_buffer(&mut bytes).expect("the buffer has the size that the model asked for");
    let mut hash = Sha256::new();
    hash.update(&bytes);
    state.for_each(|value| hash.update(value.to_bits().to_le_bytes()));
    hash.finalize().into()
}

/// The index of a body.
pub(crate) fn body(model: &MjModel, name: &str) -> Result<usize, SimError> {
    part(model, MjtObjBase::mjOBJ_BODY, "body", name)
}

/// The index of a site.
pub(crate) fn site(model: &MjModel, name: &str) -> Result<usize, SimError> {
    part(model, MjtObjBase::mjOBJ_SITE, "site", name)
}

/// The index of a geom.
pub(crate) fn geom(model: &MjModel, name: &str) -> Result<usize, SimError> {
    part(model, MjtObjBase::mjOBJ_GEOM, "geom", name)
}

/// The index of a camera.
pub(crate) fn camera(model: &MjModel, name: &str) -> Result<usize, SimError> {
    part(model, MjtObjBase::mjOBJ_CAMERA, "camera", name)
}

/// Where a joint's position begins in `qpos`, and its velocity in `qvel`.
pub(crate) fn joint(model: &MjModel, name: &str) -> Result<(usize, usize), SimError> {
    let joint = part(model, MjtObjBase::mjOBJ_JOINT, "joint", name)?;
    let index = |address: i32| usize::try_from(address).expect("MuJoCo's addresses of joints are not negative");
    Ok((index(model.jnt_qposadr()[joint]), index(model.jnt_dofadr()[joint])))
}

/// How far a sliding joint can travel.
pub(crate) fn travel(model: &MjModel, name: &str) -> Result<f64, SimError> {
    let [low, high] = model.jnt_range()[part(model, MjtObjBase::mjOBJ_JOINT, "joint", name)?];
    Ok(high - low)
}

fn part(model: &MjModel, kind: MjtObjBase, word: &'static str, name: &str) -> Result<usize, SimError> {
    model.name_to_id(kind, name).ok_or_else(|| SimError::MissingPart { kind: word, name: name.to_owned() })
}
