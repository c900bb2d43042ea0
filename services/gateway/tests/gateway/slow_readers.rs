//! HTTP/2 clients that ask and take nothing, and connections that ask nothing.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};

use crate::support::House;

/// Generous: what never happens fails.
const PATIENCE: Duration = Duration::from_secs(100);
const CONNECTIONS: usize = 40;
const STREAMS: usize = 200;

/// A connection from an address of this machine.
async fn connect(from: [u8; 4], to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::from(from), 0))?;
    socket.connect(to).await
}

/// Asks on every stream for scores of some 40 kB with a window of 0; the task ends when the server closes the connection.
async fn take_nothing(to: SocketAddr, heads: Arc<AtomicUsize>) -> JoinHandle<()> {
    let stream = connect([127, 0, 0, 2], to).await.unwrap();
    let (mut sender, connection) =
        h2::client::Builder::new().initial_window_size(0).handshake::<_, bytes::Bytes>(stream).await.unwrap();
    let connection = tokio::spawn(async move {
        // However it ends, it ended.
        connection.await.ok();
    });
    tokio::spawn(async move {
        let mut bodies = Vec::new();
        let mut pending = Vec::new();
        for _ in 0..STREAMS {
            let Ok(ready) = sender.clone().ready().await else { break };
            sender = ready;
            let request = http::Request::get("http://gateway/v1/scores/1000000").body(()).unwrap();
            let Ok((answer, _)) = sender.send_request(request, true) else { break };
            let heads = heads.clone();
            pending.push(tokio::spawn(async move {
                let answer = answer.await;
                if answer.as_ref().is_ok_and(|answer| answer.status() == 200) {
                    heads.fetch_add(1, Ordering::Relaxed);
                }
                answer
            }));
        }
        for answer in pending {
            bodies.push(answer.await);
        }
        connection.await.unwrap();
        drop(bodies);
    })
}

/// Megabytes of this process, the attackers included.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_take_nothing_of_their_answers_are_cut_off_and_others_are_served() {
    let house = House::build_with(|config| config.client_stall_seconds = 2).await;
    let before = resident();
    let heads = Arc::new(AtomicUsize::new(0));
    let mut attackers = Vec::new();
    for _ in 0..CONNECTIONS {
        attackers.push(take_nothing(house.gateway, heads.clone()).await);
    }
    let mut peak = before;
    for attacker in attackers {
        let mut ended = std::pin::pin!(tokio::time::timeout(PATIENCE, attacker));
        loop {
            tokio::select! {
                ended = ended.as_mut() => {
                    let cut = ended.is_ok();
                    assert!(cut, "{} answers wait, {before} MB became {peak} MB", heads.load(Ordering::Relaxed));
                    break;
                }
                () = tokio::time::sleep(Duration::from_millis(100)) => peak = peak.max(resident()),
            }
        }
        assert_eq!(house.get("/v1/weights/latest").await.status, 200);
    }
    println!("{} answers waited, {before} MB became {peak} MB", heads.load(Ordering::Relaxed));
}
