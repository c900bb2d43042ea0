//! A beacon of one's own: the secret that signs rounds, for development chains.

use std::fmt;

use ark_bls12_381::{Fr, G2Affine};
use ark_ec::{AffineRepr as _, CurveGroup as _};
use ark_ff::PrimeField as _;
use ark_serialize::CanonicalSerialize as _;
use sha2::{Digest as _, Sha512};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Beacon, SIGNATURE_LENGTH, TimelockError, beacon::PUBLIC_KEY_LENGTH, identity};

/// The secret of a beacon. Whoever has it opens everything that was ever sealed for the beacon, at any time: a development chain
/// has one, a real chain never.
pub struct BeaconKey(Fr);

impl BeaconKey {
    /// A new secret from the operating system's random bytes.
    pub fn generate() -> Self {
        Self::from_seed(&Zeroizing::new(rand::random()))
    }

    /// The secret that belongs to a seed: the same seed gives the same beacon.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut wide = Sha512::new().chain_update(b"kinitro beacon secret").chain_update(seed).finalize();
        let secret = Fr::from_be_bytes_mod_order(&wide);
        wide.as_mut_slice().zeroize();
        Self(secret)
    }

    /// The public side, whose first round is at `genesis_time` (seconds since 1970), with a round every `period` seconds.
    ///
    /// # Errors
    ///
    /// The period is 0.
    pub fn beacon(&self, genesis_time: u64, period: u64) -> Result<Beacon, TimelockError> {
        let mut bytes = Vec::with_capacity(PUBLIC_KEY_LENGTH);
        let point = (G2Affine::generator() * self.0).into_affine();
        point.serialize_compressed(&mut bytes).expect("writing to memory cannot fail");
        Beacon::new(&bytes, genesis_time, period)
    }

    /// Signs a round: a compressed G1 point. Nothing here asks for the time.
    ///
    /// # Errors
    ///
    /// Round 0.
    pub fn sign(&self, round: u64) -> Result<[u8; SIGNATURE_LENGTH], TimelockError> {
        let mut signature = [0; SIGNATURE_LENGTH];
        let point = (identity::of_round(round)? * self.0).into_affine();
        point.serialize_compressed(signature.as_mut_slice()).expect("a point of G1 has 48 bytes");
        Ok(signature)
    }
}

impl Drop for BeaconKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for BeaconKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BeaconKey(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_secret_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", BeaconKey::generate()), "BeaconKey(..)");
    }

    #[test]
    fn a_seed_gives_the_same_beacon_every_time_and_another_seed_another() {
        let beacon = |seed| BeaconKey::from_seed(&[seed; 32]).beacon(0, 1).unwrap();
        assert_eq!(beacon(1), beacon(1));
        assert_ne!(beacon(1), beacon(2));
    }
}
