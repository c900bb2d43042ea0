//! One server process and the thread that starts it and waits on it.
//!
//! The thread exists because the kernel sends the parent-death signal when the forking *thread* ends. It reaps the
//! process only under the lock that guards signalling, so a signal can never hit a reused process id.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};
use tokio::sync::watch;

use crate::StoresError;

const LOG_TAIL_BYTES: u64 = 4096;
const LOG_ROTATE_BYTES: u64 = 16 << 20;
/// After SIGKILL only a stuck disk keeps a process from ending.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// A running (or ended) server process.
#[derive(Debug)]
pub(crate) struct Child {
    server: &'static str,
    pid: Pid,
    state: Arc<State>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

#[derive(Debug, Default)]
struct State {
    status: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Child {
    /// Starts `command` with its output appended to `log`.
    pub(crate) fn start(server: &'static str, mut command: Command, log: &Path) -> Result<Self, StoresError> {
        let output = open_log(log).map_err(StoresError::io(format!("open {}", log.display())))?;
        let errors = output.try_clone().map_err(StoresError::io(format!("open {}", log.display())))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let state = Arc::new(State::default());
        let (announce, ended) = watch::channel(None);
        let (started, start) = mpsc::channel();
        let thread_state = state.clone();
        thread::Builder::new()
            .name(format!("{server} child"))
            .spawn(move || attend(command, &started, &thread_state, &announce))
            .map_err(StoresError::io(format!("start the thread of {server}")))?;
        let pid = start
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("its thread ended early")))
            .map_err(StoresError::io(format!("start {server}")))?;
        Ok(Self { server, pid, state, ended })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// How the process ended, if it has.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        *self.state.lock()
    }

    /// Sends a signal unless the process has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let status = self.state.lock();
        // It cannot have been reaped while we hold the lock, so the id is its own, and it is our child: no error is possible.
        if status.is_none()
            && let Err(error) = kill(self.pid, signal)
        {
            tracing::warn!(server = self.server, pid = self.pid(), %signal, %error, "could not signal the server");
        }
    }

    /// Waits until the process has ended, at most `limit`.
    pub(crate) fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        let mut status = self.state.lock();
        while status.is_none() {
            let left = deadline.checked_duration_since(Instant::now())?;
            status = self.state.ended.wait_timeout(status, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *status
    }

    /// Asks with `signal`, waits up to `patience`, then kills.
    pub(crate) fn stop(&self, signal: Signal, patience: Duration) -> Result<ExitStatus, StoresError> {
        self.signal(signal);
        if let Some(status) = self.wait(patience) {
            return Ok(status);
        }
        tracing::warn!(server = self.server, pid = self.pid(), "the server ignores its signal, killing it");
        self.kill()
    }

    /// Kills the process and waits until it is gone.
    pub(crate) fn kill(&self) -> Result<ExitStatus, StoresError> {
        self.signal(Signal::SIGKILL);
        self.wait(KILL_WAIT).ok_or(StoresError::WillNotStop { server: self.server, pid: self.pid() })
    }

    /// Resolves when the process has ended, on any runtime.
    pub(crate) fn ended(&self) -> impl Future<Output = ExitStatus> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            // An error says that the thread is gone; it announces before it ends, so the last value is there.
            let _ = ended.wait_for(Option::is_some).await;
            let status = *ended.borrow();
            status.unwrap_or_else(|| ExitStatus::from_raw(0))
        }
    }
}

fn attend(
    mut command: Command,
    started: &mpsc::Sender<io::Result<Pid>>,
    state: &State,
    announce: &watch::Sender<Option<ExitStatus>>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // The receiver waits for this message and nothing else.
            let _ = started.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_raw(child.id().cast_signed());
    let _ = started.send(Ok(pid));
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
    let mut status = state.lock();
    let ended = child.wait().unwrap_or_else(|error| {
        tracing::error!(pid = pid.as_raw(), %error, "could not reap the server");
        ExitStatus::from_raw(0)
    });
    *status = Some(ended);
    drop(status);
    state.ended.notify_all();
    announce.send_replace(Some(ended));
}

fn open_log(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_ROTATE_BYTES) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// The end of a log, for error messages.
pub(crate) fn log_tail(path: &Path) -> String {
    log_since(path, 0)
}

/// The end of what a log says beyond `start`: lines of earlier runs must not explain this one's failure.
pub(crate) fn log_since(path: &Path, start: u64) -> String {
    read_tail(path, start).unwrap_or_else(|error| format!("({} cannot be read: {error})", path.display()))
}

fn read_tail(path: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    // A log that was rotated meanwhile is shorter than its predecessor.
    let start = if start > length { 0 } else { start };
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES).max(start)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}
