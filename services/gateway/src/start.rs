//! Puts the gateway together.

use std::{convert::Infallible, time::Duration};

use axum::{Router, middleware};
use kinitro_chassis::{MeshAccess, ServerLimits, Supervisor, serve_http};
use kinitro_transcode::{Transcoder, complete_exchange};
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_http::normalize_path::NormalizePathLayer;

use crate::{
    Config, Error,
    access::Access,
    health::Health,
    observe::{Limits, observe, protect},
    scrape::Scrape,
    slots::Sizes,
    upstream::{CALL_LIMIT, Upstreams},
};

const SCHEDULING: &str = "kinitro.scheduling.v1.SchedulingService";
const SCORING: &str = "kinitro.scoring.v1.ScoringService";
/// Where executors get their tasks.
const FETCH: &str = "/v1/tasks/fetch";
/// Routes that need the API key.
const FOR_KEY_HOLDERS: [&str; 2] = [FETCH, "/v1/tasks/submit"];
/// The route whose answers never change. The weights of a block are not among them: while the chain stands still, a later cycle
/// is of the same block.
const IMMUTABLE: &str = "/v1/scores/{cycle_id}";

/// Starts the gateway on a listener: its server runs on the supervisor when this returns. The services may be away; the
/// routes that need them answer 503 until they are there. The gateway shows `mesh` to them; its own callers have keys of their own.
///
/// # Errors
/// [`Error`]: settings that cannot be used, and every way of being open by accident.
pub async fn start(
    config: Config,
    mesh: &MeshAccess,
    listener: TcpListener,
    supervisor: &Supervisor,
) -> Result<(), Error> {
    config.validate().map_err(Error::Config)?;
    let address = listener.local_addr()?;
    let access = Access::new(&config, address)?;
    if config.database_url.is_some() {
        tracing::info!("database_url is accepted and not used: the gateway asks the services, which have databases");
    }
    kinitro_chassis::render_metrics();
    // Around the router: by the time that its own layers run, the route is chosen.
    let trimmed = NormalizePathLayer::trim_trailing_slash().layer(router(&config, mesh, &access)?);
    let router = Router::new().fallback_service(trimmed);
    let limits = ServerLimits {
        connections: config.max_connections as usize,
        connections_per_address: Some(config.max_connections_per_address as usize),
        stall: Duration::from_secs(config.client_stall_seconds),
        ..ServerLimits::public()
    };
    let draining = supervisor.draining();
    supervisor.spawn("gateway server", async move {
        serve_http(listener, router, limits, draining.cancelled_owned()).await;
        Ok::<(), Infallible>(())
    });
    tracing::info!(%address, "the gateway listens");
    Ok(())
}

fn router(config: &Config, mesh: &MeshAccess, access: &Access) -> Result<Router, Error> {
    let upstreams = Upstreams::new(config, mesh)?;
    let health = Health::new(upstreams.clone());
    let scrape = Scrape::new(upstreams.clone(), health.clone());
    let mut transcoder = Transcoder::new(kinitro_proto::FILE_DESCRIPTOR_SET)?
        .service(SCHEDULING, upstreams.scheduling.channel)
        .service(SCORING, upstreams.scoring.channel)
        .timeout(CALL_LIMIT)
        .immutable(IMMUTABLE)
        .preset(FETCH, "lease_seconds", config.task_stale_threshold_seconds)
        .native(health.routes().merge(scrape.routes()));
    for template in FOR_KEY_HOLDERS {
        let access = access.clone();
        transcoder = transcoder.guard(template, move |headers| access.check(headers));
    }
    Ok(transcoder
        .into_router()?
        .layer(middleware::from_fn_with_state(Limits::new(Sizes::of(config)), protect))
        .layer(middleware::from_fn(observe))
        .layer(middleware::from_fn(complete_exchange)))
}
