//! Infrastructure faults: the task is played again, within its attempts. When the policy may have seen an observation it is played on
//! another seed: a retry must not be a second look.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use kinitro_domain::{EnvId, ExecutorId, MinerUid, TaskId};
use kinitro_queue::Entry;
use uuid::Uuid;

use super::{DeadTask, TaskError, Tasks, complete::Answers, env_id_of, outage, report::Report, uid_of};

/// How long a task waits whose policy was not reached, after its first attempt and after every later one: three attempts within a moment
/// would make a short break of the network the miner's failure. At most the time of a lease.
const NOT_BEFORE: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(60)];

impl Tasks {
    /// Takes faults of current leases: back to pending, or a dead letter. A stale one changes nothing.
    pub(super) async fn complete_faults(
        &self,
        executor: &ExecutorId,
        (faults, repeated): &(Vec<&Report>, Vec<&Report>),
        answers: &mut Answers,
    ) -> Result<(), TaskError> {
        if faults.is_empty() {
            return Ok(());
        }
        let beacons = self.beacons(executor, faults).await?;
        let network_may_be_down = self.network_may_be_down(faults, &beacons).await?;
        // The cause stays `policy_unreachable` only while every attempt ended so; the text always names the last one.
        let errors: Vec<String> = faults
            .iter()
            .map(|report| format!("{}: {}", report.cause, report.error.as_deref().unwrap_or("no details")))
            .collect();
        let rows = sqlx::query!(
            r#"WITH taken AS (
                   UPDATE scheduling.tasks t
                      SET state = CASE WHEN r.dead THEN 'failed' ELSE 'pending' END::scheduling.task_state,
                          completed_at = CASE WHEN r.dead THEN now() END,
                          executor_id = CASE WHEN r.dead THEN t.executor_id END,
                          released = t.released + CASE WHEN r.excused THEN 1 ELSE 0 END,
                          draws = t.draws + CASE WHEN r.shown THEN 1 ELSE 0 END,
                          cause = CASE WHEN r.cause = 'policy_unreachable' THEN coalesce(t.cause, r.cause) ELSE r.cause END,
                          error = r.error
                     FROM (SELECT g.*, e.excused, NOT e.excused AND o.attempt - o.released >= $6 AS dead
                             FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::text[], $7::boolean[], $8::boolean[],
                                         $11::boolean[])
                                  AS g (id, attempt, cause, error, shown, beacon_reached, observed)
                             JOIN scheduling.tasks o ON o.id = g.id
                            CROSS JOIN LATERAL (
                                SELECT g.cause = 'policy_unreachable'
                                       AND CASE WHEN g.beacon_reached IS NULL
                                                THEN $9 AND (SELECT count(*) FROM scheduling.unreached_attempts u
                                                              WHERE u.task_id = g.id) < $10
                                                ELSE NOT g.beacon_reached END) AS e (excused)) AS r
                    WHERE t.id = r.id AND t.state = 'assigned' AND t.executor_id = $1 AND r.attempt IN (0, t.attempt)
                RETURNING t.id, t.cycle_id, t.uid, t.env_id, t.attempt, t.cause, t.state = 'failed' AS dead,
                          r.cause AS reported, r.shown, r.observed, r.beacon_reached, r.excused, t.attempt - t.released AS spent),
               lost AS (
                   INSERT INTO scheduling.lost_attempts (task_id, attempt, cycle_id, uid, executor_id, cause, observed)
                   SELECT id, attempt, cycle_id, uid, $1, reported, observed FROM taken WHERE shown
                       ON CONFLICT DO NOTHING),
               unreached AS (
                   INSERT INTO scheduling.unreached_attempts (task_id, attempt, cycle_id, uid, executor_id, beacon_reached)
                   SELECT id, attempt, cycle_id, uid, $1, beacon_reached FROM taken WHERE reported = 'policy_unreachable'
                       ON CONFLICT DO NOTHING)
               SELECT id AS "id!", cycle_id AS "cycle_id!", uid AS "uid!", env_id AS "env_id!", cause, dead AS "dead!",
                      reported = 'policy_unreachable' AS "unreachable!", excused AS "excused!", spent AS "spent!" FROM taken"#,
            executor.as_str(),
            &faults.iter().map(|report| report.id).collect::<Vec<_>>(),
            &faults.iter().map(|report| report.attempt).collect::<Vec<_>>(),
            &faults.iter().map(|report| report.cause.as_str()).collect::<Vec<_>>() as _,
            &errors,
            self.max_attempts(),
            &faults.iter().map(|report| report.shown).collect::<Vec<_>>(),
            &beacons as _,
            network_may_be_down,
            outage::PATIENCE,
            &faults.iter().map(|report| report.observed).collect::<Vec<_>>(),
        )
        .fetch_all(&self.pool)
        .await?;

        let taken: HashSet<Uuid> = rows.iter().map(|row| row.id).collect();
        for report in faults.iter().chain(repeated) {
            if taken.contains(&report.id) {
                metrics::counter!("kinitro_infrastructure_faults_total", "cause" => report.cause.as_str()).increment(1);
            } else {
                let reason = "an infrastructure fault needs the current lease of its task, and this is not it";
                answers.reject(&report.id.to_string(), reason);
            }
        }
        let (mut again, mut finished, mut dead): (Vec<Entry>, Vec<(TaskId, EnvId)>, Vec<_>) = Default::default();
        let mut later: BTreeMap<Duration, Vec<(TaskId, EnvId)>> = BTreeMap::new();
        self.shares.ended(rows.iter().filter_map(|row| u16::try_from(row.uid).ok()).map(MinerUid));
        for row in rows {
            answers.accept();
            let (task_id, env_id) = (TaskId(row.id), env_id_of(row.id, &row.env_id)?);
            if row.dead {
                finished.push((task_id, env_id));
                dead.push(DeadTask::new(row.id, row.cycle_id, row.uid, &row.env_id, row.cause)?);
            } else if row.excused {
                later.entry(outage::PAUSE).or_default().push((task_id, env_id));
            } else if row.unreachable {
                later.entry(NOT_BEFORE[usize::from(row.spent > 1)]).or_default().push((task_id, env_id));
            } else {
                again.push(Entry { task_id, env_id, uid: uid_of(row.id, row.uid)? });
            }
        }
        self.give_back(executor, &again).await;
        for (delay, tasks) in later {
            if let Err(error) = self.queue.postpone(executor, &tasks, delay, self.settings.lease).await {
                tracing::warn!(%error, tasks = tasks.len(), "tasks given back become available when their lease expires");
            }
        }
        self.forget(&finished).await;
        self.dead_letter(dead).await;
        Ok(())
    }
}
