//! Waiting for a policy, on its time only.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use kinitro_domain::Cause;
use tokio::time::timeout;

use crate::{Fault, metered::Allowance};

/// A timer that fires so much later than it was set for was not served: this process stood still.
const LATE: Duration = Duration::from_millis(50);

/// How often the time is given again. A machine whose timers are late more often than that cannot time a policy at all.
const RENEWALS: u32 = 3;

/// What came of an exchange; `late` when the time was over.
///
/// The time is the policy's. While this process stands still (it is stopped, its machine is suspended, other processes take all cores),
/// nobody takes the answer in, and afterwards its timers fire before the connection is read. So a timer that fires late is set
/// once more: a policy is blamed only after it had the whole time while somebody listened. Where that does not come to pass, it is our fault,
/// and the policy gets no more time than [`RENEWALS`] allow. But a standstill that the peer's own bytes are the work of is the peer's.
pub(crate) async fn answer_within<T>(
    within: Duration,
    peer: Option<&Allowance>,
    late: impl FnOnce() -> Fault,
    exchange: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let mut exchange = pin!(exchange);
    let cost = || peer.map(Allowance::cost).unwrap_or_default();
    for _ in 0..=RENEWALS {
        let (set, spent) = (Instant::now(), cost());
        if let Ok(outcome) = timeout(within, exchange.as_mut()).await {
            return outcome;
        }
        let took = set.elapsed();
        if took < within + LATE || cost().saturating_sub(spent) >= LATE {
            return Err(late());
        }
        tracing::warn!(?within, ?took, "this process stood still while a policy was asked");
    }
    let what =
        format!("this executor stood still {} times in a row while it waited {within:?} for a policy", RENEWALS + 1);
    Err(Fault::new(Cause::Executor, what))
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const WITHIN: Duration = Duration::from_millis(300);

    fn late() -> Fault {
        Fault::new(Cause::ActionTimeout, "late")
    }

    #[tokio::test]
    async fn a_standstill_of_this_process_is_not_the_policys_time() {
        let answer = async {
            sleep(Duration::from_millis(10)).await;
            // The only thread of this runtime.
            #[expect(clippy::disallowed_methods, reason = "this is the standstill")]
            std::thread::sleep(2 * (WITHIN + LATE));
            // What came meanwhile is not read in the same moment.
            sleep(Duration::from_millis(10)).await;
            Ok(7)
        };
        assert_eq!(answer_within(WITHIN, None, late, answer).await, Ok(7));
    }

    #[tokio::test]
    async fn a_standstill_over_the_peers_own_bytes_is_the_peers() {
        let peer = Allowance::new();
        let reading = async {
            let until = Instant::now() + 4 * (WITHIN + LATE);
            // The only thread of this runtime, at work.
            while Instant::now() < until {}
            std::future::pending::<()>().await;
        };
        let exchange = async {
            peer.charge(Box::pin(reading)).await;
            Ok(())
        };
        assert_eq!(answer_within(WITHIN, Some(&peer), late, exchange).await, Err(late()));
    }

    #[tokio::test]
    async fn a_policy_that_never_answers_runs_out_of_time() {
        let never = std::future::pending::<Result<(), Fault>>();
        assert_eq!(answer_within(WITHIN, None, late, never).await, Err(late()));
    }

    #[tokio::test]
    async fn a_machine_that_always_stands_still_gives_no_time_without_end() {
        const SHORT: Duration = Duration::from_millis(10);
        let busy = tokio::spawn(async {
            loop {
                #[expect(clippy::disallowed_methods, reason = "this is the standstill")]
                std::thread::sleep(SHORT + 2 * LATE);
                tokio::task::yield_now().await;
            }
        });
        let never = std::future::pending::<Result<(), Fault>>();
        let outcome = timeout(Duration::from_secs(60), answer_within(SHORT, None, late, never)).await;
        assert_eq!(outcome.map(|outcome| outcome.map_err(|fault| fault.cause())), Ok(Err(Cause::Executor)));
        busy.abort();
    }
}
