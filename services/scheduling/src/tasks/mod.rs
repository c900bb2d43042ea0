//! Tasks: leases, completions, dead letters.
//!
//! # Two stores
//!
//! Postgres is the truth: which tasks are open, how often each was leased, what came out. Redis ([`WorkQueue`]) only carries the work and
//! knows whose lease has expired. Every change is made in Postgres first and told to Redis afterwards, so a crash in between
//! leaves Redis behind, never ahead:
//!
//! - Redis lacks an open task (a crash between commit and enqueue, `FLUSHALL`): [`Tasks::reconcile`] enqueues it again.
//! - Redis has a task that is not open any more: the next lease finds that out in Postgres and drops it, as does the reconciler.
//! - Redis lost a part of what it had: the reconciler finds environments whose keys do not belong together any more, forgets them in Redis,
//!   and enqueues their tasks again.
//! - Redis is away while results come in: they are recorded and accepted; the two cases above clean up.
//!
//! # Who may write
//!
//! Each lease raises `attempt`, which is the fencing token. Finished work needs none: the first completion of an open task counts, whoever
//! reports it. What gives work back (a release, an infrastructure fault) needs the current token and its holder, so a stale one can
//! never disturb a new holder. `attempt - released` is what a task has spent of its attempts.
//!
//! While a task waits for another attempt, `cause` and `error` are those of the last one, with one exception: `cause` is
//! `policy_unreachable` only if *every* attempt of it ended so, because such a dead letter may count against the miner.
//!
//! # Seeds
//!
//! An attempt that may have shown the policy an observation and brought no result (a fault, a lost lease, one handed back while it played)
//! is noted in `lost_attempts`, in the statement that ends it, and raises `draws`: the next lease is on another seed, derived from the
//! cycle's secret. A result counts on the seed of its attempt (`played_draw`), however late it comes; two results on different seeds do not
//! contradict each other.
//!
//! # How long a lease lives
//!
//! Executors of ours heartbeat, so their leases are short and a dead one blocks nothing for long. Others say nothing while they play: their
//! leases live for the time that the gateway names, at most [`TaskSettings::lease`]. After an outage no lease expires for a moment: see
//! `unheard`.
//!
//! # Order
//!
//! The queue has the tasks in [`fair_order`], by episodes. Which miners are served from it first is decided at every lease, by the time that
//! they took so far: see `shares`. Who used up its time in the cycle is served no more: see `budget`.
//!
//! A task whose policy was not reached is not leased again at once: see `fault`. It is pending meanwhile, and Redis knows when it is due.
//!
//! # Lock order
//!
//! Statements that touch several tasks get their ids sorted, so that two of them do not wait for each other crosswise.

mod budget;
mod close;
mod complete;
mod dead_letters;
mod disagree;
mod error;
mod fault;
mod hold;
mod insert;
mod lease;
mod order;
mod outage;
mod python;
mod reconcile;
mod record;
mod report;
mod served;
mod shares;
mod snapshot;
mod stats;
mod unheard;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use kinitro_domain::{CycleId, EnvId, EpisodeSeed, ExecutorId, MinerUid, TaskId};
use kinitro_queue::{Entry, Event, EventBus, EventKind, LeaseTime, WorkQueue};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use error::TaskError;
pub use order::fair_order;
pub(crate) use outage::host;
pub use served::Unserved;
pub use stats::Progress;

/// The cause of tasks that were open when their cycle was closed. No verdict belongs to it: nobody played.
const CYCLE_CLOSED: &str = "cycle_closed";
/// How many leases or results one call may carry.
const MAX_BATCH: usize = 1000;

/// All that happens to single tasks. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    pool: PgPool,
    queue: WorkQueue,
    events: EventBus,
    settings: TaskSettings,
    snapshots: snapshot::Snapshots,
    shares: shares::Shares,
    /// Work came into the queue here.
    arrivals: Arc<Notify>,
    /// The queue ran empty, or a task became a dead letter, here.
    completed: Arc<Notify>,
    /// Environments that the last comparison found torn in Redis.
    torn: Arc<Mutex<BTreeSet<EnvId>>>,
    unheard: unheard::Unheard,
    /// It was said that work waits and nobody comes for it.
    unserved_told: Arc<AtomicBool>,
    draining: CancellationToken,
}

/// How tasks are leased.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskSettings {
    /// For how long a lease lives of an executor that says nothing while it plays, unless it asks for less.
    pub lease: Duration,
    /// For how long a lease lives after a heartbeat; at most `lease`.
    pub heartbeat_lease: Duration,
    /// After so many attempts without a result a task is a dead letter.
    pub max_attempts: u32,
    /// How many seconds a policy may take in an episode on average over the cycle, if there is a limit. One that takes more than half of it
    /// is slow.
    pub episode_budget: Option<f64>,
}

impl TaskSettings {
    /// For the leases of executors that heartbeat.
    fn beaten(&self) -> LeaseTime {
        LeaseTime { longest: self.lease, lives: self.heartbeat_lease.min(self.lease) }
    }
}

/// A task that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Its id. Ids that grow with the order in which tasks are inserted make the insert quicker.
    pub id: TaskId,
    /// Whose policy plays.
    pub uid: MinerUid,
    /// Where.
    pub env_id: EnvId,
    /// Counted from 0 in each environment; the same for all miners.
    pub episode: u32,
    /// The seed of that episode.
    pub seed: EpisodeSeed,
}

impl Tasks {
    /// Over a pool whose schema is migrated, and the queue and the events of the same deployment.
    pub fn new(pool: PgPool, queue: WorkQueue, events: EventBus, settings: TaskSettings) -> Self {
        let unheard = unheard::Unheard::new(settings.beaten().lives / 3);
        Self {
            pool,
            queue,
            events,
            settings,
            snapshots: snapshot::Snapshots::default(),
            shares: shares::Shares::default(),
            arrivals: Arc::default(),
            completed: Arc::default(),
            torn: Arc::default(),
            unheard,
            unserved_told: Arc::default(),
            draining: CancellationToken::new(),
        }
    }

    /// Lease calls stop waiting for work when the token is cancelled.
    pub fn with_draining(self, draining: CancellationToken) -> Self {
        Self { draining, ..self }
    }

    /// Executors may not have been heard until now: a moment passes before their leases expire.
    pub fn after_an_outage(self) -> Self {
        self.unheard.goes_on();
        self
    }

    /// Wakes one waiter when a completion on this replica left the queue empty, or a dead letter closed the last gap: a good moment to
    /// look whether the cycle can be closed. Other replicas are not heard, so look at intervals as well.
    pub fn completed_signal(&self) -> Arc<Notify> {
        self.completed.clone()
    }

    fn max_attempts(&self) -> i32 {
        i32::try_from(self.settings.max_attempts).unwrap_or(i32::MAX)
    }

    fn beaten(&self) -> LeaseTime {
        self.settings.beaten()
    }

    /// Notes what an answer shows of whether executors can be heard.
    fn heard<T>(&self, answer: Result<T, TaskError>) -> Result<T, TaskError> {
        match &answer {
            Ok(_) => self.unheard.answered(),
            Err(TaskError::Database(_) | TaskError::Queue(_)) => self.unheard.goes_on(),
            Err(_) => {}
        }
        answer
    }

    /// Takes tasks that need no player any more out of the queue. Redis may be away: what stays there is dropped later.
    async fn forget(&self, tasks: &[(TaskId, EnvId)]) {
        if tasks.is_empty() {
            return;
        }
        match self.queue.complete(tasks).await {
            Ok(done) if done.empty => self.completed.notify_one(),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, tasks = tasks.len(), "finished tasks stay in the queue for now");
                self.completed.notify_one();
            }
        }
    }

    /// Makes tasks available again that are pending in Postgres. Redis may be away: then their old lease has to expire first.
    async fn give_back(&self, executor: &ExecutorId, tasks: &[Entry]) {
        if tasks.is_empty() {
            return;
        }
        match self.queue.release(executor, tasks).await {
            Ok(_) => self.arrivals.notify_waiters(),
            Err(error) => {
                tracing::warn!(%error, tasks = tasks.len(), "tasks given back become available when their lease expires")
            }
        }
    }

    /// Tells the world. The caller takes them out of the queue.
    async fn dead_letter(&self, dead: Vec<DeadTask>) {
        if dead.is_empty() {
            return;
        }
        metrics::counter!("kinitro_dead_letters_total").increment(dead.len() as u64);
        for task in &dead {
            tracing::warn!(
                task_id = %task.id, cycle_id = task.cycle_id.0, uid = task.uid.0, env_id = %task.env_id, cause = task.cause,
                "task used all its attempts and is a dead letter now"
            );
        }
        self.completed.notify_one();
        for DeadTask { id, cycle_id, uid, env_id, cause } in dead {
            if !self.tell(EventKind::DeadLetter { cycle_id, task_id: id, uid, env_id, cause }).await {
                // Redis is away: each of the others would wait for it again, and an executor waits for us.
                break;
            }
        }
    }

    /// Events are for showing: one that is lost changes nothing. Whether it was published.
    async fn tell(&self, kind: EventKind) -> bool {
        let published = self.events.publish(&Event::now(kind)).await;
        if let Err(error) = &published {
            tracing::warn!(%error, "an event is lost");
        }
        published.is_ok()
    }
}

/// A task that has just used its last attempt.
struct DeadTask {
    id: TaskId,
    cycle_id: CycleId,
    uid: MinerUid,
    env_id: EnvId,
    cause: String,
}

impl DeadTask {
    fn new(id: Uuid, cycle_id: i64, uid: i32, env_id: &str, cause: Option<String>) -> Result<Self, TaskError> {
        Ok(Self {
            id: TaskId(id),
            cycle_id: CycleId(cycle_id.unsigned_abs()),
            uid: uid_of(id, uid)?,
            env_id: env_id_of(id, env_id)?,
            cause: cause.unwrap_or_default(),
        })
    }
}

/// As the wire has it.
fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

fn env_id_of(id: Uuid, text: &str) -> Result<EnvId, TaskError> {
    text.parse().map_err(|error| TaskError::Corrupt(format!("task {id}: {error}")))
}

fn uid_of(id: Uuid, uid: i32) -> Result<MinerUid, TaskError> {
    u16::try_from(uid).map(MinerUid).map_err(|_| TaskError::Corrupt(format!("task {id} has uid {uid}")))
}

fn executor_id(text: String) -> Result<ExecutorId, TaskError> {
    text.try_into().map_err(|error: kinitro_domain::ExecutorIdError| TaskError::Invalid {
        field: "executor_id",
        problem: error.to_string(),
    })
}

fn at_most(field: &'static str, count: usize, limit: usize) -> Result<(), TaskError> {
    if count <= limit {
        return Ok(());
    }
    Err(TaskError::Invalid { field, problem: format!("has {count} entries; send at most {limit}") })
}
