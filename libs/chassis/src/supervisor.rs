//! Named tasks that keep a process alive, and its graceful end.
//!
//! A process drains when it is told to (SIGTERM, SIGINT, [`Supervisor::shutdown`]) or when a task ends that should not.
//! Draining means: the token of [`Supervisor::draining`] is cancelled, every task finishes what it has begun and returns.
//! Whoever is still there after the drain timeout, or at a second signal, is dropped and named.

use std::{
    collections::BTreeMap,
    fmt::Display,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

/// Why a process did not end cleanly.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// A task ended although nothing had asked it to.
    #[error("task {name} {reason}; the process was taken down, its log has the history")]
    TaskFailed {
        /// The task's name.
        name: String,
        /// "ended unexpectedly", "failed: …" or "panicked: …".
        reason: String,
    },
    /// Tasks did not finish in time.
    #[error("not finished within {seconds} s of draining: {}; they were dropped", names.join(", "))]
    DrainTimeout {
        /// The drain timeout.
        seconds: u64,
        /// The tasks that were dropped.
        names: Vec<String>,
    },
    /// A second signal came while draining.
    #[error("forced by a second signal; dropped: {}", names.join(", "))]
    Forced {
        /// The tasks that were dropped.
        names: Vec<String>,
    },
    /// The process cannot listen for signals.
    #[error("could not listen for SIGTERM and SIGINT: {0}")]
    Signals(#[source] std::io::Error),
}

/// A group of named tasks with a common end. Clones are the same group.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    tracker: TaskTracker,
    draining: CancellationToken,
    force: CancellationToken,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Debug, Default)]
struct Ledger {
    next: u64,
    running: BTreeMap<u64, String>,
    /// The first failure is the cause; later ones are only logged.
    failure: Option<(String, String)>,
}

impl Supervisor {
    /// A group without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` under `name`. When it ends before the drain, with success or without, the whole process drains and
    /// [`Supervisor::run`] returns an error with the name. A failure during the drain is an error, too.
    pub fn spawn<F, E>(&self, name: impl Into<String>, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let name = name.into();
        let id = {
            let mut ledger = self.ledger();
            ledger.next += 1;
            let id = ledger.next;
            ledger.running.insert(id, name.clone());
            id
        };
        let group = self.clone();
        let supervised = async move {
            let outcome = tokio::select! {
                outcome = AssertUnwindSafe(task).catch_unwind() => Some(outcome),
                () = group.force.cancelled() => None,
            };
            group.ended(id, &name, outcome);
        };
        self.tracker.spawn(supervised.in_current_span());
    }

    /// Cancelled when the drain begins: take no more work, finish what is begun, return.
    pub fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Begins the drain.
    pub fn shutdown(&self) {
        self.draining.cancel();
    }

    /// Waits for SIGTERM, SIGINT or a failed task, then drains. A second signal forces the end.
    ///
    /// The handlers stay installed, as tokio cannot remove them; the process should exit when this returns.
    pub async fn run(self, drain_timeout: Duration) -> Result<(), SupervisorError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(SupervisorError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(SupervisorError::Signals)?;
        tokio::select! {
            name = either(&mut terminate, &mut interrupt) => {
                tracing::info!(signal = name, "draining; a second signal forces the end");
                self.shutdown();
            }
            () = self.draining.cancelled() => {}
        }
        tokio::select! {
            outcome = self.drained(drain_timeout) => outcome,
            name = either(&mut terminate, &mut interrupt) => {
                let names = self.drop_tasks();
                tracing::warn!(signal = name, tasks = ?names, "forced to end");
                Err(SupervisorError::Forced { names })
            }
        }
    }

    /// [`Supervisor::run`] without signals: waits for [`Supervisor::shutdown`] or a failed task, then drains.
    pub async fn join(self, drain_timeout: Duration) -> Result<(), SupervisorError> {
        self.draining.cancelled().await;
        self.drained(drain_timeout).await
    }

    async fn drained(&self, drain_timeout: Duration) -> Result<(), SupervisorError> {
        self.tracker.close();
        let in_time = tokio::time::timeout(drain_timeout, self.tracker.wait()).await.is_ok();
        let dropped = if in_time { Vec::new() } else { self.drop_tasks() };
        if !dropped.is_empty() {
            tracing::error!(tasks = ?dropped, timeout = ?drain_timeout, "tasks did not finish draining");
        }
        if let Some((name, reason)) = self.ledger().failure.clone() {
            return Err(SupervisorError::TaskFailed { name, reason });
        }
        if !dropped.is_empty() {
            return Err(SupervisorError::DrainTimeout { seconds: drain_timeout.as_secs(), names: dropped });
        }
        Ok(())
    }

    fn drop_tasks(&self) -> Vec<String> {
        let names = self.ledger().running.values().cloned().collect();
        self.force.cancel();
        names
    }

    fn ended<E: Display>(&self, id: u64, name: &str, outcome: Option<std::thread::Result<Result<(), E>>>) {
        let expected = self.draining.is_cancelled();
        let reason = match outcome {
            None => None,
            Some(Ok(Ok(()))) if expected => None,
            Some(Ok(Ok(()))) => Some("ended unexpectedly".to_owned()),
            Some(Ok(Err(error))) => Some(format!("failed: {error}")),
            Some(Err(panic)) => Some(format!("panicked: {}", panic_text(panic.as_ref()))),
        };
        let mut ledger = self.ledger();
        ledger.running.remove(&id);
        if let Some(reason) = reason {
            tracing::error!(task = name, %reason, draining = expected, "a task failed, taking the process down");
            ledger.failure.get_or_insert((name.to_owned(), reason));
            drop(ledger);
            self.shutdown();
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
