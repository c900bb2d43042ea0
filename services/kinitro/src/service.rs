//! One service a process, as compose and Kubernetes run them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result};
use kinitro_chassis::{MeshAccess, Supervisor};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    cli::{DevchainArgs, ExecutionArgs, GatewayArgs, IngestionArgs, Listen, SchedulingArgs, ScoringArgs, ValidateArgs},
    settings::Settings,
};

/// What a service may take to finish its calls.
const DRAIN: Duration = Duration::from_secs(30);
/// What an executor may take, after its running episodes had their time, to hand in what they found: at most 1 s for the last answer to
/// a request for work, 10 to hand back what that brought, 3 for stopped episodes, 10 for leases and results, 6 for its processes.
const DELIVERY: Duration = Duration::from_secs(35);

/// `kinitro gateway`.
pub async fn gateway(args: GatewayArgs, settings: Settings) -> Result<()> {
    let mut flags = serde_json::to_value(&args.flags)?;
    if let (Value::Object(flags), Listen { host, port }) = (&mut flags, &args.listen) {
        flags.extend(host.map(|host| ("host".to_owned(), host.to_string().into())));
        flags.extend(port.map(|port| ("port".to_owned(), port.into())));
    }
    let config = settings.gateway(flags)?;
    let access = settings.access(&args.mesh)?;
    let listener = bind(SocketAddr::new(config.host, config.port)).await?;
    let supervisor = Supervisor::new();
    kinitro_gateway::start(config, &access, listener, &supervisor).await?;
    Ok(supervisor.run(DRAIN).await?)
}

/// `kinitro scheduling`.
pub async fn scheduling(args: SchedulingArgs, settings: Settings) -> Result<()> {
    if args.network.is_some() || args.netuid.is_some() {
        tracing::warn!(
            "--network and --netuid have no effect here: `kinitro ingestion` reads the chain, give them to it"
        );
    }
    let config = settings.scheduling(serde_json::to_value(&args.flags)?)?;
    let access = settings.access(&args.mesh)?;
    let listener = listen_in_mesh("scheduling", &access, &args.listen, 50052).await?;
    let supervisor = Supervisor::new();
    kinitro_scheduling::start(config, &access, listener, &supervisor).await?;
    Ok(supervisor.run(DRAIN).await?)
}

/// `kinitro execution`.
pub async fn execution(args: ExecutionArgs, settings: Settings) -> Result<()> {
    let config = settings.execution(serde_json::to_value(&args.flags)?)?;
    let access = settings.access(&args.mesh)?;
    let listener = match listen_in_mesh("execution", &access, &args.listen, 50053).await {
        Err(error) if args.listen.port.is_none() && is_taken(&error) => {
            tracing::info!("port 50053 is taken, probably by another executor on this machine: taking a free one");
            listen_in_mesh("execution", &access, &args.listen, 0).await?
        }
        outcome => outcome?,
    };
    #[expect(clippy::disallowed_methods, reason = "the configuration is checked")]
    let drain = Duration::from_secs_f64(config.drain_seconds) + DELIVERY;
    let supervisor = Supervisor::new();
    kinitro_execution::start(config, settings.family_worker(), &access, listener, &supervisor).await?;
    Ok(supervisor.run(drain).await?)
}

/// `kinitro ingestion`.
pub async fn ingestion(args: IngestionArgs, settings: Settings) -> Result<()> {
    let config = settings.ingestion(serde_json::to_value(&args.flags)?)?;
    let access = settings.access(&args.mesh)?;
    let listener = listen_in_mesh("ingestion", &access, &args.listen, 50051).await?;
    let supervisor = Supervisor::new();
    kinitro_ingestion::start(config, &access, listener, &supervisor).await?;
    Ok(supervisor.run(DRAIN).await?)
}

/// `kinitro scoring`.
pub async fn scoring(args: ScoringArgs, settings: Settings) -> Result<()> {
    let config = settings.scoring(serde_json::to_value(&args.flags)?)?;
    let access = settings.access(&args.mesh)?;
    let listener = listen_in_mesh("scoring", &access, &args.listen, 50054).await?;
    let supervisor = Supervisor::new();
    kinitro_scoring::start(config, &access, listener, &supervisor).await?;
    Ok(supervisor.run(DRAIN).await?)
}

/// `kinitro validate`.
pub async fn validate(args: ValidateArgs, settings: Settings) -> Result<()> {
    let mut config = settings.validator(serde_json::to_value(&args.flags)?)?;
    let Listen { host, port } = args.listen;
    if host.is_some() || port.is_some() {
        let configured = config.listen.parse().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 9101)));
        config.listen = SocketAddr::new(host.unwrap_or(configured.ip()), port.unwrap_or(configured.port())).to_string();
    }
    let listener = config.listener().await?;
    if let Some(listener) = &listener {
        tracing::info!(address = %listener.local_addr()?, "listening");
    }
    let supervisor = Supervisor::new();
    kinitro_validator::start(config, listener, &supervisor).await?;
    Ok(supervisor.run(DRAIN).await?)
}

/// `kinitro devchain`.
pub async fn devchain(args: DevchainArgs, settings: Settings) -> Result<()> {
    let config = settings.devchain(serde_json::to_value(&args.flags)?)?;
    let listener = bind(address(&args.listen, 9944)).await?;
    let supervisor = Supervisor::new();
    kinitro_devchain::start(config, listener, &supervisor).await?;
    Ok(supervisor.run(DRAIN).await?)
}

/// A service of the mesh listens on loopback unless told otherwise, and elsewhere only with a token. It is refused before it listens.
async fn listen_in_mesh(name: &'static str, access: &MeshAccess, listen: &Listen, port: u16) -> Result<TcpListener> {
    let address = address(listen, port);
    access.may_listen(name, address)?;
    bind(address).await
}

fn address(listen: &Listen, port: u16) -> SocketAddr {
    let host = listen.host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    SocketAddr::new(host, listen.port.unwrap_or(port))
}

fn is_taken(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = kinitro_chassis::listen(address)
        .with_context(|| format!("cannot listen on {address}; give another --host or --port"))?;
    // On stderr with the rest of the log; with --port 0 the only way to learn the port.
    tracing::info!(address = %listener.local_addr()?, "listening");
    Ok(listener)
}
