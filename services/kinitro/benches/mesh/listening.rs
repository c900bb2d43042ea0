//! Ports of programs that the benchmarks start.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// How long a program may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A loopback port that nobody listens on.
pub async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

/// Waits until somebody does.
pub async fn until_listening(port: u16, who: &str) -> Result<()> {
    let patience = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        ensure!(Instant::now() < patience, "{who} does not come up");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
