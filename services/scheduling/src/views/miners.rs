use std::collections::HashMap;

use kinitro_proto::scheduling::v1::{ListMinersResponse, Miner};

use super::timestamp;
use crate::{cycles::Cycles, error::CycleError};

impl Cycles {
    /// The miners as the public may see them: a sealed endpoint is left out.
    pub async fn list_miners(&self) -> Result<ListMinersResponse, CycleError> {
        let list = self.ingestion.list().await?;
        let evaluated: HashMap<String, i64> = sqlx::query!(
            r#"SELECT hotkey, (extract(epoch FROM last_evaluated) * 1000000)::bigint AS "last_us!"
                 FROM scheduling.evaluated_miners"#
        )
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .map(|row| (row.hotkey, row.last_us))
        .collect();
        let miners = list
            .miners
            .iter()
            .map(|miner| {
                let public = !miner.endpoint_encrypted && !miner.endpoint.is_empty();
                Miner {
                    uid: miner.uid,
                    hotkey: miner.hotkey.clone(),
                    endpoint: public.then(|| miner.endpoint.clone()),
                    last_evaluated: evaluated.get(&miner.hotkey).copied().map(timestamp),
                    status: miner.status.clone(),
                    status_reason: (!miner.status_reason.is_empty()).then(|| miner.status_reason.clone()),
                    repo: miner.repo.clone(),
                    revision: miner.revision.clone(),
                    endpoint_encrypted: miner.endpoint_encrypted,
                    first_commit_block: miner.first_commit_block,
                }
            })
            .collect();
        Ok(ListMinersResponse { miners })
    }
}
