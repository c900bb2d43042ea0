//! Cycles as Postgres holds them. Times are microseconds since 1970.

use kinitro_database::unsigned;
use kinitro_domain::{CycleId, CycleState};
use sqlx::PgExecutor;

use crate::error::CycleError;

/// One row of `scheduling.cycles`, with how many miners it evaluates.
#[derive(Debug, Clone)]
pub struct CycleRow {
    pub id: i64,
    pub block_number: i64,
    pub state: String,
    pub secret: Vec<u8>,
    pub episodes_per_env: i32,
    pub env_ids: Vec<String>,
    pub tasks_total: i32,
    pub traceparent: String,
    pub timed_out: bool,
    /// What must be played for the cycle to be scored: of all its episodes, and of each miner's in each environment.
    pub min_played_share: f64,
    pub min_miner_share: f64,
    /// How much of a miner's episodes may be lost after their policy saw an observation before that counts against it.
    pub max_lost_share: f64,
    /// Why the weights of before stand although the cycle ended.
    pub unpublished_reason: Option<String>,
    pub n_miners: i64,
    pub started_us: i64,
    pub created_us: Option<i64>,
    pub closed_us: Option<i64>,
    pub completed_us: Option<i64>,
    /// The database's clock at the time of the query.
    pub now_us: i64,
    /// The deadline has passed.
    pub overdue: bool,
}

impl CycleRow {
    pub fn cycle_id(&self) -> CycleId {
        CycleId(unsigned(self.id))
    }

    /// The state. During a rolling deployment a newer replica may have written one that this version does not know; then the cycle is
    /// left alone: it is not closed, scored or cancelled here, and none is started beside it.
    pub fn cycle_state(&self) -> Result<CycleState, CycleError> {
        self.state.parse().map_err(|_| CycleError::UnknownState { id: self.cycle_id(), state: self.state.clone() })
    }

    /// Whether the cycle may still change. In a state that this version does not know it may.
    pub fn is_open(&self) -> bool {
        !self.cycle_state().is_ok_and(CycleState::is_final)
    }

    /// Seconds from the start until `then`, or until now.
    pub fn seconds_until(&self, then: Option<i64>) -> f64 {
        (then.unwrap_or(self.now_us) - self.started_us).max(0) as f64 / 1e6
    }
}

/// Which cycle is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// This one.
    Id(CycleId),
    /// The newest. An open one is always the newest, because none starts beside it.
    Newest,
    /// The newest that was scored.
    NewestScored,
    /// The newest that ended by itself, scored or not.
    NewestEnded,
}

/// Reads one cycle.
pub async fn find_cycle<'e>(executor: impl PgExecutor<'e>, which: Which) -> Result<Option<CycleRow>, sqlx::Error> {
    let id = match which {
        Which::Id(id) => match i64::try_from(id.0) {
            Ok(id) => Some(id),
            Err(_) => return Ok(None),
        },
        Which::Newest | Which::NewestScored | Which::NewestEnded => None,
    };
    let states = match which {
        Which::Id(_) | Which::Newest => None,
        Which::NewestScored => Some(&[CycleState::Completed, CycleState::TimedOut][..]),
        Which::NewestEnded => Some(&[CycleState::Completed, CycleState::TimedOut, CycleState::Unscored][..]),
    };
    let states: Option<Vec<String>> = states.map(|states| states.iter().map(ToString::to_string).collect());
    sqlx::query_as!(
        CycleRow,
        r#"SELECT id, block_number, state, secret, episodes_per_env, env_ids, tasks_total, traceparent, timed_out,
                  min_played_share, min_miner_share, max_lost_share, unpublished_reason,
                  (SELECT count(*) FROM scheduling.cycle_miners m WHERE m.cycle_id = c.id) AS "n_miners!",
                  (extract(epoch FROM started_at) * 1000000)::bigint AS "started_us!",
                  (extract(epoch FROM created_at) * 1000000)::bigint AS created_us,
                  (extract(epoch FROM closed_at) * 1000000)::bigint AS closed_us,
                  (extract(epoch FROM completed_at) * 1000000)::bigint AS completed_us,
                  (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS "now_us!",
                  clock_timestamp() >= deadline AS "overdue!"
             FROM scheduling.cycles c
            WHERE ($1::bigint IS NULL OR id = $1) AND ($2::text[] IS NULL OR state = ANY($2))
            ORDER BY id DESC
            LIMIT 1"#,
        id,
        states.as_deref() as Option<&[String]>,
    )
    .fetch_optional(executor)
    .await
}
