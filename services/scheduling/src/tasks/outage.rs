//! Our network being down for a while must not use up the attempts of a whole cycle; and miners must not be able to pretend that it is.
//!
//! An attempt that did not reach the policy is not spent when it was our network:
//!
//! - The executor did not reach its beacon: it was ours, however long that takes. It reached its beacon: it was not.
//! - While the executor brings results, a beacon that it does not reach is away itself, or blocked: that says nothing, as if it had none.
//! - Without a beacon it may have been ours while the servers of [`FEWEST`] different hosts could not be reached, of different miners and by
//!   whichever executor, and no episode of the cycle came to a result within [`RECENT`]. Miners can bring that about together, so it is
//!   believed [`PATIENCE`] times a task and no more: they gain a delay. When the policy is still away then, it is the miner's failure as ever.

use std::{collections::BTreeSet, time::Duration};

use kinitro_commitment::Endpoint;
use kinitro_domain::ExecutorId;

use super::{TaskError, Tasks, report::Report};

/// So many different hosts away may be a coincidence no more.
const FEWEST: usize = 3;
/// For how long what was seen of the network stands.
const RECENT: Duration = Duration::from_secs(60);
/// So many attempts of one task are not spent without a beacon.
pub(super) const PATIENCE: i64 = 12;
/// How long a task waits whose attempt was not spent.
pub(super) const PAUSE: Duration = Duration::from_secs(30);

impl Tasks {
    /// Whether the executor reached its beacon, for each of its faults; absent where that says nothing.
    pub(super) async fn beacons(
        &self,
        executor: &ExecutorId,
        faults: &[&Report],
    ) -> Result<Vec<Option<bool>>, TaskError> {
        let missed = faults.iter().any(|report| report.is_unreachable() && report.beacon_reached == Some(false));
        let misleads = missed && self.played_lately(executor).await?;
        Ok(faults.iter().map(|report| report.beacon_reached.filter(|reached| *reached || !misleads)).collect())
    }

    /// Whether an episode of this executor came to a result for which it reached the policy.
    async fn played_lately(&self, executor: &ExecutorId) -> Result<bool, TaskError> {
        let played = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM scheduling.cycles c JOIN scheduling.tasks t ON t.cycle_id = c.id
                               WHERE c.state = 'running' AND t.state = 'completed' AND t.executor_id = $1
                                 AND t.cause NOT IN ('endpoint_refused', 'time_budget_exceeded')
                                 AND t.completed_at > now() - make_interval(secs => $2)) AS "played!""#,
            executor.as_str(),
            RECENT.as_secs_f64(),
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(played)
    }

    /// Whether it may be our network that keeps executors from reaching policies now of whose beacons nothing is known.
    pub(super) async fn network_may_be_down(
        &self,
        faults: &[&Report],
        beacons: &[Option<bool>],
    ) -> Result<bool, TaskError> {
        if !faults.iter().zip(beacons).any(|(report, beacon)| report.is_unreachable() && beacon.is_none()) {
            return Ok(false);
        }
        let endpoints = sqlx::query_scalar!(
            "SELECT DISTINCT m.endpoint
               FROM scheduling.cycles c
               JOIN scheduling.unreached_attempts u ON u.cycle_id = c.id AND u.ended_at > now() - make_interval(secs => $1)
               JOIN scheduling.cycle_miners m ON m.cycle_id = c.id AND m.uid = u.uid
              WHERE c.state = 'running' AND u.beacon_reached IS NOT TRUE
                AND NOT EXISTS (SELECT 1 FROM scheduling.unreached_attempts b
                                 WHERE b.cycle_id = c.id AND b.beacon_reached AND b.ended_at > now() - make_interval(secs => $1))
                AND NOT EXISTS (SELECT 1 FROM scheduling.tasks t
                                 WHERE t.cycle_id = c.id AND t.state = 'completed'
                                   AND t.cause NOT IN ('endpoint_refused', 'time_budget_exceeded')
                                   AND t.completed_at > now() - make_interval(secs => $1))",
            RECENT.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        let hosts: BTreeSet<String> = endpoints.iter().map(|endpoint| host(endpoint)).collect();
        let down = hosts.len() >= FEWEST;
        if down {
            tracing::error!(
                hosts = hosts.len(),
                "no policy can be reached: is the network of the executors down? set KINITRO_EXECUTOR_BEACON, and it can be told"
            );
        }
        Ok(down)
    }
}

/// The host of a stored endpoint, in its one spelling. Of a text that is no endpoint, which no ingestion stores, all of it.
pub(crate) fn host(endpoint: &str) -> String {
    endpoint.parse::<Endpoint>().map_or_else(|_| endpoint.to_owned(), |endpoint| endpoint.host().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_paths_make_no_other_host() {
        for endpoint in ["http://one.example", "grpcs://one.example:443", "https://One.Example.:8443/v1"] {
            assert_eq!(host(endpoint), "one.example");
        }
        assert_eq!(host("http://[2001:db8::1]:80/"), "2001:db8::1");
        assert_eq!(host("no endpoint"), "no endpoint");
    }
}
