//! `kinitro up`: every service in this process until Ctrl-C.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use kinitro_proto::scheduling::v1::scheduling_service_client::SchedulingServiceClient;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::UpArgs,
    follow,
    mesh::{Mesh, Plan},
    own_secret,
    samples::{self, SampleMiner, Samples},
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
    let mut plan = plan(args, data_dir.clone(), settings, &miners)?;
    let policies = CancellationToken::new();
    if !miners.is_empty() {
        eprintln!("starting; sample miners commit their policies before the first cycle");
        plan.samples = Some(Samples { miners, netuid, stop: policies.clone() });
    }
    let key_file = own_secret::api_key_file(&data_dir);
    let authenticated = plan.gateway_flags.get("no_auth").is_none();
    let own_token = (!plan.access.has_token()).then(|| own_secret::mesh_token_file(&data_dir));

    let mut mesh = tokio::select! {
        mesh = Mesh::start(plan) => mesh?,
        _ = terminate.recv() => bail!("stopped while starting"),
        _ = interrupt.recv() => bail!("stopped while starting"),
    };
    print_screen(&mesh, &data_dir, authenticated.then_some(key_file.as_path()), own_token.as_deref());

    let scheduling = mesh.access().channel(mesh.url("scheduling").unwrap_or_default())?;
    let scheduling = SchedulingServiceClient::new(scheduling);
    let following = tokio::spawn(follow::follow(scheduling));
    let failure = tokio::select! {
        failure = mesh.failure() => Some(failure),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    following.abort();
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

/// Where `kinitro up` keeps its data unless told otherwise.
pub fn default_data_dir() -> Result<PathBuf> {
    let here = kinitro_stores::postgres_can_reach(Path::new("."))?;
    Ok(PathBuf::from(if here { ".kinitro" } else { "/var/lib/kinitro" }))
}

fn plan(args: UpArgs, data_dir: PathBuf, settings: Settings, miners: &[SampleMiner]) -> Result<Plan> {
    fs::create_dir_all(&data_dir)
        .with_context(|| format!("cannot create the data directory {}", data_dir.display()))?;
    let development = args.network == DEVELOPMENT;
    let host = args.listen.host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = args.listen.port.map(|port| SocketAddr::new(host, port));
    if args.listen.host.is_some() && address.is_none() {
        bail!("--host needs --port");
    }
    let own_key = !args.no_auth && settings.gateway(Value::Null)?.api_key.is_none();
    let netuid = args.netuid.map(Value::from);
    // Where a store that dies takes everything with it, what is played is handed in by the next start.
    let results_dir = data_dir.join("results");
    Ok(Plan {
        gateway: address,
        gateway_flags: flags([
            ("host", address.map(|address| json!(address.ip()))),
            ("no_auth", yes(args.no_auth)),
            (
                "api_key",
                if own_key {
                    Some(json!(own_secret::read_or_make(&own_secret::api_key_file(&data_dir))?))
                } else {
                    None
                },
            ),
        ]),
        scheduling_flags: flags([
            ("eval_interval_seconds", args.eval_interval.map(Value::from)),
            ("episodes_per_env", args.episodes_per_env.map(Value::from)),
            ("on_demand", yes(args.on_demand)),
        ]),
        ingestion_flags: match development {
            // The mesh adds where the development chain listens, and its subnet.
            true => json!({}),
            false => flags([
                ("network", Some(json!(args.network))),
                ("netuid", netuid.clone()),
                ("allow_private_endpoints", yes(args.allow_private_endpoints)),
            ]),
        },
        scoring_flags: json!({}),
        execution_flags: (!args.no_executor).then(|| {
            flags([
                ("default_max_concurrent", args.max_concurrent.map(Value::from)),
                ("results_dir", Some(json!(results_dir))),
                ("use_images", args.no_images.then_some(Value::Bool(false))),
                // On a development chain policies are served on this machine.
                ("allow_private_endpoints", yes(args.allow_private_endpoints || development)),
            ])
        }),
        devchain: development.then(|| {
            let neurons = (!miners.is_empty()).then(|| samples::neurons(miners));
            let flags = flags([
                ("netuid", netuid),
                ("seed_file", args.seed_file.map(|file| json!(file))),
                ("neurons", neurons),
            ]);
            (flags, args.chain_port)
        }),
        access: settings.access(&args.mesh)?,
        database_url: args.database_url,
        redis_url: args.redis_url,
        data_dir,
        settings,
        samples: None,
        ports: args.ports,
        well_known_ports: true,
    })
}

/// Flags that were given, as fields of a configuration.
fn flags<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn yes(given: bool) -> Option<Value> {
    given.then_some(Value::Bool(true))
}

fn print_screen(mesh: &Mesh, data_dir: &Path, key_file: Option<&Path>, own_token: Option<&Path>) {
    println!("kinitro {} is up. Ctrl-C stops everything.\n", env!("CARGO_PKG_VERSION"));
    for part in mesh.parts() {
        println!("  {:<11} {}", part.name, part.url);
    }
    println!("\n  data        {}", data_dir.display());
    for file in mesh.password_files() {
        println!("  password    in {}", file.display());
    }
    match key_file {
        Some(path) if path.exists() => println!("  API key     in {}", path.display()),
        Some(_) => println!("  API key     as configured"),
        None => println!("  API key     none needed: authentication is off"),
    }
    match own_token {
        Some(path) => println!("  mesh token  in {}", path.display()),
        None => println!("  mesh token  as configured"),
    }
    let gateway = mesh.url("gateway").unwrap_or_default();
    println!("\n  curl {gateway}/health");
    println!("  curl {gateway}/v1/status");
    println!("  curl {gateway}/v1/weights/latest");
}
