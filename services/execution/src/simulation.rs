//! The simulation threads. Simulators block and rendering contexts belong to threads, so both stay away from the async runtime.
//!
//! Jobs are taken in order. A job that panics is reported to whoever waits for it; the thread goes on with the next one.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads. They end when the pool is dropped and its jobs are done.
pub(crate) struct SimulationThreads {
    jobs: mpsc::Sender<Job>,
}

/// What a job said when it panicked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Panicked(pub String);

impl SimulationThreads {
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..count {
            let queue = queue.clone();
            thread::Builder::new().name(format!("simulation-{number}")).spawn(move || {
                loop {
                    // The lock is held while waiting: one thread waits for a job, the others for the lock.
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match next {
                        Ok(job) => job(),
                        Err(mpsc::RecvError) => break,
                    }
                }
            })?;
        }
        Ok(Self { jobs })
    }

    /// Runs a job on one of the threads. When the caller stops waiting, a job that began is finished and its result dropped there.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            if answer.is_closed() {
                return;
            }
            let outcome = catch_unwind(AssertUnwindSafe(job)).map_err(|panic| Panicked(message(panic.as_ref())));
            // Nobody waits any more: the episode was stopped.
            drop(answer.send(outcome));
        });
        let gone = || Panicked("the simulation threads are gone".to_owned());
        self.jobs.send(job).map_err(|_| gone())?;
        result.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_job_and_not_the_thread() {
        let threads = SimulationThreads::start(1).expect("a thread");
        let panicked = threads.run(|| -> u32 { panic!("unstable at {}", 7) }).await;
        assert_eq!(panicked, Err(Panicked("unstable at 7".to_owned())));
        assert_eq!(threads.run(|| 6 * 7).await, Ok(42));
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_is_not_begun() {
        let threads = SimulationThreads::start(1).expect("a thread");
        let (release, held) = mpsc::channel::<()>();
        let (seen, began) = mpsc::channel::<()>();
        let first = threads.run(move || held.recv().is_ok());
        let second = threads.run(move || seen.send(()));
        let mut first = Box::pin(first);
        {
            let second = second;
            tokio::select! {
                biased;
                _ = &mut first => unreachable!("it is held"),
                _ = second => unreachable!("it waits behind the first"),
                () = tokio::task::yield_now() => {}
            }
        }
        release.send(()).expect("the first job waits");
        assert_eq!(first.await, Ok(true));
        assert_eq!(threads.run(move || began.try_recv().is_err()).await, Ok(true));
    }
}
