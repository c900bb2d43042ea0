//! The beacon that the chain opens sealed weights with.

use kinitro_timelock::Beacon;
use scale_value::{At as _, Composite, Value, ValueDef};

use crate::{BlockHash, ChainClient, ChainError, reader::Reader, value};

impl ChainClient {
    /// The beacon at a block: what the chain's administrators set, or the default of its metadata.
    pub async fn beacon_at(&self, block: BlockHash) -> Result<Beacon, ChainError> {
        const TASK: &str = "reading the chain's beacon";
        self.reading(TASK, async {
            let (connection, at) = self.at(block, TASK).await?;
            let read = Reader { connection: &connection, at: &at, pallet: "Drand", task: TASK };
            let config: Value = read.needed("BeaconConfig", Vec::new()).await?;
            let lacks = |field| connection.failed(TASK, format!("Drand.BeaconConfig has no usable {field}"));
            let number = |field| {
                let number = config.at(field).and_then(value::number).and_then(|number| u64::try_from(number).ok());
                number.ok_or_else(|| lacks(field))
            };
            let key = config.at("public_key").and_then(composite).and_then(value::bytes);
            let key = key.ok_or_else(|| lacks("public_key"))?;
            let beacon = Beacon::new(&key, number("genesis_time")?, number("period")?);
            beacon.map_err(|error| connection.failed(TASK, error))
        })
        .await
    }
}

fn composite(value: &Value) -> Option<&Composite<()>> {
    match &value.value {
        ValueDef::Composite(composite) => Some(composite),
        _ => None,
    }
}
