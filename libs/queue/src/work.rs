//! Enqueue, lease, heartbeat, complete, release.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kinitro_domain::{EnvId, ExecutorId, TaskId};
use redis::{FromRedisValue as _, Script, Value};

use crate::{
    QueueError,
    connection::Connection,
    packed::{self, CHUNK},
};

const GROUP: &str = "executors";
/// How many tasks one lease call may ask for.
const MAX_LEASE: usize = 1000;
/// How many environments one call may name.
const MAX_ENVIRONMENTS: usize = 1000;
/// Script calls in one pipeline.
const PIPELINE: usize = 32;

static ENQUEUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/enqueue.lua")));
static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/lease.lua")));
static HEARTBEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/heartbeat.lua")));
static COMPLETE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/complete.lua")));
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
    pub(crate) cursors: String,
    pub(crate) executors: String,
}

/// Where entries are written: the queue itself, or a place beside it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) work: String,
    pub(crate) entries: String,
    pub(crate) environments: String,
}

/// A task that was leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// The task.
    pub task_id: TaskId,
    /// Its environment.
    pub env_id: EnvId,
    /// Another lease of it expired before.
    pub redelivered: bool,
}

/// What a lease call gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaseBatch {
    /// The tasks that the executor now holds, those whose earlier lease expired first, else in the order in which they were enqueued.
    pub leased: Vec<Leased>,
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
                cursors: format!("{prefix}:cursors"),
                executors: format!("{prefix}:executors"),
            }),
            turn: Arc::default(),
        })
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    ///
    /// Like every call of this type: [`QueueError::Unreachable`], [`QueueError::Timeout`], [`QueueError::Refused`].
    pub async fn ping(&self) -> Result<(), QueueError> {
        self.connection.command(&redis::cmd("PING")).await
    }

    /// Adds tasks in the order given, within each environment. What the queue already has is left where it is. Answers how many were new.
    pub async fn enqueue(&self, tasks: &[(TaskId, EnvId)]) -> Result<u64, QueueError> {
        self.add(&self.keys.live, tasks).await
    }

    pub(crate) async fn add(&self, place: &Place, tasks: &[(TaskId, EnvId)]) -> Result<u64, QueueError> {
        let groups = packed::by_environment(tasks);
        let mut calls = Vec::new();
        for group in &groups {
            for ids in packed::chunks(&group.ids) {
                let mut call = ENQUEUE.prepare_invoke();
                call.key(format!("{}{}", place.work, group.env_id))
                    .key(format!("{}{}", place.entries, group.env_id))
                    .key(&place.environments)
                    .arg(GROUP)
                    .arg(group.env_id.as_str())
                    .arg(ids);
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

    /// Leases up to `count` tasks (at most 1000) of the environments given, or of all when none is given: first those whose last sign of
    /// life is older than `lease`, then new ones by turns over the environments.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooMany`], and those of [`ping`](Self::ping).
    pub async fn lease(
        &self,
        executor: &ExecutorId,
        env_ids: &[EnvId],
        count: usize,
        lease: Duration,
    ) -> Result<LeaseBatch, QueueError> {
        at_most("tasks", count, MAX_LEASE)?;
        at_most("environments", env_ids.len(), MAX_ENVIRONMENTS)?;
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % MAX_ENVIRONMENTS;
        let mut call = LEASE.prepare_invoke();
        call.key(&self.keys.live.environments)
            .key(&self.keys.executors)
            .key(&self.keys.cursors)
            .arg(GROUP)
            .arg(&self.keys.live.work)
            .arg(executor.as_str())
            .arg(count)
            .arg(lease_ms)
            .arg(turn);
        for env_id in env_ids {
            call.arg(env_id.as_str());
        }
        let answer: Vec<Value> = self.connection.invoke(&call).await?;
        parse_lease(answer).ok_or_else(|| self.connection.unexpected("leased tasks by environment"))
    }

    /// Starts the lease time of tasks anew where the executor still holds them. Answers in the order given.
    pub async fn heartbeat(
        &self,
        executor: &ExecutorId,
        tasks: &[(TaskId, EnvId)],
    ) -> Result<Vec<Holding>, QueueError> {
        let mut holdings = Vec::with_capacity(tasks.len());
        // Without tasks too: the executor is heard of.
        let nothing = tasks.is_empty().then_some(tasks);
        for tasks in tasks.chunks(CHUNK).chain(nothing) {
            let groups = packed::by_environment(tasks);
            let mut call = HEARTBEAT.prepare_invoke();
            call.key(&self.keys.executors)
                .arg(GROUP)
                .arg(&self.keys.live.work)
                .arg(&self.keys.live.entries)
                .arg(executor.as_str());
            for group in &groups {
                call.arg(group.env_id.as_str()).arg(&group.ids[..]);
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
                .arg(&self.keys.live.entries);
            for group in packed::by_environment(tasks) {
                call.arg(group.env_id.as_str()).arg(&group.ids[..]);
            }
            let (removed, environments): (u64, u64) = self.connection.invoke(&call).await?;
            completed = Completed { removed: completed.removed + removed, empty: environments == 0 };
        }
        Ok(completed)
    }

    /// Gives tasks back: each waits again, behind the others, for whoever asks first. One that another executor holds meanwhile stays with it; one that
    /// the queue lost is added. Answers how many were put into the queue.
    pub async fn release(&self, executor: &ExecutorId, tasks: &[(TaskId, EnvId)]) -> Result<u64, QueueError> {
        let mut released = 0;
        for tasks in tasks.chunks(CHUNK) {
            let mut call = RELEASE.prepare_invoke();
            call.key(&self.keys.live.environments)
                .arg(GROUP)
                .arg(&self.keys.live.work)
                .arg(&self.keys.live.entries)
                .arg(executor.as_str());
            for group in packed::by_environment(tasks) {
                call.arg(group.env_id.as_str()).arg(&group.ids[..]);
            }
            released += self.connection.invoke::<u64>(&call).await?;
        }
        Ok(released)
    }
}

pub(crate) fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), QueueError> {
    if count > limit { Err(QueueError::TooMany { what, count, limit }) } else { Ok(()) }
}

fn parse_lease(answer: Vec<Value>) -> Option<LeaseBatch> {
    let mut answer = answer.into_iter();
    let mut batch = LeaseBatch { leased: Vec::new(), waiting: u64::from_redis_value(answer.next()?).ok()? };
    for group in answer {
        let (env_id, ids, redelivered) = <(String, Vec<u8>, usize)>::from_redis_value(group).ok()?;
        let env_id: EnvId = env_id.parse().ok()?;
        let tasks = packed::unpack(&ids)?.into_iter().enumerate();
        batch.leased.extend(tasks.map(|(i, task_id)| Leased {
            task_id,
            env_id: env_id.clone(),
            redelivered: i < redelivered,
        }));
    }
    Some(batch)
}
