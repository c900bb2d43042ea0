//! Who did how well, read from every table that says so.

use std::collections::BTreeMap;

use kinitro_proto::scheduling::v1::Cycle;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::Backend;

/// What one miner has: episodes with a result, and of these the successes.
pub type Counts = BTreeMap<i32, (i64, i64)>;

/// The cycle when it has ended, however.
pub async fn ended(backend: &Backend, id: u64) -> Cycle {
    let ended = |cycle: &Cycle| ["completed", "timed_out", "unscored", "cancelled"].contains(&cycle.status.as_str());
    backend.cycle_when(id, "the cycle ends", ended).await
}

/// Waits for the end and looks at every table that says who did how well: no task is missing, none counts twice, nobody is blamed, and
/// there is one set of weights.
pub async fn assert_every_task_counted_once(backend: &Backend, cycle: &Cycle) -> Cycle {
    let cycle = ended(backend, cycle.id).await;
    assert_eq!(cycle.status, "completed", "{cycle:?}");
    assert_eq!((cycle.tasks_completed, cycle.tasks_failed), (cycle.tasks_total, 0), "{cycle:?}");
    assert_eq!((cycle.policy_faults, cycle.disagreements), (0, 0), "{cycle:?}");
    assert_eq!(cycle.successes + cycle.failures, cycle.tasks_total, "{cycle:?}");

    let mut database = connect(backend).await;
    let rows = sqlx::query(
        "SELECT count(*) AS tasks, count(DISTINCT (uid, env_id, episode)) AS episodes
           FROM scheduling.tasks WHERE cycle_id = $1 AND state = 'completed'",
    )
    .bind(i64::try_from(cycle.id).unwrap())
    .fetch_one(&mut database)
    .await
    .unwrap();
    let total = i64::from(cycle.tasks_total);
    assert_eq!((rows.get::<i64, _>("tasks"), rows.get::<i64, _>("episodes")), (total, total));

    let (recorded, scored) = (recorded(backend, cycle.id).await, scored(backend, cycle.id).await);
    assert_eq!(recorded, scored, "scoring counted what was recorded");
    let each = i64::from(cycle.episodes_per_env) * i64::from(cycle.n_environments);
    assert_eq!(recorded.len(), cycle.n_miners as usize);
    assert!(recorded.values().all(|(episodes, _)| *episodes == each), "{recorded:?}");
    assert_one_set_of_weights(backend, &cycle).await;
    cycle
}

/// One vector for the cycle, over its miners, and it is the one that validators get.
pub async fn assert_one_set_of_weights(backend: &Backend, cycle: &Cycle) {
    let rows = sqlx::query("SELECT count(*) AS miners, sum(weight) AS sum FROM scoring.weights WHERE cycle_id = $1")
        .bind(i64::try_from(cycle.id).unwrap())
        .fetch_one(&mut connect(backend).await)
        .await
        .unwrap();
    assert_eq!(rows.get::<i64, _>("miners"), i64::from(cycle.n_miners));
    assert!((rows.get::<f64, _>("sum") - 1.0).abs() < 1e-9);
    let (status, weights) = backend.get("/v1/weights/latest").await;
    assert_eq!((status, &weights["cycle_id"]), (200, &cycle.id.into()), "{weights}");
}

/// As scheduling recorded it.
pub async fn recorded(backend: &Backend, cycle_id: u64) -> Counts {
    counts(
        backend,
        cycle_id,
        "SELECT uid, count(*) AS episodes, count(*) FILTER (WHERE verdict = 'success') AS successes
           FROM scheduling.tasks WHERE cycle_id = $1 AND state = 'completed' GROUP BY uid",
    )
    .await
}

/// As scoring stored it.
pub async fn scored(backend: &Backend, cycle_id: u64) -> Counts {
    counts(
        backend,
        cycle_id,
        "SELECT uid, sum(episodes_completed) AS episodes, round(sum(success_rate * episodes_completed))::bigint AS successes
           FROM scoring.details WHERE cycle_id = $1 GROUP BY uid HAVING sum(episodes_completed) > 0",
    )
    .await
}

/// How many attempts the most often leased task of all took.
pub async fn most_attempts(backend: &Backend) -> i32 {
    let mut database = connect(backend).await;
    let most = sqlx::query("SELECT max(attempt) AS most FROM scheduling.tasks").fetch_one(&mut database).await;
    most.unwrap().get("most")
}

async fn counts(backend: &Backend, cycle_id: u64, query: &'static str) -> Counts {
    let rows =
        sqlx::query(query).bind(i64::try_from(cycle_id).unwrap()).fetch_all(&mut connect(backend).await).await.unwrap();
    rows.into_iter().map(|row| (row.get("uid"), (row.get("episodes"), row.get("successes")))).collect()
}

async fn connect(backend: &Backend) -> PgConnection {
    PgConnection::connect(&backend.postgres.url()).await.unwrap()
}
