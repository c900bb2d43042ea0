//! The tables of schema `scoring`: written once a cycle, in one transaction, and read back from there even for the call
//! that wrote them, so that every answer about a cycle is the same. Times are microseconds since 1970 in queries;
//! doubles are `double precision` both ways and keep their bits.

mod write;

use kinitro_database::{is_outage, stored, timestamp, unsigned, unsigned32};
use kinitro_pareto::wilson;
use kinitro_proto::scoring::v1 as proto;
use prost::Message as _;
use prost_types::{Struct, Timestamp, Value, value::Kind};
use sqlx::PgPool;

use crate::{
    announced::{self, Announcement, NotIssued},
    input::Input,
    previous,
    publish::Previous,
};

/// Why a query did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Postgres cannot be reached, has no connection left, or has no tables yet.
    #[error("postgres is unavailable: {0}")]
    Unavailable(sqlx::Error),
    /// Postgres refused the query.
    #[error("postgres refused: {0}")]
    Failed(sqlx::Error),
    /// The scheme's parameters cannot be written as JSON.
    #[error("the parameters of the scheme cannot be stored: {0}")]
    Parameters(#[from] serde_json::Error),
    /// The stored statistics cannot be read.
    #[error("the stored statistics are damaged: {0}")]
    Statistics(#[from] prost::DecodeError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_outage(&error) { Self::Unavailable(error) } else { Self::Failed(error) }
    }
}

/// The scored cycles.
#[derive(Clone)]
pub(crate) struct Store {
    pool: PgPool,
}

impl Store {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The fingerprint of the input with which a cycle was scored.
    pub async fn fingerprint(&self, cycle_id: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let found =
            sqlx::query_scalar!("SELECT request_sha256 FROM scoring.cycles WHERE cycle_id = $1", stored(cycle_id));
        Ok(found.fetch_optional(&self.pool).await?)
    }

    /// Notes an announcement; false when its id belongs to another cycle.
    pub async fn announce(&self, announcement: &Announcement) -> Result<bool, StoreError> {
        announced::announce(&self.pool, announcement).await
    }

    /// Whether a cycle is one that was announced.
    pub async fn issued(&self, input: &Input) -> Result<Result<(), NotIssued>, StoreError> {
        announced::check(&self.pool, input).await
    }

    /// The weights that stand before an announced cycle is scored.
    pub async fn previous(&self, cycle_id: u64) -> Result<Option<Previous>, StoreError> {
        previous::before(&self.pool, cycle_id).await
    }

    /// The weights published at a block, by the newest cycle if there were several; without a block, those of the newest cycle that
    /// published any. The newest is the one that was announced last.
    pub async fn weights(&self, block: Option<u64>) -> Result<Option<proto::Weights>, StoreError> {
        // A block above 2^63 - 1 cannot be stored, so it is not found.
        let block = block.map(|block| i64::try_from(block).unwrap_or(-1));
        let newest = sqlx::query_scalar!(
            "SELECT cycle_id FROM scoring.cycles LEFT JOIN scoring.announced_cycles USING (cycle_id)
             WHERE ($1::bigint IS NULL OR cycles.block_number = $1) AND weights_kept IS NULL
             ORDER BY number DESC NULLS LAST, cycle_id DESC LIMIT 1",
            block
        );
        match newest.fetch_optional(&self.pool).await? {
            Some(cycle_id) => self.weights_of_cycle(unsigned(cycle_id)).await,
            None => Ok(None),
        }
    }

    /// The weights of a cycle, unless it kept those of before.
    pub async fn weights_of_cycle(&self, cycle_id: u64) -> Result<Option<proto::Weights>, StoreError> {
        let Some(cycle) = self.cycle(Some(cycle_id)).await?.filter(|cycle| cycle.weights_kept.is_none()) else {
            return Ok(None);
        };
        let rows = sqlx::query!(
            "SELECT uid, weight, scaled, not_evaluated FROM scoring.weights WHERE cycle_id = $1 ORDER BY uid",
            stored(cycle_id)
        )
        .fetch_all(&self.pool)
        .await?;
        let scored = sqlx::query!("SELECT uid, hotkey FROM scoring.scores WHERE cycle_id = $1", stored(cycle_id));
        let hotkeys =
            scored.fetch_all(&self.pool).await?.into_iter().map(|row| (unsigned32(row.uid), row.hotkey)).collect();
        let kept = || rows.iter().filter(|row| row.scaled > 0);
        let described = cycle.described;
        Ok(Some(proto::Weights {
            block: described.block_number,
            block_number: described.block_number,
            weights: rows.iter().map(|row| (unsigned32(row.uid), row.weight)).collect(),
            created_at: Some(cycle.created_at),
            timestamp: Some(cycle.created_at),
            cycle_id,
            weights_u16: Some(proto::WeightsU16 {
                uids: kept().map(|row| unsigned32(row.uid)).collect(),
                values: kept().map(|row| unsigned32(row.scaled)).collect(),
            }),
            metadata: Some(proto::WeightsMetadata {
                n_miners_evaluated: cycle.miners,
                n_environments: cycle.environments,
                evaluation_duration_seconds: described.duration_seconds,
            }),
            scheme: cycle.scheme,
            hotkeys,
            burn_uid: cycle.burn_uid,
            episodes_planned: Some(cycle.planned),
            episodes_played: Some(cycle.played),
            played_share: Some(if cycle.planned == 0 {
                0.0
            } else {
                f64::from(cycle.played) / f64::from(cycle.planned)
            }),
            min_played_share: cycle.min_played_share,
            not_evaluated: rows
                .iter()
                .filter_map(|row| Some((unsigned32(row.uid), unsigned32(row.not_evaluated?))))
                .collect(),
        }))
    }

    /// The scores of a cycle; without an id, those of the newest.
    pub async fn scores(&self, cycle_id: Option<u64>) -> Result<Option<proto::Scores>, StoreError> {
        let Some(cycle) = self.cycle(cycle_id).await? else { return Ok(None) };
        let cycle_id = cycle.described.id;
        let miners = sqlx::query!(
            r#"SELECT uid, points::text AS "points!", on_frontier, points_standard_error
               FROM scoring.scores WHERE cycle_id = $1 ORDER BY uid"#,
            stored(cycle_id)
        )
        .fetch_all(&self.pool)
        .await?;
        let rows = sqlx::query!(
            "SELECT uid, scores.hotkey, env_id, success_rate, mean_reward, episodes_completed, episodes_failed
             FROM scoring.details JOIN scoring.scores USING (cycle_id, uid) WHERE cycle_id = $1 ORDER BY uid, position",
            stored(cycle_id)
        )
        .fetch_all(&self.pool)
        .await?;

        let mut scores = proto::Scores {
            cycle_id,
            block: cycle.described.block_number,
            pareto_frontier: miners.iter().filter(|row| row.on_frontier).map(|row| unsigned32(row.uid)).collect(),
            created_at: Some(cycle.created_at),
            cycle: Some(cycle.described),
            scheme: cycle.scheme,
            points_standard_errors: miners
                .iter()
                .filter_map(|row| Some((unsigned32(row.uid), row.points_standard_error?)))
                .collect(),
            burn_uid: cycle.burn_uid,
            statistics: self.statistics(cycle_id).await?,
            no_success: cycle.no_success,
            weights_kept: cycle.weights_kept,
            points: miners.into_iter().map(|row| (unsigned32(row.uid), row.points)).collect(),
            ..proto::Scores::default()
        };
        for row in rows {
            let uid = unsigned32(row.uid);
            let rates: &mut Struct = scores.scores.entry(uid).or_default();
            rates.fields.insert(row.env_id.clone(), Value { kind: Some(Kind::NumberValue(row.success_rate)) });
            // A rate is successes over episodes, so this is exact.
            let successes = (row.success_rate * f64::from(row.episodes_completed)).round();
            let interval = wilson(successes, f64::from(row.episodes_completed));
            scores.details.push(proto::ScoreDetail {
                uid,
                hotkey: row.hotkey,
                env_id: row.env_id,
                success_rate: row.success_rate,
                mean_reward: row.mean_reward,
                episodes_completed: unsigned32(row.episodes_completed),
                episodes_failed: unsigned32(row.episodes_failed),
                success_rate_lower: interval.lower,
                success_rate_upper: interval.upper,
            });
        }
        Ok(Some(scores))
    }

    /// The statistics of a cycle, unless it was scored before there were any.
    async fn statistics(&self, cycle_id: u64) -> Result<Option<proto::Statistics>, StoreError> {
        let found = sqlx::query_scalar!("SELECT statistics FROM scoring.cycles WHERE cycle_id = $1", stored(cycle_id));
        let encoded = found.fetch_optional(&self.pool).await?.flatten();
        Ok(encoded.map(|encoded| proto::Statistics::decode(encoded.as_slice())).transpose()?)
    }

    /// A cycle, or the newest one: the one that was announced last.
    async fn cycle(&self, cycle_id: Option<u64>) -> Result<Option<StoredCycle>, StoreError> {
        let cycle_id = cycle_id.map(|cycle_id| i64::try_from(cycle_id).unwrap_or(-1));
        let row = sqlx::query!(
            r#"SELECT cycle_id, cycles.block_number, status, n_miners, n_environments, duration_seconds, scheme, burn_uid,
                   min_played_share, no_success, weights_kept,
                   coalesce(episodes_planned, (SELECT sum(episodes_completed + episodes_failed) FROM scoring.details
                       WHERE details.cycle_id = cycles.cycle_id), 0)::bigint AS "planned!",
                   coalesce(episodes_played, (SELECT sum(episodes_completed) FROM scoring.details
                       WHERE details.cycle_id = cycles.cycle_id), 0)::bigint AS "played!",
                   (SELECT count(*) FROM scoring.scores WHERE scores.cycle_id = cycles.cycle_id) AS "miners!",
                   cardinality(env_ids) AS "environments!",
                   (extract(epoch FROM started_at) * 1000000)::bigint AS started_at,
                   (extract(epoch FROM completed_at) * 1000000)::bigint AS completed_at,
                   (extract(epoch FROM created_at) * 1000000)::bigint AS "created_at!"
               FROM scoring.cycles LEFT JOIN scoring.announced_cycles USING (cycle_id)
               WHERE $1::bigint IS NULL OR cycle_id = $1
               ORDER BY number DESC NULLS LAST, cycle_id DESC LIMIT 1"#,
            cycle_id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| StoredCycle {
            created_at: timestamp(row.created_at),
            scheme: row.scheme,
            miners: unsigned32(row.miners),
            environments: unsigned32(row.environments),
            burn_uid: row.burn_uid.map(unsigned32),
            planned: unsigned32(row.planned),
            played: unsigned32(row.played),
            min_played_share: row.min_played_share,
            no_success: row.no_success,
            weights_kept: row.weights_kept,
            described: proto::Cycle {
                id: unsigned(row.cycle_id),
                block_number: unsigned(row.block_number),
                status: row.status,
                started_at: row.started_at.map(timestamp),
                completed_at: row.completed_at.map(timestamp),
                n_miners: unsigned32(row.n_miners),
                n_environments: unsigned32(row.n_environments),
                duration_seconds: row.duration_seconds,
            },
        }))
    }
}

/// What all answers about a cycle begin with.
struct StoredCycle {
    described: proto::Cycle,
    miners: u32,
    environments: u32,
    burn_uid: Option<u32>,
    /// Episodes that were to be played, and those that count.
    planned: u32,
    played: u32,
    min_played_share: Option<f64>,
    no_success: Option<String>,
    weights_kept: Option<String>,
    scheme: String,
    created_at: Timestamp,
}
