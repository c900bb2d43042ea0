//! What a person types after `kinitro score attack`.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use kinitro_domain::{EnvId, MinerUid};
use kinitro_pareto::{Guarded1, MAX_EPISODES, Published1, Scheme, SubsetPoints};

/// `kinitro score attack`.
#[derive(Debug, Clone, Args)]
pub struct AttackArgs {
    /// Which schemes, comma-separated; several are shown side by side, on the same simulated cycles.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Rule::Published1, Rule::Guarded1])]
    pub scheme: Vec<Rule>,
    /// Episodes of every miner in every environment, comma-separated.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200, 1000], value_parser = clap::value_parser!(u32).range(1..=MAX_EPISODES as i64))]
    pub episodes: Vec<u32>,
    /// Simulated cycles for every line.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub trials: u32,
    /// Environments of a cycle. The specialist needs two.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub environments: u32,
    /// Honest miners. The first to commit has the success rate --rate, each further one 10 points less, down to 5 %.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub honest: u32,
    /// Success rate of the best honest miner in every environment that can be solved, from 0 to 1.
    #[arg(long, default_value_t = 0.5, value_parser = rate)]
    pub rate: f64,
    /// How much of what decides an episode is its seed's difficulty, from 0 (nothing) to less than 1. It matters when seeds
    /// are paired.
    #[arg(long, default_value_t = 0.5, value_parser = below_one)]
    pub difficulty: f64,
    /// Success of somebody who does nothing useful: what the squatter has, and what is declared as every environment's floor.
    #[arg(long, default_value_t = 0.0, value_parser = below_one)]
    pub floor: f64,
    /// Temperature of the softmax that turns points into weights.
    #[arg(long, default_value_t = 1.0)]
    pub temperature: f64,
    /// What a subset of the environments is worth.
    #[arg(long, value_enum, default_value_t = Worth::Linear)]
    pub weight_scheme: Worth,
    /// Decides all that is random; the same one gives the same numbers on any number of cores.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// As JSON on stdout.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// As tables for a Markdown document on stdout.
    #[arg(long)]
    pub markdown: bool,
}

/// A scheme by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rule {
    /// The rule as published.
    #[value(name = "published-1")]
    Published1,
    /// With floors, paired gaps and a burn uid.
    #[value(name = "guarded-1")]
    Guarded1,
}

/// Points of a subset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Worth {
    /// Its size.
    Linear,
    /// Two to the power of its size less one.
    Exponential,
    /// One.
    Equal,
}

impl AttackArgs {
    /// The schemes with their parameters. Nobody has the burn uid.
    pub fn schemes(&self) -> anyhow::Result<Vec<Scheme>> {
        let weight_scheme = match self.weight_scheme {
            Worth::Linear => SubsetPoints::Linear,
            Worth::Exponential => SubsetPoints::Exponential,
            Worth::Equal => SubsetPoints::Equal,
        };
        let pareto_temperature = self.temperature;
        let floors: BTreeMap<EnvId, f64> =
            self.env_ids().into_iter().filter(|_| self.floor > 0.0).map(|env_id| (env_id, self.floor)).collect();
        let scheme = |rule: &Rule| {
            let scheme = match rule {
                Rule::Published1 => Scheme::Published1(Published1::new(weight_scheme, pareto_temperature)),
                Rule::Guarded1 => Scheme::Guarded1(Guarded1 {
                    weight_scheme,
                    pareto_temperature,
                    floors: floors.clone(),
                    burn_uid: MinerUid(u16::MAX),
                }),
            };
            scheme.validate()?;
            Ok(scheme)
        };
        self.scheme.iter().map(scheme).collect()
    }

    /// The environments of the simulated cycles.
    pub fn env_ids(&self) -> Vec<EnvId> {
        (0..self.environments)
            .map(|index| format!("simulated/env-{index}").parse().expect("lower-case letters, a digit and a hyphen"))
            .collect()
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.0..=1.0).contains(&rate) { Ok(rate) } else { Err("expected a number from 0 to 1".to_owned()) }
}

fn below_one(text: &str) -> Result<f64, String> {
    rate(text)
        .ok()
        .filter(|rate| *rate < 1.0)
        .ok_or_else(|| "expected a number of at least 0 and less than 1".to_owned())
}
