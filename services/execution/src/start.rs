//! Puts an executor together and sets it to work.

use std::{convert::Infallible, num::NonZero, path::PathBuf, sync::Arc, thread, time::Duration};

use kinitro_chassis::{GrpcServer, Supervisor};
use kinitro_domain::{EnvId, ExecutorId};
use kinitro_policy::{HttpConfig, HttpTransport};
use kinitro_proto::execution::v1::execution_service_server::ExecutionServiceServer;
use kinitro_sim::Simulator;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, watch},
};

use crate::{
    Config, Error,
    delivery::{Delivery, WAITING},
    engine::Engine,
    episode::Stage,
    lease::Leases,
    leasing::{FAREWELL, Leasing},
    scheduling::connect,
    service::Execution,
    simulation::SimulationThreads,
};

/// Starts an executor: returns once it serves and leases. It comes up and stays up while scheduling is away.
pub async fn start(config: Config, listener: TcpListener, supervisor: &Supervisor) -> Result<(), Error> {
    config.validate().map_err(Error::Config)?;
    for line in config.superseded() {
        tracing::warn!("{line}");
    }
    let url = config.scheduling_url.as_deref().ok_or_else(|| Error::Config(NO_SCHEDULING.to_owned()))?;
    let scheduling = connect(url)?;
    let executor_id = executor_id(&config)?;

    let assets = config.assets.as_ref().map(PathBuf::from);
    let simulator = Simulator::new(assets.as_deref()).map_err(|error| Error::Simulator(error.to_string()))?;
    let environments = environments(&config, &simulator)?;
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = if config.simulation_threads == 0 { cores } else { config.simulation_threads as usize };
    let seconds = Duration::from_secs_f64;
    let stage = Stage {
        transport: HttpTransport::new(HttpConfig {
            allow_private: config.allow_private_endpoints,
            connect_timeout: seconds(config.connect_timeout),
            action_timeout: seconds(config.action_timeout),
        }),
        simulator,
        threads: SimulationThreads::start(threads).map_err(Error::Threads)?,
        eval_timeout: seconds(config.eval_timeout),
        // Looking the name up, then connecting and the first answer.
        longest_call: seconds(2.0 * config.connect_timeout + config.action_timeout),
    };
    let stop = supervisor.draining().child_token();
    tracing::info!(
        %executor_id,
        slots = config.default_max_concurrent,
        threads,
        environments = environments.len(),
        images = config.use_images,
        scheduling = url,
        "executor ready"
    );
    let engine = Arc::new(Engine::new(stage, environments, config.default_max_concurrent as usize, stop));

    let leases = Arc::new(Leases::default());
    let (results, inbox) = mpsc::channel(WAITING);
    let (drained, outcome) = watch::channel(None);
    let mut over = drained.subscribe();
    let delivery = Delivery {
        scheduling: scheduling.clone(),
        executor_id: executor_id.clone(),
        leases: leases.clone(),
        results: inbox,
    };
    let leasing = Arc::new(Leasing {
        engine: engine.clone(),
        scheduling,
        executor_id,
        leases,
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
    let longest_call = seconds((2.0 * config.eval_timeout).max(config.drain_seconds)) + 3 * FAREWELL;
    GrpcServer::new("execution")
        .add_service(ExecutionServiceServer::new(service))
        .unary_limit(longest_call)
        .serve(listener, supervisor)?;

    // A drain that was asked for by RPC ends the work but not the process, so each of these waits for the process's own drain.
    let (heart, shutdown) = (leasing.clone(), supervisor.draining());
    supervisor.spawn("heartbeats", async move {
        heart.heartbeats().await;
        shutdown.cancelled().await;
        Ok::<(), Infallible>(())
    });
    let shutdown = supervisor.draining();
    supervisor.spawn("leasing", async move {
        leasing.run().await;
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
    KINITRO_EXECUTOR_SCHEDULING_URL=http://scheduling:50051 (api_url, the REST gateway, is not used for that)";

fn executor_id(config: &Config) -> Result<ExecutorId, Error> {
    let id = config.executor_id.clone().unwrap_or_else(|| format!("executor-{:08x}", rand::random::<u32>()));
    ExecutorId::try_from(id).map_err(|error| Error::Config(format!("executor_id {error}")))
}

/// What the simulator offers, less what the configuration filters out.
fn environments(config: &Config, simulator: &Simulator) -> Result<Vec<(EnvId, u32)>, Error> {
    let families = config.families();
    let wanted = |env_id: &EnvId| {
        config.env_ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id == env_id.as_str()))
            && families.as_ref().is_none_or(|families| families.iter().any(|family| family == env_id.family()))
    };
    let offered = simulator.environments();
    let known = offered.iter().map(|info| info.env_id.to_string()).collect::<Vec<_>>().join(", ");
    let chosen: Vec<_> =
        offered.into_iter().filter(|info| wanted(&info.env_id)).map(|info| (info.env_id, info.max_timesteps)).collect();
    if chosen.is_empty() {
        return Err(Error::Config(format!("env_ids and env_families leave no environment to play; there are {known}")));
    }
    Ok(chosen)
}
