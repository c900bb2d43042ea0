//! One life of a family's process, from its start to its end, however it ends.
//!
//! A process can end, close its output, write what is no frame, fall silent, or sit in a simulation that never returns. All of these
//! are the same to the episodes in it: no more are handed to it, it is killed if need be, what it still said is heard, and each episode
//! that has no report by then ends as a fault of ours.

use std::{
    fmt::Display,
    pin::pin,
    time::{Duration, Instant},
};

use futures::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use tokio::{
    process::{ChildStdin, ChildStdout},
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::{
    bytes::{Bytes, BytesMut},
    codec::{FramedRead, FramedWrite, LengthDelimitedCodec},
    sync::CancellationToken,
};

use super::{
    Family,
    process::{Process, WorkerCommand},
    protocol::{FromWorker, Order, Settings, ToWorker, Word, frames},
    streak::Streak,
};
use crate::telemetry;

/// How long a process may take to get ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often it is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(1);

/// A process that has not answered for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(10);

/// A tick that comes so much later than it was set for was not served: this process stood still.
const LATE: Duration = Duration::from_secs(1);

/// How long a process may take to end once its pipes are closed, and once more when it was killed.
const END_WITHIN: Duration = Duration::from_secs(3);

/// How long the reports are read that a process left in its pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A process that was ready for so long was well, unless it played nothing.
const LONG_LIFE: Duration = Duration::from_secs(5);

/// A process that is ready to play.
pub(crate) struct Child {
    process: Process,
    orders: FramedWrite<ChildStdin, LengthDelimitedCodec>,
    words: FramedRead<ChildStdout, LengthDelimitedCodec>,
    sender: mpsc::UnboundedSender<Order>,
    outbox: mpsc::UnboundedReceiver<Order>,
}

/// The end of a process that was wanted.
#[derive(Debug)]
pub(crate) struct Death {
    /// What happened to it.
    pub(crate) why: String,
    /// Whether it was of use before.
    pub(crate) was_well: bool,
}

/// Why a process is served no longer.
enum Stop {
    /// It is not wanted any more.
    Over,
    /// It closed one of its pipes.
    Closed,
    /// It lives, perhaps, but this is wrong with it.
    Sick(String),
}

/// When a process last showed that it is well.
struct Pulse {
    heard: Instant,
    asked: Instant,
    /// How long a single job may run.
    longest_job: Duration,
}

impl Child {
    /// Starts a process and waits until it is ready. The error says what it did instead.
    pub(crate) async fn start(command: &WorkerCommand, settings: &Settings) -> Result<Self, String> {
        let started = Process::start(command).await;
        let (process, input, output) = started.map_err(|error| format!("could not be started: {error}"))?;
        let (orders, words) = (FramedWrite::new(input, frames()), FramedRead::new(output, frames()));
        #[expect(clippy::disallowed_methods, reason = "two messages an episode, and episodes are bounded by the slots")]
        let (sender, outbox) = mpsc::unbounded_channel();
        let mut child = Self { process, orders, words, sender, outbox };
        // When it takes no orders it has ended, which its words show better.
        drop(child.orders.send(frame(Order::Start(settings.clone()))).await);
        match timeout(READY_WITHIN, child.words.next()).await {
            Err(_) => Err(format!("was not ready within {READY_WITHIN:?}")),
            Ok(None) => Err(ended(&mut child.process).await),
            Ok(Some(bytes)) => match word(bytes)? {
                Word::Ready(_) => Ok(child),
                Word::Failed(reason) => Err(format!("cannot play: {reason}")),
                other => Err(unexpected(&other)),
            },
        }
    }

    /// Episodes may begin. What begins before it is served waits for that.
    pub(crate) fn open(&self, family: &Family) {
        family.desk.open(self.sender.clone());
        family.slots.open();
    }

    /// Has episodes played until the process ends or `over` says so; `None` then, else what happened to it. It is gone afterwards.
    pub(crate) async fn serve(self, family: &Family, settings: &Settings, over: &CancellationToken) -> Option<Death> {
        self.open(family);
        let Self { mut process, orders, mut words, sender, outbox } = self;
        let ready = Instant::now();
        let mut writing = pin!(write(orders, outbox));
        let mut streak = Streak::new(family.slots.size());
        #[expect(clippy::disallowed_methods, reason = "the configuration is checked")]
        let mut pulse = Pulse::new(Duration::from_secs_f64(settings.eval_timeout));
        let mut ticks = interval(PING_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = loop {
            tokio::select! {
                () = over.cancelled() => break Stop::Over,
                bytes = words.next() => {
                    let Some(bytes) = bytes else { break Stop::Closed };
                    if let Err(why) = word(bytes).and_then(|word| hear(word, family, &mut pulse, &mut streak)) {
                        break Stop::Sick(why);
                    }
                }
                // It reads no orders any more, so it is ending.
                () = &mut writing => break Stop::Closed,
                _ = ticks.tick() => {
                    if let Err(why) = pulse.beat() {
                        break Stop::Sick(why);
                    }
                    telemetry::memory(&family.name, process.resident_bytes());
                    // The writer has ended: the next turn says so.
                    drop(sender.send(Order::Ping(true)));
                }
            }
        };
        let lived = ready.elapsed();
        // At once, and in this order: what is leased or begun from here on could not be played.
        family.slots.close();
        family.desk.detach();
        let death = match stop {
            Stop::Over => {
                // Its input closes when the last sender is gone.
                drop(sender);
                let ends = timeout(END_WITHIN, async { tokio::join!(writing, process.child.wait()) });
                if ends.await.is_err() {
                    tracing::warn!(family = family.name, "the simulation process does not end by itself, killing it");
                }
                None
            }
            Stop::Closed => Some(Death { why: ended(&mut process).await, was_well: lived >= LONG_LIFE }),
            Stop::Sick(why) => Some(Death { why, was_well: lived >= LONG_LIFE && !streak.is_broken() }),
        };
        kill(&mut process, &family.name).await;
        if timeout(LAST_WORDS, last_words(&mut words, family)).await.is_err() {
            tracing::warn!(family = family.name, "somebody holds the pipe of a simulation process that is gone");
        }
        let why = death.as_ref().map_or("was ended", |death| death.why.as_str());
        let lost = family.desk.close(&format!("the simulation process of family {} {why}", family.name));
        tracing::debug!(family = family.name, lost, why, "a simulation process is gone");
        death
    }
}

/// However it stands with it, it is gone afterwards; one that the kernel does not let go holds nobody up.
async fn kill(process: &mut Process, family: &str) {
    if process.child.id().is_none() {
        // Its end has been waited for already.
        return;
    }
    match timeout(END_WITHIN, process.child.kill()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(family, %error, "the simulation process could not be killed"),
        Err(_) => tracing::error!(family, id = process.id, "the simulation process was killed and does not end"),
    }
}

/// Hears what a process said before it ended. What is no report, or no word at all, does not matter any more.
async fn last_words(words: &mut FramedRead<ChildStdout, LengthDelimitedCodec>, family: &Family) {
    while let Some(bytes) = words.next().await {
        match word(bytes) {
            Ok(Word::Reached(number)) => family.desk.reached(number),
            Ok(Word::Played(played)) => {
                let number = played.number;
                if let Ok(report) = played.report() {
                    family.desk.ended(number, report);
                }
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// What a word changes. The error says what happened to the process.
fn hear(word: Word, family: &Family, pulse: &mut Pulse, streak: &mut Streak) -> Result<(), String> {
    match word {
        Word::Reached(number) => {
            family.desk.reached(number);
            Ok(())
        }
        Word::Played(played) => {
            let number = played.number;
            let report = played.report().map_err(|error| format!("sent a report that is none: {error}"))?;
            let broken = streak.breaks(report.cause).then(|| {
                let (faults, cause, evidence) = (streak.faults(), report.cause, &report.evidence);
                format!("played nothing to its end: {faults} faults of ours in a row, at last {cause}: {evidence}")
            });
            family.desk.ended(number, report);
            broken.map_or(Ok(()), Err)
        }
        Word::Pong(oldest_job) => pulse.heard(oldest_job),
        other => Err(unexpected(&other)),
    }
}

impl Pulse {
    fn new(longest_job: Duration) -> Self {
        let now = Instant::now();
        Self { heard: now, asked: now, longest_job }
    }

    fn heard(&mut self, oldest_job: f64) -> Result<(), String> {
        self.heard = Instant::now();
        if oldest_job > self.longest_job.as_secs_f64() {
            return Err(format!("hung: one simulation has been running for {oldest_job:.0} seconds"));
        }
        Ok(())
    }

    /// Before each ping.
    fn beat(&mut self) -> Result<(), String> {
        let now = Instant::now();
        if now - self.asked > PING_EVERY + LATE {
            // Its answers may wait to be read: it gets its time again.
            self.heard = now;
        }
        self.asked = now;
        if now - self.heard > SILENCE {
            return Err(format!("hung: it answered nothing for {SILENCE:?}"));
        }
        Ok(())
    }
}

fn frame(order: Order) -> Bytes {
    ToWorker { order: Some(order) }.encode_to_vec().into()
}

fn word(bytes: Result<BytesMut, std::io::Error>) -> Result<Word, String> {
    let none = |error: &dyn Display| format!("sent what is no frame: {error}");
    let message = FromWorker::decode(bytes.map_err(|error| none(&error))?).map_err(|error| none(&error))?;
    message.word.ok_or_else(|| none(&"it is empty"))
}

fn unexpected(word: &Word) -> String {
    let name = match word {
        Word::Ready(_) => "ready",
        Word::Failed(_) => "failed",
        Word::Played(_) => "played",
        Word::Pong(_) => "pong",
        Word::Reached(_) => "reached",
    };
    format!("said `{name}` out of turn")
}

/// Until the senders are gone, or the process reads no more.
async fn write(mut orders: FramedWrite<ChildStdin, LengthDelimitedCodec>, mut outbox: mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = outbox.recv().await {
        if let Err(error) = orders.send(frame(order)).await {
            tracing::debug!(%error, "a simulation process takes no orders");
            return;
        }
    }
}

/// How a process ended that closed its pipes.
async fn ended(process: &mut Process) -> String {
    match timeout(END_WITHIN, process.child.wait()).await {
        Ok(Ok(status)) => format!("ended ({status})"),
        Ok(Err(error)) => format!("ended, and nobody knows how: {error}"),
        Err(_) => "closed its pipes without ending".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use kinitro_domain::Cause;
    use tokio_util::codec::Encoder as _;

    use super::{
        super::protocol::{Play, Played},
        *,
    };
    use crate::episode::Report;

    fn framed(words: impl IntoIterator<Item = Word>) -> BytesMut {
        let mut bytes = BytesMut::new();
        for word in words {
            let frame: Bytes = FromWorker { word: Some(word) }.encode_to_vec().into();
            frames().encode(frame, &mut bytes).unwrap();
        }
        bytes
    }

    fn played(number: u64, cause: Cause) -> Word {
        Word::Played(Played::of(number, Report::fault(cause, "as a test would".to_owned())))
    }

    /// A process that gets ready, and does as the rest of a shell script says.
    async fn child(folder: &Path, rest: &str) -> Child {
        let (program, ready) = (folder.join("worker"), folder.join("ready"));
        fs::write(ready, framed([Word::Ready(true)])).unwrap();
        fs::write(&program, format!("#!/bin/sh\ncd {}\ncat ready\n{rest}\n", folder.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Child::start(&WorkerCommand::new(&program), &settings()).await.unwrap()
    }

    fn settings() -> Settings {
        Settings { eval_timeout: 300.0, ..Settings::default() }
    }

    #[tokio::test]
    async fn a_report_that_was_left_in_the_pipe_is_heard_and_nothing_more_is_begun_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("reports"), framed([played(1, Cause::StepLimit)])).unwrap();
        // It closes its input, so that the writer notices first, and tells of the first episode only later.
        let rest = "exec <&-\nuntil [ -e go ]; do sleep 0.02; done\ncat reports\nexit 3";
        let child = child(folder.path(), rest).await;
        let family = Family::new("metaworld".to_owned(), Vec::new(), 4);
        let (over, settings) = (CancellationToken::new(), settings());
        let episodes = async {
            family.slots.one_free().await;
            let (mut first, mut second) =
                (family.desk.begin(Play::default()).unwrap(), family.desk.begin(Play::default()).unwrap());
            while family.slots.is_open() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(family.desk.begin(Play::default()).is_none(), "nothing begins in a process that is ending");
            fs::write(folder.path().join("go"), "").unwrap();
            (first.report(|| ()).await, second.report(|| ()).await)
        };
        let (death, (first, second)) = tokio::join!(child.serve(&family, &settings, &over), episodes);
        assert_eq!((first.cause, second.cause), (Cause::StepLimit, Cause::Executor));
        assert!(second.evidence.contains("exit status: 3"), "{second:?}");
        assert!(!death.unwrap().was_well, "it did not live for long");
    }

    #[tokio::test]
    async fn a_process_that_plays_nothing_to_its_end_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let reports = framed((1..=4).map(|number| played(number, Cause::Renderer)));
        fs::write(folder.path().join("reports"), reports).unwrap();
        let child = child(folder.path(), "cat reports\nexec sleep 600").await;
        let family = Family::new("metaworld".to_owned(), Vec::new(), 4);
        let death = child.serve(&family, &settings(), &CancellationToken::new()).await.unwrap();
        assert!(death.why.contains("4 faults of ours in a row") && death.why.contains("as a test would"), "{death:?}");
        assert!(!death.was_well && !family.slots.is_open());
    }

    #[test]
    fn silence_counts_only_while_this_process_listens() {
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let longest_job = Duration::from_secs(300);
        let mut stood_still = Pulse { heard: ago(60), asked: ago(60), longest_job };
        assert_eq!(stood_still.beat(), Ok(()));
        let mut silent = Pulse { heard: ago(11), asked: ago(1), longest_job };
        assert!(silent.beat().unwrap_err().contains("answered nothing"));
        let mut hung = Pulse { heard: ago(1), asked: ago(1), longest_job };
        assert_eq!(hung.heard(299.0), Ok(()));
        assert!(hung.heard(301.0).unwrap_err().contains("301 seconds"));
    }
}
