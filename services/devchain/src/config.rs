//! What the operator can set, and the seed file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, Hyperparameters};

/// The runtime versions whose metadata `make setup` fetches.
pub(crate) const SPECS: [u32; 2] = [461, 419];

/// The metadata's place in a checkout.
const VENDOR: &str = ".vendor/chain";
/// What the largest seed file has room for: 65,536 neurons of a line or four each.
const SEED_FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// The configuration, section `[devchain]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address the RPC is served at.
    pub listen: String,
    /// The runtime version whose metadata is served, 461 or 419. Clients of before spec 439 need 419: a netuid was a plain
    /// number then.
    pub spec: u32,
    /// The subnet.
    pub netuid: u16,
    /// The subnet's hyperparameters.
    pub subnet: Hyperparameters,
    /// How long a block takes, in milliseconds; with 0 blocks are made by the control interface alone, and the chain's clock
    /// goes on by 12 seconds with each.
    pub block_ms: u64,
    /// How many blocks finality is behind the head.
    pub finality_lag: u32,
    /// A TOML file with `netuid` and `[[neurons]]`, read in addition to what stands here.
    pub seed_file: Option<PathBuf>,
    /// Who is registered from the start.
    pub neurons: Vec<NeuronSeed>,
    /// Serve the `dev_*` methods. They change the chain (`dev_advance`, `dev_passTime`, `dev_reorg`), the subnet (`dev_register`,
    /// `dev_setStake`, `dev_setPermit`, `dev_setHyperparameter`, `dev_setCommitReveal`, `dev_setCommitmentRaw`), and break things
    /// (`dev_dropConnections`, `dev_failNext`, `dev_holdTransactions`, `dev_loseNextSubmission`).
    pub control: bool,
    /// Where the runtime metadata lies; by default `.vendor/chain` here or in the checkout this was built from.
    pub metadata_dir: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9944".to_owned(),
            spec: SPECS[0],
            netuid: 1,
            subnet: Hyperparameters::default(),
            block_ms: 500,
            finality_lag: 2,
            seed_file: None,
            neurons: Vec::new(),
            control: false,
            metadata_dir: None,
        }
    }
}

/// A hotkey that is registered from the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuronSeed {
    /// Its place; without one, the first that is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u16>,
    /// An SS58 address, or a development URI such as `//Alice`.
    pub hotkey: String,
    /// Its stake on the subnet, in rao (a billionth of a TAO).
    #[serde(default)]
    pub stake: u64,
    /// Whether it may set weights for others.
    #[serde(default)]
    pub validator_permit: bool,
}

impl NeuronSeed {
    /// A neuron at the first free place, without stake or permit.
    pub fn new(hotkey: impl Into<String>) -> Self {
        Self { uid: None, hotkey: hotkey.into(), stake: 0, validator_permit: false }
    }

    /// A validator at the first free place.
    pub fn validator(hotkey: impl Into<String>, stake: u64) -> Self {
        Self { stake, validator_permit: true, ..Self::new(hotkey) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedFile {
    netuid: Option<u16>,
    #[serde(default)]
    neurons: Vec<NeuronSeed>,
}

const NETUID: &str = "netuid must be 1 to 4095";

fn is_netuid(netuid: u16) -> bool {
    (1..4_096).contains(&netuid)
}

impl Config {
    /// Checks the fields against each other.
    pub fn validate(&self) -> Result<(), String> {
        if !SPECS.contains(&self.spec) {
            return Err(format!("spec must be one of {SPECS:?}"));
        }
        if !is_netuid(self.netuid) {
            return Err(NETUID.to_owned());
        }
        if self.block_ms != 0 && !(10..=600_000).contains(&self.block_ms) {
            return Err("block_ms must be 10 to 600000, or 0 for blocks on demand".to_owned());
        }
        if self.block_ms == 0 && !self.control {
            return Err("block_ms = 0 needs control = true: otherwise no block would ever be made".to_owned());
        }
        if self.finality_lag > 100 {
            return Err("finality_lag must be at most 100".to_owned());
        }
        Ok(())
    }

    /// The subnet and the neurons, with the seed file's.
    pub(crate) fn seeds(&self) -> Result<(u16, Vec<NeuronSeed>), Error> {
        let mut neurons = self.neurons.clone();
        let Some(path) = &self.seed_file else { return Ok((self.netuid, neurons)) };
        let unusable = |reason: String| Error::Seed { path: path.clone(), reason };
        let length = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?.len();
        if length > SEED_FILE_LIMIT {
            return Err(unusable(format!("it has more than {SEED_FILE_LIMIT} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
        let seed: SeedFile = toml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        neurons.extend(seed.neurons);
        match seed.netuid.unwrap_or(self.netuid) {
            netuid if is_netuid(netuid) => Ok((netuid, neurons)),
            _ => Err(unusable(NETUID.to_owned())),
        }
    }

    /// The folder with the metadata.
    pub(crate) fn metadata_dir(&self) -> PathBuf {
        if let Some(folder) = &self.metadata_dir {
            return folder.clone();
        }
        let here = PathBuf::from(VENDOR);
        if here.is_dir() { here } else { PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(VENDOR) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_seed_file_adds_neurons_and_names_the_subnet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed.toml");
        std::fs::write(&path, "netuid = 7\n[[neurons]]\nuid = 3\nhotkey = \"//Alice\"\nstake = 5\n").unwrap();
        let config =
            Config { seed_file: Some(path.clone()), neurons: vec![NeuronSeed::new("//Bob")], ..Config::default() };
        let (netuid, neurons) = config.seeds().unwrap();
        assert_eq!(netuid, 7);
        assert_eq!(neurons[1], NeuronSeed { uid: Some(3), stake: 5, ..NeuronSeed::new("//Alice") });

        for (text, reason) in [("neuron = 1", "neurons"), ("netuid = 0", "1 to 4095"), ("netuid = 4096", "1 to 4095")] {
            std::fs::write(&path, text).unwrap();
            let refused = config.seeds().unwrap_err().to_string();
            assert!(refused.contains("seed.toml") && refused.contains(reason), "{refused}");
        }
    }

    #[test]
    fn blocks_on_demand_need_the_control_interface() {
        assert!(Config { block_ms: 0, ..Config::default() }.validate().is_err());
        assert!(Config { block_ms: 0, control: true, ..Config::default() }.validate().is_ok());
        assert!(Config { block_ms: 1, ..Config::default() }.validate().is_err());
    }

    #[test]
    fn a_configuration_that_contradicts_itself_makes_no_chain() {
        for (config, reason) in [
            (Config { netuid: 0, ..Config::default() }, "netuid"),
            (Config { block_ms: 0, ..Config::default() }, "block_ms"),
            (Config { finality_lag: 101, ..Config::default() }, "finality_lag"),
        ] {
            let refused = crate::Devchain::new(&config).err().map(|error| error.to_string());
            assert!(refused.as_ref().is_some_and(|refused| refused.contains(reason)), "{refused:?}");
        }
    }

    #[test]
    fn only_runtimes_whose_metadata_is_fetched_can_be_chosen() {
        assert!(Config { spec: 419, ..Config::default() }.validate().is_ok());
        let refused = Config { spec: 420, ..Config::default() }.validate().unwrap_err();
        assert!(refused.contains("461") && refused.contains("419"), "{refused}");
    }
}
