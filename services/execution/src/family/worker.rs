//! The process of a family: plays the episodes that its executor hands it, and ends with it.
//!
//! Its standard output carries frames and nothing else. So that no library can write in between, the output is taken away from the
//! rest of the process at the start: what is printed goes to the log.

use std::{collections::HashMap, io, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use kinitro_chassis::continue_trace;
use kinitro_domain::Cause;
use kinitro_policy::{Transport, TransportConfig};
use kinitro_sim::{ImageQuality, Randomisation, Simulator};
use nix::{
    sys::{prctl::set_pdeathsig, signal::Signal},
    unistd::{dup, dup2_stdout, getppid},
};
use prost::Message as _;
use tokio::{
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};
use tokio_util::{
    bytes::Bytes,
    codec::{FramedRead, FramedWrite, LengthDelimitedCodec},
};
use tracing::Instrument as _;

use super::protocol::{FromWorker, Order, Play, Played, Settings, ToWorker, Word, frames};
use crate::{
    Error,
    episode::{Report, Stage},
    open_files,
    simulation::SimulationThreads,
    warm_up::WarmUps,
};

type Orders = FramedRead<pipe::Receiver, LengthDelimitedCodec>;
type Words = FramedWrite<pipe::Sender, LengthDelimitedCodec>;

/// The process of one family, as an executor starts it: frames come from standard input and go to standard output. Returns when the
/// executor has no more use for it. To be awaited by the main thread.
pub async fn family_worker() -> Result<(), Error> {
    let (mut orders, mut words) = pipes().map_err(Error::Pipes)?;
    ignore_signals().map_err(Error::Pipes)?;
    // Linux keeps this for the thread that asks: ours is there until the process ends.
    set_pdeathsig(Signal::SIGKILL).map_err(|error| Error::Pipes(error.into()))?;
    let Some(Order::Start(settings)) = next(&mut orders).await? else {
        return Err(Error::Orders("the first one must be to start"));
    };
    // An executor that died before we asked for its death would leave us behind.
    if u32::try_from(getppid().as_raw()) != Ok(settings.parent) {
        return Err(Error::Orders("whoever sent the first one is not our parent"));
    }
    open_files::raise_limit(settings.slots as usize);
    match stage(&settings) {
        Ok(stage) => serve(Arc::new(stage), orders, words).await,
        Err(error) => {
            say(&mut words, Word::Failed(error.to_string())).await?;
            Err(error)
        }
    }
}

/// A terminal and some supervisors signal every process of a group. The executor drains; its families play on until it has no more
/// use for them. A handler that was installed once stays, so it is enough to ask for the signals and never look.
fn ignore_signals() -> io::Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        drop(signal(kind)?);
    }
    Ok(())
}

/// The pipes to the executor, which nothing else in this process knows.
fn pipes() -> io::Result<(Orders, Words)> {
    let (input, output) = (dup(io::stdin())?, dup(io::stdout())?);
    dup2_stdout(io::stderr())?;
    let (input, output) = (pipe::Receiver::from_owned_fd(input)?, pipe::Sender::from_owned_fd(output)?);
    Ok((FramedRead::new(input, frames()), FramedWrite::new(output, frames())))
}

fn stage(settings: &Settings) -> Result<Stage, Error> {
    let range = |factors: &[f64]| <[f64; 2]>::try_from(factors).map_err(|_| Error::Orders("a range is two factors"));
    #[expect(clippy::disallowed_methods, reason = "the executor checked its configuration before it sent it here")]
    let seconds = Duration::from_secs_f64;
    let assets = settings.assets.as_ref().map(PathBuf::from);
    let policies = TransportConfig {
        allow_private: settings.allow_private,
        connect_timeout: seconds(settings.connect_timeout),
        action_timeout: seconds(settings.action_timeout),
    };
    let simulator = Simulator::new(assets.as_deref()).map_err(|error| Error::Simulator(error.to_string()))?;
    let quality = if settings.reference_images { ImageQuality::Reference } else { ImageQuality::Fast };
    simulator.check_images(quality).map_err(|error| Error::Config(error.to_string()))?;
    Ok(Stage {
        transport: Transport::new(policies),
        longest_open: policies.longest_call(),
        action_timeout: policies.action_timeout,
        warm_ups: WarmUps::new(seconds(settings.warm_up)),
        simulator,
        threads: SimulationThreads::start(settings.threads as usize).map_err(Error::Threads)?,
        eval_timeout: seconds(settings.eval_timeout),
        quality,
        randomisation: Randomisation { friction: range(&settings.friction)?, damping: range(&settings.damping)? },
    })
}

async fn serve(stage: Arc<Stage>, mut orders: Orders, mut words: Words) -> Result<(), Error> {
    say(&mut words, Word::Ready(true)).await?;
    let mut episodes: JoinSet<Played> = JoinSet::new();
    let mut running: HashMap<u64, AbortHandle> = HashMap::new();
    #[expect(clippy::disallowed_methods, reason = "one message an episode, and episodes are bounded by the slots")]
    let (reached, mut newly_reached) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            order = next(&mut orders) => match order? {
                Some(Order::Play(play)) => {
                    let number = play.number;
                    running.insert(number, episodes.spawn(played(stage.clone(), play, reached.clone())));
                }
                Some(Order::Stop(number)) => {
                    if let Some(episode) = running.remove(&number) {
                        episode.abort();
                    }
                }
                Some(Order::Ping(_)) => {
                    let oldest = stage.threads.oldest_job().as_secs_f64();
                    say(&mut words, Word::Pong(oldest)).await?;
                }
                Some(Order::Start(_)) => return Err(Error::Orders("a process starts once")),
                None => return Ok(()),
            },
            Some(number) = newly_reached.recv() => say(&mut words, Word::Reached(number)).await?,
            // An error is an episode that was stopped: nobody waits for its report.
            Some(played) = episodes.join_next() => if let Ok(played) = played {
                running.remove(&played.number);
                // Before its end is told, whether it began.
                while let Ok(number) = newly_reached.try_recv() {
                    say(&mut words, Word::Reached(number)).await?;
                }
                say(&mut words, Word::Played(played)).await?;
            },
        }
    }
}

/// Plays one episode. Whatever happens in it, there is a report.
async fn played(stage: Arc<Stage>, play: Play, reached: mpsc::UnboundedSender<u64>) -> Played {
    let number = play.number;
    let span = tracing::info_span!("play", task_uuid = play.task_uuid, env_id = play.env_id);
    continue_trace(&play.traceparent, &span);
    let report = match play.plan() {
        Ok(plan) => {
            // Who would hear it is gone only when this process ends.
            let reached = || {
                let _ = reached.send(number);
            };
            let playing = AssertUnwindSafe(stage.play(&plan, reached)).catch_unwind().instrument(span).await;
            playing.unwrap_or_else(|_| Report::fault(Cause::Executor, "the episode panicked here".to_owned()))
        }
        Err(error) => Report::fault(Cause::Executor, format!("the episode came garbled: {error}")),
    };
    Played::of(number, report)
}

/// The next order; `None` when the executor wants no more.
async fn next(orders: &mut Orders) -> Result<Option<Order>, Error> {
    let Some(frame) = orders.next().await else { return Ok(None) };
    let message = ToWorker::decode(frame.map_err(Error::Pipes)?).map_err(|_| Error::Orders("one is no message"))?;
    message.order.ok_or(Error::Orders("one is empty")).map(Some)
}

async fn say(words: &mut Words, word: Word) -> Result<(), Error> {
    let frame = Bytes::from(FromWorker { word: Some(word) }.encode_to_vec());
    words.send(frame).await.map_err(Error::Pipes)
}
