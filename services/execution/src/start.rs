//! Puts an executor together and sets it to work.

use std::{collections::BTreeMap, convert::Infallible, num::NonZero, path::Path, sync::Arc, thread, time::Duration};

use kinitro_chassis::{GrpcServer, MeshAccess, Supervisor};
use kinitro_domain::{EnvId, ExecutorId};
use kinitro_proto::execution::v1::execution_service_server::ExecutionServiceServer;
use kinitro_sim::Simulator;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error, WorkerCommand,
    beacon::Beacon,
    config::ImageQuality,
    contact::Contact,
    delivery::{Delivery, WAITING},
    engine::Engine,
    family::{Family, Settings, Supervision, first},
    lease::Leases,
    leasing::{FAREWELL, Leasing},
    miners::Miners,
    network::Network,
    open_files,
    scheduling::connect,
    servers::{SHARED_HOSTS, Servers},
    service::Execution,
    spool::Spool,
};

/// Starts an executor: returns once its families' processes are ready and it serves and leases. `worker` starts such a process. It
/// comes up and stays up while scheduling is away.
pub async fn start(
    config: Config,
    worker: WorkerCommand,
    access: &MeshAccess,
    listener: TcpListener,
    supervisor: &Supervisor,
) -> Result<(), Error> {
    config.validate().map_err(Error::Config)?;
    for line in config.superseded() {
        tracing::warn!("{line}");
    }
    let url = config.scheduling_url.as_deref().ok_or_else(|| Error::Config(NO_SCHEDULING.to_owned()))?;
    let scheduling = connect(access, url)?;
    let executor_id = executor_id(&config)?;

    let environments = environments(&config)?;
    open_files::raise_limit(environments.keys().map(|family| config.slots(family) as usize).sum());
    let supervisions: Vec<Supervision> = environments
        .into_iter()
        .map(|(name, environments)| Supervision {
            settings: settings(&config, &name),
            command: worker.clone(),
            family: Arc::new(Family::new(name.clone(), environments, config.slots(&name) as usize)),
        })
        .collect();
    let families = first(supervisions).await?;
    let engine = Arc::new(Engine::new(
        families.iter().map(|(supervision, _)| supervision.family.clone()).collect(),
        supervisor.draining().child_token(),
    ));
    for family in &engine.families {
        let (slots, environments) = (family.slots.size(), family.environments.len());
        tracing::info!(%executor_id, family = family.name, slots, environments, "family ready");
    }
    tracing::info!(%executor_id, images = config.use_images, scheduling = url, "executor ready");

    #[expect(clippy::disallowed_methods, reason = "the configuration is checked")]
    let seconds = Duration::from_secs_f64;
    let leases = Arc::new(Leases::default());
    let contact = Arc::new(Contact::default());
    let spool = Spool::open(config.results_dir.as_deref()).map_err(Error::Results)?;
    let left = spool.left().map_err(Error::Results)?;
    let (results, inbox) = mpsc::channel(WAITING);
    let (drained, outcome) = watch::channel(None);
    let mut over = drained.subscribe();
    let delivery = Delivery {
        scheduling: scheduling.clone(),
        contact: contact.clone(),
        executor_id: executor_id.clone(),
        leases: leases.clone(),
        results: inbox,
        spool,
        left,
    };
    // Before the first lease, which may be of these tasks.
    delivery.owe_what_is_left();
    let leasing = Arc::new(Leasing {
        engine: engine.clone(),
        scheduling,
        contact: contact.clone(),
        executor_id,
        leases,
        miners: Arc::new(Miners::new(config.max_concurrent_per_miner)),
        servers: Servers::new(
            config.allow_private_endpoints,
            seconds(config.connect_timeout),
            config.shared_hosts.clone().unwrap_or_else(|| SHARED_HOSTS.iter().map(|&host| host.to_owned()).collect()),
        ),
        network: Arc::new(Network::new(
            config.beacon.as_deref().map(Beacon::parse).transpose().map_err(Error::Config)?,
        )),
        results,
        batch_size: config.batch_size,
        poll_interval: seconds(config.poll_interval_seconds),
        drain: seconds(config.drain_seconds),
        max_timesteps: config.max_timesteps,
        images: config.use_images,
        lease_seconds: Leasing::unknown_lease_seconds(),
        lease_changed: Notify::new(),
        finished: 0.into(),
        drained,
    });
    let service =
        Execution { engine, max_timesteps: config.max_timesteps, images: config.use_images, drained: outcome };
    // An episode on demand and a drain take as long as they take.
    let longest_episode = 2.0 * (config.eval_timeout + config.connect_timeout + config.action_timeout);
    let longest_call = seconds(longest_episode.max(config.drain_seconds)) + 4 * FAREWELL;
    GrpcServer::new("execution", access)
        .add_service(ExecutionServiceServer::new(service))
        .unary_limit(longest_call)
        .probe("scheduling", "scheduling", move || {
            let reached = contact.check();
            Box::pin(async move { reached })
        })
        .serve(listener, supervisor)?;

    // A drain that was asked for by RPC ends the work but not the process, so each of these waits for the process's own drain.
    let unused = CancellationToken::new();
    for (supervision, child) in families {
        let (shutdown, unused) = (supervisor.draining(), unused.clone());
        supervisor.spawn(format!("family {}", supervision.family.name), async move {
            supervision.run(child, unused).await;
            shutdown.cancelled().await;
            Ok::<(), Infallible>(())
        });
    }
    let (heart, shutdown) = (leasing.clone(), supervisor.draining());
    supervisor.spawn("heartbeats", async move {
        heart.heartbeats().await;
        shutdown.cancelled().await;
        Ok::<(), Infallible>(())
    });
    let shutdown = supervisor.draining();
    supervisor.spawn("leasing", async move {
        // However leasing ends, nobody needs the families after it.
        let used = unused.drop_guard();
        leasing.run().await;
        drop(used);
        shutdown.cancelled().await;
        Ok::<(), Infallible>(())
    });
    let shutdown = supervisor.draining();
    supervisor.spawn("delivery", async move {
        tokio::select! {
            () = delivery.run() => {}
            // Either all is delivered, or scheduling was away for too long.
            _ = over.wait_for(Option::is_some) => {}
        }
        shutdown.cancelled().await;
        Ok::<(), Infallible>(())
    });
    Ok(())
}

const NO_SCHEDULING: &str = "scheduling_url is not set: executors lease by gRPC, e.g. \
    KINITRO_EXECUTOR_SCHEDULING_URL=http://scheduling:50052 (api_url, the REST gateway, is not used for that)";

fn executor_id(config: &Config) -> Result<ExecutorId, Error> {
    let id = config.executor_id.clone().unwrap_or_else(|| format!("executor-{:08x}", rand::random::<u32>()));
    ExecutorId::try_from(id).map_err(|error| Error::Config(format!("executor_id {error}")))
}

/// What the process of a family plays with.
fn settings(config: &Config, family: &str) -> Settings {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let cores = u32::try_from(cores).unwrap_or(1);
    let randomisation = config.randomisation();
    Settings {
        family: family.to_owned(),
        parent: std::process::id(),
        assets: config.assets.clone(),
        threads: if config.simulation_threads == 0 { cores } else { config.simulation_threads },
        allow_private: config.allow_private_endpoints,
        connect_timeout: config.connect_timeout,
        action_timeout: config.action_timeout,
        eval_timeout: config.eval_timeout,
        reference_images: config.image_quality == ImageQuality::Reference,
        friction: randomisation.friction.to_vec(),
        damping: randomisation.damping.to_vec(),
        slots: config.slots(family),
        warm_up: config.warm_up_seconds,
    }
}

/// What the simulator offers, less what the configuration filters out, by family.
fn environments(config: &Config) -> Result<BTreeMap<String, Vec<(EnvId, u32)>>, Error> {
    let simulator = Simulator::new(config.assets.as_ref().map(Path::new));
    let offered = simulator.map_err(|error| Error::Simulator(error.to_string()))?.environments();
    let families = config.families();
    let wanted = |env_id: &EnvId| {
        config.env_ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id.parse().as_ref() == Ok(env_id)))
            && families.as_ref().is_none_or(|families| families.iter().any(|family| family == env_id.family()))
    };
    let known = offered.iter().map(|info| info.env_id.to_string()).collect::<Vec<_>>().join(", ");
    let mut chosen: BTreeMap<String, Vec<(EnvId, u32)>> = BTreeMap::new();
    for info in offered.into_iter().filter(|info| wanted(&info.env_id)) {
        chosen.entry(info.family).or_default().push((info.env_id, info.max_timesteps));
    }
    if chosen.is_empty() {
        return Err(Error::Config(format!("env_ids and env_families leave no environment to play; there are {known}")));
    }
    for family in families.iter().flatten().filter(|family| !chosen.contains_key(*family)) {
        tracing::warn!(family, "env_families or eval_images names a family of which this executor plays nothing");
    }
    for family in config.max_concurrent_per_family.keys().filter(|family| !chosen.contains_key(*family)) {
        tracing::warn!(family, "max_concurrent_per_family names a family that this executor does not play");
    }
    Ok(chosen)
}
