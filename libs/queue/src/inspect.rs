//! What is in the queue, and who works on it.

use std::{sync::LazyLock, time::Duration};

use kinitro_domain::{EnvId, ExecutorId, TaskId};
use redis::{FromRedisValue as _, Script, Value};

use crate::{QueueError, WorkQueue, packed, work::at_most};

static DEPTH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/depth.lua")));
static CLEAR: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/clear.lua")));

/// How many entries one scan step reads.
const SCAN: usize = 1000;

/// How full an environment's stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The environment.
    pub env_id: EnvId,
    /// Tasks that nobody holds.
    pub waiting: u64,
    /// Tasks that an executor holds, expired leases included.
    pub leased: u64,
    /// The lag: for how long the first of those that nobody has come to yet has waited. What was passed over because its miner was full
    /// does not count: it waits for the miner, not for an executor.
    pub oldest_waiting: Option<Duration>,
}

/// An executor that is at work or asks for some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveExecutor {
    /// Its name.
    pub executor_id: ExecutorId,
    /// Until when it counts as active if nothing more is heard of it, in milliseconds since 1970.
    pub until_ms: u64,
}

impl WorkQueue {
    /// The depth of the environments given, or of all that have entries when none is given. Costs the same however many entries there are.
    pub async fn depth(&self, env_ids: &[EnvId]) -> Result<Vec<Depth>, QueueError> {
        at_most("environments", env_ids.len(), SCAN)?;
        let mut call = DEPTH.prepare_invoke();
        call.key(&self.keys.live.environments).arg(&self.keys.live.work);
        for env_id in env_ids {
            call.arg(env_id.as_str());
        }
        let answer: Vec<Value> = self.connection.invoke(&call).await?;
        answer
            .into_iter()
            .map(|value| {
                let (env_id, waiting, leased, age) = <(String, u64, u64, i64)>::from_redis_value(value).ok()?;
                let oldest_waiting = u64::try_from(age).ok().map(Duration::from_millis);
                Some(Depth { env_id: env_id.parse().ok()?, waiting, leased, oldest_waiting })
            })
            .collect::<Option<_>>()
            .ok_or_else(|| self.connection.unexpected("counts by environment"))
    }

    /// The executors that count as active now, in alphabetical order: each call says for how long it makes its caller one.
    pub async fn active_executors(&self) -> Result<Vec<ActiveExecutor>, QueueError> {
        let now = self.now_ms().await?;
        let mut command = redis::cmd("ZRANGE");
        command.arg(&self.keys.executors).arg(format!("({now}")).arg("+inf").arg("BYSCORE").arg("WITHSCORES");
        let active: Vec<(String, u64)> = self.connection.command(&command).await?;
        let mut executors: Vec<_> = active
            .into_iter()
            .filter_map(|(name, until_ms)| Some(ActiveExecutor { executor_id: name.try_into().ok()?, until_ms }))
            .collect();
        executors.sort_by(|a, b| a.executor_id.cmp(&b.executor_id));
        Ok(executors)
    }

    /// For how long nothing was leased and no lease was kept alive. `None` before the first lease, and after Redis lost its data.
    pub async fn unworked(&self) -> Result<Option<Duration>, QueueError> {
        let worked: Option<u64> = self.connection.command(redis::cmd("GET").arg(&self.keys.worked)).await?;
        let Some(worked) = worked else { return Ok(None) };
        Ok(Some(Duration::from_millis(self.now_ms().await?.saturating_sub(worked))))
    }

    async fn now_ms(&self) -> Result<u64, QueueError> {
        let (seconds, micros): (u64, u64) = self.connection.command(&redis::cmd("TIME")).await?;
        Ok(seconds * 1000 + micros / 1000)
    }

    /// The environments that have entries.
    pub async fn environments(&self) -> Result<Vec<EnvId>, QueueError> {
        let names: Vec<String> =
            self.connection.command(redis::cmd("SMEMBERS").arg(&self.keys.live.environments)).await?;
        names
            .into_iter()
            .map(|name| name.parse().ok())
            .collect::<Option<_>>()
            .ok_or_else(|| self.connection.unexpected("environment ids"))
    }

    /// One page of an environment's tasks, waiting and leased, in no order, and where the next page begins (0: there is none). A task may come twice.
    pub async fn tasks(&self, env_id: &EnvId, cursor: u64) -> Result<(Vec<TaskId>, u64), QueueError> {
        let key = format!("{}{env_id}", self.keys.live.entries);
        let mut command = redis::cmd("HSCAN");
        command.arg(key).arg(cursor).arg("COUNT").arg(SCAN);
        let (next, pairs): (u64, Vec<Vec<u8>>) = self.connection.command(&command).await?;
        let tasks = pairs.chunks_exact(2).map(|pair| packed::unpack(&pair[0]).filter(|ids| ids.len() == 1));
        let tasks: Option<Vec<_>> = tasks.collect();
        let tasks = tasks.ok_or_else(|| self.connection.unexpected("task ids of 16 bytes"))?;
        Ok((tasks.into_iter().flatten().collect(), next))
    }

    /// Those of the tasks that the queue does not have, as positions in the slice.
    pub async fn missing(&self, tasks: &[(TaskId, EnvId)]) -> Result<Vec<usize>, QueueError> {
        let mut missing = Vec::new();
        for group in packed::by_environment(tasks) {
            let positions = group.positions.chunks(packed::CHUNK);
            for (ids, positions) in group.chunks().zip(positions) {
                let mut command = redis::cmd("HMGET");
                command.arg(format!("{}{}", self.keys.live.entries, group.env_id));
                for id in ids.as_chunks::<16>().0 {
                    command.arg(&id[..]);
                }
                let entries: Vec<Option<String>> = self.connection.command(&command).await?;
                missing.extend(positions.iter().zip(entries).filter(|(_, entry)| entry.is_none()).map(|(at, _)| *at));
            }
        }
        missing.sort_unstable();
        Ok(missing)
    }

    /// Forgets all work of the deployment, leased or not. For resetting a deployment: scheduling enqueues again what is open in Postgres.
    pub async fn clear(&self) -> Result<(), QueueError> {
        let mut call = CLEAR.prepare_invoke();
        call.key(&self.keys.live.environments)
            .key(&self.keys.cursors)
            .arg(&self.keys.live.work)
            .arg(&self.keys.live.entries)
            .arg(&self.keys.passed);
        self.connection.invoke::<u64>(&call).await.map(|_| ())
    }
}
