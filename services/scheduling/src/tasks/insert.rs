//! Creating tasks: rows by `COPY`, then entries in the queue.

use kinitro_domain::CycleId;
use kinitro_queue::{Entry, Staged};
use sqlx::PgConnection;

use super::{NewTask, TaskError, Tasks};

const COPY: &str = "COPY scheduling.tasks (id, cycle_id, uid, env_id, episode, seed) FROM STDIN (FORMAT binary)";
/// Begins every binary copy: the signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of a row's number of fields: -1 ends the copy.
const TRAILER: &[u8] = b"\xff\xff";
/// Sent in pieces of about so many bytes.
const PIECE: usize = 256 << 10;

impl Tasks {
    /// Writes the rows of tasks, in the caller's transaction.
    ///
    /// # Errors
    ///
    /// [`TaskError::Database`], also when an id is there already; [`TaskError::Invalid`] when a number does not fit the column.
    pub async fn insert(connection: &mut PgConnection, cycle: CycleId, tasks: &[NewTask]) -> Result<(), TaskError> {
        let cycle = i64::try_from(cycle.0).map_err(|_| too_large("cycle_id"))?;
        if tasks.iter().any(|task| i32::try_from(task.episode).is_err()) {
            return Err(too_large("episode"));
        }
        let mut copy = connection.copy_in_raw(COPY).await?;
        let mut piece = HEADER.to_vec();
        for task in tasks {
            encode(&mut piece, cycle, task);
            if piece.len() >= PIECE {
                copy.send(piece.as_slice()).await?;
                piece.clear();
            }
        }
        piece.extend_from_slice(TRAILER);
        copy.send(piece.as_slice()).await?;
        copy.finish().await?;
        Ok(())
    }

    /// Writes tasks to Redis beside the queue, while their rows are still being written: [`publish`](Self::publish) makes them available
    /// after the commit, or nobody does. None when Redis is away.
    pub async fn stage(&self, tasks: &[NewTask]) -> Option<Staged> {
        match self.queue.stage(entries(tasks)).await {
            Ok(staged) => Some(staged),
            Err(error) => {
                tracing::warn!(%error, "tasks could not be staged");
                None
            }
        }
    }

    /// Makes staged tasks available. Call it after the commit; if it fails, the reconciler does it.
    ///
    /// # Errors
    ///
    /// [`TaskError::Queue`].
    pub async fn publish(&self, staged: &Staged) -> Result<u64, TaskError> {
        let added = self.queue.publish(staged).await?;
        self.arrived(added);
        Ok(added)
    }

    /// Puts committed tasks into the queue, to be served in the order given. Call it after the commit; if it fails, the reconciler does it.
    ///
    /// # Errors
    ///
    /// [`TaskError::Queue`].
    pub async fn enqueue(&self, tasks: &[NewTask]) -> Result<u64, TaskError> {
        let added = self.queue.enqueue(&entries(tasks)).await?;
        self.arrived(added);
        Ok(added)
    }

    fn arrived(&self, added: u64) {
        if added > 0 {
            self.arrivals.notify_waiters();
        }
        metrics::counter!("kinitro_tasks_enqueued_total").increment(added);
    }
}

fn entries(tasks: &[NewTask]) -> Vec<Entry> {
    tasks.iter().map(|task| Entry { task_id: task.id, env_id: task.env_id.clone(), uid: task.uid }).collect()
}

fn too_large(field: &'static str) -> TaskError {
    TaskError::Invalid { field, problem: "is too large for the database".to_owned() }
}

/// One row: the number of fields, then each with its length, all big-endian.
fn encode(piece: &mut Vec<u8>, cycle: i64, task: &NewTask) {
    piece.extend_from_slice(&6_i16.to_be_bytes());
    let mut field = |value: &[u8]| {
        piece.extend_from_slice(&i32::try_from(value.len()).unwrap_or(0).to_be_bytes());
        piece.extend_from_slice(value);
    };
    field(task.id.0.as_bytes());
    field(&cycle.to_be_bytes());
    field(&i32::from(task.uid.0).to_be_bytes());
    field(task.env_id.as_str().as_bytes());
    field(&task.episode.to_be_bytes());
    field(&i64::from(task.seed.0).to_be_bytes());
}
