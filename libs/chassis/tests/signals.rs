//! Signals, as a process meets them.
//!
//! The tests run this program a second time as the process that is signalled. The usual harness cannot be re-executed
//! like that without a test that passes by doing nothing, so this file has a `main` of its own.
#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    env,
    io::{BufRead, BufReader, Lines, Read},
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    time::Duration,
};

use kinitro_chassis::{LogFormat, Supervisor, init_telemetry};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const AS_PROCESS: &str = "as-the-process-that-is-signalled";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(AS_PROCESS) {
        return be_the_process(&arguments.next().unwrap());
    }
    for (name, test) in [
        ("sigterm_drains_and_exits_cleanly", sigterm_drains_and_exits_cleanly as fn()),
        ("sigint_drains_as_well", sigint_drains_as_well),
        ("a_second_signal_forces_the_end_and_names_who_was_dropped", a_second_signal_forces_the_end),
        ("a_failed_task_ends_the_process_with_its_name_in_the_log", a_failed_task_ends_the_process),
    ] {
        test();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

#[tokio::main(flavor = "current_thread")]
async fn be_the_process(kind: &str) -> ExitCode {
    init_telemetry("test", "INFO", LogFormat::Json).unwrap();
    let supervisor = Supervisor::new();
    let draining = supervisor.draining();
    let stubborn = kind == "stubborn";
    supervisor.spawn("worker", async move {
        draining.cancelled().await;
        println!("draining");
        if stubborn {
            std::future::pending::<()>().await;
        }
        Ok::<(), Infallible>(())
    });
    if kind == "failing" {
        supervisor.spawn("reader", async { Err("the disk is full") });
    }
    let announce = async {
        // `run` is polled first and has installed its handlers when this is printed.
        tokio::task::yield_now().await;
        println!("running");
    };
    let (outcome, ()) = tokio::join!(biased; supervisor.run(Duration::from_secs(600)), announce);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(kind: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([AS_PROCESS, kind])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn says(&mut self, expected: &str) {
        assert_eq!(self.lines.next().unwrap().unwrap(), expected);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// The exit status and everything on stderr.
    fn ends(mut self) -> (Option<i32>, String) {
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), errors)
    }
}

fn sigterm_drains_and_exits_cleanly() {
    drains(Signal::SIGTERM);
}

fn sigint_drains_as_well() {
    drains(Signal::SIGINT);
}

fn drains(signal: Signal) {
    let mut process = Process::start("obedient");
    process.says("running");
    process.signal(signal);
    process.says("draining");
    let (status, errors) = process.ends();
    assert_eq!(status, Some(0), "{errors}");
    assert!(errors.contains(signal.as_str()), "{errors}");
}

fn a_second_signal_forces_the_end() {
    let mut process = Process::start("stubborn");
    process.says("running");
    process.signal(Signal::SIGTERM);
    process.says("draining");
    process.signal(Signal::SIGINT);
    let (status, errors) = process.ends();
    assert_eq!(status, Some(1), "{errors}");
    assert!(errors.contains("forced by a second signal; dropped: worker"), "{errors}");
}

fn a_failed_task_ends_the_process() {
    let (status, errors) = Process::start("failing").ends();
    assert_eq!(status, Some(1), "{errors}");
    let logged = errors.lines().find(|line| line.contains("\"task\":\"reader\"")).expect("a line in the log");
    assert!(logged.contains("failed: the disk is full") && logged.contains("\"level\":\"ERROR\""), "{logged}");
}
