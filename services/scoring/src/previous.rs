//! The weights that stood until a cycle was scored: what a miner that could not be evaluated keeps.

use std::collections::BTreeMap;

use kinitro_database::{stored, unsigned, unsigned32};
use kinitro_domain::Hotkey;
use sqlx::{PgExecutor, PgPool};

use crate::{publish::Previous, store::StoreError};

/// Those before a cycle that was announced: of the newest cycle before it that has any.
pub(crate) async fn before(pool: &PgPool, cycle_id: u64) -> Result<Option<Previous>, StoreError> {
    let previous = sqlx::query_scalar!(
        "SELECT cycle_id FROM scoring.cycles JOIN scoring.announced_cycles USING (cycle_id)
         WHERE weights_kept IS NULL
           AND number < (SELECT number FROM scoring.announced_cycles WHERE cycle_id = $1)
         ORDER BY number DESC LIMIT 1",
        stored(cycle_id)
    );
    match previous.fetch_optional(pool).await? {
        Some(previous) => Ok(Some(of(pool, previous).await?)),
        None => Ok(None),
    }
}

/// Those of a cycle. What was burnt was earned by nobody: a miner at the burn uid has nothing of it to keep.
pub(crate) async fn of(executor: impl PgExecutor<'_>, cycle_id: i64) -> Result<Previous, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT hotkey, CASE WHEN uid = burn_uid THEN 0 ELSE weight END AS "weight!", not_evaluated
             FROM scoring.weights JOIN scoring.scores USING (cycle_id, uid) JOIN scoring.cycles USING (cycle_id)
            WHERE cycle_id = $1 ORDER BY uid"#,
        cycle_id
    )
    .fetch_all(executor)
    .await?;
    let mut miners = BTreeMap::new();
    for row in rows {
        // What is no hotkey was never evaluated, and the first of two places is the older one.
        if let Ok(hotkey) = Hotkey::try_from(row.hotkey) {
            miners.entry(hotkey).or_insert((row.weight, row.not_evaluated.map_or(0, unsigned32)));
        }
    }
    Ok(Previous { cycle_id: unsigned(cycle_id), miners })
}
