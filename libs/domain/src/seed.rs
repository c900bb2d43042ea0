//! Episode seeds from a cycle's secret.
//!
//! All miners of a cycle meet the same episodes. Before the cycle nobody can know its seeds, because the secret is random;
//! during it nobody can steer them, because the secret's hash is published at its start; after it everybody can check them,
//! because the secret is published at its end.
//!
//! An attempt that showed the policy an observation and brought no result is followed by one on another seed, so that no policy sees a
//! scene twice. That seed comes from the same secret, the environment, the index, and the number of the drawing; the miner is no part of
//! it, so two miners who lost the same episode once meet the same new scene.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::EnvId;

/// Separates this use of the secret from every other one.
const DOMAIN: &[u8] = b"kinitro/episode-seed/1\0";
/// The same for seeds that are drawn anew.
const DRAWN_ANEW: &[u8] = b"kinitro/episode-seed-drawn-anew/1\0";

/// Decides everything random in one episode. 32 bits, because that is what the random generators of existing executors accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpisodeSeed(pub u32);

/// 32 random bytes from which all seeds of one cycle come. Its `Debug` shows only the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct CycleSecret([u8; 32]);

/// Why a text is no [`CycleSecret`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cycle secret must be 64 hex digits")]
pub struct CycleSecretError;

impl CycleSecret {
    /// A new secret from the operating system's generator.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// A secret that was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A secret that was published.
    pub fn from_hex(text: &str) -> Result<Self, CycleSecretError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| CycleSecretError)?;
        Ok(Self(bytes))
    }

    /// For storing it, and for publishing it once the cycle ended.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of the secret, hex: published when the cycle starts.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.0))
    }

    /// The seed of episode `index` in an environment, the same for all miners: the first four bytes, little-endian, of
    /// HMAC-SHA256(secret, `kinitro/episode-seed/1` ‖ 0 ‖ environment ‖ 0 ‖ index as u64 little-endian). The miner is no part of it.
    pub fn episode_seed(&self, env_id: &EnvId, index: u64) -> EpisodeSeed {
        self.derive(DOMAIN, env_id, &index.to_le_bytes())
    }

    /// The seed of an episode that was drawn anew so often: that of [`episode_seed`](Self::episode_seed) for 0, else the first four bytes,
    /// little-endian, of HMAC-SHA256(secret, `kinitro/episode-seed-drawn-anew/1` ‖ 0 ‖ environment ‖ 0 ‖ index as u64 little-endian ‖
    /// draw as u32 little-endian).
    pub fn drawn_seed(&self, env_id: &EnvId, index: u64, draw: u32) -> EpisodeSeed {
        if draw == 0 {
            return self.episode_seed(env_id, index);
        }
        let mut place = [0; 12];
        place[..8].copy_from_slice(&index.to_le_bytes());
        place[8..].copy_from_slice(&draw.to_le_bytes());
        self.derive(DRAWN_ANEW, env_id, &place)
    }

    fn derive(&self, domain: &[u8], env_id: &EnvId, place: &[u8]) -> EpisodeSeed {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(domain);
        mac.update(env_id.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(place);
        let digest = mac.finalize().into_bytes();
        EpisodeSeed(u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]))
    }
}

impl fmt::Debug for CycleSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CycleSecret(sha256 {})", self.hash())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_can_be_recomputed_from_the_published_secret() {
        // Independent computation: python3 -c "import hmac,hashlib; print(int.from_bytes(hmac.new(bytes(range(32)),
        // b'kinitro/episode-seed/1\0metaworld/push-v3\0'+(7).to_bytes(8,'little'),hashlib.sha256).digest()[:4],'little'))"
        let secret = CycleSecret::from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let secret = secret.expect("64 hex digits");
        let env_id = "metaworld/push-v3".parse().expect("a valid id");
        assert_eq!(secret.episode_seed(&env_id, 7), EpisodeSeed(1431010311));
        assert_eq!(secret.drawn_seed(&env_id, 7, 0), EpisodeSeed(1431010311));
        // The same with b'kinitro/episode-seed-drawn-anew/1\0metaworld/push-v3\0'+(7).to_bytes(8,'little')+(1).to_bytes(4,'little'), and 2.
        assert_eq!(secret.drawn_seed(&env_id, 7, 1), EpisodeSeed(281779686));
        assert_eq!(secret.drawn_seed(&env_id, 7, 2), EpisodeSeed(1240057320));
        assert_eq!(secret.hash(), "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd");
    }

    #[test]
    fn seeds_differ_by_environment_and_index() {
        let secret = CycleSecret::random();
        let seeds: BTreeSet<_> = ["metaworld/push-v3", "metaworld/reach-v3"]
            .iter()
            .flat_map(|id| (0..50).map(|i| secret.episode_seed(&id.parse().expect("a valid id"), i)))
            .collect();
        assert!(seeds.len() >= 99, "{} different seeds of 100", seeds.len());
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let secret = CycleSecret::from_bytes([7; 32]);
        assert!(!format!("{secret:?}").contains("0707"));
    }
}
