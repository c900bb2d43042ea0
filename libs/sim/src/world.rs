//! One episode's physics: MuJoCo's state, and the few tables of the model in which episodes differ.
//!
//! A model takes 3 MB, nearly all of it meshes and their bounding volumes, and MuJoCo only reads it. So episodes share one, and an
//! episode that moves a body or scales friction gets a *view*: MuJoCo's model structure copied, with the pointers to four small
//! tables turned to tables of its own. What it costs is some ten kilobytes; what another episode sees of it is nothing.

use std::sync::Arc;

use mujoco_rs::{
    mujoco_c::{mj_comPos, mj_comVel, mj_forward, mj_kinematics, mj_step, mjModel},
    prelude::{MjData, MjModel, MjtObjBase, MjtWarning},
};

use crate::{SimError, model, renderer::Moved};

/// The state of one episode, and the model that it runs on.
pub(crate) struct World {
    data: MjData<Arc<MjModel>>,
    /// `None` while the episode's model is the shared one in every number.
    own: Option<Box<OwnModel>>,
}

/// A view of the shared model with tables of its own.
struct OwnModel {
    view: mjModel,
    tables: Tables,
}

/// What episodes may change, in the model's own layout.
#[derive(Clone)]
struct Tables {
    body_pos: Box<[[f64; 3]]>,
    site_pos: Box<[[f64; 3]]>,
    geom_friction: Box<[[f64; 3]]>,
    dof_damping: Box<[f64]>,
}

// SAFETY: the pointers of the view lead into its own tables, which move with it and are pointed to anew before each use, and into the
// model that `World::data` keeps alive by its `Arc`; nobody writes to that one.
unsafe impl Send for OwnModel {}
// SAFETY: as above; a shared reference to it allows reading only.
unsafe impl Sync for OwnModel {}

impl OwnModel {
    fn new(shared: &MjModel, tables: Tables) -> Box<Self> {
        // SAFETY: the structure is plain numbers and pointers. The copy is never given to MuJoCo to free, and lives no longer than the
        // model that it was copied from.
        let view = unsafe { std::ptr::read(shared.ffi()) };
        Box::new(Self { view, tables })
    }

    /// The view, its pointers turned to the tables. Whoever writes to a table invalidates the pointers to it, so they are not kept.
    fn turned(&mut self) -> *const mjModel {
        let Self { view, tables } = self;
        view.body_pos = tables.body_pos.as_flattened_mut().as_mut_ptr();
        view.site_pos = tables.site_pos.as_flattened_mut().as_mut_ptr();
        view.geom_friction = tables.geom_friction.as_flattened_mut().as_mut_ptr();
        view.dof_damping = tables.dof_damping.as_mut_ptr();
        view
    }
}

impl World {
    /// A fresh state, as the model's file has it.
    pub(crate) fn new(model: Arc<MjModel>) -> Result<Self, SimError> {
        let data = MjData::try_new(model)
            .map_err(|error| SimError::Physics { what: "make a state", reason: error.to_string() })?;
        Ok(Self { data, own: None })
    }

    /// A copy, everything included, down to what is out of date in it.
    pub(crate) fn duplicate(&self) -> Self {
        let own = self.own.as_ref().map(|own| OwnModel::new(self.data.model(), own.tables.clone()));
        Self { data: self.data.clone(), own }
    }

    /// Makes parts of the model stand elsewhere, relative to their parents. What was derived of them is out of date until the next
    /// [`World::refresh`] or step.
    pub(crate) fn relocate(&mut self, parts: &[Moved]) -> Result<(), SimError> {
        for part in parts {
            match *part {
                Moved::Body(name, position) => {
                    let body = self.body_named(name)?;
                    self.own_tables().body_pos[body] = position;
                }
                Moved::Site(name, position) => {
                    let site = self.site_named(name)?;
                    self.own_tables().site_pos[site] = position;
                }
            }
        }
        Ok(())
    }

    /// Scales every geom's friction coefficients and every joint's damping.
    pub(crate) fn scale(&mut self, friction: f64, damping: f64) {
        let tables = self.own_tables();
        tables.geom_friction.as_flattened_mut().iter_mut().for_each(|coefficient| *coefficient *= friction);
        tables.dof_damping.iter_mut().for_each(|coefficient| *coefficient *= damping);
    }

    fn own_tables(&mut self) -> &mut Tables {
        let shared = self.data.model();
        let own = self.own.get_or_insert_with(|| {
            let tables = Tables {
                body_pos: shared.body_pos().into(),
                site_pos: shared.site_pos().into(),
                geom_friction: shared.geom_friction().into(),
                dof_damping: shared.dof_damping().into(),
            };
            OwnModel::new(shared, tables)
        });
        &mut own.tables
    }

    fn model_and_data(&mut self) -> (*const mjModel, *mut mujoco_rs::mujoco_c::mjData) {
        let model: *const mjModel = match &mut self.own {
            Some(own) => own.turned(),
            None => self.data.model().ffi(),
        };
        // SAFETY: only MuJoCo's own functions get the pointer, and they keep the state's invariants.
        (model, unsafe { self.data.ffi_mut() })
    }

    /// MuJoCo steps. Positions derived from the joints are left as they were at the start of the last one.
    pub(crate) fn step(&mut self, times: usize) {
        let (model, data) = self.model_and_data();
        for _ in 0..times {
            // SAFETY: the state was made for a model of the same sizes, and both outlive the call.
            unsafe { mj_step(model, data) };
        }
    }

    /// Brings everything that is derived from joint positions and velocities up to date. That is the part of `mj_forward` that
    /// observations and rewards read; the forces that it leaves out are computed anew by the next step, to the same bits.
    pub(crate) fn refresh(&mut self) {
        let (model, data) = self.model_and_data();
        // SAFETY: as in `step`.
        unsafe {
            mj_kinematics(model, data);
            mj_comPos(model, data);
            mj_comVel(model, data);
        }
    }

    /// As [`World::refresh`], with the contacts and their forces.
    pub(crate) fn refresh_forces(&mut self) {
        let (model, data) = self.model_and_data();
        // SAFETY: as in `step`.
        unsafe { mj_forward(model, data) };
    }

    /// MuJoCo answers numbers that are not finite, or absurdly large, by a warning and a silent reset of the state. The error names the
    /// check that failed.
    pub(crate) fn check_stability(&self) -> Result<(), &'static str> {
        const CHECKS: [(MjtWarning, &str); 3] = [
            (MjtWarning::mjWARN_BADQPOS, "BADQPOS"),
            (MjtWarning::mjWARN_BADQVEL, "BADQVEL"),
            (MjtWarning::mjWARN_BADQACC, "BADQACC"),
        ];
        let warnings = self.data.warning();
        match CHECKS.into_iter().find(|(kind, _)| warnings[*kind as usize].number > 0) {
            Some((_, name)) => Err(name),
            None => Ok(()),
        }
    }

    pub(crate) fn qpos(&self) -> &[f64] {
        self.data.qpos()
    }

    pub(crate) fn qvel(&self) -> &[f64] {
        self.data.qvel()
    }

    /// Lets the caller write joint positions and velocities. What derives from them is out of date afterwards.
    pub(crate) fn set_joints(&mut self, set: impl FnOnce(&mut [f64], &mut [f64])) {
        let mut velocities = self.data.qvel().to_vec();
        set(self.data.qpos_mut(), &mut velocities);
        self.data.qvel_mut().copy_from_slice(&velocities);
    }

    pub(crate) fn ctrl_mut(&mut self) -> &mut [f64] {
        self.data.ctrl_mut()
    }

    /// Position and orientation (wxyz) of the first mocap body.
    pub(crate) fn mocap(&self) -> ([f64; 3], [f64; 4]) {
        (self.data.mocap_pos()[0], self.data.mocap_quat()[0])
    }

    pub(crate) fn set_mocap(&mut self, position: [f64; 3], orientation: [f64; 4]) {
        self.data.mocap_pos_mut()[0] = position;
        self.data.mocap_quat_mut()[0] = orientation;
    }

    /// How strongly two geoms press on each other, newtons, over all points in which they touch. As old as the last call of
    /// [`World::refresh_forces`], or the start of the last MuJoCo step since.
    pub(crate) fn pressure(&self, a: usize, b: usize) -> f64 {
        let between = |pair: [i32; 2]| pair == [a as i32, b as i32] || pair == [b as i32, a as i32];
        let touching = self.data.contact().iter().enumerate().filter(|(_, contact)| between(contact.geom));
        touching.map(|(index, _)| self.data.contact_force(index)[0]).sum()
    }

    /// The position of a body.
    pub(crate) fn body(&self, body: usize) -> [f64; 3] {
        self.data.xpos()[body]
    }

    /// The orientation of a body, wxyz as MuJoCo has it.
    pub(crate) fn body_wxyz(&self, body: usize) -> [f64; 4] {
        self.data.xquat()[body]
    }

    /// The rotation matrix of a body, in row order.
    pub(crate) fn body_rotation(&self, body: usize) -> [f64; 9] {
        self.data.xmat()[body]
    }

    /// The position of a geom.
    pub(crate) fn geom(&self, geom: usize) -> [f64; 3] {
        self.data.geom_xpos()[geom]
    }

    /// The rotation matrix of a geom, in row order.
    pub(crate) fn geom_rotation(&self, geom: usize) -> [f64; 9] {
        self.data.geom_xmat()[geom]
    }

    /// The position of a site.
    pub(crate) fn site(&self, site: usize) -> [f64; 3] {
        self.data.site_xpos()[site]
    }

    /// The rotation matrix of a site, in row order.
    pub(crate) fn site_rotation(&self, site: usize) -> [f64; 9] {
        self.data.site_xmat()[site]
    }

    /// Velocity of a body's origin along the world's axes: angular (rad/s), linear (m/s).
    pub(crate) fn body_velocity(&self, body: usize) -> ([f64; 3], [f64; 3]) {
        let [wx, wy, wz, vx, vy, vz] = self.data.object_velocity(MjtObjBase::mjOBJ_XBODY, body, false);
        ([wx, wy, wz], [vx, vy, vz])
    }

    pub(crate) fn body_named(&self, name: &str) -> Result<usize, SimError> {
        model::body(self.data.model(), name)
    }

    pub(crate) fn geom_named(&self, name: &str) -> Result<usize, SimError> {
        model::geom(self.data.model(), name)
    }

    pub(crate) fn site_named(&self, name: &str) -> Result<usize, SimError> {
        model::site(self.data.model(), name)
    }

    /// Where a joint's position is in `qpos`, and its velocity in `qvel`.
    pub(crate) fn joint_named(&self, name: &str) -> Result<(usize, usize), SimError> {
        model::joint(self.data.model(), name)
    }

    /// How far a sliding joint can travel.
    pub(crate) fn travel(&self, name: &str) -> Result<f64, SimError> {
        model::travel(self.data.model(), name)
    }
}
