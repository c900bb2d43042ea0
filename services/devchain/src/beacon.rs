//! The chain's own beacon, in place of drand: sealed weights are for its rounds, and open when a round has come.
//!
//! The real chain carries drand's signatures in; a development chain reaches nobody, so it signs the rounds itself, by its own
//! clock. What was sealed for the real drand never opens here.

use kinitro_timelock::{Beacon, BeaconKey, TimelockError};
use parity_scale_codec::Encode;

/// Seconds from one round to the next, as drand's quicknet.
const PERIOD: u32 = 3;
const SCHEME: &[u8] = b"bls-unchained-g1-rfc9380";
const NAME: &[u8] = b"kinitro-devchain";

pub(crate) struct ChainBeacon {
    key: BeaconKey,
    beacon: Beacon,
    genesis_time: u32,
}

impl ChainBeacon {
    /// A new beacon whose first round is at this time.
    pub(crate) fn new(genesis_ms: u64) -> Result<Self, TimelockError> {
        let genesis_time = u32::try_from(genesis_ms / 1_000).unwrap_or(u32::MAX);
        let key = BeaconKey::generate();
        let beacon = key.beacon(genesis_time.into(), PERIOD.into())?;
        Ok(Self { key, beacon, genesis_time })
    }

    /// The newest round that is signed at a time.
    pub(crate) fn round_at(&self, now_ms: u64) -> u64 {
        self.beacon.round_at(now_ms / 1_000)
    }

    /// `Drand.BeaconConfig`: the public key, the period, the time of the first round, two hashes that nobody checks, the
    /// scheme's name and the beacon's.
    pub(crate) fn config(&self) -> impl Encode {
        let hash = sp_crypto_hashing::blake2_256(self.beacon.public_key()).to_vec();
        (
            self.beacon.public_key().to_vec(),
            PERIOD,
            self.genesis_time,
            hash.clone(),
            hash,
            SCHEME.to_vec(),
            NAME.to_vec(),
        )
    }

    /// Opens what was sealed for a round.
    pub(crate) fn open(&self, sealed: &[u8], round: u64) -> Result<Vec<u8>, TimelockError> {
        kinitro_timelock::decrypt(sealed, &self.key.sign(round)?)
    }

    #[cfg(test)]
    pub(crate) fn seal(&self, message: &[u8], round: u64) -> Result<Vec<u8>, TimelockError> {
        kinitro_timelock::encrypt(&self.beacon, round, message)
    }
}
