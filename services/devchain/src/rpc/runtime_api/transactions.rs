//! What the runtime says about a transaction before it is sent. Nothing costs a fee here.

use parity_scale_codec::Encode as _;

use super::encode::{Given, Record};
use crate::{
    Error,
    block::Hash,
    chain::Chain,
    extrinsic::{Era, Extrinsic, Invalid},
    runtime::Execution,
    state::State,
};

/// The answer of `query_info`: the class `Normal`, no weight, no fee.
pub(super) struct Free;

impl Record for Free {
    fn field(&self, name: &str, _: usize) -> Result<Option<Given<'_>>, Error> {
        Ok((name == "class").then(|| Given::Variant("Normal", Vec::new())))
    }
}

struct Valid {
    requires: Vec<Vec<u8>>,
    provides: Vec<u8>,
    longevity: u64,
}

impl Record for Valid {
    fn field(&self, name: &str, _: usize) -> Result<Option<Given<'_>>, Error> {
        Ok(match name {
            "requires" => Some(Given::List(self.requires.iter().cloned().map(Given::Bytes).collect())),
            "provides" => Some(Given::List(vec![Given::Bytes(self.provides.clone())])),
            "longevity" => Some(Given::Number(self.longevity.into())),
            "propagate" => Some(Given::Bool(true)),
            _ => None,
        })
    }
}

/// Whether a transaction could be in the block after this one.
pub(super) fn validate(
    chain: &Chain,
    state: &State,
    current: u64,
    bytes: &[u8],
) -> Result<Result<Given<'static>, Invalid>, Error> {
    let extrinsic = match Extrinsic::decode(&chain.meta, bytes) {
        Ok(extrinsic) => extrinsic,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let refused = |reason| {
        let invalid = Given::Variant("Invalid", vec![Given::Variant(reason, Vec::new())]);
        Ok(Ok(Given::Variant("Err", vec![invalid])))
    };
    // As seen from the block that it would be in.
    let made = current + 1;
    let birth = extrinsic.era.birth(made);
    let Some(born) = chain.hash_at(birth) else { return refused("AncientBirthBlock") };
    let genesis: Hash = chain.genesis();
    if !extrinsic.signature_is_good(&chain.meta, &genesis, &born) {
        return refused("BadProof");
    }
    let (account, nonce) = (extrinsic.account, extrinsic.nonce);
    let stored = Execution::nonce(&chain.meta, state, &account)?;
    if nonce < stored {
        return refused("Stale");
    }
    let longevity = match extrinsic.era {
        Era::Immortal => u64::MAX,
        Era::Mortal { period, .. } => (birth + period).saturating_sub(made),
    };
    let requires = if nonce > stored { vec![(account, nonce - 1).encode()] } else { Vec::new() };
    let valid = Valid { requires, provides: (account, nonce).encode(), longevity };
    Ok(Ok(Given::Variant("Ok", vec![Given::Record(Box::new(valid))])))
}
