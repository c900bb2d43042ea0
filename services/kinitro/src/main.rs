//! The one binary: the command line, and the place where the services are put together.
//!
//! Data goes to stdout, everything else to stderr. Exit status 0, 1 (failed), 2 (bad usage).

#[macro_use]
mod output;

#[cfg(test)]
mod arrows;
mod cli;
mod commitment;
mod crypto;
mod databases;
mod db;
mod demo;
mod effective;
mod env;
mod follow;
mod health;
mod mesh;
mod miner;
mod operate;
mod own_secret;
mod policy;
mod samples;
mod score;
mod service;
mod settings;
mod up;
mod wallet;

use std::{io::IsTerminal as _, net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use kinitro_chassis::{LogFormat, Supervisor, fatal_line, init_telemetry};

use crate::{
    cli::{Cli, Command, PolicyAction},
    policy::ServeOptions,
    settings::Settings,
};

fn main() -> ExitCode {
    let cli = Cli::read();
    // The HTTP clients are built without a choice of their own, and panic when there is none.
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().expect("nothing else installs one, and main runs once");
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let process = process_name(&cli.command);
    let outcome = runtime.block_on(run(cli, process.unwrap_or("kinitro")));
    // What still runs was asked to stop and had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match process.filter(|_| !std::io::stderr().is_terminal()) {
                // The last line of a JSON log is no other than those before it.
                Some(service) => eprintln!("{}", fatal_line(service, &format!("error: {error:#}"))),
                None => eprintln!("error: {error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}

/// The name of a service, of which a log is kept.
fn process_name(command: &Command) -> Option<&'static str> {
    match command {
        Command::Gateway(_) => Some("gateway"),
        Command::Scheduling(_) => Some("scheduling"),
        Command::Execution(_) => Some("execution"),
        Command::Ingestion(_) => Some("ingestion"),
        Command::Scoring(_) => Some("scoring"),
        Command::Devchain(_) => Some("devchain"),
        Command::Validate(_) => Some("validator"),
        // Its log is a part of the executor's.
        Command::FamilyWorker => Some("execution"),
        _ => None,
    }
}

async fn run(cli: Cli, process: &'static str) -> Result<()> {
    let quiet_by_default = matches!(
        cli.command,
        Command::Up(_)
            | Command::Env { .. }
            | Command::Score { .. }
            | Command::Crypto { .. }
            | Command::Miner { .. }
            | Command::Cycle { .. }
            | Command::DeadLetters { .. }
            | Command::FamilyWorker
    );
    let level = cli.log_level.or_else(|| log_level(&cli.command));
    let level = level.as_deref().unwrap_or(match cli.command {
        // What it warns of (no authentication, private addresses) is what a demo is like.
        Command::Demo(_) => "ERROR",
        _ if quiet_by_default => "WARNING",
        _ => "INFO",
    });
    let alone = process_name(&cli.command).is_some();
    init_telemetry(process, level, LogFormat::Auto)?;
    // A path may be no Unicode, which `args` panics on; a URL always is.
    cli::warn_of_passwords(std::env::args_os().filter_map(|argument| argument.into_string().ok()));
    let settings = Settings { file: cli.config, log_level: Some(level.to_owned()), alone };
    match cli.command {
        Command::Up(args) => up::run(*args, settings).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Gateway(args) => service::gateway(args, settings).await,
        Command::Scheduling(args) => service::scheduling(args, settings).await,
        Command::Execution(args) => service::execution(args, settings).await,
        Command::Ingestion(args) => service::ingestion(args, settings).await,
        Command::Scoring(args) => service::scoring(args, settings).await,
        Command::Devchain(args) => service::devchain(args, settings).await,
        Command::Validate(args) => service::validate(args, settings).await,
        Command::Crypto { action } => crypto::run(action).await,
        Command::Miner { action } => miner::run(action).await,
        Command::Db { action } => db::run(action, &settings).await,
        Command::Cycle { action } => operate::cycle(action, &settings).await,
        Command::DeadLetters { action } => operate::dead_letters(action, &settings).await,
        Command::Policy { action: PolicyAction::Serve { kind, host, port, latency_ms, chunk } } => {
            let options = ServeOptions { kind, latency: Duration::from_millis(latency_ms), chunk };
            serve_policy(options, SocketAddr::new(host, port)).await
        }
        Command::Env { action } => env::run(action).await,
        Command::Score { action } => score::run(action, &settings).await,
        Command::FamilyWorker => Ok(kinitro_execution::family_worker().await?),
        Command::Config => effective::print(&settings),
        Command::Health { url } => health::check(&url).await,
    }
}

/// The guide's variable for the level of a service.
fn log_level(command: &Command) -> Option<String> {
    let variable = match command {
        Command::Gateway(_) => "KINITRO_API_LOG_LEVEL",
        Command::Scheduling(_) | Command::Ingestion(_) | Command::Scoring(_) => "KINITRO_SCHEDULER_LOG_LEVEL",
        Command::Execution(_) => "KINITRO_EXECUTOR_LOG_LEVEL",
        Command::Validate(_) => "KINITRO_VALIDATOR_LOG_LEVEL",
        _ => return None,
    };
    std::env::var(variable).ok().filter(|level| !level.is_empty())
}

async fn serve_policy(options: ServeOptions, address: SocketAddr) -> Result<()> {
    let listener = kinitro_chassis::listen(address)
        .with_context(|| format!("cannot listen on {address}; give another --host or --port"))?;
    let address = listener.local_addr()?;
    eprintln!("the policy listens at http://{address} and grpc://{address}");
    let supervisor = Supervisor::new();
    supervisor.spawn("policy", policy::serve(options, listener, supervisor.draining()));
    Ok(supervisor.run(Duration::from_secs(5)).await?)
}
