//! A drand beacon: who signs, and when.

use ark_bls12_381::{Bls12_381, G1Affine, G2Affine};
use ark_ec::{AffineRepr as _, pairing::Pairing as _};
use ark_ff::Zero as _;
use ark_serialize::CanonicalDeserialize as _;

use crate::{TimelockError, identity};

/// Bytes of a beacon's signature.
pub const SIGNATURE_LENGTH: usize = 48;

/// Bytes of a beacon's public key.
pub(crate) const PUBLIC_KEY_LENGTH: usize = 96;

// drand's quicknet, chain hash 52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971.
const QUICKNET_KEY: [u8; PUBLIC_KEY_LENGTH] = [
    0x83, 0xcf, 0x0f, 0x28, 0x96, 0xad, 0xee, 0x7e, 0xb8, 0xb5, 0xf0, 0x1f, 0xca, 0xd3, 0x91, 0x22, 0x12, 0xc4, 0x37,
    0xe0, 0x07, 0x3e, 0x91, 0x1f, 0xb9, 0x00, 0x22, 0xd3, 0xe7, 0x60, 0x18, 0x3c, 0x8c, 0x4b, 0x45, 0x0b, 0x6a, 0x0a,
    0x6c, 0x3a, 0xc6, 0xa5, 0x77, 0x6a, 0x2d, 0x10, 0x64, 0x51, 0x0d, 0x1f, 0xec, 0x75, 0x8c, 0x92, 0x1c, 0xc2, 0x2b,
    0x0e, 0x17, 0xe6, 0x3a, 0xaf, 0x4b, 0xcb, 0x5e, 0xd6, 0x63, 0x04, 0xde, 0x9c, 0xf8, 0x09, 0xbd, 0x27, 0x4c, 0xa7,
    0x3b, 0xab, 0x4a, 0xf5, 0xa6, 0xe9, 0xc7, 0x6a, 0x4b, 0xc0, 0x9e, 0x76, 0xea, 0xe8, 0x99, 0x1e, 0xf5, 0xec, 0xe4,
    0x5a,
];
const QUICKNET_GENESIS: u64 = 1_692_803_367;
const QUICKNET_PERIOD: u64 = 3;

/// A beacon that signs one round after the other, at fixed times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beacon {
    point: G2Affine,
    public_key: [u8; PUBLIC_KEY_LENGTH],
    genesis_time: u64,
    period: u64,
}

impl Beacon {
    /// The beacon with this public key (compressed G2), whose first round is at `genesis_time` (seconds since 1970) and which
    /// signs a round every `period` seconds.
    ///
    /// # Errors
    ///
    /// The key is no point of the prime-order group, or it is the point that everybody knows the secret of; or the period is 0.
    pub fn new(public_key: &[u8], genesis_time: u64, period: u64) -> Result<Self, TimelockError> {
        let public_key: [u8; PUBLIC_KEY_LENGTH] = public_key.try_into().map_err(|_| TimelockError::PublicKey)?;
        let point = G2Affine::deserialize_compressed(public_key.as_slice()).map_err(|_| TimelockError::PublicKey)?;
        if point.is_zero() {
            return Err(TimelockError::PublicKey);
        }
        if period == 0 {
            return Err(TimelockError::Period);
        }
        Ok(Self { point, public_key, genesis_time, period })
    }

    /// drand's quicknet, the beacon of mainnet and testnet.
    pub fn quicknet() -> Self {
        Self::new(&QUICKNET_KEY, QUICKNET_GENESIS, QUICKNET_PERIOD).expect("quicknet's key is a point of the group")
    }

    /// The public key, a compressed G2 point of 96 bytes.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// When round 1 is signed, in seconds since 1970.
    pub fn genesis_time(&self) -> u64 {
        self.genesis_time
    }

    /// Seconds from one round to the next.
    pub fn period(&self) -> u64 {
        self.period
    }

    /// The newest round that is signed at this time (seconds since 1970), or 0 before the first.
    pub fn round_at(&self, unix_seconds: u64) -> u64 {
        match unix_seconds.checked_sub(self.genesis_time) {
            Some(since) => (since / self.period).saturating_add(1),
            None => 0,
        }
    }

    /// When this round is signed, in seconds since 1970; the end of time for a round too far away to tell.
    pub fn time_of(&self, round: u64) -> u64 {
        round.saturating_sub(1).saturating_mul(self.period).saturating_add(self.genesis_time)
    }

    pub(crate) fn point(&self) -> G2Affine {
        self.point
    }
}

/// Checks that this is the beacon's signature of this round.
///
/// # Errors
///
/// The bytes are no signature, or another round's, or another beacon's.
pub fn verify(beacon: &Beacon, round: u64, signature: &[u8]) -> Result<(), TimelockError> {
    let signature = read_signature(signature)?;
    let identity = identity::of_round(round)?;
    // e(signature, G2) = e(identity, public key), as one product.
    let product = Bls12_381::multi_pairing([signature, -identity], [G2Affine::generator(), beacon.point]);
    if product.is_zero() { Ok(()) } else { Err(TimelockError::WrongSignature) }
}

pub(crate) fn read_signature(bytes: &[u8]) -> Result<G1Affine, TimelockError> {
    let bytes: &[u8; SIGNATURE_LENGTH] = bytes.try_into().map_err(|_| TimelockError::Signature)?;
    let point = G1Affine::deserialize_compressed(bytes.as_slice()).map_err(|_| TimelockError::Signature)?;
    if point.is_zero() { Err(TimelockError::Signature) } else { Ok(point) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn quicknet_signs_a_round_every_three_seconds_from_its_genesis() {
        let quicknet = Beacon::quicknet();
        assert_eq!(quicknet.round_at(0), 0);
        assert_eq!(quicknet.round_at(QUICKNET_GENESIS - 1), 0);
        assert_eq!(quicknet.round_at(QUICKNET_GENESIS), 1);
        assert_eq!(quicknet.round_at(QUICKNET_GENESIS + 2), 1);
        assert_eq!(quicknet.round_at(QUICKNET_GENESIS + 3), 2);
        assert_eq!(quicknet.time_of(1), QUICKNET_GENESIS);
        assert_eq!(quicknet.time_of(1000), QUICKNET_GENESIS + 2997);
        assert_eq!(quicknet.round_at(quicknet.time_of(17_200_000)), 17_200_000);
        assert_eq!(quicknet.round_at(quicknet.time_of(17_200_000) - 1), 17_199_999);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let beacon = Beacon::new(&QUICKNET_KEY, 0, 1).unwrap();
        assert_eq!(beacon.round_at(u64::MAX), u64::MAX);
        assert_eq!(Beacon::quicknet().time_of(u64::MAX), u64::MAX);
        assert_eq!(Beacon::quicknet().time_of(0), QUICKNET_GENESIS);
    }

    #[test]
    fn a_public_key_that_is_no_point_of_the_group_is_refused() {
        let refused = |key: &[u8]| Beacon::new(key, 0, 3) == Err(TimelockError::PublicKey);
        assert!(refused(&[]));
        assert!(refused(&QUICKNET_KEY[..95]));
        assert!(refused(&[0; 96]));
        // The point at infinity: a beacon whose every signature is known.
        let mut infinity = [0; 96];
        infinity[0] = 0xc0;
        assert!(refused(&infinity));
        // Among the keys with another last byte there are points of the curve; none is in the group.
        for last in (0..=u8::MAX).filter(|last| *last != 0x5a) {
            let mut key = QUICKNET_KEY;
            key[95] = last;
            assert!(refused(&key), "{last}");
        }
    }

    #[test]
    fn a_beacon_without_a_period_is_refused() {
        assert_eq!(Beacon::new(&QUICKNET_KEY, 0, 0), Err(TimelockError::Period));
    }
}
