//! Writing a scored cycle.

use kinitro_database::{micros, stored};
use kinitro_domain::MinerUid;
use kinitro_pareto::Scheme;
use prost::Message as _;
use sqlx::PgConnection;

use super::{Store, StoreError};
use crate::{
    input::Input,
    publish::{Previous, Publication},
};

impl Store {
    /// Stores a scored cycle, unless it is stored already: then nothing changes and the answer is false. Of two calls
    /// at once one waits for the other to commit.
    pub async fn insert(
        &self,
        input: &Input,
        scheme: &Scheme,
        publication: &Publication,
        previous: Option<&Previous>,
    ) -> Result<bool, StoreError> {
        let (cycle, Publication { scores, evidence, .. }) = (&input.cycle, publication);
        let cycle_id = stored(cycle.id);
        let mut transaction = self.pool.begin().await?;
        let inserted = sqlx::query!(
            "INSERT INTO scoring.cycles (cycle_id, block_number, status, started_at, completed_at, n_miners,
                 n_environments, duration_seconds, env_ids, scheme, scheme_parameters, request, request_sha256, burn_uid,
                 statistics, episodes_planned, episodes_played, min_played_share, previous_cycle_id, no_success, weights_kept)
             VALUES ($1, $2, $3, 'epoch'::timestamptz + $4::bigint * interval '1 microsecond',
                 'epoch'::timestamptz + $5::bigint * interval '1 microsecond', $6, $7, $8, $9, $10, $11::text::json, $12, $13, $14,
                 $15, $16, $17, $18, $19, $20, $21)
             ON CONFLICT (cycle_id) DO NOTHING",
            cycle_id,
            stored(cycle.block_number),
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
            publication.statistics.encode_to_vec(),
            evidence.as_ref().map(|evidence| stored(evidence.planned)),
            evidence.as_ref().map(|evidence| stored(evidence.played)),
            input.required.map(|required| required.in_all),
            previous.map(|previous| stored(previous.cycle_id)),
            publication.no_success.map(|decided| decided.name().as_str()),
            publication.kept,
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
            &miners.iter().map(|miner| stored(miner.first_commit_block)).collect::<Vec<_>>(),
            &scores.miners.iter().map(|miner| miner.points.to_string()).collect::<Vec<_>>(),
            &frontier,
            &scores.miners.iter().map(|miner| miner.standard_error).collect::<Vec<_>>() as &[Option<f64>],
        )
        .execute(&mut *transaction)
        .await?;

        if publication.kept.is_none() {
            insert_weights(&mut transaction, cycle_id, publication).await?;
        }

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
}

async fn insert_weights(
    connection: &mut PgConnection,
    cycle_id: i64,
    publication: &Publication,
) -> Result<(), sqlx::Error> {
    let scores = &publication.scores;
    // A burn uid is among them that is no miner's.
    let (paid, weights): (Vec<MinerUid>, Vec<f64>) = scores.weights().into_iter().unzip();
    let scaled = scores.weights_u16();
    let scaled = |uid| scaled.binary_search_by_key(&uid, |(uid, _)| *uid).map_or(0, |found| scaled[found].1);
    let cycles = |uid| publication.not_evaluated.get(&uid).map(|cycles| i32::try_from(*cycles).unwrap_or(i32::MAX));
    sqlx::query!(
        "INSERT INTO scoring.weights (cycle_id, uid, weight, scaled, not_evaluated)
         SELECT $1, uid, weight, scaled, not_evaluated
         FROM UNNEST($2::integer[], $3::double precision[], $4::integer[], $5::integer[])
             AS new (uid, weight, scaled, not_evaluated)",
        cycle_id,
        &paid.iter().map(|uid| i32::from(uid.0)).collect::<Vec<_>>(),
        &weights,
        &paid.iter().map(|uid| i32::from(scaled(*uid))).collect::<Vec<_>>(),
        &paid.iter().map(|uid| cycles(*uid)).collect::<Vec<_>>() as &[Option<i32>],
    )
    .execute(connection)
    .await?;
    Ok(())
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
