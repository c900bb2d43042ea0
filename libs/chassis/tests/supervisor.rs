//! Named tasks and their common end.
#![allow(clippy::unwrap_used)]

use std::{convert::Infallible, time::Duration};

use kinitro_chassis::{Supervisor, SupervisorError};

const LONG: Duration = Duration::from_secs(60);

/// A task that does what it should: it ends when the drain begins.
fn well_behaved(supervisor: &Supervisor) {
    let draining = supervisor.draining();
    supervisor.spawn("well-behaved", async move {
        draining.cancelled().await;
        Ok::<(), Infallible>(())
    });
}

async fn failure(supervisor: Supervisor) -> (String, String) {
    match supervisor.join(LONG).await {
        Err(SupervisorError::TaskFailed { name, reason }) => (name, reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_task_that_fails_takes_the_others_down_and_is_named() {
    let supervisor = Supervisor::new();
    well_behaved(&supervisor);
    supervisor.spawn("reader", async { Err("the disk is full") });
    assert_eq!(failure(supervisor).await, ("reader".to_owned(), "failed: the disk is full".to_owned()));
}

#[tokio::test]
async fn a_task_that_just_ends_has_failed() {
    let supervisor = Supervisor::new();
    well_behaved(&supervisor);
    supervisor.spawn("reader", async { Ok::<(), Infallible>(()) });
    assert_eq!(failure(supervisor).await, ("reader".to_owned(), "ended unexpectedly".to_owned()));
}

#[tokio::test]
async fn a_task_that_panics_is_named_with_its_last_words() {
    let supervisor = Supervisor::new();
    well_behaved(&supervisor);
    supervisor.spawn::<_, Infallible>("reader", async { panic!("index {} is out of range", 7) });
    assert_eq!(failure(supervisor).await, ("reader".to_owned(), "panicked: index 7 is out of range".to_owned()));
}

#[tokio::test]
async fn the_first_failure_is_the_cause() {
    let supervisor = Supervisor::new();
    let draining = supervisor.draining();
    supervisor.spawn("victim", async move {
        draining.cancelled().await;
        Err("lost the reader")
    });
    supervisor.spawn("reader", async { Err("the disk is full") });
    assert_eq!(failure(supervisor).await.0, "reader");
}

#[tokio::test]
async fn a_shutdown_ends_cleanly_when_every_task_does() {
    let supervisor = Supervisor::new();
    well_behaved(&supervisor);
    supervisor.shutdown();
    supervisor.join(LONG).await.unwrap();
}

#[tokio::test]
async fn a_failure_during_the_drain_is_not_swallowed() {
    let supervisor = Supervisor::new();
    let draining = supervisor.draining();
    supervisor.spawn("writer", async move {
        draining.cancelled().await;
        Err("could not flush")
    });
    supervisor.shutdown();
    assert_eq!(failure(supervisor).await, ("writer".to_owned(), "failed: could not flush".to_owned()));
}

#[tokio::test]
async fn tasks_that_ignore_the_drain_are_dropped_and_named() {
    struct Told(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    #[expect(clippy::disallowed_methods, reason = "one message")]
    let (sender, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    let supervisor = Supervisor::new();
    well_behaved(&supervisor);
    let told = Told(sender);
    supervisor.spawn::<_, Infallible>("deaf", async move {
        let _told = told;
        std::future::pending().await
    });
    supervisor.shutdown();
    let error = supervisor.join(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(&error, SupervisorError::DrainTimeout { names, .. } if names == &["deaf"]), "{error}");
    dropped.recv().await.unwrap();
}
