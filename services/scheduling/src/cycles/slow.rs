//! Who held up a cycle that ran out of time: what these miners lack must not keep the others from being paid.
//!
//! Executors serve those first who have used the least time (see `tasks::shares`). So when the time is up, a miner with episodes left was
//! served as long as each of the others, or longer. When it was served more than [`TIMES`] as long as the median miner, it is slow: more
//! executors might have played it to its end, but a few such miners could then hold up the pay of all, within their time budgets, for ever.
//! Where there are too few executors for all miners, all have used about the same time, and none is slow.
//!
//! What is left of a slow miner counts neither for nor against it. It is evaluated by what was played of it; where that is too little, it is
//! not evaluated, as any miner that falls short.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kinitro_domain::MinerUid;
use sqlx::PgConnection;

use crate::{database::CycleRow, error::CycleError};

/// How many times the median is slow.
const TIMES: f64 = 2.0;
/// An executor that played until the end has brought a result so shortly before it. No episode takes as long.
const LATELY: Duration = Duration::from_secs(300);

/// What a miner used of a cycle's time, and whether the cycle's end left some of its episodes unplayed.
#[derive(Debug, Clone, Copy)]
struct Served {
    seconds: f64,
    has_left: bool,
}

/// The slow miners of a closed cycle. None where no executor was there at its end: then the time did not run out, it was lost.
pub(super) async fn read(connection: &mut PgConnection, cycle: &CycleRow) -> Result<BTreeSet<MinerUid>, CycleError> {
    let rows = sqlx::query!(
        r#"SELECT t.uid,
                  coalesce(sum(least(t.policy_seconds, 1e6) ORDER BY t.env_id, t.episode)
                      FILTER (WHERE t.state = 'completed'), 0) AS "seconds!",
                  coalesce(bool_or(t.state = 'failed' AND t.cause = 'cycle_closed'), false) AS "has_left!",
                  coalesce(bool_or(t.state = 'completed' AND t.cause NOT IN ('endpoint_refused', 'time_budget_exceeded')
                                   AND t.completed_at > c.closed_at - make_interval(secs => $2)), false) AS "lately!"
             FROM scheduling.tasks t JOIN scheduling.cycles c ON c.id = t.cycle_id
            WHERE t.cycle_id = $1 GROUP BY t.uid"#,
        cycle.id,
        LATELY.as_secs_f64(),
    )
    .fetch_all(connection)
    .await?;
    if !rows.iter().any(|row| row.lately) {
        return Ok(BTreeSet::new());
    }
    let served = rows.into_iter().filter_map(|row| {
        let uid = MinerUid(u16::try_from(row.uid).ok()?);
        Some((uid, Served { seconds: row.seconds, has_left: row.has_left }))
    });
    Ok(slow(&served.collect()))
}

/// Says that a cycle was judged without slow miners.
pub(super) fn report(cycle: &CycleRow, slow: &BTreeSet<MinerUid>) {
    if slow.is_empty() {
        return;
    }
    let uids: Vec<u16> = slow.iter().map(|uid| uid.0).collect();
    tracing::warn!(
        cycle_id = cycle.id,
        ?uids,
        "the cycle's time was up before these miners were played, whose policies had taken more than twice the time of the median miner: the \
         cycle is judged without them; more executors, or a longer cycle, would play them"
    );
}

/// Where most policies took no time at all (they refused every connection, say), the others are compared with each other.
fn slow(miners: &BTreeMap<MinerUid, Served>) -> BTreeSet<MinerUid> {
    let mut times: Vec<f64> = miners.values().map(|served| served.seconds).collect();
    times.sort_by(f64::total_cmp);
    if times.get(times.len() / 2).is_some_and(|median| *median <= 0.0) {
        times.retain(|seconds| *seconds > 0.0);
    }
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
        // Nor do a few of them hide the slow ones among the others.
        let mut field = vec![(0.0, false); 5];
        field.extend([(150.0, false); 6]);
        field.extend([(7000.0, true); 9]);
        assert_eq!(slow_of(&field).len(), 9);
    }
}
