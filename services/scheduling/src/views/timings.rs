use kinitro_database::unsigned32;
use kinitro_domain::CycleId;
use kinitro_proto::scheduling::v1::{ListTimingsResponse, Timing};

use crate::{
    cycles::Cycles,
    database::{Which, find_cycle},
    error::CycleError,
};

impl Cycles {
    /// How quick the policies were in a cycle; without an id in the running one, else the newest. It reads all tasks of the cycle.
    pub async fn list_timings(&self, id: Option<CycleId>) -> Result<ListTimingsResponse, CycleError> {
        let cycle = find_cycle(&self.pool, id.map_or(Which::Newest, Which::Id)).await?.ok_or(CycleError::NotFound)?;
        let rows = sqlx::query!(
            r#"SELECT t.uid, t.env_id, count(*) AS "episodes!",
                      coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.policy_p50_seconds)
                          FILTER (WHERE t.policy_max_seconds > 0), 0) AS "policy_p50!",
                      coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.policy_p99_seconds)
                          FILTER (WHERE t.policy_max_seconds > 0), 0) AS "policy_p99!",
                      coalesce(max(t.policy_max_seconds), 0) AS "policy_max!",
                      coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.duration_seconds), 0) AS "duration!",
                      coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.policy_seconds), 0) AS "policy!",
                      coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.simulation_seconds), 0) AS "simulation!",
                      coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.render_seconds), 0) AS "render!",
                      coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.queue_seconds), 0) AS "queue!",
                      coalesce(percentile_cont(0.5) WITHIN GROUP (
                          ORDER BY greatest(0, extract(epoch FROM t.first_leased_at - t.created_at))::float8)
                          FILTER (WHERE t.first_leased_at IS NOT NULL), 0) AS "waiting!"
                 FROM scheduling.tasks t
                 JOIN scheduling.cycles c ON c.id = t.cycle_id
                WHERE t.cycle_id = $1 AND t.state = 'completed'
                GROUP BY t.uid, t.env_id, array_position(c.env_ids, t.env_id)
                ORDER BY t.uid, array_position(c.env_ids, t.env_id)"#,
            cycle.id
        )
        .fetch_all(&self.pool)
        .await?;
        let timings = rows
            .into_iter()
            .map(|row| Timing {
                miner_uid: unsigned32(i64::from(row.uid)),
                env_id: row.env_id,
                episodes: unsigned32(row.episodes),
                policy_p50_seconds: row.policy_p50,
                policy_p99_seconds: row.policy_p99,
                policy_max_seconds: row.policy_max,
                duration_seconds: row.duration,
                policy_seconds: row.policy,
                simulation_seconds: row.simulation,
                render_seconds: row.render,
                queue_seconds: row.queue,
                waiting_seconds: row.waiting,
            })
            .collect();
        Ok(ListTimingsResponse { timings })
    }
}
