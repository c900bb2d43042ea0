//! `kinitro up`: every service in this process until Ctrl-C.

use std::{
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::UpArgs,
    mesh::{Mesh, Plan},
    samples::{self, SampleMiner},
    settings::Settings,
};

/// The name under which a development chain runs in this process.
const DEVELOPMENT: &str = "dev";

/// Runs until a signal, or until a part fails.
pub async fn run(args: UpArgs, settings: Settings) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let data_dir = match &args.data_dir {
        Some(given) => given.clone(),
        None => default_data_dir()?,
    };
    if args.samples && args.network != DEVELOPMENT {
        bail!("--samples needs the development chain: leave --network out");
    }
    let miners = if args.samples { samples::sample_miners()? } else { Vec::new() };
    let netuid = settings.devchain(Value::Null)?.netuid;
    let netuid = args.netuid.unwrap_or(netuid);
    let plan = plan(args, data_dir.clone(), settings, &miners)?;
    let key_file = data_dir.join("api-key");
    let authenticated = plan.gateway_flags.get("no_auth").is_none();

    let mut mesh = tokio::select! {
        mesh = Mesh::start(plan) => mesh?,
        _ = terminate.recv() => bail!("stopped while starting"),
        _ = interrupt.recv() => bail!("stopped while starting"),
    };
    let policies = CancellationToken::new();
    if let Some(chain) = mesh.url("devchain").filter(|_| !miners.is_empty()) {
        samples::serve_and_commit(&miners, chain, netuid, &policies).await?;
    }
    print_screen(&mesh, &data_dir, authenticated.then_some(key_file.as_path()));

    let failure = tokio::select! {
        failure = mesh.failure() => Some(failure),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    match &failure {
        Some(failure) => eprintln!("stopping everything, because {failure}"),
        None => eprintln!("stopping; press Ctrl-C again to stop at once"),
    }
    tokio::select! {
        stopped = mesh.stop() => stopped?,
        _ = terminate.recv() => bail!("forced to stop"),
        _ = interrupt.recv() => bail!("forced to stop"),
    }
    policies.cancel();
    match failure {
        Some(failure) => bail!(failure),
        None => Ok(()),
    }
}

fn default_data_dir() -> Result<PathBuf> {
    let here = kinitro_stores::postgres_can_reach(Path::new("."))?;
    Ok(PathBuf::from(if here { ".kinitro" } else { "/var/lib/kinitro" }))
}

fn plan(args: UpArgs, data_dir: PathBuf, settings: Settings, miners: &[SampleMiner]) -> Result<Plan> {
    fs::create_dir_all(&data_dir)
        .with_context(|| format!("cannot create the data directory {}", data_dir.display()))?;
    let development = args.network == DEVELOPMENT;

    let mut gateway = Map::new();
    if args.no_auth {
        gateway.insert("no_auth".to_owned(), json!(true));
    } else if settings.gateway(Value::Null)?.api_key.is_none() {
        gateway.insert("api_key".to_owned(), json!(api_key(&data_dir)?));
    }
    let mut execution = Map::new();
    let in_flight = args.max_concurrent.map(|n| ("default_max_concurrent", json!(n)));
    let images = args.no_images.then(|| ("use_images", json!(false)));
    // On a development chain policies are served on this machine.
    let private = (args.allow_private_endpoints || development).then(|| ("allow_private_endpoints", json!(true)));
    execution.extend([in_flight, images, private].into_iter().flatten().map(|(name, value)| (name.to_owned(), value)));

    let mut devchain = Map::new();
    devchain.extend(args.netuid.map(|netuid| ("netuid".to_owned(), json!(netuid))));
    if !miners.is_empty() {
        devchain.insert("neurons".to_owned(), samples::neurons(miners));
    }
    devchain.extend(args.seed_file.map(|file| ("seed_file".to_owned(), json!(file))));
    let mut ingestion = Map::new();
    if !development {
        ingestion.insert("network".to_owned(), json!(args.network));
        ingestion.extend(args.netuid.map(|netuid| ("netuid".to_owned(), json!(netuid))));
    }
    let mut scheduling = Map::new();
    scheduling.extend(args.eval_interval.map(|seconds| ("eval_interval_seconds".to_owned(), json!(seconds))));
    scheduling.extend(args.episodes_per_env.map(|n| ("episodes_per_env".to_owned(), json!(n))));
    scheduling.extend(args.on_demand.then(|| ("on_demand".to_owned(), json!(true))));

    let host = args.listen.host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let gateway_address = args.listen.port.map(|port| SocketAddr::new(host, port));
    if args.listen.host.is_some() && gateway_address.is_none() {
        bail!("--host needs --port");
    }
    if gateway_address.is_some() {
        gateway.insert("host".to_owned(), json!(host));
    }
    Ok(Plan {
        data_dir,
        database_url: args.database_url,
        redis_url: args.redis_url,
        settings,
        gateway: gateway_address,
        gateway_flags: gateway.into(),
        scheduling_flags: scheduling.into(),
        ingestion_flags: ingestion.into(),
        scoring_flags: json!({}),
        execution_flags: (!args.no_executor).then_some(execution.into()),
        devchain: development.then_some((devchain.into(), args.chain_port)),
        well_known_ports: true,
    })
}

/// The API key of this data directory, made at the first start.
fn api_key(data_dir: &Path) -> Result<String> {
    let path = data_dir.join("api-key");
    if let Ok(key) = fs::read_to_string(&path) {
        return Ok(key.trim().to_owned());
    }
    let key = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(file, "{key}")?;
    Ok(key)
}

fn print_screen(mesh: &Mesh, data_dir: &Path, key_file: Option<&Path>) {
    println!("kinitro {} is up. Ctrl-C stops everything.\n", env!("CARGO_PKG_VERSION"));
    for part in mesh.parts() {
        println!("  {:<11} {}", part.name, part.url);
    }
    println!("\n  data        {}", data_dir.display());
    match key_file {
        Some(path) if path.exists() => println!("  API key     in {}", path.display()),
        Some(_) => println!("  API key     as configured"),
        None => println!("  API key     none needed: authentication is off"),
    }
    let gateway = mesh.url("gateway").unwrap_or_default();
    println!("\n  curl {gateway}/health");
    println!("  curl {gateway}/v1/status");
    println!("  curl {gateway}/v1/weights/latest");
}
