//! Who waits for which episode. Every episode that begins is answered: by its report, or by the end of the process that played it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kinitro_domain::Cause;
use tokio::sync::{mpsc, oneshot};

use super::protocol::{Order, Play};
use crate::episode::Report;

/// The episodes of one family.
#[derive(Default)]
pub(crate) struct Desk(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// Never given twice, so that a report of an earlier process cannot be taken for another episode's.
    next: u64,
    /// The way to the process; `None` while there is none.
    process: Option<mpsc::UnboundedSender<Order>>,
    waiting: HashMap<u64, Expected>,
}

/// Who hears of an episode.
struct Expected {
    /// Until it was used.
    reached: Option<oneshot::Sender<()>>,
    report: oneshot::Sender<Report>,
}

/// One episode that was begun. Dropping it stops the episode.
pub(crate) struct Waiting {
    number: u64,
    reached: oneshot::Receiver<()>,
    report: oneshot::Receiver<Report>,
    desk: Arc<Desk>,
}

impl Desk {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process is there.
    pub(crate) fn open(&self, process: mpsc::UnboundedSender<Order>) {
        self.book().process = Some(process);
    }

    /// The process takes no more episodes. What it still says of those that it has is heard.
    pub(crate) fn detach(&self) {
        self.book().process = None;
    }

    /// The process is gone. Returns how many episodes end with it.
    pub(crate) fn close(&self, evidence: &str) -> usize {
        let mut book = self.book();
        book.process = None;
        let lost = std::mem::take(&mut book.waiting);
        drop(book);
        let count = lost.len();
        for waiting in lost.into_values() {
            // Once the policy was reached it may have seen an observation: the process that knew is gone.
            let shown = waiting.reached.is_none();
            let report = Report { shown, ..Report::fault(Cause::Executor, evidence.to_owned()) };
            // Who was stopped in this very moment does not hear it.
            drop(waiting.report.send(report));
        }
        count
    }

    /// Hands an episode to the process; `None` when there is none.
    pub(crate) fn begin(self: &Arc<Self>, play: Play) -> Option<Waiting> {
        let mut book = self.book();
        let number = book.next + 1;
        book.process.as_ref()?.send(Order::Play(Play { number, ..play })).ok()?;
        book.next = number;
        let (reached_sender, reached) = oneshot::channel();
        let (report_sender, report) = oneshot::channel();
        book.waiting.insert(number, Expected { reached: Some(reached_sender), report: report_sender });
        drop(book);
        Some(Waiting { number, reached, report, desk: self.clone() })
    }

    /// The policy of an episode was reached.
    pub(crate) fn reached(&self, number: u64) {
        let reached = self.book().waiting.get_mut(&number).and_then(|expected| expected.reached.take());
        // Without one it was stopped; who was stopped in this very moment does not hear it.
        let _ = reached.map(|reached| reached.send(()));
    }

    /// An episode ended. One that nobody waits for was stopped.
    pub(crate) fn ended(&self, number: u64, report: Report) {
        let waiting = self.book().waiting.remove(&number);
        if let Some(waiting) = waiting {
            drop(waiting.report.send(report));
        }
    }
}

impl Waiting {
    /// The report; `reached` is called before that when the policy was reached.
    pub(crate) async fn report(&mut self, reached: impl FnOnce()) -> Report {
        let gone = |_| Report::fault(Cause::Executor, "nobody is left to play this episode".to_owned());
        tokio::select! {
            biased;
            // Both may be there: what was said first is heard first.
            Ok(()) = &mut self.reached => {
                reached();
                (&mut self.report).await.unwrap_or_else(|lost| Report { shown: true, ..gone(lost) })
            }
            report = &mut self.report => report.unwrap_or_else(gone),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut book = self.desk.book();
        if book.waiting.remove(&self.number).is_some()
            && let Some(process) = &book.process
        {
            // A process that is just ending stops everything anyway.
            drop(process.send(Order::Stop(self.number)));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn desk() -> (Arc<Desk>, mpsc::UnboundedReceiver<Order>) {
        #[expect(clippy::disallowed_methods, reason = "a test with a few messages")]
        let (sender, receiver) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk::default());
        desk.open(sender);
        (desk, receiver)
    }

    #[tokio::test]
    async fn every_episode_of_a_process_that_ends_is_answered_and_no_other() {
        let (desk, _orders) = desk();
        let (mut first, mut second) = (desk.begin(Play::default()).unwrap(), desk.begin(Play::default()).unwrap());
        desk.ended(first.number, Report::fault(Cause::StepLimit, String::new()));
        assert_eq!(desk.close("it died"), 1);
        assert_eq!(first.report(|| ()).await.cause, Cause::StepLimit);
        let lost = second.report(|| ()).await;
        assert_eq!((lost.cause, lost.evidence.as_str(), lost.shown), (Cause::Executor, "it died", false));
        assert!(desk.begin(Play::default()).is_none(), "nothing begins without a process");
    }

    #[tokio::test]
    async fn a_policy_that_was_reached_may_have_seen_an_observation_when_the_process_ends() {
        let (desk, _orders) = desk();
        let mut waiting = desk.begin(Play::default()).unwrap();
        desk.reached(waiting.number);
        desk.close("it died");
        assert!(waiting.report(|| ()).await.shown);
    }

    #[tokio::test]
    async fn an_episode_that_nobody_waits_for_is_stopped() {
        let (desk, mut orders) = desk();
        let waiting = desk.begin(Play::default()).unwrap();
        let number = waiting.number;
        assert!(matches!(orders.recv().await, Some(Order::Play(play)) if play.number == number));
        drop(waiting);
        assert_eq!(orders.recv().await, Some(Order::Stop(number)));
        desk.ended(number, Report::fault(Cause::StepLimit, String::new()));
    }

    #[tokio::test]
    async fn that_a_policy_was_reached_is_heard_before_the_report() {
        let (desk, _orders) = desk();
        for reached in [true, false] {
            let mut waiting = desk.begin(Play::default()).unwrap();
            if reached {
                desk.reached(waiting.number);
                desk.reached(waiting.number);
            }
            desk.ended(waiting.number, Report::fault(Cause::StepLimit, String::new()));
            let mut heard = false;
            assert_eq!(waiting.report(|| heard = true).await.cause, Cause::StepLimit);
            assert_eq!(heard, reached);
        }
    }

    #[tokio::test]
    async fn a_process_that_takes_no_more_is_still_heard() {
        let (desk, _orders) = desk();
        let mut waiting = desk.begin(Play::default()).unwrap();
        desk.detach();
        assert!(desk.begin(Play::default()).is_none());
        desk.ended(waiting.number, Report::fault(Cause::StepLimit, String::new()));
        assert_eq!((waiting.report(|| ()).await.cause, desk.close("it died")), (Cause::StepLimit, 0));
    }
}
