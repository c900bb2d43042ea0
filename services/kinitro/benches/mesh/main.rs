//! `make bench`: what makes a claim about speed, measured.
//!
//! Each figure is ours beside a reference that a user would otherwise use and beside the limit that the machine sets, all three in
//! one run where they can be. `ONLY=<prefix>` chooses by name. The table goes to stdout, the progress to stderr, the figures
//! to `target/bench.json`, and the services' logs to `target/bench.log` at the level that a deployment has.
//!
//! A measurement that does not check what it measured is worth nothing: each group fails the run when its work was not done.
//!
//! To add figures: a module with their names and a function that measures those that are wanted, and its line in [`GROUPS`].

mod bare_stores;
mod deployment;
mod episodes;
mod figure;
mod listening;
mod neighbour;
mod player;
mod python;
mod queue;
mod report;
mod rest;
mod score;
mod simulation;

use std::{fs::File, path::PathBuf, pin::Pin, process::ExitCode, sync::Mutex};

use anyhow::{Context as _, Result, bail};
use kinitro_chassis::{LogFormat, init_telemetry_into};

use figure::Figure;

type Measuring = Pin<Box<dyn Future<Output = Result<Vec<Figure>>>>>;

/// Figures that are measured together, on one deployment.
struct Group {
    names: fn() -> Vec<&'static str>,
    measure: fn(Vec<&'static str>) -> Measuring,
}

const GROUPS: [Group; 5] = [
    Group { names: queue::names, measure: |wanted| Box::pin(queue::measure(wanted)) },
    Group { names: simulation::names, measure: |wanted| Box::pin(simulation::measure(wanted)) },
    Group { names: simulation::image_names, measure: |wanted| Box::pin(simulation::measure_images(wanted)) },
    Group { names: episodes::names, measure: |wanted| Box::pin(episodes::measure(wanted)) },
    Group { names: score::names, measure: |wanted| Box::pin(score::measure(wanted)) },
];

fn main() -> ExitCode {
    let prefix = match prefix(std::env::args().skip(1)) {
        Ok(prefix) => prefix,
        Err(usage) => {
            eprintln!("error: {usage}");
            return ExitCode::from(2);
        }
    };
    match run(&prefix) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The prefix of the figures that are wanted; empty for all. Cargo adds `--bench` to what it is given.
fn prefix(arguments: impl Iterator<Item = String>) -> Result<String, String> {
    let mut given = arguments.filter(|argument| argument != "--bench");
    let prefix = given.next().unwrap_or_default();
    if prefix.starts_with('-') || given.next().is_some() {
        return Err("give nothing, or the beginning of the figures' names, e.g. ONLY=queue.rest".to_owned());
    }
    let names: Vec<&str> = GROUPS.iter().flat_map(|group| (group.names)()).collect();
    if !names.iter().any(|name| name.starts_with(&prefix)) {
        return Err(format!("no figure's name begins with `{prefix}`; there are {}", names.join(", ")));
    }
    Ok(prefix)
}

fn run(prefix: &str) -> Result<()> {
    let (log, json) = (in_target("bench.log"), in_target("bench.json"));
    let lines = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    init_telemetry_into("bench", "INFO", LogFormat::Json, Mutex::new(lines), false)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let figures = runtime.block_on(async {
        tokio::select! {
            figures = measure(prefix) => figures,
            _ = tokio::signal::ctrl_c() => bail!("interrupted; nothing is written"),
        }
    })?;
    report::write(&json, &figures)?;
    report::print(&figures);
    eprintln!("written to {}; the services' log is {}", json.display(), log.display());
    Ok(())
}

async fn measure(prefix: &str) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for group in GROUPS {
        let wanted: Vec<&str> = (group.names)().into_iter().filter(|name| name.starts_with(prefix)).collect();
        if !wanted.is_empty() {
            figures.extend((group.measure)(wanted).await?);
        }
    }
    Ok(figures)
}

/// A file of cargo's target directory, wherever that is.
fn in_target(name: &str) -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    path.set_file_name(name);
    path
}
