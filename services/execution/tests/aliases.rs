//! One server under many names, each of another miner.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use support::{ENVIRONMENTS, Executor, config, scheduling::Scheduling, until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// How many calls for an action are under way, and the most that ever were.
#[derive(Default)]
struct Open {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A policy on every address of this machine.
async fn everywhere(open: Arc<Open>) -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let open = open.clone();
            tokio::spawn(async move { serve(stream, &open).await });
        }
    });
    port
}

async fn serve(mut stream: TcpStream, open: &Open) -> Option<()> {
    let mut seen = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            stream.read_buf(&mut seen).await.ok().filter(|read| *read > 0)?;
        };
        let text = String::from_utf8_lossy(&seen[..head]).to_lowercase();
        let length =
            text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
        while seen.len() < head + length {
            stream.read_buf(&mut seen).await.ok().filter(|read| *read > 0)?;
        }
        seen.drain(..head + length);
        let asked = text.split_whitespace().nth(1)?;
        if asked.ends_with("/act") {
            open.most.fetch_max(open.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Long enough that calls of episodes which may overlap do.
            tokio::time::sleep(Duration::from_millis(30)).await;
            open.now.fetch_sub(1, Ordering::SeqCst);
        }
        let body = match asked.rsplit('/').next()? {
            "act" => r#"{"action":{"continuous":{"ee_twist":[0,0,0,0,0,0],"gripper":[0]},"discrete":{},"extra":{}}}"#,
            _ => r#"{"status":"ok","episode_id":"1"}"#,
        };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_no_more_episodes_than_the_limit_under_however_many_names_miners_give_it() {
    let open = Arc::new(Open::default());
    let port = everywhere(open.clone()).await;
    let scheduling = Scheduling::start().await;
    let names = ["localhost", "127.0.0.2", "127.0.0.3", "[::ffff:127.0.0.4]", "127.0.0.1"];
    for (uid, name) in names.iter().enumerate() {
        for (seed, path) in ["", "/v1"].iter().enumerate() {
            let endpoint = format!("http://{name}:{port}{path}");
            scheduling.put_of(uid as u32, ENVIRONMENTS[0], &endpoint, seed as u32);
        }
    }
    let mut config = config(&scheduling.url());
    config.max_concurrent_per_miner = 1;
    let executor = Executor::start(config).await;
    until("all results", || scheduling.completed() == 2 * names.len()).await;
    executor.stop().await.unwrap();
    println!("at most {} calls at a time", open.most.load(Ordering::SeqCst));
    for result in &scheduling.table().completed {
        assert_eq!(result.cause, "step_limit", "{result:?}");
    }
    assert_eq!(open.most.load(Ordering::SeqCst), 1);
}
