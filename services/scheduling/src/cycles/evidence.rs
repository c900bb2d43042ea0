//! What Postgres holds about a closed cycle, read for its tallies.

use std::collections::BTreeMap;

use kinitro_database::{unsigned, unsigned32};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Cycles,
    lost::{Lost, held_against_miners},
    tally::{self, Played, Tallied},
};
use crate::{database::CycleRow, error::CycleError, tasks::host};

impl Cycles {
    /// What counts for every miner in every environment, and the lost attempts that are held against their miners, by task.
    pub(super) async fn tallied(
        &self,
        connection: &mut PgConnection,
        cycle: &CycleRow,
    ) -> Result<(Vec<Tallied>, Vec<Uuid>), CycleError> {
        let mut played = read_played(connection, cycle.id).await?;
        if tally::excuse_our_outage(&mut played, &read_hosts(connection, cycle.id).await?) {
            tracing::error!(
                cycle_id = cycle.id,
                "from some time on most hosts could not be reached and no policy was any more: what was left then counts for no miner; set \
                 KINITRO_EXECUTOR_BEACON, and our network can be told from theirs"
            );
        }
        let (tasks, lost) = read_lost(connection, cycle.id).await?;
        let mut episodes: BTreeMap<u32, u64> = BTreeMap::new();
        for group in &played {
            *episodes.entry(group.uid).or_default() += group.episodes.len() as u64;
        }
        let held = held_against_miners(&lost, &episodes, cycle.max_lost_share);
        let mut of_miner: BTreeMap<u32, usize> = BTreeMap::new();
        for attempt in &held {
            *of_miner.entry(attempt.uid).or_default() += 1;
        }
        for (uid, attempts) in of_miner {
            tracing::warn!(
                cycle_id = cycle.id,
                uid,
                attempts,
                "attempts of this miner alone were lost after it had seen an observation; they count as its failures"
            );
        }
        let positions = lost.iter().enumerate().filter(|(_, lost)| held.iter().any(|held| std::ptr::eq(*held, *lost)));
        let held_tasks = positions.map(|(position, _)| tasks[position]).collect();
        Ok((tally::settle(played, &held), held_tasks))
    }
}

/// One row for each miner and environment, in order of uid and then of the environment's place in the cycle.
///
/// The order of the sum is fixed, so that every try sends the same mean to the last bit. A reward is clamped to where no sum can
/// overflow.
async fn read_played(connection: &mut PgConnection, cycle_id: i64) -> Result<Vec<Played>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"WITH last_reached AS MATERIALIZED (
                   SELECT uid, max(completed_at) AS at FROM scheduling.tasks
                    WHERE cycle_id = $1 AND state = 'completed' AND cause NOT IN ('endpoint_refused', 'time_budget_exceeded')
                    GROUP BY uid)
           SELECT t.uid, t.env_id,
                  string_agg(CASE
                      WHEN t.state = 'completed' AND t.draws > 0 AND t.played_draw IS DISTINCT FROM 0
                          THEN CASE t.verdict WHEN 'success' THEN 's' ELSE 'f' END
                      WHEN t.state = 'completed' THEN CASE t.verdict WHEN 'success' THEN '1' ELSE '0' END
                      WHEN t.state = 'failed' AND (
                               t.cause = 'policy_unreachable'
                               -- Waiting for its next attempt when the cycle was closed, and not reached so far.
                               OR t.cause = 'cycle_closed' AND t.executor_id IS NULL AND t.error LIKE 'policy_unreachable:%'
                                  AND NOT EXISTS (SELECT 1 FROM scheduling.lost_attempts l WHERE l.task_id = t.id)
                                  AND EXISTS (SELECT 1 FROM scheduling.unreached_attempts u
                                               WHERE u.task_id = t.id AND u.beacon_reached IS NOT FALSE))
                          THEN CASE WHEN EXISTS (SELECT 1 FROM scheduling.unreached_attempts u
                                                  WHERE u.task_id = t.id AND u.beacon_reached)
                               THEN 'U'
                               -- Was another miner's policy reached after this one was not?
                               WHEN NOT EXISTS (SELECT 1 FROM last_reached l
                                                 WHERE l.uid <> t.uid
                                                   AND l.at > (SELECT min(u.ended_at) FROM scheduling.unreached_attempts u
                                                                WHERE u.task_id = t.id))
                                    AND EXISTS (SELECT 1 FROM scheduling.unreached_attempts u WHERE u.task_id = t.id)
                               THEN 'n' ELSE 'u' END
                      ELSE '-' END, '' ORDER BY t.episode) AS "letters!",
                  coalesce(sum(greatest(-1e300, least(1e300, t.total_reward)) ORDER BY t.episode)
                      FILTER (WHERE t.state = 'completed'), 0) AS "reward_sum!",
                  count(*) FILTER (WHERE t.state = 'completed'
                                     AND t.cause NOT IN ('endpoint_refused', 'time_budget_exceeded')) AS "reached!"
             FROM scheduling.tasks t
             JOIN scheduling.cycles c ON c.id = t.cycle_id
            WHERE t.cycle_id = $1
            GROUP BY t.uid, t.env_id, array_position(c.env_ids, t.env_id)
            ORDER BY t.uid, array_position(c.env_ids, t.env_id)"#,
        cycle_id
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let uid = unsigned32(i64::from(row.uid));
            Played::new(uid, row.env_id, &row.letters, row.reward_sum, unsigned(row.reached))
        })
        .collect())
}

/// The host of each miner's endpoint.
async fn read_hosts(connection: &mut PgConnection, cycle_id: i64) -> Result<BTreeMap<u32, String>, sqlx::Error> {
    let rows = sqlx::query!("SELECT uid, endpoint FROM scheduling.cycle_miners WHERE cycle_id = $1", cycle_id)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (unsigned32(i64::from(row.uid)), host(&row.endpoint))).collect())
}

/// The lost attempts of a cycle, and the task of each.
async fn read_lost(connection: &mut PgConnection, cycle_id: i64) -> Result<(Vec<Uuid>, Vec<Lost>), sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT l.task_id, l.uid, l.executor_id, t.env_id, t.episode,
                  (extract(epoch FROM l.ended_at) * 1000000)::bigint AS "ended_us!",
                  l.observed AS "reported!",
                  CASE WHEN t.state = 'completed' THEN coalesce(greatest(-1e300, least(1e300, t.total_reward)), 0) ELSE 0 END
                      AS "reward!"
             FROM scheduling.lost_attempts l JOIN scheduling.tasks t ON t.id = l.task_id
            WHERE l.cycle_id = $1
            ORDER BY l.uid, t.env_id, t.episode, l.attempt"#,
        cycle_id
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let lost = Lost {
                uid: unsigned32(i64::from(row.uid)),
                env_id: row.env_id,
                episode: usize::try_from(row.episode).unwrap_or_default(),
                executor_id: row.executor_id,
                ended_us: row.ended_us,
                reported: row.reported,
                reward: row.reward,
            };
            (row.task_id, lost)
        })
        .unzip())
}
