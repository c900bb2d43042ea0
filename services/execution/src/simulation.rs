//! The simulation threads. Simulators block and rendering contexts belong to threads, so both stay away from the async runtime.
//!
//! Jobs are taken in order. A job that panics is reported to whoever waits for it; the thread goes on with the next one.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Sender, unbounded};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads. They end when the pool is dropped and its jobs are done.
pub(crate) struct SimulationThreads {
    jobs: Sender<Job>,
    clocks: Vec<Arc<Clock>>,
    begun: Instant,
}

/// When a thread began its job, in microseconds since the pool began; 0 while it has none.
#[derive(Default)]
struct Clock(AtomicU64);

/// What a job said when it panicked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Panicked(pub String);

impl SimulationThreads {
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "an episode has one job at a time, and episodes are bounded by the slots"
        )]
        let (jobs, queue) = unbounded::<Job>();
        let begun = Instant::now();
        let clocks: Vec<Arc<Clock>> = (0..count).map(|_| Arc::default()).collect();
        for (number, clock) in clocks.iter().enumerate() {
            let (queue, clock) = (queue.clone(), clock.clone());
            thread::Builder::new().name(format!("simulation-{number}")).spawn(move || {
                for job in queue {
                    clock.0.store(since(begun).max(1), Ordering::Relaxed);
                    job();
                    clock.0.store(0, Ordering::Relaxed);
                }
            })?;
        }
        Ok(Self { jobs, clocks, begun })
    }

    /// Runs a job on one of the threads; also says how long it waited for one. When the caller stops waiting, a job that began is
    /// finished and its result dropped there.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> (Result<T, Panicked>, Duration) {
        let (answer, result) = oneshot::channel();
        let queued = Instant::now();
        let job: Job = Box::new(move || {
            if answer.is_closed() {
                return;
            }
            let waited = queued.elapsed();
            let outcome = catch_unwind(AssertUnwindSafe(job)).map_err(|panic| Panicked(message(panic.as_ref())));
            // Nobody waits any more: the episode was stopped.
            drop(answer.send((outcome, waited)));
        });
        let gone = || (Err(Panicked("the simulation threads are gone".to_owned())), Duration::ZERO);
        if self.jobs.send(job).is_err() {
            return gone();
        }
        result.await.unwrap_or_else(|_| gone())
    }

    /// How long the oldest job has been running. One that never ends shows here.
    pub(crate) fn oldest_job(&self) -> Duration {
        let began = self.clocks.iter().map(|clock| clock.0.load(Ordering::Relaxed)).filter(|began| *began > 0).min();
        let age = began.map(|began| since(self.begun).saturating_sub(began));
        Duration::from_micros(age.unwrap_or_default())
    }
}

fn since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_job_that_does_not_end_shows_and_others_wait() {
        let threads = SimulationThreads::start(1).expect("a thread");
        assert_eq!(threads.oldest_job(), Duration::ZERO);
        let (release, held) = mpsc::channel::<()>();
        let long = threads.run(move || held.recv().is_ok());
        let next = threads.run(|| ());
        let watch = async {
            while threads.oldest_job() < Duration::from_millis(50) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            release.send(()).expect("the job waits");
        };
        let ((held, _), (_, waited), ()) = tokio::join!(long, next, watch);
        assert_eq!(held, Ok(true));
        assert!(waited >= Duration::from_millis(50), "{waited:?}");
        assert_eq!(threads.run(|| ()).await.0, Ok(()));
    }

    #[tokio::test]
    async fn a_panic_ends_its_job_and_not_the_thread() {
        let threads = SimulationThreads::start(1).expect("a thread");
        let panicked = threads.run(|| -> u32 { panic!("unstable at {}", 7) }).await.0;
        assert_eq!(panicked, Err(Panicked("unstable at 7".to_owned())));
        assert_eq!(threads.run(|| 6 * 7).await.0, Ok(42));
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
        assert_eq!(first.await.0, Ok(true));
        assert_eq!(threads.run(move || began.try_recv().is_err()).await.0, Ok(true));
    }
}
