//! A child process that cannot outlive this one.
//!
//! The kernel tells a child that its parent died when the *thread* that forked it ends, and runtimes end threads as they like. So each
//! child is forked by a thread of its own, which stays as long as the child is wanted. The child asks for that signal itself (see
//! `worker`), because only it can do so without `unsafe`; a parent that dies before it asks closes its input, which ends it too.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
    process::Stdio,
    sync::mpsc,
    thread,
};

use tokio::{
    process::{Child, ChildStdin, ChildStdout, Command},
    runtime::Handle,
    sync::oneshot,
};

/// The variables that a family's process gets: where programs, libraries, models and certificates are, and how to log.
const HANDED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "TZ",
    "LANG",
    "NO_COLOR",
    "LD_LIBRARY_PATH",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "KINITRO_METAWORLD_ASSETS",
];

/// The variables of graphics drivers and of MuJoCo begin so.
const HANDED_ON_PREFIXES: &[&str] =
    &["EGL_", "__EGL_", "__GLX_", "GL_", "LIBGL_", "MESA_", "GALLIUM_", "LP_", "MUJOCO_", "XDG_", "NVIDIA_", "CUDA_"];

fn is_handed_on(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        HANDED_ON.contains(&name) || HANDED_ON_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// How to start the process of a family: a program that calls [`crate::family_worker`].
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl WorkerCommand {
    /// A program of its own.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new() }
    }

    /// The program that runs now, with these arguments; also when its file has been replaced by a newer version meanwhile.
    pub fn this_program<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: PathBuf::from("/proc/self/exe"), arguments }
    }
}

/// A child process. It is killed when this is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) id: u32,
    /// Keeps the forking thread.
    _wanted: mpsc::Sender<Infallible>,
}

impl Process {
    /// Starts it, with pipes to its input and from its output.
    pub(crate) async fn start(command: &WorkerCommand) -> io::Result<(Self, ChildStdin, ChildStdout)> {
        let mut command = Command::from({
            let mut std = std::process::Command::new(&command.program);
            std.args(&command.arguments);
            // It talks to strangers' servers: the keys and passwords of this process are none of its business.
            std.env_clear().envs(std::env::vars_os().filter(|(name, _)| is_handed_on(name)));
            std
        });
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let (wanted, unwanted) = mpsc::channel::<Infallible>();
        let (answer, started) = oneshot::channel();
        let runtime = Handle::current();
        thread::Builder::new().name("family parent".to_owned()).spawn(move || {
            let entered = runtime.enter();
            // Nobody waits for it any more: the child is dropped with the answer, and killed by that.
            drop(answer.send(command.spawn()));
            drop(entered);
            // Nothing is ever sent: it ends when the sender is dropped.
            let _ = unwanted.recv();
        })?;
        let gone = |_| Err(io::Error::other("the thread that starts it ended early"));
        let mut child = started.await.unwrap_or_else(gone)?;
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.id());
        let ((input, output), id) = pipes.ok_or_else(|| io::Error::other("it ended at once"))?;
        Ok((Self { child, id, _wanted: wanted }, input, output))
    }

    /// Bytes of memory that it has now.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_the_executor_is_handed_on() {
        for name in
            ["KINITRO_EXECUTOR_API_KEY", "KINITRO_API_API_KEY", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "MYPATH"]
        {
            assert!(!is_handed_on(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "KINITRO_METAWORLD_ASSETS", "MUJOCO_GL", "LIBGL_ALWAYS_SOFTWARE", "SSL_CERT_FILE"] {
            assert!(is_handed_on(OsStr::new(name)), "{name}");
        }
    }
}
