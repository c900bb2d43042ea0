//! Puts the service together.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::AtomicI64},
    time::{Duration, Instant},
};

use kinitro_chassis::{BackOff, GrpcServer, MeshAccess, Supervisor};
use kinitro_database::{Address, Database, PoolSettings, Schema};
use kinitro_proto::scheduling::v1::scheduling_service_server::SchedulingServiceServer;
use kinitro_queue::{EventBus, WorkQueue};
use tokio::{net::TcpListener, sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    config::Config,
    cycles::{Cycles, PASS_LIMIT},
    miners::Ingestion,
    service::Scheduling,
    tasks::{TaskSettings, Tasks},
};

const MAX_CONNECTIONS: u32 = 16;
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);
/// How long scoring may take for one cycle.
pub(crate) const SCORING_LIMIT: Duration = Duration::from_secs(60);
/// Seconds after which Postgres ends a transaction in which this process does nothing: one that is stopped, or whose machine is
/// suspended, must not keep a cycle locked. Longer than [`SCORING_LIMIT`], for which a transaction waits on purpose.
pub(crate) const STANDSTILL: u32 = 90;
const RECONCILE_EVERY: Duration = Duration::from_secs(2);
const RECONCILE_RETRY_LIMIT: Duration = Duration::from_secs(8);

/// The tables of the service.
pub static SCHEMA: Schema = Schema::new("scheduling", sqlx::migrate!("../../migrations/scheduling"));

/// Brings the schema `scheduling` up to date. Safe to call from several processes at once.
pub async fn migrate(database: impl Into<Address>) -> Result<(), Error> {
    Ok(SCHEMA.migrate(database).await?)
}

/// Starts the service on a listener: its server and its loops run on the supervisor when this returns. Postgres, Redis, ingestion and
/// scoring may be away: it waits for them, and says so in its health.
pub async fn start(
    config: Config,
    access: &MeshAccess,
    listener: TcpListener,
    supervisor: &Supervisor,
) -> Result<(), Error> {
    config.validate().map_err(Error::Config)?;
    let environments = config.environments().map_err(Error::Config)?;
    if environments.is_empty() {
        tracing::warn!("env_families and env_ids leave no environment: no cycle will start");
    }
    for family in config.env_families.iter().flatten() {
        if !environments.iter().any(|env_id| env_id.family() == family.as_str()) {
            tracing::warn!(family, "env_families names a family of which no cycle plays anything");
        }
    }
    let settings = PoolSettings {
        application: "kinitro-scheduling",
        max_connections: MAX_CONNECTIONS,
        acquire_limit: ACQUIRE_LIMIT,
        standstill_seconds: STANDSTILL,
    };
    let database = Database::open(config.database(), settings).await?;
    let pool = database.pool().clone();
    let redis_url = config.redis().map_err(Error::Config)?;
    let queue = WorkQueue::connect(&redis_url, &config.queue_prefix).await?;
    let events = EventBus::connect(&redis_url, &config.queue_prefix).await?;
    let settings = TaskSettings {
        lease: Duration::from_secs(config.task_stale_threshold_seconds),
        heartbeat_lease: Duration::from_secs(config.heartbeat_lease_seconds),
        max_attempts: config.max_attempts,
        episode_budget: Some(config.episode_budget_seconds).filter(|seconds| *seconds > 0.0),
    };
    let tasks = Tasks::new(pool.clone(), queue.clone(), events.clone(), settings)
        .with_draining(supervisor.draining())
        .after_an_outage();
    let on_demand = config.on_demand;
    let cycles = Arc::new(Cycles {
        pool,
        tasks: tasks.clone(),
        ingestion: Ingestion::new(access.channel(&config.ingestion_url)?, config.ingestion_url.clone()),
        scoring: access.channel_within(&config.scoring_url, SCORING_LIMIT)?,
        events,
        config,
        environments,
        swept: AtomicI64::new(0),
        closed: Notify::new(),
    });

    supervisor.spawn("cycle closer", cycles.clone().run_closer(supervisor.draining()));
    supervisor.spawn("task reconciler", reconcile(tasks, supervisor.draining()));
    if !on_demand {
        supervisor.spawn("cycle timer", cycles.clone().run_timer(supervisor.draining()));
    }
    GrpcServer::new("scheduling", access)
        .add_service(SchedulingServiceServer::new(Scheduling::new(cycles)))
        .probe("postgres", database.address().to_owned(), move || {
            let database = database.clone();
            Box::pin(async move { SCHEMA.probe(&database).await })
        })
        .probe("redis", queue.address().to_owned(), move || {
            let queue = queue.clone();
            Box::pin(async move { queue.probe().await.map_err(|error| error.to_string()) })
        })
        .serve(listener, supervisor)?;
    Ok(())
}

/// Puts pending tasks that Redis lost back into the queue, until the drain. Every replica may do it: enqueueing is idempotent.
/// A comparison that takes long is made more seldom, so that it never takes more than a tenth of the time.
async fn reconcile(tasks: Tasks, draining: CancellationToken) -> Result<(), Infallible> {
    let mut back_off = BackOff::new(RECONCILE_EVERY, RECONCILE_RETRY_LIMIT);
    let mut warned = false;
    while !draining.is_cancelled() {
        let begun = Instant::now();
        let compared = match timeout(PASS_LIMIT, tasks.reconcile()).await {
            Ok(compared) => compared.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err(format!("nothing was heard of postgres for {PASS_LIMIT:?}; check the network to it")),
        };
        let pause = match compared {
            Ok(()) => {
                back_off.reset();
                warned = warned || tasks.warn_of_eviction().await.is_ok();
                RECONCILE_EVERY.max(begun.elapsed() * 9)
            }
            Err(error) => {
                let pause = back_off.pause();
                tracing::warn!(error, retry_seconds = pause.as_secs_f64(), "queue and database could not be compared");
                pause
            }
        };
        tokio::select! {
            () = draining.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}
