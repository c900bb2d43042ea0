//! The registry of environments, their models, and the way into an episode.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use kinitro_domain::EnvId;

use crate::{
    EnvironmentInfo, Episode, EpisodeOptions, ImageQuality, SimError,
    assets::Assets,
    diagnostics,
    environment::{Environment, Stage, Start},
    metaworld,
    renderer::{self, Renderer},
    streams::Streams,
};

/// All environments of this build, their models loaded when they are first played. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Simulator(Arc<Inner>);

struct Inner {
    assets: Assets,
    /// In the order in which they are shown.
    order: Vec<EnvId>,
    environments: BTreeMap<EnvId, Entry>,
    renderer: Renderer,
}

struct Entry {
    environment: Box<dyn Environment>,
    /// Held while loading, so that a model is loaded once however many episodes start together.
    stage: Mutex<Option<Arc<dyn Stage>>>,
}

impl Simulator {
    /// Finds the assets: in the given folder, else where `KINITRO_METAWORLD_ASSETS` says, else where `make setup` puts them. Loads
    /// nothing yet.
    pub fn new(assets: Option<&Path>) -> Result<Self, SimError> {
        diagnostics::install();
        let mut order = Vec::new();
        let mut environments = BTreeMap::new();
        for environment in metaworld::environments() {
            let env_id = environment.info().env_id;
            order.push(env_id.clone());
            environments.insert(env_id, Entry { environment, stage: Mutex::new(None) });
        }
        Ok(Self(Arc::new(Inner { assets: Assets::find(assets)?, order, environments, renderer: Renderer::default() })))
    }

    /// Every environment, in the order in which they are shown.
    pub fn environments(&self) -> Vec<EnvironmentInfo> {
        self.0.order.iter().map(|env_id| self.0.environments[env_id].environment.info()).collect()
    }

    /// Whether the device is there that the environment chooses for pictures of this quality (`MUJOCO_EGL_DEVICE_ID`), if it chooses one. Draws
    /// nothing yet.
    pub fn check_images(&self, quality: ImageQuality) -> Result<(), SimError> {
        match quality {
            ImageQuality::Fast => Ok(()),
            ImageQuality::Reference => renderer::check_device(),
        }
    }

    /// Starts an episode. The seed alone decides the scene.
    pub fn start(&self, env_id: &EnvId, seed: u64, options: EpisodeOptions) -> Result<Episode, SimError> {
        self.start_from(env_id, Start::Drawn(Streams::new(seed)), options)
    }

    /// Starts an episode in the scene of a given Meta-World random vector: for tests against recorded rollouts.
    #[doc(hidden)]
    pub fn start_with_random_vector(
        &self,
        env_id: &EnvId,
        random: &[f64],
        options: EpisodeOptions,
    ) -> Result<Episode, SimError> {
        self.start_from(env_id, Start::Given(random), options)
    }

    /// A digest of the model that all episodes of an environment share: for tests.
    #[doc(hidden)]
    pub fn model_fingerprint(&self, env_id: &EnvId) -> Result<[u8; 32], SimError> {
        Ok(self.stage(env_id)?.1.fingerprint())
    }

    fn start_from(&self, env_id: &EnvId, start: Start<'_>, options: EpisodeOptions) -> Result<Episode, SimError> {
        let (info, stage) = self.stage(env_id)?;
        let renderer = options.images.map(|quality| self.0.renderer.handle(quality));
        Ok(Episode::new(info, stage.start(start, options.randomisation)?, options, renderer))
    }

    fn stage(&self, env_id: &EnvId) -> Result<(EnvironmentInfo, Arc<dyn Stage>), SimError> {
        let entry = self.0.environments.get(env_id).ok_or_else(|| SimError::UnknownEnvironment {
            env_id: env_id.clone(),
            known: self.0.order.iter().map(EnvId::to_string).collect(),
        })?;
        let info = entry.environment.info();
        let mut loaded = entry.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stage) = &*loaded {
            return Ok((info, Arc::clone(stage)));
        }
        let stage = entry.environment.load(&self.0.assets)?;
        *loaded = Some(Arc::clone(&stage));
        tracing::debug!(env_id = %env_id, "loaded a model");
        Ok((info, stage))
    }
}
