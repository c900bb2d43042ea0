//! Starts cycles at the interval. Every replica runs this; the guards of starting let one of them win.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use kinitro_chassis::BackOff;
use tokio_util::sync::CancellationToken;

use super::{Cycles, Plan, Trigger, pass};
use crate::{
    database::{Which, find_cycle},
    error::CycleError,
};

/// How long to sleep at most before looking again: another replica may have started or closed a cycle.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(10);
/// The same reason is not logged more often.
const REMIND: Duration = Duration::from_secs(60);

impl Cycles {
    /// Starts a cycle whenever one is due, until the drain.
    pub async fn run_timer(self: Arc<Self>, draining: CancellationToken) -> Result<(), Infallible> {
        let mut back_off = BackOff::new(FIRST_RETRY, LAST_RETRY);
        let mut logged: Option<(&'static str, Instant)> = None;
        loop {
            let pause = match pass(self.start_when_due()).await {
                Ok(pause) => {
                    back_off.reset();
                    logged = None;
                    pause
                }
                Err(error) => {
                    let (pause, reason) = (back_off.pause(), error.reason());
                    metrics::counter!("kinitro_cycles_skipped_total", "reason" => reason).increment(1);
                    if logged.is_none_or(|(last, at)| last != reason || at.elapsed() >= REMIND) {
                        logged = Some((reason, Instant::now()));
                        let retry_seconds = pause.as_secs_f64();
                        tracing::warn!(reason, %error, retry_seconds, "a cycle is due and is skipped");
                    }
                    pause
                }
            };
            tokio::select! {
                () = draining.cancelled() => return Ok(()),
                () = self.closed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Starts a cycle if one is due; how long to sleep then.
    async fn start_when_due(&self) -> Result<Duration, CycleError> {
        let newest = find_cycle(&self.pool, Which::Newest).await?;
        let due = match &newest {
            None => Duration::ZERO,
            Some(cycle) if cycle.is_open() => return Ok(LOOK_AGAIN),
            Some(cycle) => {
                let age = Duration::try_from_secs_f64(cycle.seconds_until(None)).unwrap_or(Duration::MAX);
                self.config.interval().saturating_sub(age)
            }
        };
        if !due.is_zero() {
            return Ok(due.min(LOOK_AGAIN));
        }
        match self.start(Plan::of(&self.config, &self.environments)?, Trigger::Timer).await {
            Ok(_) => Ok(LOOK_AGAIN),
            Err(CycleError::CycleRunning(_) | CycleError::StartedElsewhere | CycleError::NotDue) => Ok(LOOK_AGAIN),
            Err(error) => Err(error),
        }
    }
}
