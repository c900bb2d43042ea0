//! A miner whose policy floods, beside an honest one.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use support::{
    ENVIRONMENTS, Executor, config,
    policy::{PolicyServer, STAY},
    scheduling::Scheduling,
    until,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

const HONEST: u32 = 7;
const FLOODER: u32 = 9;

/// A policy that answers `/act` with interim answers and nothing else, on a thread of its own, as it would on a machine of its own.
fn flooder() -> SocketAddr {
    let (sender, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(flood(stream));
            }
        });
    });
    address.recv().unwrap()
}

async fn flood(mut stream: TcpStream) -> Option<()> {
    let mut seen = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            stream.read_buf(&mut seen).await.ok().filter(|read| *read > 0)?;
        };
        if seen.starts_with(b"POST /act") {
            let interim = b"HTTP/1.1 100 \r\n\r\n".repeat(4096);
            loop {
                stream.write_all(&interim).await.ok()?;
            }
        }
        let text = String::from_utf8_lossy(&seen[..head]).to_lowercase();
        let length =
            text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
        while seen.len() < head + length {
            stream.read_buf(&mut seen).await.ok().filter(|read| *read > 0)?;
        }
        seen.drain(..head + length);
        let body = r#"{"status":"ok","episode_id":"1"}"#;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_interim_answers_costs_its_miner_every_episode_and_no_other_miner_one() {
    let scheduling = Scheduling::start().await;
    let honest = PolicyServer::start(|_, _| STAY).await;
    let flooder = format!("http://{}", flooder());
    let (good, bad) = (36, 12);
    let mut miners = BTreeMap::new();
    for i in 0..good.max(bad) {
        if i < bad {
            miners.insert(scheduling.put_of(FLOODER, ENVIRONMENTS[i % 3], &flooder, i as u32), FLOODER);
        }
        miners.insert(scheduling.put_of(HONEST, ENVIRONMENTS[i % 3], &honest.url(), i as u32), HONEST);
    }
    let mut config = config(&scheduling.url());
    // Far longer than a flood lasts, on any machine.
    config.action_timeout = 15.0;
    let executor = Executor::start(config).await;
    let begun = Instant::now();
    let limit = Duration::from_secs(50);
    until("all results", || {
        let table = scheduling.table();
        table.completed.len() + table.given_back.len() >= good + bad || begun.elapsed() > limit
    })
    .await;
    let took = begun.elapsed();
    let mut verdicts = BTreeMap::new();
    for result in &scheduling.table().completed {
        *verdicts.entry((miners[&result.task_uuid], result.cause.clone())).or_insert(0) += 1;
    }
    let given_back = scheduling.table().given_back.len();
    println!("{took:?}: {verdicts:?}, {given_back} given back");
    executor.stop().await.unwrap();
    let expected =
        BTreeMap::from([((HONEST, "step_limit".to_owned()), good), ((FLOODER, "response_too_large".to_owned()), bad)]);
    assert_eq!((verdicts, given_back), (expected, 0));
}
