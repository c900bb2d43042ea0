//! Whether scheduling is reached: what this executor's health says, and what wakes those who wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tonic::{Response, Status};

use crate::scheduling::is_refused;

/// What the last call of scheduling came to.
#[derive(Default)]
pub(crate) struct Contact {
    last: Mutex<Last>,
    restored: Notify,
}

#[derive(Default)]
enum Last {
    #[default]
    NotCalled,
    Answered,
    Failed(String),
}

impl Contact {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a call came to, and gives it back. A request that is refused was read, and so is one that some part of the backend has to be
    /// there for: but then nothing can be leased.
    pub(crate) fn noted<T>(&self, answer: Result<Response<T>, Status>) -> Result<Response<T>, Status> {
        let now = match &answer {
            Ok(_) => Last::Answered,
            Err(status) if is_refused(status) => Last::Answered,
            Err(status) => Last::Failed(status.message().to_owned()),
        };
        let restored = matches!(now, Last::Answered) && !matches!(*self.last(), Last::Answered);
        metrics::gauge!("kinitro_scheduling_reached").set(f64::from(u8::from(matches!(now, Last::Answered))));
        *self.last() = now;
        if restored {
            self.restored.notify_waiters();
        }
        answer
    }

    /// What is wrong with it, for the health check.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &*self.last() {
            Last::Answered => Ok(()),
            Last::NotCalled => Err("not called yet".to_owned()),
            Last::Failed(why) => Err(format!("the last call of scheduling failed: {why}")),
        }
    }

    /// Resolves when scheduling answers again after it did not.
    pub(crate) async fn restored(&self) {
        self.restored.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_failed_call_is_told_until_one_is_answered_and_the_answer_wakes_who_waits() {
        let contact = Contact::default();
        assert!(contact.check().is_err(), "nothing is known yet");
        assert!(contact.noted(Ok(Response::new(()))).is_ok());
        assert_eq!(contact.check(), Ok(()));
        assert!(contact.noted::<()>(Err(Status::unavailable("nobody listens"))).is_err());
        let told = "the last call of scheduling failed: nobody listens".to_owned();
        assert_eq!(contact.check(), Err(told));
        assert!(contact.noted::<()>(Err(Status::unavailable("postgres is away"))).is_err());
        let mut restored = std::pin::pin!(contact.restored());
        assert!(restored.as_mut().now_or_never().is_none());
        assert!(contact.noted::<()>(Err(Status::invalid_argument("too many"))).is_err());
        assert_eq!(contact.check(), Ok(()), "it was read");
        restored.await;
    }
}
