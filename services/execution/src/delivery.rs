//! Results on their way to scheduling. None is dropped while scheduling is away; the number that waits is bounded, because an episode
//! keeps its slot until its result has been taken in here.

use std::sync::Arc;

use kinitro_domain::ExecutorId;
use kinitro_proto::scheduling::v1::{CompleteTasksRequest, Lease, TaskResult};
use tokio::sync::mpsc;

use crate::{
    lease::Leases,
    scheduling::{BackOff, CALL_TIMEOUT, Scheduling, is_refused, within},
};

/// How many results wait at most, besides those that are being sent.
pub(crate) const WAITING: usize = 1000;

/// The most results in one call.
const BATCH: usize = 100;

/// Delivers results until the senders are gone and nothing is left.
pub(crate) struct Delivery {
    pub(crate) scheduling: Scheduling,
    pub(crate) executor_id: ExecutorId,
    pub(crate) leases: Arc<Leases>,
    pub(crate) results: mpsc::Receiver<TaskResult>,
}

impl Delivery {
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        // While one batch is on its way, the next one gathers: the batches grow with the load by themselves.
        while self.results.recv_many(&mut batch, BATCH).await > 0 {
            self.deliver(std::mem::take(&mut batch)).await;
        }
    }

    async fn deliver(&mut self, batch: Vec<TaskResult>) {
        let mut parts = vec![batch];
        let mut back_off = BackOff::default();
        while let Some(part) = parts.pop() {
            let request = CompleteTasksRequest { executor_id: self.executor_id.to_string(), results: part.clone() };
            match self.scheduling.complete_tasks(within(CALL_TIMEOUT, request)).await {
                Ok(answer) => {
                    back_off = BackOff::default();
                    let answer = answer.into_inner();
                    for error in &answer.errors {
                        tracing::warn!(error, "scheduling rejected a result");
                    }
                    tracing::debug!(accepted = answer.accepted, rejected = answer.rejected, "delivered results");
                    self.settled(&part);
                }
                Err(status) if is_refused(&status) && part.len() > 1 => {
                    // One of them spoils the request: each goes alone.
                    parts.extend(part.into_iter().map(|result| vec![result]));
                }
                Err(status) if is_refused(&status) => {
                    for result in &part {
                        tracing::error!(task_uuid = result.task_uuid, %status, "scheduling refuses a result for good");
                    }
                    self.settled(&part);
                }
                Err(status) => {
                    let pause = back_off.next();
                    tracing::warn!(%status, results = part.len(), ?pause, "scheduling has not taken the results yet");
                    parts.push(part);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn settled(&self, results: &[TaskResult]) {
        for TaskResult { task_uuid, attempt, .. } in results {
            self.leases.drop_lease(&Lease { task_uuid: task_uuid.clone(), attempt: *attempt });
        }
    }
}
