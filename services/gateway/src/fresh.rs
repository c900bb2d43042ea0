//! A value that is worked out at most so often, however many ask for it.
//!
//! `/health` and `/metrics` are open to everybody and ask every service: without this, one caller could make the gateway
//! flood them.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

/// The newest value and when it was worked out. Those who ask while it is being worked out wait for it.
pub(crate) struct Fresh<T> {
    max_age: Duration,
    newest: Mutex<Option<(Instant, T)>>,
}

impl<T: Clone> Fresh<T> {
    pub fn new(max_age: Duration) -> Self {
        Self { max_age, newest: Mutex::new(None) }
    }

    pub async fn get(&self, work_out: impl Future<Output = T>) -> T {
        let mut newest = self.newest.lock().await;
        match &*newest {
            Some((when, value)) if when.elapsed() < self.max_age => value.clone(),
            _ => {
                let value = work_out.await;
                *newest = Some((Instant::now(), value.clone()));
                value
            }
        }
    }
}
