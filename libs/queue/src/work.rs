//! Enqueue, lease, heartbeat, complete, release.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kinitro_domain::{EnvId, ExecutorId, MinerUid, TaskId};
use redis::{FromRedisValue as _, Script, Value};

use crate::{
    QueueError,
    connection::Connection,
    packed::{self, CHUNK},
};

pub(crate) const GROUP: &str = "executors";
/// Who holds what is postponed. No executor can have this name: it is not printable.
const POSTPONED: &str = "\u{1}postponed";
/// How many tasks one lease call may ask for.
const MAX_LEASE: usize = 1000;
/// How many environments one call may name.
const MAX_ENVIRONMENTS: usize = 1000;
/// How many full miners one call may name.
const MAX_FULL: usize = 1024;
/// Script calls in one pipeline.
const PIPELINE: usize = 32;

static ENQUEUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/enqueue.lua")));
static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/lease.lua")));
static HEARTBEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/heartbeat.lua")));
static COMPLETE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/complete.lua")));
static POSTPONE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/postpone.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/release.lua")));

/// A handle on the queue of one deployment. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct WorkQueue {
    pub(crate) connection: Connection,
    pub(crate) keys: Arc<Keys>,
    turn: Arc<AtomicUsize>,
}

/// The keys that do not depend on an environment, and the prefixes of those that do.
pub(crate) struct Keys {
    pub(crate) prefix: String,
    pub(crate) live: Place,
    pub(crate) passed: String,
    pub(crate) cursors: String,
    pub(crate) executors: String,
    pub(crate) worked: String,
}

/// Where entries are written: the queue itself, or a place beside it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) work: String,
    pub(crate) entries: String,
    pub(crate) environments: String,
}

/// A task as the queue carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The task.
    pub task_id: TaskId,
    /// Its environment.
    pub env_id: EnvId,
    /// Whose policy plays it.
    pub uid: MinerUid,
}

/// How long leases live. Redis knows one time after which any lease has expired; a shorter one starts with a part of it gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaseTime {
    /// A lease whose last sign of life is older has expired. The same for all callers of a deployment.
    pub longest: Duration,
    /// How long those live of which the call is; at most `longest`.
    pub lives: Duration,
}

impl LeaseTime {
    fn gone(self) -> u64 {
        ms(self.longest.saturating_sub(self.lives))
    }
}

impl From<Duration> for LeaseTime {
    fn from(longest: Duration) -> Self {
        Self { longest, lives: longest }
    }
}

/// What a lease call asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaseRequest<'a> {
    /// Only these environments (at most 1000); empty for all.
    pub env_ids: &'a [EnvId],
    /// At most so many tasks (at most 1000).
    pub count: usize,
    /// When leases expire.
    pub lease: LeaseTime,
    /// Leave expired leases with their holders.
    pub keep_expired: bool,
    /// For how long the executor counts as active without a lease.
    pub active: Duration,
    /// For how long a lease counts as work without a sign of life.
    pub busy: Duration,
    /// Miners of whom nothing is leased (at most 1024).
    pub full: &'a [MinerUid],
    /// At most so many tasks of any one miner; none for any number.
    pub max_per_miner: Option<NonZeroU32>,
    /// Go on where a call was cut short.
    pub resume: Option<Resume>,
}

/// Where the search of a lease call ended before it had looked everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    turn: u64,
    /// How many environments from there on are not searched to the end.
    span: u64,
}

/// A task that was leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// The task, its environment and its miner; 65535 where the entry is of a version that did not note it.
    pub entry: Entry,
    /// Another lease of it expired before.
    pub redelivered: bool,
}

/// What a lease call gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaseBatch {
    /// The tasks that the executor now holds, in each environment: those whose earlier lease expired, those that had been passed over by
    /// turns over the miners, the others in the order in which they were enqueued.
    pub leased: Vec<Leased>,
    /// It came to its bound of what to pass over and there may be more. Going on from there as often as it says so, a search that finds
    /// nothing comes to an end: it has looked everywhere then.
    pub cut_short: Option<Resume>,
    /// How many tasks still wait, over all environments.
    pub waiting: u64,
}

/// How a task stands when an executor says that it still plays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// The executor holds it, and its lease time has begun anew.
    Kept,
    /// Nobody holds it: it waits in the queue.
    Waiting,
    /// Another executor holds it.
    Taken,
    /// The queue does not have it: it was completed, or Redis lost its data.
    Absent,
}

/// What a completion took out of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completed {
    /// How many of the tasks had been in the queue.
    pub removed: u64,
    /// Nothing waits and nothing is leased any more.
    pub empty: bool,
}

impl WorkQueue {
    /// A queue under a key prefix. Only the URL is checked: the connection is opened by the first command, and again whenever it breaks.
    /// Every other call of this type can fail with [`QueueError::Unreachable`], [`QueueError::Timeout`] and [`QueueError::Refused`].
    ///
    /// # Errors
    ///
    /// [`QueueError::Url`].
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, QueueError> {
        Ok(Self {
            connection: Connection::new(url)?,
            keys: Arc::new(Keys {
                prefix: prefix.to_owned(),
                live: Place {
                    work: format!("{prefix}:work:"),
                    entries: format!("{prefix}:entries:"),
                    environments: format!("{prefix}:environments"),
                },
                passed: format!("{prefix}:passed:"),
                cursors: format!("{prefix}:cursors"),
                executors: format!("{prefix}:executors"),
                worked: format!("{prefix}:worked"),
            }),
            turn: Arc::default(),
        })
    }

    /// Adds tasks in the order given, within each environment. What the queue already has is left where it is. Answers how many were new.
    pub async fn enqueue(&self, tasks: &[Entry]) -> Result<u64, QueueError> {
        self.add(&self.keys.live, tasks, Duration::ZERO).await
    }

    /// With an expiry, what was added goes when nothing was added to it for so long.
    pub(crate) async fn add(&self, place: &Place, tasks: &[Entry], expiry: Duration) -> Result<u64, QueueError> {
        let groups = packed::entries_by_environment(tasks);
        let mut calls = Vec::new();
        for group in &groups {
            for entries in group.chunks() {
                let mut call = ENQUEUE.prepare_invoke();
                call.key(format!("{}{}", place.work, group.env_id))
                    .key(format!("{}{}", place.entries, group.env_id))
                    .key(&place.environments)
                    .arg(GROUP)
                    .arg(group.env_id.as_str())
                    .arg(entries)
                    .arg(expiry.as_secs());
                calls.push(call);
            }
        }
        let mut added = 0;
        for calls in calls.chunks(PIPELINE) {
            let mut pipeline = redis::pipe();
            pipeline.load_script(&ENQUEUE).ignore();
            for call in calls {
                pipeline.invoke_script(call);
            }
            let counts: Vec<u64> = self.connection.pipeline(&pipeline).await?;
            added += counts.iter().sum::<u64>();
        }
        Ok(added)
    }

    /// Leases tasks: first those whose lease expired, then those that were passed over, then new ones, by turns over the environments.
    ///
    /// What it meets of a miner that is full, or has as many in this answer as asked for, it passes over: that waits as before, at no
    /// attempt, and comes first when a later call may have it. A call passes over at most 1100 entries.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooMany`], and those of every call.
    pub async fn lease(&self, executor: &ExecutorId, request: LeaseRequest<'_>) -> Result<LeaseBatch, QueueError> {
        at_most("tasks", request.count, MAX_LEASE)?;
        at_most("environments", request.env_ids.len(), MAX_ENVIRONMENTS)?;
        at_most("full miners", request.full.len(), MAX_FULL)?;
        let resume = request.resume.unwrap_or_else(|| {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % MAX_ENVIRONMENTS;
            Resume { turn: turn as u64, span: 0 }
        });
        let mut call = LEASE.prepare_invoke();
        call.key(&self.keys.live.environments)
            .key(&self.keys.executors)
            .key(&self.keys.cursors)
            .key(&self.keys.worked)
            .arg(GROUP)
            .arg(&self.keys.live.work)
            .arg(&self.keys.passed)
            .arg(executor.as_str())
            .arg(request.count)
            .arg(ms(request.lease.longest))
            .arg(resume.turn)
            .arg(request.max_per_miner.map_or(0, NonZeroU32::get))
            .arg(packed::uids(request.full))
            .arg(resume.span)
            .arg(request.lease.gone())
            .arg(ms(request.active))
            .arg(u8::from(!request.keep_expired))
            .arg(ms(request.busy));
        for env_id in request.env_ids {
            call.arg(env_id.as_str());
        }
        let answer: Vec<Value> = self.connection.invoke(&call).await?;
        parse_lease(answer).ok_or_else(|| self.connection.unexpected("leased tasks by environment"))
    }

    /// Starts the lease time of tasks anew where the executor still holds them, or where nobody does because the lease expired and was
    /// passed over. So name only tasks that this executor was the last to lease. For the time of a lease it counts as active, also without
    /// tasks. Answers in the order given.
    pub async fn heartbeat(
        &self,
        executor: &ExecutorId,
        tasks: &[(TaskId, EnvId)],
        lease: LeaseTime,
    ) -> Result<Vec<Holding>, QueueError> {
        let mut holdings = Vec::with_capacity(tasks.len());
        // Without tasks too: the executor is heard of.
        let nothing = tasks.is_empty().then_some(tasks);
        for tasks in tasks.chunks(CHUNK).chain(nothing) {
            let groups = packed::by_environment(tasks);
            let mut call = HEARTBEAT.prepare_invoke();
            call.key(&self.keys.executors)
                .key(&self.keys.worked)
                .arg(GROUP)
                .arg(&self.keys.live.work)
                .arg(&self.keys.live.entries)
                .arg(&self.keys.passed)
                .arg(executor.as_str())
                .arg(lease.gone())
                .arg(ms(lease.lives));
            for group in &groups {
                call.arg(group.env_id.as_str()).arg(&group.packed[..]);
            }
            let letters: String = self.connection.invoke(&call).await?;
            let positions = groups.iter().flat_map(|group| group.positions.iter().copied());
            let mut chunk = vec![Holding::Absent; tasks.len()];
            for (position, letter) in positions.zip(letters.chars()) {
                chunk[position] = match letter {
                    'k' => Holding::Kept,
                    'w' => Holding::Waiting,
                    'o' => Holding::Taken,
                    'a' => Holding::Absent,
                    _ => return Err(self.connection.unexpected("one of the letters k, w, o, a")),
                };
            }
            holdings.append(&mut chunk);
        }
        Ok(holdings)
    }

    /// Takes tasks out of the queue, whether they wait or are leased, and by whom ever.
    pub async fn complete(&self, tasks: &[(TaskId, EnvId)]) -> Result<Completed, QueueError> {
        let mut completed = Completed { removed: 0, empty: false };
        for tasks in tasks.chunks(CHUNK) {
            let mut call = COMPLETE.prepare_invoke();
            call.key(&self.keys.live.environments)
                .key(&self.keys.cursors)
                .arg(GROUP)
                .arg(&self.keys.live.work)
                .arg(&self.keys.live.entries)
                .arg(&self.keys.passed);
            for group in packed::by_environment(tasks) {
                call.arg(group.env_id.as_str()).arg(&group.packed[..]);
            }
            let (removed, environments): (u64, u64) = self.connection.invoke(&call).await?;
            completed = Completed { removed: completed.removed + removed, empty: environments == 0 };
        }
        Ok(completed)
    }

    /// Gives tasks back: each waits again, behind the others, for whoever asks first. One that another executor holds meanwhile stays with it; one that
    /// the queue lost is added. Answers how many were put into the queue.
    pub async fn release(&self, executor: &ExecutorId, tasks: &[Entry]) -> Result<u64, QueueError> {
        let mut released = 0;
        for tasks in tasks.chunks(CHUNK) {
            let mut call = RELEASE.prepare_invoke();
            call.key(&self.keys.live.environments)
                .arg(GROUP)
                .arg(&self.keys.live.work)
                .arg(&self.keys.live.entries)
                .arg(executor.as_str());
            for group in packed::entries_by_environment(tasks) {
                call.arg(group.env_id.as_str()).arg(&group.packed[..]);
            }
            released += self.connection.invoke::<u64>(&call).await?;
        }
        Ok(released)
    }

    /// Gives tasks back that shall not be leased for a while: each counts as held until the delay is over, and is then found like an expired
    /// lease. What the executor does not hold is left alone. With `lease` as the callers of [`lease`](Self::lease) give it; a longer delay
    /// is cut to it. Answers how many were postponed.
    pub async fn postpone(
        &self,
        executor: &ExecutorId,
        tasks: &[(TaskId, EnvId)],
        delay: Duration,
        lease: Duration,
    ) -> Result<u64, QueueError> {
        let delay = delay.min(lease);
        let mut postponed = 0;
        for tasks in tasks.chunks(CHUNK) {
            let mut call = POSTPONE.prepare_invoke();
            call.key(&self.keys.worked)
                .arg(GROUP)
                .arg(&self.keys.live.work)
                .arg(&self.keys.live.entries)
                .arg(executor.as_str())
                .arg(POSTPONED)
                .arg(ms(lease - delay))
                .arg(ms(delay));
            for group in packed::by_environment(tasks) {
                call.arg(group.env_id.as_str()).arg(&group.packed[..]);
            }
            postponed += self.connection.invoke::<u64>(&call).await?;
        }
        Ok(postponed)
    }
}

/// In whole milliseconds, as Redis counts; what is too long for a number of Lua, in which none is exact beyond 2^53, is cut.
fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(1 << 50)
}

pub(crate) fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), QueueError> {
    if count > limit { Err(QueueError::TooMany { what, count, limit }) } else { Ok(()) }
}

fn parse_lease(answer: Vec<Value>) -> Option<LeaseBatch> {
    let mut answer = answer.into_iter();
    let waiting = u64::from_redis_value(answer.next()?).ok()?;
    let turn = u64::from_redis_value(answer.next()?).ok()?;
    let span = u64::from_redis_value(answer.next()?).ok()?;
    let cut_short = (span > 0).then_some(Resume { turn, span });
    let mut batch = LeaseBatch { leased: Vec::new(), cut_short, waiting };
    for group in answer {
        let (env_id, entries, redelivered) = <(String, Vec<u8>, usize)>::from_redis_value(group).ok()?;
        let env_id: EnvId = env_id.parse().ok()?;
        let entries = packed::unpack_entries(&entries)?.into_iter().enumerate();
        batch.leased.extend(entries.map(|(i, (task_id, uid))| Leased {
            entry: Entry { task_id, env_id: env_id.clone(), uid },
            redelivered: i < redelivered,
        }));
    }
    Some(batch)
}
