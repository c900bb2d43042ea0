//! A round as an identity: the point that the beacon signs, and the sealing of a 32-byte key for it.

use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine, g1};
use ark_ec::{
    AffineRepr as _, CurveGroup as _,
    hashing::{HashToCurve as _, curve_maps::wb::WBMap, map_to_curve_hasher::MapToCurveBasedHasher},
    pairing::Pairing as _,
};
use ark_ff::{PrimeField as _, field_hashers::DefaultFieldHasher};
use ark_serialize::CanonicalSerialize as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::TimelockError;

const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

type Hasher = MapToCurveBasedHasher<G1Projective, DefaultFieldHasher<Sha256, 128>, WBMap<g1::Config>>;

/// A key sealed for a round: FullIdent's U, V and W.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedKey {
    pub(crate) u: G2Affine,
    pub(crate) v: [u8; 32],
    pub(crate) w: [u8; 32],
}

/// The point of G1 that a beacon multiplies with its secret to sign the round.
pub(crate) fn of_round(round: u64) -> Result<G1Affine, TimelockError> {
    if round == 0 {
        return Err(TimelockError::Round);
    }
    let message = Sha256::digest(round.to_be_bytes());
    let hasher = Hasher::new(DOMAIN).expect("the domain is short enough");
    Ok(hasher.hash(&message).expect("the map is defined for every field element"))
}

/// Seals `key` for the holder of the signature of `identity`. `sigma` is 32 random bytes, never used twice.
pub(crate) fn seal(public_key: G2Affine, identity: G1Affine, key: &[u8; 32], sigma: &[u8; 32]) -> SealedKey {
    let r = exponent(sigma, key);
    let mask = pairing_mask(identity, (public_key * r).into_affine());
    SealedKey {
        u: (G2Affine::generator() * r).into_affine(),
        v: xor(sigma, &mask),
        w: xor(key, &Sha256::digest(sigma).into()),
    }
}

/// The key that was sealed, or `None` when this is not the signature that opens it or the sealed key was altered.
pub(crate) fn open(sealed: &SealedKey, signature: G1Affine) -> Option<Zeroizing<[u8; 32]>> {
    let sigma = Zeroizing::new(xor(&sealed.v, &pairing_mask(signature, sealed.u)));
    let key = Zeroizing::new(xor(&sealed.w, &Sha256::digest(*sigma).into()));
    let u = G2Affine::generator() * exponent(&sigma, &key);
    (u.into_affine() == sealed.u).then_some(key)
}

// H3 of the scheme.
fn exponent(sigma: &[u8; 32], key: &[u8; 32]) -> Fr {
    Fr::from_be_bytes_mod_order(&Sha256::new().chain_update(sigma).chain_update(key).finalize())
}

// H2 of the scheme, of the pairing.
fn pairing_mask(left: G1Affine, right: G2Affine) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(12 * 48);
    Bls12_381::pairing(left, right).0.serialize_compressed(&mut bytes).expect("writing to memory cannot fail");
    Sha256::digest(&bytes).into()
}

fn xor(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|at| left[at] ^ right[at])
}
