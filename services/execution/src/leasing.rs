//! The lease loop: takes up tasks while slots are free, keeps the leases alive, and hands back what is left when the executor drains.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use kinitro_chassis::continue_trace;
use kinitro_domain::{Cause, EnvId, ExecutorId, Verdict};
use kinitro_proto::scheduling::v1::{
    HeartbeatRequest, Lease, LeaseTasksRequest, LeaseTasksResponse, ReleaseTasksRequest, Task, TaskResult,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};
use tracing::Instrument as _;

use crate::{
    engine::{Engine, Slot},
    episode::{Plan, Report, Timing},
    lease::Leases,
    scheduling::{BackOff, CALL_TIMEOUT, LONGEST_WAIT, Scheduling, within},
};

/// How long a request for work that is under way when the drain begins is waited for: its answer may hold leases.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// How long leases are tried to be handed back, and results to be delivered, when a drain ends.
pub(crate) const FAREWELL: Duration = Duration::from_secs(10);

/// Before the first answer of scheduling says how long a lease lives.
const UNKNOWN_LEASE_SECONDS: u32 = 30;

/// More leases than this do not go into one heartbeat.
const HEARTBEAT_BATCH: usize = 1000;

/// What a drain came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Drained {
    pub(crate) episodes_finished: u32,
    pub(crate) leases_returned: u32,
}

/// Everything that leasing needs.
pub(crate) struct Leasing {
    pub(crate) engine: Arc<Engine>,
    pub(crate) scheduling: Scheduling,
    pub(crate) executor_id: ExecutorId,
    pub(crate) leases: Arc<Leases>,
    pub(crate) results: mpsc::Sender<TaskResult>,
    pub(crate) batch_size: u32,
    pub(crate) poll_interval: Duration,
    pub(crate) drain: Duration,
    pub(crate) max_timesteps: u32,
    pub(crate) images: bool,
    pub(crate) lease_seconds: AtomicU32,
    /// Told when `lease_seconds` changes, so that a shorter lease is not outslept.
    pub(crate) lease_changed: Notify,
    pub(crate) finished: AtomicU32,
    pub(crate) drained: watch::Sender<Option<Drained>>,
}

impl Leasing {
    /// Leases until the engine stops, then drains.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut back_off = BackOff::default();
        while !self.engine.stop.is_cancelled() {
            tokio::select! {
                () = self.engine.stop.cancelled() => break,
                // Freed again at once: it only says that there is one.
                slot = self.engine.next_slot() => drop(slot),
            }
            let asked = Instant::now();
            match self.lease().await {
                Some(Ok(answer)) => {
                    back_off = BackOff::default();
                    self.lease_lives(answer.lease_seconds);
                    let none = answer.tasks.is_empty();
                    for task in answer.tasks {
                        self.take_up(task);
                    }
                    if none {
                        self.pause(self.poll_interval.saturating_sub(asked.elapsed())).await;
                    }
                }
                Some(Err(status)) => {
                    let pause = back_off.next();
                    tracing::warn!(%status, ?pause, "scheduling leased no tasks");
                    self.pause(pause).await;
                }
                None => break,
            }
        }
        self.drain().await;
    }

    /// One request for as many tasks as there are free slots; `None` when the drain began and no answer came.
    async fn lease(&self) -> Option<Result<LeaseTasksResponse, tonic::Status>> {
        let free = u32::try_from(self.engine.free_slots()).unwrap_or(u32::MAX).clamp(1, self.batch_size);
        let wait = self.poll_interval.min(LONGEST_WAIT);
        let request = LeaseTasksRequest {
            executor_id: self.executor_id.to_string(),
            batch_size: Some(free),
            env_ids: self.engine.environments.iter().map(|(env_id, _)| env_id.to_string()).collect(),
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        };
        let mut scheduling = self.scheduling.clone();
        let mut call = std::pin::pin!(scheduling.lease_tasks(within(wait + CALL_TIMEOUT, request)));
        let answer = tokio::select! {
            answer = &mut call => answer,
            () = self.engine.stop.cancelled() => timeout(LAST_ANSWER, call).await.ok()?,
        };
        Some(answer.map(tonic::Response::into_inner))
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.engine.stop.cancelled() => {}
        }
    }

    /// Starts a leased task. Its slot is taken here, so that the next request asks for one less. Where an episode on demand took the
    /// slot meanwhile, the task waits for another one; its lease is kept alive.
    fn take_up(self: &Arc<Self>, task: Task) {
        let stop = self.leases.take(&task);
        let slot = self.engine.try_slot();
        let span = tracing::info_span!(
            "episode",
            task_uuid = task.task_uuid,
            attempt = task.attempt,
            miner_uid = task.miner_uid,
            env_id = task.env_id
        );
        continue_trace(&task.traceparent, &span);
        let leasing = self.clone();
        self.engine.running.spawn(
            async move {
                let lease = Lease { task_uuid: task.task_uuid.clone(), attempt: task.attempt };
                let _left_to_expire = LeftToExpire { leases: &leasing.leases, lease: &lease };
                let report = tokio::select! {
                    biased;
                    () = stop.cancelled() => None,
                    report = leasing.play(&task, slot, &stop) => report,
                };
                let Some(report) = report else { return };
                tracing::info!(cause = %report.cause, timesteps = report.timesteps, evidence = report.evidence, "episode ended");
                leasing.leases.finish(&lease);
                leasing.finished.fetch_add(1, Ordering::Relaxed);
                let sent = leasing.results.send(result(&lease, report)).await;
                if sent.is_err() {
                    tracing::error!("a result came after the delivery had ended");
                }
            }
            .instrument(span),
        );
    }

    async fn play(
        &self,
        task: &Task,
        slot: Option<Slot>,
        stop: &tokio_util::sync::CancellationToken,
    ) -> Option<Report> {
        let known = |env_id: &EnvId| self.engine.limit(env_id).is_some();
        let Some(env_id) = task.env_id.parse().ok().filter(known) else {
            return Some(unplayable(format!("this executor was given `{}`, which it does not play", task.env_id)));
        };
        let plan = Plan {
            env_id,
            seed: u64::from(task.seed),
            endpoint: task.miner_endpoint.clone(),
            max_timesteps: self.max_timesteps,
            images: self.images,
        };
        let slot = match slot {
            Some(slot) => slot,
            None => self.engine.next_slot().await,
        };
        self.engine.play(&plan, slot, stop).await
    }

    /// Keeps the leases alive until the drain is over.
    pub(crate) async fn heartbeats(self: Arc<Self>) {
        let mut drained = self.drained.subscribe();
        loop {
            let third = Duration::from_secs(u64::from(self.lease_seconds.load(Ordering::Relaxed))) / 3;
            let pause = if self.heartbeat().await { third } else { third.min(Duration::from_secs(1)) };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.lease_changed.notified() => {}
                _ = drained.wait_for(Option::is_some) => return,
            }
        }
    }

    fn lease_lives(&self, seconds: u32) {
        let seconds = seconds.max(1);
        if self.lease_seconds.swap(seconds, Ordering::Relaxed) != seconds {
            self.lease_changed.notify_one();
        }
    }

    async fn heartbeat(&self) -> bool {
        let leases = self.leases.all();
        for part in leases.chunks(HEARTBEAT_BATCH) {
            let request = HeartbeatRequest { executor_id: self.executor_id.to_string(), leases: part.to_vec() };
            match self.scheduling.clone().heartbeat(within(CALL_TIMEOUT, request)).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    self.lease_lives(answer.lease_seconds);
                    self.leases.lost(part, &answer.lost);
                }
                Err(status) => {
                    tracing::warn!(%status, leases = part.len(), "scheduling took no heartbeat");
                    return false;
                }
            }
        }
        true
    }

    async fn drain(&self) {
        let before = self.finished.load(Ordering::Relaxed);
        tracing::info!(leases = self.leases.all().len(), grace = ?self.drain, "draining: no new leases");
        self.engine.running.close();
        if timeout(self.drain, self.engine.running.wait()).await.is_err() {
            tracing::info!("the grace time is over: stopping what still plays");
        }
        let unplayed = self.leases.stop_all();
        self.engine.abort.cancel();
        self.engine.running.wait().await;
        let leases_returned = self.hand_back(unplayed).await;
        if timeout(FAREWELL, self.leases.none_left()).await.is_err() {
            let results = self.leases.all().len();
            tracing::error!(results, "scheduling is away: results are lost with this process and will be played again");
        }
        let episodes_finished = self.finished.load(Ordering::Relaxed) - before;
        tracing::info!(episodes_finished, leases_returned, "drained");
        self.drained.send_replace(Some(Drained { episodes_finished, leases_returned }));
    }

    async fn hand_back(&self, leases: Vec<Lease>) -> u32 {
        let mut returned = 0;
        for part in leases.chunks(HEARTBEAT_BATCH) {
            let attempt = async {
                let mut back_off = BackOff::default();
                loop {
                    let request =
                        ReleaseTasksRequest { executor_id: self.executor_id.to_string(), leases: part.to_vec() };
                    match self.scheduling.clone().release_tasks(within(CALL_TIMEOUT, request)).await {
                        Ok(answer) => return answer.into_inner().released,
                        Err(status) => {
                            tracing::warn!(%status, leases = part.len(), "scheduling has not taken the leases back yet");
                            sleep(back_off.next()).await;
                        }
                    }
                }
            };
            match timeout(FAREWELL, attempt).await {
                Ok(released) => returned += released,
                Err(_) => tracing::error!(leases = part.len(), "leases not handed back: they return when they expire"),
            }
            part.iter().for_each(|lease| self.leases.drop_lease(lease));
        }
        returned
    }
}

impl Leasing {
    /// The lease time before scheduling has named one.
    pub(crate) fn unknown_lease_seconds() -> AtomicU32 {
        AtomicU32::new(UNKNOWN_LEASE_SECONDS)
    }
}

/// Without it, the lease of an episode that panics would be kept alive for ever, and its cycle would wait for nobody.
struct LeftToExpire<'a> {
    leases: &'a Leases,
    lease: &'a Lease,
}

impl Drop for LeftToExpire<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task_uuid = self.lease.task_uuid, "an episode panicked here; its lease is left to expire");
            self.leases.drop_lease(self.lease);
        }
    }
}

fn unplayable(evidence: String) -> Report {
    Report {
        cause: Cause::Executor,
        evidence,
        total_reward: 0.0,
        timesteps: 0,
        trajectory_hash: String::new(),
        timing: Timing::default(),
    }
}

fn result(lease: &Lease, report: Report) -> TaskResult {
    let verdict = report.cause.verdict();
    let success = verdict == Verdict::Success;
    let fault = matches!(verdict, Verdict::PolicyFault | Verdict::InfrastructureFault);
    TaskResult {
        task_uuid: lease.task_uuid.clone(),
        attempt: lease.attempt,
        success,
        score: if success { 1.0 } else { 0.0 },
        total_reward: report.total_reward,
        timesteps: report.timesteps,
        error: fault.then_some(report.evidence),
        verification_passed: None,
        verification_score: None,
        verdict: verdict.to_string(),
        cause: report.cause.to_string(),
        trajectory_hash: report.trajectory_hash,
        duration_seconds: report.timing.total.as_secs_f64(),
        policy_seconds: report.timing.policy.as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn the_lease_of_an_episode_that_panics_is_not_kept_alive() {
        let (leases, lease) = (Leases::default(), Lease { task_uuid: "a".to_owned(), attempt: 1 });
        leases.take(&Task { task_uuid: lease.task_uuid.clone(), attempt: lease.attempt, ..Task::default() });
        drop(LeftToExpire { leases: &leases, lease: &lease });
        assert_eq!(leases.all(), std::slice::from_ref(&lease), "an ordinary end leaves it to the delivery");
        let episode = AssertUnwindSafe(|| {
            let _left_to_expire = LeftToExpire { leases: &leases, lease: &lease };
            panic!("as a bug would");
        });
        assert!(catch_unwind(episode).is_err());
        assert!(leases.all().is_empty());
    }
}
