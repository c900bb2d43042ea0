//! Results on their way to scheduling. None is dropped while scheduling or its database is away, also when its lease expires meanwhile; the
//! number that waits is bounded, because an episode keeps its slot until its result has been taken in here. What a first try did not bring
//! there is kept in a folder, when there is one for it: see `spool`.

use std::{collections::BTreeMap, sync::Arc};

use kinitro_domain::ExecutorId;
use kinitro_proto::scheduling::v1::{CompleteTasksRequest, Lease, TaskResult};
use tokio::sync::mpsc;

use crate::{
    contact::Contact,
    lease::Leases,
    scheduling::{CALL_TIMEOUT, Scheduling, back_off, is_refused, within},
    spool::Spool,
};

/// How many results wait at most, besides those that are being sent.
pub(crate) const WAITING: usize = 1000;

/// The most results in one call.
const BATCH: usize = 100;

/// Delivers results until the senders are gone and nothing is left.
pub(crate) struct Delivery {
    pub(crate) scheduling: Scheduling,
    pub(crate) contact: Arc<Contact>,
    pub(crate) executor_id: ExecutorId,
    pub(crate) leases: Arc<Leases>,
    pub(crate) results: mpsc::Receiver<TaskResult>,
    pub(crate) spool: Spool,
    /// What an earlier process could not deliver, under the names of its executors.
    pub(crate) left: Vec<(String, TaskResult)>,
}

impl Delivery {
    /// Holds the tasks of the results that were left: they are not played again here.
    pub(crate) fn owe_what_is_left(&self) {
        self.left.iter().for_each(|(_, result)| self.leases.owe(&lease_of(result)));
    }

    pub(crate) async fn run(mut self) {
        let mut left: BTreeMap<String, Vec<TaskResult>> = BTreeMap::new();
        for (executor_id, result) in std::mem::take(&mut self.left) {
            left.entry(executor_id).or_default().push(result);
        }
        for (executor_id, results) in left {
            tracing::info!(
                executor_id,
                results = results.len(),
                "handing in what an earlier process could not deliver"
            );
            for part in results.chunks(BATCH) {
                self.deliver(&executor_id, part.to_vec(), true).await;
            }
        }
        let executor_id = self.executor_id.to_string();
        let mut batch = Vec::with_capacity(BATCH);
        // While one batch is on its way, the next one gathers: the batches grow with the load by themselves.
        while self.results.recv_many(&mut batch, BATCH).await > 0 {
            self.deliver(&executor_id, std::mem::take(&mut batch), false).await;
            metrics::gauge!("kinitro_results_waiting").set(self.results.len() as f64);
        }
    }

    async fn deliver(&mut self, executor_id: &str, batch: Vec<TaskResult>, kept: bool) {
        let (mut parts, mut kept) = (vec![batch], kept);
        let mut back_off = back_off();
        while let Some(part) = parts.pop() {
            let (executor, results) = (executor_id.to_owned(), part.clone());
            let request = CompleteTasksRequest { executor_id: executor, results, trajectory_hashes: true };
            metrics::gauge!("kinitro_results_waiting").set((self.results.len() + waiting(&parts) + part.len()) as f64);
            match self.contact.noted(self.scheduling.complete_tasks(within(CALL_TIMEOUT, request)).await) {
                Ok(answer) => {
                    back_off.reset();
                    let answer = answer.into_inner();
                    for error in &answer.errors {
                        tracing::warn!(error, "scheduling rejected a result");
                    }
                    tracing::debug!(accepted = answer.accepted, rejected = answer.rejected, "delivered results");
                    self.settled(&part, kept).await;
                }
                Err(status) if is_refused(&status) && part.len() > 1 => {
                    // One of them spoils the request: each goes alone.
                    parts.extend(part.into_iter().map(|result| vec![result]));
                }
                Err(status) if is_refused(&status) => {
                    for result in &part {
                        tracing::error!(task_uuid = result.task_uuid, %status, "scheduling refuses a result for good");
                    }
                    self.settled(&part, kept).await;
                }
                Err(status) => {
                    let pause = back_off.pause();
                    tracing::warn!(%status, results = part.len(), ?pause, "scheduling has not taken the results yet");
                    if !kept {
                        kept = true;
                        for part in parts.iter().chain([&part]) {
                            self.spool.keep(executor_id, part).await;
                        }
                    }
                    parts.push(part);
                    self.take_in(executor_id, &mut parts).await;
                    // Before the next lease: a task whose result is here should not be played again elsewhere.
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.contact.restored() => {}
                    }
                }
            }
        }
    }

    /// Takes in what came meanwhile, so that it is kept too. What waits stays bounded.
    async fn take_in(&mut self, executor_id: &str, parts: &mut Vec<Vec<TaskResult>>) {
        // What is handed in for another process stays apart.
        while executor_id == self.executor_id.as_str() && waiting(parts) < WAITING {
            let mut more = Vec::new();
            while more.len() < BATCH
                && let Ok(result) = self.results.try_recv()
            {
                more.push(result);
            }
            if more.is_empty() {
                return;
            }
            self.spool.keep(executor_id, &more).await;
            // The one that was tried goes on being the next.
            parts.insert(0, more);
        }
    }

    async fn settled(&self, results: &[TaskResult], kept: bool) {
        results.iter().for_each(|result| self.leases.drop_lease(&lease_of(result)));
        if kept {
            self.spool.forget(results).await;
        }
    }
}

fn lease_of(result: &TaskResult) -> Lease {
    Lease { task_uuid: result.task_uuid.clone(), attempt: result.attempt }
}

fn waiting(parts: &[Vec<TaskResult>]) -> usize {
    parts.iter().map(Vec::len).sum()
}
