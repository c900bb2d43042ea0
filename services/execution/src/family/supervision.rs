//! Keeps a family's process alive: one that ends is started again, after a pause that grows while it keeps ending before it was of use.

use std::{sync::Arc, time::Duration};

use kinitro_chassis::BackOff;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Family,
    child::{Child, Death},
    process::WorkerCommand,
    protocol::Settings,
};
use crate::{Error, telemetry};

/// The pause before the first new start. It doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A family, and what its process is started with.
pub(crate) struct Supervision {
    pub(crate) family: Arc<Family>,
    pub(crate) command: WorkerCommand,
    pub(crate) settings: Settings,
}

/// The first processes of all families. An executor that cannot play does not start.
pub(crate) async fn first(families: Vec<Supervision>) -> Result<Vec<(Supervision, Child)>, Error> {
    let starts = families.into_iter().map(|supervision| async {
        let Supervision { family, command, settings } = &supervision;
        let child = Child::start(command, settings).await;
        let child = child.map_err(|reason| Error::Family { family: family.name.clone(), reason })?;
        Ok::<_, Error>((supervision, child))
    });
    let started: Vec<(Supervision, Child)> = futures::future::try_join_all(starts).await?;
    // Already here, so that an executor that has started is one that plays.
    started.iter().for_each(|(supervision, child)| child.open(&supervision.family));
    Ok(started)
}

impl Supervision {
    /// Until `over`; the process is gone then.
    pub(crate) async fn run(self, first: Child, over: CancellationToken) {
        let Self { family, command, settings } = self;
        let mut next = Some(first);
        let mut back_off = BackOff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let child = match next.take() {
                Some(child) => Ok(child),
                None => tokio::select! {
                    child = Child::start(&command, &settings) => child,
                    () = over.cancelled() => return,
                },
            };
            let Death { why, was_well } = match child {
                Ok(child) => match child.serve(&family, &settings, &over).await {
                    Some(death) => death,
                    None => return,
                },
                // However long that took.
                Err(why) => Death { why, was_well: false },
            };
            if was_well {
                back_off.reset();
            }
            let pause = back_off.pause();
            telemetry::restart(&family.name);
            tracing::error!(
                family = family.name,
                why,
                ?pause,
                "the simulation process is lost and will be started again"
            );
            tokio::select! {
                () = sleep(pause) => {}
                () = over.cancelled() => return,
            }
        }
    }
}
