//! What a scored cycle found of each miner, for the list of miners.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::PgConnection;

use super::tally::Tallied;
use crate::database::CycleRow;

/// One miner over the environments in which an episode of it counted.
#[derive(Debug, PartialEq, Serialize)]
struct Found {
    uid: u32,
    /// The mean of its success rates, each environment counting the same; absent when nothing counted.
    rate: Option<f64>,
    env_ids: Vec<String>,
}

/// Writes it beside the miners of the cycle, which are there already.
pub(super) async fn record(
    connection: &mut PgConnection,
    cycle: &CycleRow,
    tallies: &[Tallied],
) -> Result<(), sqlx::Error> {
    let found = serde_json::to_value(found(tallies)).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query!(
        "UPDATE scheduling.evaluated_miners e
            SET last_block = $2, last_success_rate = f.rate, last_env_ids = coalesce(f.env_ids, '{}')
           FROM scheduling.cycle_miners m
           LEFT JOIN jsonb_to_recordset($3) AS f(uid integer, rate double precision, env_ids text[]) USING (uid)
          WHERE m.cycle_id = $1 AND e.hotkey = m.hotkey",
        cycle.id,
        cycle.block_number,
        found
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn found(tallies: &[Tallied]) -> Vec<Found> {
    let mut by_uid: BTreeMap<u32, Vec<&Tallied>> = BTreeMap::new();
    for tally in tallies {
        by_uid.entry(tally.uid).or_default().push(tally);
    }
    let of_miner = |(uid, tallies): (u32, Vec<&Tallied>)| {
        let counted: Vec<_> = tallies.into_iter().filter(|tally| tally.outcomes.counted() > 0).collect();
        let sum: f64 = counted.iter().map(|tally| tally.outcomes.success_rate()).sum();
        let rate = (!counted.is_empty()).then(|| sum / counted.len() as f64);
        Found { uid, rate, env_ids: counted.into_iter().map(|tally| tally.env_id.clone()).collect() }
    };
    by_uid.into_iter().map(of_miner).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::tally::{Played, settle},
        *,
    };

    #[test]
    fn every_environment_in_which_something_counted_counts_the_same() {
        let played = |uid, env: &str, letters: &str| Played::new(uid, env.to_owned(), letters, 0.0, 1);
        let tallies = settle(
            vec![
                played(3, "metaworld/push-v3", "1111"),
                played(3, "metaworld/reach-v3", "0-"),
                played(3, "metaworld/door-open-v3", "--"),
                played(4, "metaworld/push-v3", "--"),
            ],
            &[],
        );
        let envs = ["metaworld/push-v3", "metaworld/reach-v3"].map(str::to_owned).to_vec();
        let expected =
            [Found { uid: 3, rate: Some(0.5), env_ids: envs }, Found { uid: 4, rate: None, env_ids: Vec::new() }];
        assert_eq!(found(&tallies), expected);
    }
}
