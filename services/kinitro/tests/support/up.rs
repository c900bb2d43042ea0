//! `kinitro up` as an operator runs it, and the processes that belong to it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use kinitro_chassis::{MeshAccess, MeshChannel, MeshToken};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{PATIENCE, eventually};

/// A folder that also the unprivileged user of Postgres can enter.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The binary in a folder, with nothing of our own environment that it would take for settings.
pub fn kinitro(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinitro"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KINITRO_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// The file in the folder with everything that the newest one wrote to stderr.
pub const STDERR: &str = "up.stderr";

/// The data directory of [`Up`] in its folder.
pub const DATA_DIR: &str = ".kinitro";

/// A running `kinitro up` on free ports, with its data in `.kinitro` of the folder.
pub struct Up {
    child: Child,
    /// Everything that was printed before it was up.
    pub screen: String,
    /// Where each part listens, as the screen says.
    pub urls: BTreeMap<String, String>,
    data_dir: PathBuf,
}

impl Up {
    /// Starts it and returns when its screen is complete.
    pub async fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut up = Self::begin(folder, arguments);
        let (sender, receiver) = mpsc::channel();
        let stdout = BufReader::new(up.child.stdout.take().unwrap());
        // Reads to the end, so that the process never waits for us.
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).for_each(|line| sender.send(line).unwrap_or(()))
        });
        let screen = tokio::task::spawn_blocking(move || {
            let mut screen = String::new();
            while !screen.contains("/v1/weights/latest") {
                match receiver.recv_timeout(PATIENCE) {
                    Ok(line) => screen += &(line + "\n"),
                    Err(error) => panic!("up never said that it is up ({error}): {screen}"),
                }
            }
            screen
        });
        up.screen = screen.await.unwrap();
        for line in up.screen.lines().filter(|line| line.contains("://") && !line.contains("curl")) {
            let (name, url) = line.trim().split_once(' ').unwrap();
            up.urls.insert(name.to_owned(), url.trim().to_owned());
        }
        up
    }

    /// Starts it and returns at once.
    pub fn begin(folder: &Path, arguments: &[&str]) -> Self {
        let fixed = ["up", "--data-dir", DATA_DIR, "--port", "0", "--chain-port", "0", "--no-images"];
        let on_demand: &[&str] = if arguments.contains(&"--eval-interval") { &[] } else { &["--on-demand"] };
        let mut command = kinitro(folder, &[&fixed[..], on_demand, arguments].concat());
        command.stderr(fs::File::create(folder.join(STDERR)).unwrap());
        command.env("KINITRO_EXECUTOR_MAX_TIMESTEPS", "30").env("KINITRO_EXECUTOR_ACTION_TIMEOUT", "60");
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        Self { child, screen: String::new(), urls: BTreeMap::new(), data_dir: folder.join(DATA_DIR) }
    }

    pub fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    pub fn url(&self, name: &str) -> &str {
        &self.urls[name]
    }

    /// What its services ask of their callers.
    pub fn access(&self) -> MeshAccess {
        MeshAccess::default().with_token(MeshToken::read(&self.data_dir.join("mesh-token")).unwrap())
    }

    /// A channel to a part that shows the token.
    pub fn channel(&self, name: &str) -> MeshChannel {
        self.access().channel(self.url(name)).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "up does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The processes that it started, and theirs.
    pub fn descendants(&self) -> Vec<Process> {
        descendants(self.pid())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Already gone is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A process of this machine, told from a later one with the same id by the time of its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub program: String,
    parent: i32,
    started: String,
}

impl Process {
    /// `None` when it has ended; one that nobody collects has ended, too.
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // "1234 (redis-server) S 1 …": the start time is the 22nd field.
        let (program, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let (state, parent, started) = (fields.first()?, fields.get(1)?.parse().ok()?, fields.get(19)?);
        (*state != "Z").then(|| Self { pid, program: program.to_owned(), parent, started: (*started).to_owned() })
    }

    fn runs(&self) -> bool {
        Self::read(self.pid).is_some_and(|now| now.started == self.started)
    }
}

/// Waits until none of them runs any more.
pub async fn all_gone(processes: &[Process]) {
    eventually("nothing is left running", || async {
        let left: Vec<_> = processes.iter().filter(|process| process.runs()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

/// The body of a GET that answers 200.
pub async fn body(url: &str) -> serde_json::Value {
    eventually(&format!("{url} answers"), || async {
        let response = super::client().get(url).send().await.map_err(|error| error.to_string())?;
        let (status, text) = (response.status(), response.text().await.map_err(|error| error.to_string())?);
        if status != 200 {
            return Err(format!("{status} {text}"));
        }
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    })
    .await
}

/// The processes that a process started, and theirs.
pub fn descendants(of: i32) -> Vec<Process> {
    let all: Vec<Process> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
        .collect();
    let mut family = vec![of];
    let mut found = Vec::new();
    while let Some(parent) = family.pop() {
        let children = all.iter().filter(|process| process.parent == parent);
        family.extend(children.clone().map(|process| process.pid));
        found.extend(children.cloned());
    }
    found
}
