//! Who held up a cycle that ran out of time: what these miners lack must not keep the others from being paid.
//!
//! Executors serve those first who have used the least time (see `tasks::shares`). So when the time is up, a miner with episodes left was
//! served as long as each of the others, or longer. When it was served more than [`TIMES`] as long as the median miner, it is slow: more
//! executors might have played it to its end, but a few such miners could then hold up the pay of all, within their time budgets, for ever.
//! Where the executors are too few for everybody, all have used about as much, and none is slow.
//!
//! Nothing is held against a slow miner. It is evaluated by what was played of it, if that is enough.

use std::collections::{BTreeMap, BTreeSet};

use kinitro_domain::MinerUid;
use sqlx::PgConnection;

use crate::{database::CycleRow, error::CycleError};

/// How many times the median is slow.
const TIMES: f64 = 2.0;

/// What a miner used of a cycle's time, and whether the cycle's end left some of its episodes unplayed.
#[derive(Debug, Clone, Copy)]
struct Served {
    seconds: f64,
    has_left: bool,
}

/// The slow miners of a closed cycle.
pub(super) async fn read(connection: &mut PgConnection, cycle: &CycleRow) -> Result<BTreeSet<MinerUid>, CycleError> {
    let rows = sqlx::query!(
        r#"SELECT uid,
                  coalesce(sum(least(policy_seconds, 1e6)) FILTER (WHERE state = 'completed'), 0) AS "seconds!",
                  bool_or(state = 'failed' AND cause = 'cycle_closed') AS "has_left!"
             FROM scheduling.tasks WHERE cycle_id = $1 GROUP BY uid"#,
        cycle.id
    )
    .fetch_all(connection)
    .await?;
    let served = rows.into_iter().filter_map(|row| {
        let uid = MinerUid(u16::try_from(row.uid).ok()?);
        Some((uid, Served { seconds: row.seconds, has_left: row.has_left }))
    });
    let slow = slow(&served.collect());
    if !slow.is_empty() {
        let uids: Vec<u16> = slow.iter().map(|uid| uid.0).collect();
        tracing::warn!(
            cycle_id = cycle.id,
            ?uids,
            "the cycle's time was up before these miners were played, whose policies had taken more than twice the time of the median miner: \
             they hold up nobody; more executors, or a longer cycle, would play them"
        );
    }
    Ok(slow)
}

/// A policy that took no time at all (it refused every connection, say) does not make the others slow.
fn slow(miners: &BTreeMap<MinerUid, Served>) -> BTreeSet<MinerUid> {
    let mut times: Vec<f64> = miners.values().map(|served| served.seconds).filter(|seconds| *seconds > 0.0).collect();
    times.sort_by(f64::total_cmp);
    let Some(median) = times.get(times.len() / 2) else { return BTreeSet::new() };
    let is_slow = |served: &Served| served.has_left && served.seconds > TIMES * median;
    miners.iter().filter(|(_, served)| is_slow(served)).map(|(uid, _)| *uid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow_of(miners: &[(f64, bool)]) -> Vec<u16> {
        let served = miners.iter().map(|&(seconds, has_left)| Served { seconds, has_left });
        slow(&(0..).map(MinerUid).zip(served).collect()).iter().map(|uid| uid.0).collect()
    }

    #[test]
    fn who_took_more_than_twice_the_median_and_was_not_played_to_its_end_is_slow() {
        assert_eq!(slow_of(&[(150.0, false), (160.0, false), (140.0, false), (7000.0, true), (7000.0, false)]), [3]);
        assert_eq!(slow_of(&[(150.0, false), (160.0, false), (300.0, true)]), [0; 0]);
        assert_eq!(slow_of(&[(150.0, false), (7000.0, true)]), [0; 0], "of two, none is the median of the others");
    }

    #[test]
    fn none_is_slow_where_the_executors_are_too_few_for_everybody() {
        assert_eq!(slow_of(&[(700.0, true), (720.0, true), (690.0, true), (300.0, false)]), [0; 0]);
        assert_eq!(slow_of(&[]), [0; 0]);
    }

    #[test]
    fn miners_without_a_server_do_not_make_the_others_slow() {
        assert_eq!(slow_of(&[(0.0, false), (0.0, false), (0.0, false), (150.0, true), (160.0, true)]), [0; 0]);
    }
}
