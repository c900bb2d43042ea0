//! The gateway where few files may be open, and connections that ask nothing.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use support::PATIENCE;

/// Ends the process when the test does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone is as good.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A gateway that may open 256 files, and where it listens.
fn gateway() -> (Running, SocketAddr) {
    let binary = env!("CARGO_BIN_EXE_kinitro");
    let script = format!("ulimit -n 256; exec {binary} gateway --no-auth --host 127.0.0.1 --port 0");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KINITRO_") {
            command.env_remove(name);
        }
    }
    let mut running = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().expect("it says where it listens").unwrap();
        if line.contains("the gateway listens") {
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap();
            break entry["address"].as_str().unwrap().parse().unwrap();
        }
    };
    // Reads on, so that the gateway never waits for us.
    std::thread::spawn(move || lines.for_each(drop));
    (running, address)
}

fn status_line(to: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /v1/nothing HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn three_hundred_idle_connections_do_not_silence_a_gateway_with_256_files() {
    let (_running, address) = gateway();
    let idle: Vec<TcpStream> = (0..300).filter_map(|_| TcpStream::connect(address).ok()).collect();
    assert!(idle.len() > 250, "{}", idle.len());
    let deadline = Instant::now() + PATIENCE.min(Duration::from_secs(20));
    let mut answered = Vec::new();
    // Longer than it takes until the idle ones are closed for being idle would prove nothing.
    while answered.len() < 20 {
        match status_line(address) {
            Ok(line) if line.contains("404") => answered.push(line),
            other => assert!(Instant::now() < deadline, "{} answers, then {other:?}", answered.len()),
        }
    }
}
