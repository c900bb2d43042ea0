use kinitro_database::unsigned;
use kinitro_proto::scheduling::v1::EvaluationMetrics;

use crate::{
    cycles::Cycles,
    database::{Which, find_cycle},
    error::CycleError,
};

/// Upper bounds of the histogram of durations, in seconds.
const DURATION_BOUNDS: [f64; 10] = [10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];

impl Cycles {
    /// Figures over all scored cycles. Read from Postgres, so a restart does not reset them.
    pub async fn evaluation_metrics(&self) -> Result<EvaluationMetrics, CycleError> {
        let mut snapshot = self.pool.begin().await?;
        sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *snapshot).await?;
        let totals = sqlx::query!(
            r#"SELECT count(*) FILTER (WHERE state <> 'unscored') AS "cycles!",
                      count(*) FILTER (WHERE state = 'unscored') AS "unscored!",
                      coalesce(sum(extract(epoch FROM closed_at - started_at)::float8) FILTER (WHERE state <> 'unscored'), 0)
                          AS "seconds!"
                 FROM scheduling.cycles
                WHERE state IN ('completed', 'timed_out', 'unscored')"#
        )
        .fetch_one(&mut *snapshot)
        .await?;
        let duration_counts = sqlx::query_scalar!(
            r#"SELECT count(c.id) AS "count!"
                 FROM unnest($1::float8[]) AS b (bound)
                 LEFT JOIN scheduling.cycles c
                        ON c.state IN ('completed', 'timed_out')
                       AND extract(epoch FROM c.closed_at - c.started_at)::float8 <= b.bound
                GROUP BY b.bound
                ORDER BY b.bound"#,
            &DURATION_BOUNDS[..],
        )
        .fetch_all(&mut *snapshot)
        .await?;
        snapshot.commit().await?;
        // Asked so that the count is of now when ingestion is there; what is known otherwise is used when it is not.
        if let Err(error) = self.ingestion.list().await {
            tracing::debug!(%error, "active miners are counted as last known");
        }
        let newest = find_cycle(&self.pool, Which::Newest).await?;
        Ok(EvaluationMetrics {
            eval_cycles_total: unsigned(totals.cycles),
            duration_bounds: DURATION_BOUNDS.to_vec(),
            duration_counts: duration_counts.into_iter().map(unsigned).collect(),
            duration_sum: totals.seconds,
            miners_active: self.miner_counts(newest.as_ref()).await.active,
            eval_cycles_unscored_total: unsigned(totals.unscored),
        })
    }
}
