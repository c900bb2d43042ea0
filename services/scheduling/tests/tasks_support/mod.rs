//! A deployment of tasks over a real Postgres and a real Redis.
#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use kinitro_domain::{CycleId, EnvId, EpisodeSeed, MinerUid, TaskId};
use kinitro_proto::scheduling::v1::{
    CompleteTasksRequest, CompleteTasksResponse, DeadLetter, HeartbeatRequest, Lease, LeaseTasksRequest,
    ListDeadLettersRequest, ReleaseTasksRequest, Task, TaskResult,
};
use kinitro_queue::{EventBus, WorkQueue};
use kinitro_scheduling::tasks::{NewTask, TaskSettings, Tasks, fair_order};
use sqlx::PgPool;

/// A lease that does not expire while a test runs.
const LEASE: Duration = Duration::from_secs(600);
const ENVIRONMENTS: [&str; 3] = ["metaworld/reach-v3", "metaworld/push-v3", "metaworld/drawer-close-v3"];

pub struct World {
    pub pool: PgPool,
    pub queue: WorkQueue,
    pub tasks: Tasks,
    pub redis_url: String,
    prefix: String,
}

/// With the servers that the tests of a process share, and three attempts a task.
pub async fn world() -> World {
    let database = kinitro_stores::testing::fresh_database().await;
    world_on(&database, &kinitro_stores::testing::redis_url().await).await
}

pub async fn world_on(database: &str, redis_url: &str) -> World {
    kinitro_scheduling::migrate(database).await.unwrap();
    let options = sqlx::postgres::PgPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(5));
    let pool = options.connect(database).await.unwrap();
    let prefix = format!("test-{}", TaskId::new());
    let queue = WorkQueue::connect(redis_url, &prefix).await.unwrap();
    let events = EventBus::connect(redis_url, &prefix).await.unwrap();
    let settings = TaskSettings { lease: LEASE, heartbeat_lease: LEASE, max_attempts: 3, episode_budget: Some(60.0) };
    let tasks = Tasks::new(pool.clone(), queue.clone(), events, settings);
    World { pool, queue, tasks, redis_url: redis_url.to_owned(), prefix }
}

impl World {
    /// The same deployment, seen by a replica with other settings.
    pub async fn tasks_with(&self, settings: TaskSettings) -> Tasks {
        let events = EventBus::connect(&self.redis_url, &self.prefix).await.unwrap();
        Tasks::new(self.pool.clone(), self.queue.clone(), events, settings)
    }

    /// A running cycle: its rows are committed, nothing is queued.
    pub async fn committed_cycle(&self, miners: u16, environments: usize, episodes: u32) -> (CycleId, Vec<NewTask>) {
        let mut tasks = Vec::new();
        for env_id in &ENVIRONMENTS[..environments] {
            for episode in 0..episodes {
                for uid in 0..miners {
                    let env_id: EnvId = env_id.parse().unwrap();
                    let seed = EpisodeSeed(u32::MAX - episode);
                    tasks.push(NewTask { id: TaskId::new(), uid: MinerUid(uid), env_id, episode, seed });
                }
            }
        }
        fair_order(&mut tasks);
        let mut transaction = self.pool.begin().await.unwrap();
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO scheduling.cycles
                 (block_number, state, secret, episodes_per_env, env_ids, tasks_total, traceparent, deadline)
             VALUES (7, 'running', decode(repeat('07', 32), 'hex'), $1, '{}', $2, 'trace', now() + interval '1 hour')
             RETURNING id",
        )
        .bind(i32::try_from(episodes).unwrap())
        .bind(i32::try_from(tasks.len()).unwrap())
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
        for uid in 0..miners {
            sqlx::query(
                "INSERT INTO scheduling.cycle_miners (cycle_id, uid, hotkey, endpoint, repo, revision, first_commit_block)
                 VALUES ($1, $2, 'hotkey-' || $2, 'http://miner/' || $2, 'user/repo', 'abc', 1)",
            )
            .bind(id)
            .bind(i32::from(uid))
            .execute(&mut *transaction)
            .await
            .unwrap();
        }
        let cycle = CycleId(id.unsigned_abs());
        Tasks::insert(&mut transaction, cycle, &tasks).await.unwrap();
        transaction.commit().await.unwrap();
        (cycle, tasks)
    }

    /// A running cycle whose tasks are queued.
    pub async fn cycle(&self, miners: u16, environments: usize, episodes: u32) -> (CycleId, Vec<NewTask>) {
        let (cycle, tasks) = self.committed_cycle(miners, environments, episodes).await;
        assert_eq!(self.tasks.enqueue(&tasks).await.unwrap(), tasks.len() as u64);
        (cycle, tasks)
    }

    pub async fn lease(&self, executor: &str, count: u32) -> Vec<Task> {
        self.tasks.lease(lease_request(executor, count)).await.unwrap().tasks
    }

    /// Waits for it: on a loaded machine a search may end before it has found something.
    pub async fn lease_one(&self, executor: &str) -> Task {
        let request = LeaseTasksRequest { wait_ms: 20_000, ..lease_request(executor, 1) };
        let mut tasks = self.tasks.lease(request).await.unwrap().tasks;
        assert_eq!(tasks.len(), 1, "one task for {executor}");
        tasks.remove(0)
    }

    pub async fn complete(&self, executor: &str, results: Vec<TaskResult>) -> CompleteTasksResponse {
        let request = CompleteTasksRequest { executor_id: executor.to_owned(), results, ..Default::default() };
        self.tasks.complete(request).await.unwrap()
    }

    /// Which of the leases are lost.
    pub async fn heartbeat(&self, executor: &str, tasks: &[&Task]) -> Vec<String> {
        let request = HeartbeatRequest { executor_id: executor.to_owned(), leases: leases(tasks) };
        self.tasks.heartbeat(request).await.unwrap().lost
    }

    pub async fn release(&self, executor: &str, tasks: &[&Task]) -> u32 {
        let request =
            ReleaseTasksRequest { executor_id: executor.to_owned(), leases: leases(tasks), ..Default::default() };
        self.tasks.release(request).await.unwrap().released
    }

    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.tasks.list_dead_letters(ListDeadLettersRequest::default()).await.unwrap().dead_letters
    }

    /// Makes every lease look as if nothing had been heard of it for an hour.
    pub async fn expire_leases(&self) {
        let mut connection = self.redis().await;
        for env_id in ENVIRONMENTS {
            let stream = format!("{}:work:{env_id}", self.prefix);
            let mut list = redis::cmd("XPENDING");
            list.arg(&stream).arg("executors").arg("-").arg("+").arg(100_000);
            let pending: Result<Vec<(String, String, u64, u64)>, _> = list.query_async(&mut connection).await;
            // There is no stream where there is no work.
            for (entry, consumer, ..) in pending.unwrap_or_default() {
                let mut claim = redis::cmd("XCLAIM");
                claim.arg(&stream).arg("executors").arg(consumer).arg(0).arg(entry).arg("IDLE").arg(3_600_000);
                match claim.arg("JUSTID").exec_async(&mut connection).await {
                    // Its last task was completed at this moment.
                    Err(error) if error.code() == Some("NOGROUP") => break,
                    claimed => claimed.unwrap(),
                }
            }
        }
    }

    /// Every pending entry of the first environment: its id, who holds it, for how many ms nothing was heard, deliveries.
    pub async fn pending(&self) -> Vec<(String, String, u64, u64)> {
        let mut list = redis::cmd("XPENDING");
        list.arg(self.key("work")).arg("executors").arg("-").arg("+").arg(1000);
        list.query_async(&mut self.redis().await).await.unwrap()
    }

    /// The key of this kind of the first environment.
    pub fn key(&self, kind: &str) -> String {
        format!("{}:{kind}:{}", self.prefix, ENVIRONMENTS[0])
    }

    pub async fn flushall(&self) {
        redis::cmd("FLUSHALL").exec_async(&mut self.redis().await).await.unwrap();
    }

    pub async fn redis(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(&*self.redis_url).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    pub async fn set_cycle_state(&self, cycle: CycleId, state: &str) {
        sqlx::query("UPDATE scheduling.cycles SET state = $2 WHERE id = $1")
            .bind(i64::try_from(cycle.0).unwrap())
            .bind(state)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// State, attempt, released, cause, error, total_reward.
    pub async fn row(&self, task_uuid: &str) -> Row {
        sqlx::query_as(
            "SELECT state::text AS state, attempt, released, verdict, cause, error, total_reward, executor_id
               FROM scheduling.tasks WHERE id = $1::uuid",
        )
        .bind(task_uuid.parse::<uuid::Uuid>().unwrap())
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    pub async fn disagreements(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM scheduling.disagreements").fetch_one(&self.pool).await.unwrap()
    }
}

#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Row {
    pub state: String,
    pub attempt: i32,
    pub released: i32,
    pub verdict: Option<String>,
    pub cause: Option<String>,
    pub error: Option<String>,
    pub total_reward: Option<f64>,
    pub executor_id: Option<String>,
}

pub fn lease_request(executor: &str, count: u32) -> LeaseTasksRequest {
    LeaseTasksRequest { executor_id: executor.to_owned(), batch_size: Some(count), ..Default::default() }
}

pub fn leases(tasks: &[&Task]) -> Vec<Lease> {
    tasks.iter().map(|task| Lease { task_uuid: task.task_uuid.clone(), attempt: task.attempt }).collect()
}

pub fn success(task: &Task) -> TaskResult {
    TaskResult {
        task_uuid: task.task_uuid.clone(),
        attempt: task.attempt,
        success: true,
        score: 1.0,
        total_reward: 123.456,
        timesteps: 77,
        verdict: "success".to_owned(),
        cause: "environment".to_owned(),
        ..Default::default()
    }
}

pub fn failure(task: &Task) -> TaskResult {
    let verdict = "failure".to_owned();
    TaskResult { success: false, score: 0.0, verdict, cause: "step_limit".to_owned(), ..success(task) }
}

pub fn fault(task: &Task, cause: &str) -> TaskResult {
    TaskResult {
        verdict: "infrastructure_fault".to_owned(),
        cause: cause.to_owned(),
        error: Some("it broke".to_owned()),
        ..failure(task)
    }
}
