//! The limit: the same rows and entries, written and taken straight from Postgres and Redis with the fewest statements, without
//! services, without checks, fencing, fairness or redelivery. What a queue over these two stores costs shows against it. Ours may even
//! beat it at creating, because it speaks to Redis in fewer and fuller messages than one `XADD` an entry.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use redis::{
    AsyncConnectionConfig, Client, Value,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamReadReply},
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::player::PLAYERS;

const STREAM: &str = "bare:work";
const GROUP: &str = "players";
/// What a binary `COPY` begins and ends with.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = b"\xff\xff";

/// A table and a stream of their own beside those of scheduling, in the same servers.
pub struct BareStores {
    pool: PgPool,
    redis: Client,
    tasks: u32,
}

impl BareStores {
    /// For so many tasks a round.
    pub fn new(pool: PgPool, redis_url: &str, tasks: u32) -> Result<Self> {
        Ok(Self { pool, redis: Client::open(redis_url)?, tasks })
    }

    /// Seconds of one `COPY` of all rows and one pipeline of all entries.
    pub async fn create(&self) -> Result<f64> {
        for statement in [
            "CREATE SCHEMA IF NOT EXISTS bare",
            "DROP TABLE IF EXISTS bare.tasks",
            "CREATE TABLE bare.tasks (LIKE scheduling.tasks INCLUDING ALL) WITH (fillfactor = 45)",
        ] {
            sqlx::query(statement).execute(&self.pool).await?;
        }
        let mut redis = self.connect().await?;
        let _: Value = redis::cmd("DEL").arg(STREAM).query_async(&mut redis).await?;
        let _: Value =
            redis::cmd("XGROUP").arg(&["CREATE", STREAM, GROUP, "0", "MKSTREAM"]).query_async(&mut redis).await?;
        let (mut rows, mut entries) = (HEADER.to_vec(), redis::pipe());
        for i in 0..self.tasks {
            let id = Uuid::now_v7();
            encode(&mut rows, id, i);
            entries.cmd("XADD").arg(STREAM).arg("*").arg("t").arg(&id.as_bytes()[..]).ignore();
        }
        rows.extend_from_slice(TRAILER);
        let mut connection = self.pool.acquire().await?;

        let begun = Instant::now();
        let mut copy = connection
            .copy_in_raw("COPY bare.tasks (id, cycle_id, uid, env_id, episode, seed) FROM STDIN (FORMAT binary)")
            .await?;
        copy.send(rows).await?;
        let written = copy.finish().await?;
        entries.query_async::<()>(&mut redis).await?;
        let seconds = begun.elapsed().as_secs_f64();

        ensure!(written == u64::from(self.tasks), "COPY wrote {written} rows");
        Ok(seconds)
    }

    /// Tasks a second when as many clients as there are players take and complete them in batches.
    pub async fn drain(&self, batch: u32) -> Result<f64> {
        self.create().await?;
        let mut clients = Vec::new();
        for number in 0..PLAYERS {
            let name = format!("executor-{number}");
            clients.push(BareClient {
                name,
                connection: self.pool.acquire().await?,
                redis: self.connect().await?,
                batch,
            });
        }
        let begun = Instant::now();
        let running: Vec<_> = clients.into_iter().map(|client| tokio::spawn(client.drain())).collect();
        let mut completed = 0;
        for client in running {
            completed += client.await.context("a client panicked")??;
        }
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(completed == u64::from(self.tasks), "{completed} tasks were completed in the bare stores");
        Ok(completed as f64 / seconds)
    }

    async fn connect(&self) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        Ok(self.redis.get_multiplexed_async_connection_with_config(&config).await?)
    }
}

/// A row in the binary format: the number of fields, then each with its length before it.
fn encode(rows: &mut Vec<u8>, id: Uuid, i: u32) {
    let (uid, episode, seed) = (i % 200, i / 400, i.wrapping_mul(2_654_435_761));
    rows.extend_from_slice(&[0, 6, 0, 0, 0, 16]);
    rows.extend_from_slice(id.as_bytes());
    rows.extend_from_slice(&[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]);
    rows.extend_from_slice(&uid.to_be_bytes());
    rows.extend_from_slice(&[0, 0, 0, 17]);
    rows.extend_from_slice(b"metaworld/push-v3");
    rows.extend_from_slice(&[0, 0, 0, 4]);
    rows.extend_from_slice(&episode.to_be_bytes());
    rows.extend_from_slice(&[0, 0, 0, 8]);
    rows.extend_from_slice(&u64::from(seed).to_be_bytes());
}

struct BareClient {
    name: String,
    connection: sqlx::pool::PoolConnection<sqlx::Postgres>,
    redis: MultiplexedConnection,
    batch: u32,
}

impl BareClient {
    async fn drain(mut self) -> Result<u64> {
        let mut completed = 0;
        loop {
            let read: Option<StreamReadReply> = redis::cmd("XREADGROUP")
                .arg(&["GROUP", GROUP, &self.name, "COUNT"])
                .arg(self.batch)
                .arg(&["STREAMS", STREAM, ">"])
                .query_async(&mut self.redis)
                .await?;
            let entries: Vec<StreamId> = read.into_iter().flat_map(|read| read.keys).flat_map(|key| key.ids).collect();
            if entries.is_empty() {
                return Ok(completed);
            }
            let mut ids = Vec::with_capacity(entries.len());
            for entry in &entries {
                let bytes: Vec<u8> = entry.get("t").context("an entry without a task")?;
                ids.push(Uuid::from_slice(&bytes)?);
            }
            completed += self.play(&ids).await?;
            let names: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
            redis::pipe()
                .cmd("XACK")
                .arg(STREAM)
                .arg(GROUP)
                .arg(&names)
                .ignore()
                .cmd("XDEL")
                .arg(STREAM)
                .arg(&names)
                .ignore()
                .query_async::<()>(&mut self.redis)
                .await?;
        }
    }

    /// One statement to lease, one to complete.
    async fn play(&mut self, ids: &[Uuid]) -> Result<u64> {
        sqlx::query(
            "UPDATE bare.tasks SET state = 'assigned', attempt = attempt + 1, executor_id = $2
              WHERE id = ANY($1) RETURNING id, cycle_id, uid, env_id, seed, attempt",
        )
        .bind(ids)
        .bind(&self.name)
        .fetch_all(&mut *self.connection)
        .await?;
        let completed = sqlx::query(
            "UPDATE bare.tasks
                SET state = 'completed', completed_at = now(), verdict = 'success', cause = 'environment', score = 1,
                    total_reward = 12.5, timesteps = 88, trajectory_hash = $2, duration_seconds = 4.25, policy_seconds = 3.5
              WHERE id = ANY($1)",
        )
        .bind(ids)
        .bind("5a".repeat(32))
        .execute(&mut *self.connection)
        .await?;
        Ok(completed.rows_affected())
    }
}
