//! What a person types after `kinitro env`.

use clap::{Args, Subcommand, ValueEnum};
use kinitro_domain::EnvId;
use kinitro_sim::{ImageQuality, Randomisation};

use super::{names::environment, video::Target};

/// `kinitro env …`.
#[derive(Debug, Subcommand)]
pub enum EnvAction {
    /// Show every environment.
    List {
        /// As JSON on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Let each environment's scripted expert play, and compare its success with the Python expert's on the same seeds: exit 1
    /// when one is more than 5 points apart.
    Check(CheckArgs),
    /// Play a few episodes and show how they ended.
    Try(TryArgs),
    /// Measure what somebody has who does nothing useful, for the setting `floors` of scoring: who never moves, and who moves at
    /// random.
    Floor(FloorArgs),
}

/// `kinitro env check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Which environments; all when none is named.
    #[arg(value_name = "ENV", value_parser = environment)]
    pub environments: Vec<EnvId>,
    /// Play the seeds from 0 up to this number. The Python expert played 50.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub seeds: u32,
    /// As JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `kinitro env floor`.
#[derive(Debug, Args)]
pub struct FloorArgs {
    /// Which environments; all when none is named.
    #[arg(value_name = "ENV", value_parser = environment)]
    pub environments: Vec<EnvId>,
    /// How many episodes each of the two plays in each environment. Fewer give a higher bound: without any success it is about 3
    /// over this number.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub episodes: u32,
    /// The first episode's seed; each further one's is one higher.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How the physics varies from episode to episode.
    #[arg(long, value_enum, default_value_t = Physics::Standard)]
    pub randomisation: Physics,
    /// On stdout, what the setting takes: a JSON object from environment to bound. The table goes to stderr.
    #[arg(long)]
    pub json: bool,
}

/// `kinitro env try`.
#[derive(Debug, Args)]
pub struct TryArgs {
    /// Which environment.
    #[arg(value_name = "ENV", value_parser = environment)]
    pub environment: EnvId,
    /// Who plays.
    #[arg(long, value_enum, default_value_t = Who::Oracle)]
    pub policy: Who,
    /// How many episodes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub episodes: u32,
    /// The first episode's seed; each further one's is one higher.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How the physics varies from episode to episode.
    #[arg(long, value_enum, default_value_t = Physics::Off)]
    pub randomisation: Physics,
    /// How carefully the video's pictures are drawn.
    #[arg(long, value_enum, default_value_t = Quality::Fast, requires = "video")]
    pub images: Quality,
    /// Film what both cameras see, side by side (Meta-World's hang upside down): `out.gif`, or `folder/out.png` for
    /// `folder/out-00001.png` and so on.
    #[arg(long, value_name = "FILE")]
    pub video: Option<Target>,
    /// As JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Who plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Who {
    /// The environment's scripted expert, which sees where objects are.
    Oracle,
    /// Moves at random.
    Random,
    /// Never moves.
    Idle,
}

/// Domain randomisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Physics {
    /// The model as its file has it.
    Off,
    /// What the subnet plays.
    Standard,
}

impl From<Physics> for Randomisation {
    fn from(physics: Physics) -> Self {
        match physics {
            Physics::Off => Self::OFF,
            Physics::Standard => Self::STANDARD,
        }
    }
}

/// Image quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Quality {
    /// What policies get on a CPU.
    Fast,
    /// To the pixel what the Python renderer draws.
    Reference,
}

impl From<Quality> for ImageQuality {
    fn from(quality: Quality) -> Self {
        match quality {
            Quality::Fast => Self::Fast,
            Quality::Reference => Self::Reference,
        }
    }
}

/// The name of a choice, as it is typed.
pub fn name(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
