//! The lease loops: each family takes up tasks while its slots are free. One place keeps all leases alive, and hands back what is left
//! when the executor drains.
//!
//! What cannot start at once is not leased, so every request names what is free *now*: the family's slots, and the miners that have as
//! many episodes in flight as they may. What comes all the same (two families may ask at the same moment) is released unspent.

mod drain;
mod heartbeat;
mod result;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use kinitro_chassis::continue_trace;
use kinitro_commitment::Endpoint;
use kinitro_domain::{Cause, EnvId, ExecutorId, Verdict};
use kinitro_policy::Fault;
use kinitro_proto::scheduling::v1::{Lease, LeaseTasksRequest, LeaseTasksResponse, Task, TaskResult};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub(crate) use drain::{Drained, FAREWELL};

use crate::{
    contact::Contact,
    engine::Engine,
    episode::{Plan, Report},
    family::{Ended, Family, Slot},
    lease::{End, Leases},
    miners::{Miners, Seat},
    network::Network,
    scheduling::{CALL_TIMEOUT, LONGEST_WAIT, Scheduling, back_off, within},
    servers::{Found, Servers},
    telemetry,
    warm_up::Entrant,
};
use result::result;

/// How long a request for work that is under way when the drain begins is waited for: its answer may hold leases.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// Before the first answer of scheduling says how long a lease lives.
const UNKNOWN_LEASE_SECONDS: u32 = 30;

/// More leases than this do not go into one request.
const HEARTBEAT_BATCH: usize = 1000;

/// More miners than this are not named in one request; what is leased beyond them is released.
const MOST_FULL_MINERS: usize = 1024;

/// The longest pause after a request that left miners out: others may have tasks by then.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Everything that leasing needs.
pub(crate) struct Leasing {
    pub(crate) engine: Arc<Engine>,
    pub(crate) scheduling: Scheduling,
    pub(crate) contact: Arc<Contact>,
    pub(crate) executor_id: ExecutorId,
    pub(crate) leases: Arc<Leases>,
    pub(crate) miners: Arc<Miners>,
    pub(crate) servers: Servers,
    pub(crate) network: Arc<Network>,
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

/// What an episode holds while it is in flight.
struct Place {
    _slot: Slot,
    seat: Seat,
}

/// What became of a leased task.
enum Outcome {
    Played(Report),
    /// Its lease is handed back with those of others, or was lost.
    Stopped,
    /// It did not begin, and this is why.
    NoPlace(&'static str),
}

impl Leasing {
    /// Leases until the engine stops, then drains.
    pub(crate) async fn run(self: Arc<Self>) {
        let loops = self.engine.families.iter().map(|family| self.lease_for(family));
        futures::future::join_all(loops).await;
        self.drain().await;
    }

    /// Leases what one family can play.
    async fn lease_for(self: &Arc<Self>, family: &Arc<Family>) {
        let mut back_off = back_off();
        let mut room = self.miners.room();
        loop {
            tokio::select! {
                biased;
                () = self.engine.stop.cancelled() => return,
                () = family.slots.one_free() => {}
            }
            if let Some(pause) = self.network.pause() {
                self.pause(pause).await;
                continue;
            }
            let asked = Instant::now();
            room.mark_unchanged();
            let full = self.miners.full();
            let longest_pause = if full.is_empty() { self.poll_interval } else { FULL_PAUSE.min(self.poll_interval) };
            match self.lease(family, full).await {
                Some(Ok(answer)) => {
                    back_off.reset();
                    self.lease_lives(answer.lease_seconds);
                    let leased = answer.tasks.len();
                    let unplayed: Vec<Lease> =
                        answer.tasks.into_iter().filter_map(|task| self.take_up(family, task)).collect();
                    let nothing_began = unplayed.len() == leased;
                    self.hand_back(unplayed).await;
                    if nothing_began {
                        tokio::select! {
                            () = self.pause(longest_pause.saturating_sub(asked.elapsed())) => {}
                            // An error would say that the miners are gone, and we hold them.
                            _ = room.changed() => {}
                        }
                    }
                }
                Some(Err(status)) => {
                    let pause = back_off.pause();
                    tracing::warn!(family = family.name, %status, ?pause, "scheduling leased no tasks");
                    self.pause(pause).await;
                }
                None => return,
            }
        }
    }

    /// One request for as many tasks as could start; `None` when the drain began and no answer came.
    async fn lease(&self, family: &Family, full: Vec<u32>) -> Option<Result<LeaseTasksResponse, tonic::Status>> {
        let free = if self.network.is_down() { 1 } else { u32::try_from(family.slots.free()).unwrap_or(u32::MAX) };
        // While miners are left out the answer is wanted at once, because they may have room in the next moment.
        let wait = if full.is_empty() { self.poll_interval.min(LONGEST_WAIT) } else { Duration::ZERO };
        let request = LeaseTasksRequest {
            executor_id: self.executor_id.to_string(),
            batch_size: Some(free.clamp(1, self.batch_size)),
            env_ids: family.environments.iter().map(|(env_id, _)| env_id.to_string()).collect(),
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
            full_miner_uids: full.into_iter().take(MOST_FULL_MINERS).collect(),
            max_per_miner: self.miners.least_room(),
            heartbeats: true,
            lease_seconds: None,
        };
        let mut scheduling = self.scheduling.clone();
        let mut call = std::pin::pin!(scheduling.lease_tasks(within(wait + CALL_TIMEOUT, request)));
        let answer = tokio::select! {
            answer = &mut call => answer,
            () = self.engine.stop.cancelled() => timeout(LAST_ANSWER, call).await.ok()?,
        };
        Some(self.contact.noted(answer).map(tonic::Response::into_inner))
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.engine.stop.cancelled() => {}
        }
    }

    /// Starts a leased task; its lease when it cannot start now.
    fn take_up(self: &Arc<Self>, family: &Arc<Family>, task: Task) -> Option<Lease> {
        let lease = Lease { task_uuid: task.task_uuid.clone(), attempt: task.attempt };
        let known = |env_id: &EnvId| family.limit(env_id).is_some();
        let env_id = task.env_id.parse().ok().filter(known);
        let place = self.miners.try_enter(task.miner_uid).zip(family.slots.try_take());
        // From here on it is kept alive, also while it is handed back.
        let Some(stop) = self.leases.take(&task) else {
            tracing::info!(task_uuid = task.task_uuid, "a task came again whose result waits here to be delivered");
            return None;
        };
        let Some((seat, _slot)) = place else {
            tracing::debug!(task_uuid = task.task_uuid, miner_uid = task.miner_uid, "no place for a task");
            return Some(lease);
        };
        let span = tracing::info_span!(
            "episode",
            task_uuid = task.task_uuid,
            attempt = task.attempt,
            miner_uid = task.miner_uid,
            env_id = task.env_id
        );
        continue_trace(&task.traceparent, &span);
        let place = Place { _slot, seat };
        let played = self.clone().played(family.clone(), env_id, task, lease, place, stop);
        self.engine.running.spawn(played.instrument(span));
        None
    }

    /// Sees a leased task through and hands its result in, or the lease when it cannot be played now.
    async fn played(
        self: Arc<Self>,
        family: Arc<Family>,
        env_id: Option<EnvId>,
        task: Task,
        lease: Lease,
        mut place: Place,
        stop: CancellationToken,
    ) {
        let _left_to_expire = LeftToExpire { leases: &self.leases, lease: &lease };
        let endpoint = task.miner_endpoint.parse::<Endpoint>();
        let report = match (env_id, &endpoint) {
            (Some(env_id), Err(error)) => refused(&env_id, &error.clone().into()),
            (Some(env_id), Ok(endpoint)) => {
                match self.play(&family, self.plan(env_id, endpoint, &task), &lease, &mut place, &stop).await {
                    Outcome::Played(report) => report,
                    Outcome::Stopped => return,
                    Outcome::NoPlace(why) => {
                        tracing::debug!(why, "a task did not begin");
                        // Freed first: what is leased in its place may begin.
                        drop(place);
                        self.hand_back(vec![lease.clone()]).await;
                        return;
                    }
                }
            }
            (None, _) => {
                let evidence = format!("this executor was given `{}`, which it does not play", task.env_id);
                Report::fault(Cause::Executor, evidence)
            }
        };
        let beacon_reached = match (report.cause, &endpoint) {
            (Cause::PolicyUnreachable, Ok(endpoint)) => self.network.unreached(endpoint).await,
            _ => None,
        };
        tracing::info!(
            executor_id = %self.executor_id,
            success = report.cause.verdict() == Verdict::Success,
            total_reward = report.total_reward,
            cause = %report.cause,
            timesteps = report.timesteps,
            evidence = report.evidence,
            "episode ended"
        );
        self.leases.finish(&lease, if report.cause.verdict().counts() { End::Counts } else { End::Fault });
        self.finished.fetch_add(1, Ordering::Relaxed);
        // The slot is kept until the result is taken in, which bounds how many results can wait.
        if self.results.send(result(&lease, report, beacon_reached)).await.is_err() {
            tracing::error!("a result came after the delivery had ended");
        }
    }

    /// Finds out where the endpoint leads, takes a place there and plays.
    async fn play(
        &self,
        family: &Family,
        mut plan: Plan,
        lease: &Lease,
        place: &mut Place,
        stop: &CancellationToken,
    ) -> Outcome {
        let found = tokio::select! {
            found = self.servers.find(&plan.endpoint) => found,
            () = stop.cancelled() => return Outcome::Stopped,
            () = self.engine.abort.cancelled() => return Outcome::Stopped,
        };
        let Found { server, address } = match found {
            Ok(found) => found,
            Err(fault) => return Outcome::Played(refused(&plan.env_id, &fault)),
        };
        if !place.seat.at(server) {
            return Outcome::NoPlace("its policy server has as many episodes as it may");
        }
        plan.address = Some(address);
        let Some(playing) = family.begin(&plan) else {
            return Outcome::NoPlace("the simulation process is gone");
        };
        let mut visit = self.network.visit();
        let reached = || {
            visit.reached();
            self.leases.reached(lease);
        };
        match playing.ended(reached, stop, &self.engine.abort).await {
            Ended::Played(report) => {
                if report.cause == Cause::PolicyUnreachable {
                    self.servers.doubt(&plan.endpoint);
                }
                Outcome::Played(report)
            }
            Ended::Stopped => Outcome::Stopped,
        }
    }

    /// What a task asks for; where its endpoint leads is still to be found out.
    fn plan(&self, env_id: EnvId, endpoint: &Endpoint, task: &Task) -> Plan {
        Plan {
            env_id,
            seed: u64::from(task.seed),
            endpoint: endpoint.clone(),
            address: None,
            entrant: Some(Entrant { cycle: task.cycle_id, uid: task.miner_uid }),
            max_timesteps: self.max_timesteps,
            images: self.images,
            task_uuid: task.task_uuid.clone(),
        }
    }

    /// The lease time before scheduling has named one.
    pub(crate) fn unknown_lease_seconds() -> AtomicU32 {
        AtomicU32::new(UNKNOWN_LEASE_SECONDS)
    }
}

/// The report of an episode that did not begin because of its endpoint.
fn refused(env_id: &EnvId, fault: &Fault) -> Report {
    let report = Report::fault(fault.cause(), fault.evidence().to_owned());
    telemetry::episode(env_id, &report);
    report
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
