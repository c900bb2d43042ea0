//! The tables of schema `scoring`: written once a cycle, in one transaction, and read back from there even for the call
//! that wrote them, so that every answer about a cycle is the same. Times are microseconds since 1970 in queries;
//! doubles are `double precision` both ways and keep their bits.

use kinitro_database::Database;
use kinitro_domain::MinerUid;
use kinitro_pareto::{Scheme, Scores, wilson};
use kinitro_proto::scoring::v1 as proto;
use prost::Message as _;
use prost_types::{Struct, Timestamp, Value, value::Kind};
use sqlx::PgPool;

use crate::input::Input;

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
        let unavailable = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            // Connection trouble, authorization, no such database, too few resources, operator intervention (shutdown,
            // start-up), a read-only standby, and a schema that was not created yet.
            sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| {
                ["08", "28", "3D", "53", "57P"].iter().any(|class| code.starts_with(class))
                    || ["25006", "3F000", "42P01"].contains(&code.as_ref())
            }),
            _ => false,
        };
        if unavailable { Self::Unavailable(error) } else { Self::Failed(error) }
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

    /// Whether the tables can be read.
    pub async fn probe(&self, database: &Database) -> Result<(), String> {
        let found = sqlx::query_scalar!(r#"SELECT to_regclass('scoring.cycles') IS NOT NULL AS "found!""#);
        match found.fetch_one(&self.pool).await {
            Ok(true) => Ok(()),
            Ok(false) => Err("the schema `scoring` is missing: run `kinitro db init`".to_owned()),
            Err(error) => Err(database.explain(&error)),
        }
    }

    /// The fingerprint of the input with which a cycle was scored.
    pub async fn fingerprint(&self, cycle_id: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let stored =
            sqlx::query_scalar!("SELECT request_sha256 FROM scoring.cycles WHERE cycle_id = $1", key(cycle_id));
        Ok(stored.fetch_optional(&self.pool).await?)
    }

    /// Stores a scored cycle, unless it is stored already: then nothing changes and the answer is false. Of two calls
    /// at once one waits for the other to commit.
    pub async fn insert(
        &self,
        input: &Input,
        scheme: &Scheme,
        scores: &Scores,
        statistics: &proto::Statistics,
    ) -> Result<bool, StoreError> {
        let cycle = &input.cycle;
        let cycle_id = key(cycle.id);
        let mut transaction = self.pool.begin().await?;
        let inserted = sqlx::query!(
            "INSERT INTO scoring.cycles (cycle_id, block_number, status, started_at, completed_at, n_miners,
                 n_environments, duration_seconds, env_ids, scheme, scheme_parameters, request, request_sha256, burn_uid,
                 statistics)
             VALUES ($1, $2, $3, 'epoch'::timestamptz + $4::bigint * interval '1 microsecond',
                 'epoch'::timestamptz + $5::bigint * interval '1 microsecond', $6, $7, $8, $9, $10, $11::text::json, $12, $13, $14,
                 $15)
             ON CONFLICT (cycle_id) DO NOTHING",
            cycle_id,
            key(cycle.block_number),
            cycle.status,
            cycle.started_at.as_ref().map(micros),
            cycle.completed_at.as_ref().map(micros),
            i64::from(cycle.n_miners),
            i64::from(cycle.n_environments),
            cycle.duration_seconds,
            &input.request.env_ids,
            scheme.name(),
            serde_json::to_string(scheme)?,
            input.request.encode_to_vec(),
            &input.fingerprint[..],
            scores.burn.map(|burn_uid| i32::from(burn_uid.0)),
            statistics.encode_to_vec(),
        )
        .execute(&mut *transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(false);
        }

        // Request, tallies and scores all have the miners ascending by uid.
        let uids: Vec<i32> = scores.miners.iter().map(|miner| i32::from(miner.uid.0)).collect();
        let miners = &input.request.miners;
        let frontier: Vec<bool> =
            scores.miners.iter().map(|miner| scores.pareto_frontier.binary_search(&miner.uid).is_ok()).collect();
        sqlx::query!(
            "INSERT INTO scoring.scores
                 (cycle_id, uid, hotkey, first_commit_block, points, on_frontier, points_standard_error)
             SELECT $1, uid, hotkey, first_commit_block, points::numeric, on_frontier, points_standard_error
             FROM UNNEST($2::integer[], $3::text[], $4::bigint[], $5::text[], $6::boolean[], $7::double precision[])
                 AS new (uid, hotkey, first_commit_block, points, on_frontier, points_standard_error)",
            cycle_id,
            &uids,
            &miners.iter().map(|miner| miner.hotkey.clone()).collect::<Vec<_>>(),
            &miners.iter().map(|miner| key(miner.first_commit_block)).collect::<Vec<_>>(),
            &scores.miners.iter().map(|miner| miner.points.to_string()).collect::<Vec<_>>(),
            &frontier,
            &scores.miners.iter().map(|miner| miner.standard_error).collect::<Vec<_>>() as &[Option<f64>],
        )
        .execute(&mut *transaction)
        .await?;

        // A burn uid is among them that is no miner's.
        let (paid, weights): (Vec<MinerUid>, Vec<f64>) = scores.weights().into_iter().unzip();
        let scaled = scores.weights_u16();
        let scaled = |uid| scaled.binary_search_by_key(&uid, |(uid, _)| *uid).map_or(0, |found| scaled[found].1);
        sqlx::query!(
            "INSERT INTO scoring.weights (cycle_id, uid, weight, scaled)
             SELECT $1, uid, weight, scaled
             FROM UNNEST($2::integer[], $3::double precision[], $4::integer[]) AS new (uid, weight, scaled)",
            cycle_id,
            &paid.iter().map(|uid| i32::from(uid.0)).collect::<Vec<_>>(),
            &weights,
            &paid.iter().map(|uid| i32::from(scaled(*uid))).collect::<Vec<_>>(),
        )
        .execute(&mut *transaction)
        .await?;

        let details = Details::of(input);
        sqlx::query!(
            "INSERT INTO scoring.details
                 (cycle_id, uid, position, env_id, success_rate, mean_reward, episodes_completed, episodes_failed)
             SELECT $1, uid, position, ($8::text[])[position + 1], success_rate, mean_reward, completed, failed
             FROM UNNEST($2::integer[], $3::integer[], $4::double precision[], $5::double precision[], $6::integer[],
                 $7::integer[]) AS new (uid, position, success_rate, mean_reward, completed, failed)",
            cycle_id,
            &details.uids,
            &details.positions,
            &details.success_rates,
            &details.mean_rewards,
            &details.completed,
            &details.failed,
            &input.request.env_ids,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The weights computed at a block, by the newest cycle if there were several; without a block, those of the newest
    /// cycle.
    pub async fn weights(&self, block: Option<u64>) -> Result<Option<proto::Weights>, StoreError> {
        // A block above 2^63 - 1 cannot be stored, so it is not found.
        let block = block.map(|block| i64::try_from(block).unwrap_or(-1));
        let newest = sqlx::query_scalar!(
            "SELECT cycle_id FROM scoring.cycles WHERE $1::bigint IS NULL OR block_number = $1
             ORDER BY cycle_id DESC LIMIT 1",
            block
        );
        match newest.fetch_optional(&self.pool).await? {
            Some(cycle_id) => self.weights_of_cycle(unsigned(cycle_id)).await,
            None => Ok(None),
        }
    }

    /// The weights of a cycle.
    pub async fn weights_of_cycle(&self, cycle_id: u64) -> Result<Option<proto::Weights>, StoreError> {
        let Some(cycle) = self.cycle(Some(cycle_id)).await? else { return Ok(None) };
        let rows = sqlx::query!(
            "SELECT uid, weight, scaled FROM scoring.weights WHERE cycle_id = $1 ORDER BY uid",
            key(cycle_id)
        )
        .fetch_all(&self.pool)
        .await?;
        let scored = sqlx::query!("SELECT uid, hotkey FROM scoring.scores WHERE cycle_id = $1", key(cycle_id));
        let hotkeys = scored.fetch_all(&self.pool).await?.into_iter().map(|row| (small(row.uid), row.hotkey)).collect();
        let kept = || rows.iter().filter(|row| row.scaled > 0);
        let described = cycle.described;
        Ok(Some(proto::Weights {
            block: described.block_number,
            block_number: described.block_number,
            weights: rows.iter().map(|row| (small(row.uid), row.weight)).collect(),
            created_at: Some(cycle.created_at),
            timestamp: Some(cycle.created_at),
            cycle_id,
            weights_u16: Some(proto::WeightsU16 {
                uids: kept().map(|row| small(row.uid)).collect(),
                values: kept().map(|row| small(row.scaled)).collect(),
            }),
            metadata: Some(proto::WeightsMetadata {
                n_miners_evaluated: cycle.miners,
                n_environments: cycle.environments,
                evaluation_duration_seconds: described.duration_seconds,
            }),
            scheme: cycle.scheme,
            hotkeys,
            burn_uid: cycle.burn_uid,
        }))
    }

    /// The scores of a cycle; without an id, those of the newest.
    pub async fn scores(&self, cycle_id: Option<u64>) -> Result<Option<proto::Scores>, StoreError> {
        let Some(cycle) = self.cycle(cycle_id).await? else { return Ok(None) };
        let cycle_id = cycle.described.id;
        let miners = sqlx::query!(
            r#"SELECT uid, points::text AS "points!", on_frontier, points_standard_error
               FROM scoring.scores WHERE cycle_id = $1 ORDER BY uid"#,
            key(cycle_id)
        )
        .fetch_all(&self.pool)
        .await?;
        let rows = sqlx::query!(
            "SELECT uid, scores.hotkey, env_id, success_rate, mean_reward, episodes_completed, episodes_failed
             FROM scoring.details JOIN scoring.scores USING (cycle_id, uid) WHERE cycle_id = $1 ORDER BY uid, position",
            key(cycle_id)
        )
        .fetch_all(&self.pool)
        .await?;

        let mut scores = proto::Scores {
            cycle_id,
            block: cycle.described.block_number,
            pareto_frontier: miners.iter().filter(|row| row.on_frontier).map(|row| small(row.uid)).collect(),
            created_at: Some(cycle.created_at),
            cycle: Some(cycle.described),
            scheme: cycle.scheme,
            points_standard_errors: miners
                .iter()
                .filter_map(|row| Some((small(row.uid), row.points_standard_error?)))
                .collect(),
            burn_uid: cycle.burn_uid,
            statistics: self.statistics(cycle_id).await?,
            points: miners.into_iter().map(|row| (small(row.uid), row.points)).collect(),
            ..proto::Scores::default()
        };
        for row in rows {
            let uid = small(row.uid);
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
                episodes_completed: small(row.episodes_completed),
                episodes_failed: small(row.episodes_failed),
                success_rate_lower: interval.lower,
                success_rate_upper: interval.upper,
            });
        }
        Ok(Some(scores))
    }

    /// The statistics of a cycle, unless it was scored before there were any.
    async fn statistics(&self, cycle_id: u64) -> Result<Option<proto::Statistics>, StoreError> {
        let stored = sqlx::query_scalar!("SELECT statistics FROM scoring.cycles WHERE cycle_id = $1", key(cycle_id));
        let stored = stored.fetch_optional(&self.pool).await?.flatten();
        Ok(stored.map(|encoded| proto::Statistics::decode(encoded.as_slice())).transpose()?)
    }

    /// A cycle, or the newest one.
    async fn cycle(&self, cycle_id: Option<u64>) -> Result<Option<StoredCycle>, StoreError> {
        let cycle_id = cycle_id.map(|cycle_id| i64::try_from(cycle_id).unwrap_or(-1));
        let row = sqlx::query!(
            r#"SELECT cycle_id, block_number, status, n_miners, n_environments, duration_seconds, scheme, burn_uid,
                   (SELECT count(*) FROM scoring.scores WHERE scores.cycle_id = cycles.cycle_id) AS "miners!",
                   cardinality(env_ids) AS "environments!",
                   (extract(epoch FROM started_at) * 1000000)::bigint AS started_at,
                   (extract(epoch FROM completed_at) * 1000000)::bigint AS completed_at,
                   (extract(epoch FROM created_at) * 1000000)::bigint AS "created_at!"
               FROM scoring.cycles WHERE $1::bigint IS NULL OR cycle_id = $1 ORDER BY cycle_id DESC LIMIT 1"#,
            cycle_id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| StoredCycle {
            created_at: timestamp(row.created_at),
            scheme: row.scheme,
            miners: u32::try_from(row.miners).unwrap_or_default(),
            environments: small(row.environments),
            burn_uid: row.burn_uid.map(small),
            described: proto::Cycle {
                id: unsigned(row.cycle_id),
                block_number: unsigned(row.block_number),
                status: row.status,
                started_at: row.started_at.map(timestamp),
                completed_at: row.completed_at.map(timestamp),
                n_miners: u32::try_from(row.n_miners).unwrap_or_default(),
                n_environments: u32::try_from(row.n_environments).unwrap_or_default(),
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
    scheme: String,
    created_at: Timestamp,
}

/// The rows of `scoring.details`, column by column.
#[derive(Default)]
struct Details {
    uids: Vec<i32>,
    positions: Vec<i32>,
    success_rates: Vec<f64>,
    mean_rewards: Vec<f64>,
    completed: Vec<i32>,
    failed: Vec<i32>,
}

impl Details {
    fn of(input: &Input) -> Self {
        let tallies = &input.tallies;
        let mut details = Self::default();
        for (index, miner) in tallies.miners().iter().enumerate() {
            for (environment, position) in (0..tallies.environments().len()).zip(0..) {
                let outcomes = tallies.outcomes(index, environment);
                details.uids.push(i32::from(miner.uid.0));
                details.positions.push(position);
                details.success_rates.push(tallies.rate(index, environment));
                details.mean_rewards.push(tallies.mean_reward(index, environment));
                details.completed.push(i32::try_from(outcomes.counted()).unwrap_or(i32::MAX));
                details.failed.push(i32::try_from(outcomes.missing()).unwrap_or(i32::MAX));
            }
        }
        details
    }
}

/// A number as Postgres holds it; requests were checked against 2^63 - 1.
fn key(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number that the tables' constraints keep from being negative.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

/// The same for 32 bits.
fn small(value: i32) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

fn micros(time: &Timestamp) -> i64 {
    time.seconds * 1_000_000 + i64::from(time.nanos / 1000)
}

fn timestamp(micros: i64) -> Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or_default();
    Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}
