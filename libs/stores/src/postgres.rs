//! A private Postgres.
//!
//! The directory holds `cluster/` (made once by `initdb`, renamed into place when complete, so an interrupted set-up
//! leaves nothing half made), `pg_hba.conf` (written at every start: only the password opens), `password` and `postgres.log`. Readiness is read from `postmaster.pid`: it names the process, so a
//! foreign server on the same port cannot be mistaken for ours.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    Durability, StoresError,
    binaries::PostgresBinaries,
    password::{Password, write_private},
    server::{Kind, Server, Site},
};

const ROLE: &str = "kinitro";
const DATABASE: &str = "kinitro";
/// Nothing opens but a password, and that only from this machine.
const RULES: &str = "host all all 127.0.0.1/32 scram-sha-256\n";
/// How long a server of an earlier owner may take to end.
const PREDECESSOR_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);

/// A private Postgres server with the role and database `kinitro`.
pub type Postgres = Server<PostgresKind>;

/// What makes a server a Postgres.
#[derive(Debug)]
pub struct PostgresKind;

impl Postgres {
    /// The URL of another database on this server.
    pub fn url_of(&self, database: &str) -> String {
        url_of(self.port(), self.password(), database)
    }
}

impl Kind for PostgresKind {
    const NAME: &'static str = "postgres";
    const USERS: &'static [&'static str] = &["postgres", "nobody"];
    /// The fast shutdown: sessions are ended, a checkpoint is written.
    const STOP: Signal = Signal::SIGINT;

    fn address(port: u16) -> String {
        format!("postgres://127.0.0.1:{port}/{DATABASE}")
    }

    fn url(port: u16, password: &str) -> String {
        url_of(port, password, DATABASE)
    }

    fn prepare(site: &Site) -> Result<(), StoresError> {
        if !cluster(site).is_dir() {
            create_cluster(site)?;
        }
        bury_predecessor(site)?;
        if !Password::is_kept(&site.directory) {
            single_user(site, &cluster(site), &set_password(site))?;
            site.password.keep(&site.directory)?;
        }
        let rules = rules(site);
        write_private(&rules, RULES)?;
        site.account.give(&rules)
    }

    fn command(site: &Site) -> Result<Command, StoresError> {
        // SIGQUIT is the immediate shutdown: the server cleans up its shared memory and recovers at the next start.
        let mut command = site.account.command(&binaries(site)?.postgres, Some("QUIT"))?;
        command.arg("-D").arg(cluster(site));
        for setting in settings(site) {
            command.args(["-c", &setting]);
        }
        Ok(command)
    }

    /// Line 1 of `postmaster.pid` is the process id, line 8 the state.
    fn is_ready(site: &Site, pid: i32) -> bool {
        let Ok(text) = fs::read_to_string(cluster(site).join("postmaster.pid")) else { return false };
        let mut lines = text.lines();
        lines.next() == Some(pid.to_string().as_str()) && lines.nth(6).map(str::trim) == Some("ready")
    }

    /// The backends of a killed server take a moment to notice and to let go of its memory.
    fn is_passing(log: &str) -> bool {
        log.contains("pre-existing shared memory block")
    }
}

fn url_of(port: u16, password: &str, database: &str) -> String {
    format!("postgres://{ROLE}:{password}@127.0.0.1:{port}/{database}")
}

/// Who may connect.
fn rules(site: &Site) -> PathBuf {
    site.directory.join("pg_hba.conf")
}

fn set_password(site: &Site) -> String {
    format!("ALTER ROLE {ROLE} PASSWORD '{}'\n", site.password.reveal())
}

fn cluster(site: &Site) -> PathBuf {
    site.directory.join("cluster")
}

/// The programs that fit the cluster, the newest where there is none yet.
fn binaries(site: &Site) -> Result<PostgresBinaries, StoresError> {
    let directory = cluster(site);
    let found = fs::read_to_string(directory.join("PG_VERSION")).ok().map(|text| text.trim().to_owned());
    let binaries = PostgresBinaries::find(found.as_deref())?;
    match found {
        Some(found) if !binaries.version.is_empty() && found != binaries.version => {
            Err(StoresError::WrongVersion { directory, found, installed: binaries.version })
        }
        _ => Ok(binaries),
    }
}

fn create_cluster(site: &Site) -> Result<(), StoresError> {
    let binaries = binaries(site)?;
    let unfinished = site.directory.join("cluster.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(StoresError::io(format!("remove {}", unfinished.display())))?;
    }
    let mut initdb = site.account.command(&binaries.initdb, Some("KILL"))?;
    initdb.args(["--auth=reject", "--encoding=UTF8", "--locale=C", "--username", ROLE, "--pgdata"]).arg(&unfinished);
    if site.durability == Durability::Volatile {
        initdb.arg("--no-sync");
    }
    run("initdb", initdb.current_dir(&site.directory), "")?;
    let statements = format!("CREATE DATABASE {DATABASE}\n{}", set_password(site));
    single_user(site, &unfinished, &statements)?;
    fs::rename(&unfinished, cluster(site)).map_err(StoresError::io(format!("rename {}", unfinished.display())))?;
    // Lost between the two steps, the next start sets another one.
    site.password.keep(&site.directory)
}

/// Runs statements, a line each, in the server's single-user mode, which needs no client program and no open port.
fn single_user(site: &Site, cluster: &Path, statements: &str) -> Result<(), StoresError> {
    let mut single = site.account.command(&binaries(site)?.postgres, Some("KILL"))?;
    single.arg("--single").arg("-D").arg(cluster);
    if site.durability == Durability::Volatile {
        single.args(["-c", "fsync=off"]);
    }
    single.arg("postgres");
    run("postgres --single", single.current_dir(&site.directory), statements)
}

/// Waits for a server left by a killed owner, which is on its way out, and removes the file of a dead one: its process
/// id may by now belong to somebody else, whom Postgres would take for a running server.
fn bury_predecessor(site: &Site) -> Result<(), StoresError> {
    let file = cluster(site).join("postmaster.pid");
    let deadline = Instant::now() + PREDECESSOR_WITHIN;
    while let Some(pid) = first_line(&file).and_then(|line| line.parse::<i32>().ok()) {
        if !serves(pid, &cluster(site)) {
            return match fs::remove_file(&file) {
                // It removed the file itself, as a server does that ends in peace.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                outcome => outcome.map_err(StoresError::io(format!("remove {}", file.display()))),
            };
        }
        if Instant::now() > deadline {
            return Err(StoresError::StillServed { directory: site.directory.clone(), pid });
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Whether this process is a Postgres at work in `cluster`, which every Postgres makes its working directory.
fn serves(pid: i32, cluster: &Path) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // "1234 (postgres) S …"; a zombie has ended, even where nobody collects it, as in a container without an init.
    let Some((program, state)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")) else {
        return false;
    };
    if program != "postgres" || state.starts_with('Z') {
        return false;
    }
    // Another user's process does not show its directory; it gets the benefit of the doubt.
    fs::read_link(format!("/proc/{pid}/cwd")).map_or(true, |cwd| cwd == cluster)
}

fn first_line(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()?.lines().next().map(|line| line.trim().to_owned())
}

fn settings(site: &Site) -> Vec<String> {
    let durable = if site.durability == Durability::Durable { "on" } else { "off" };
    let mut settings = vec![
        format!("port={}", site.port),
        format!("hba_file={}", rules(site).display()),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "shared_buffers=128MB".to_owned(),
        "max_connections=200".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
    ];
    // A commit always waits for the kernel, so that a killed server loses nothing; the disk is another matter.
    settings.extend(["fsync", "full_page_writes"].map(|name| format!("{name}={durable}")));
    settings
}

/// Runs a program to its end with `input` on its standard input.
fn run(program: &str, command: &mut Command, input: &str) -> Result<(), StoresError> {
    let action = format!("run {program}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(StoresError::io(action.clone()))?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(StoresError::io(action.clone()))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // In single-user mode a failed statement is reported in words only.
    if !output.status.success() || said.contains("ERROR:") || said.contains("FATAL:") {
        return Err(StoresError::ProgramFailed {
            program: program.to_owned(),
            status: output.status.to_string(),
            output: said.trim().to_owned(),
        });
    }
    written.map_err(StoresError::io(action))
}
