use std::collections::HashMap;

use kinitro_domain::catalogued;
use kinitro_proto::scheduling::v1::{Environment, ListEnvironmentsResponse};

use kinitro_database::unsigned;

use crate::{cycles::Cycles, error::CycleError};

impl Cycles {
    /// The environments that cycles play, with what all scored cycles counted in them.
    pub async fn list_environments(&self) -> Result<ListEnvironmentsResponse, CycleError> {
        let totals: HashMap<String, (u64, u64)> = sqlx::query!(
            r#"SELECT env_id, sum(counted)::bigint AS "counted!", sum(successes)::bigint AS "successes!"
                 FROM scheduling.cycle_environments
                GROUP BY env_id"#
        )
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .map(|row| (row.env_id, (unsigned(row.counted), unsigned(row.successes))))
        .collect();
        let environments = self
            .environments
            .iter()
            .map(|id| {
                let (counted, successes) = totals.get(id.as_str()).copied().unwrap_or_default();
                Environment {
                    env_id: id.to_string(),
                    env_name: id.name().to_owned(),
                    task_name: catalogued(id).map_or(id.name(), |entry| entry.title).to_owned(),
                    family: id.family().to_owned(),
                    n_evaluations: counted,
                    avg_success_rate: if counted == 0 { 0.0 } else { successes as f64 / counted as f64 },
                }
            })
            .collect();
        Ok(ListEnvironmentsResponse { environments })
    }
}
