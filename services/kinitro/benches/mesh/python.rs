//! The Python side, in a virtual environment that is made once, under `.vendor`, from pinned hashes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::{
    process::{Child, Command},
    time::{Duration, timeout},
};

use crate::listening::{free_port, until_listening};

/// The longest that one script may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// A Python that has Meta-World, EnvPool and FastAPI.
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// Makes the virtual environment, unless it stands already.
    pub async fn ready() -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.vendor/bench");
        let (interpreter, stamp) = (folder.join("bin/python"), folder.join("requirements.sha256"));
        let requirements = script("requirements.txt");
        let wanted = hex::encode(Sha256::digest(fs::read(&requirements)?));
        if fs::read_to_string(&stamp).ok().as_deref() != Some(&wanted) {
            eprintln!("making the Python side's virtual environment in {} (once; some 600 MB)", folder.display());
            let made = async {
                run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).await?;
                let pip = [
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-deps",
                    "--require-hashes",
                    "-r",
                ];
                run(Command::new(&interpreter).args(pip).arg(&requirements)).await
            };
            made.await
                .context("the Python side cannot be set up; it needs Python 3.11 with venv, and the package index")?;
            fs::write(&stamp, wanted)?;
        }
        Ok(Self { interpreter })
    }

    /// Runs a script to its end and reads the JSON of its last line.
    pub async fn answer<T: DeserializeOwned>(&self, name: &str, arguments: &[&str]) -> Result<T> {
        let output = run(self.command(name).args(arguments)).await?;
        let last = output.lines().last().unwrap_or_default();
        serde_json::from_str(last).with_context(|| format!("{name} {} answered: {last}", arguments.join(" ")))
    }

    /// Starts the FastAPI policy server; it ends when the value is dropped.
    pub async fn policy_server(&self) -> Result<Server> {
        let port = free_port().await?;
        let child = self.command("server.py").arg(port.to_string()).kill_on_drop(true).spawn()?;
        until_listening(port, "the Python policy server").await?;
        Ok(Server { port, _child: child })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg(script(name)).env("MUJOCO_GL", "egl");
        command
    }
}

/// A policy server in Python.
pub struct Server {
    /// Where it listens, on loopback.
    pub port: u16,
    _child: Child,
}

impl Server {
    /// Its endpoint.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/mesh/python").join(name)
}

async fn run(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let shown = format!("{:?}", command.as_std());
    let output = timeout(PATIENCE, command.output()).await.with_context(|| format!("{shown} takes too long"))??;
    if !output.status.success() {
        bail!("{shown}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
