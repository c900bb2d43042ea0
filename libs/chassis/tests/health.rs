//! Health follows the dependencies and the drain.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use kinitro_proto::ingestion::v1::WatchMinersRequest;
use support::{Running, SERVICE, eventually, request, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

async fn check(server: &Running, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(server.channel()).check(request).await.unwrap().into_inner().status()
}

async fn becomes(server: &Running, service: &str, status: ServingStatus) {
    eventually(&format!("{service:?} becomes {status:?}"), async {
        while check(server, service).await != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn healthz(server: &Running) -> (String, serde_json::Value) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn a_service_without_dependencies_serves_under_every_name() {
    let server = serve(|server| server).await;
    becomes(&server, "", ServingStatus::Serving).await;
    becomes(&server, SERVICE, ServingStatus::Serving).await;
    assert_eq!(healthz(&server).await.0, "HTTP/1.1 200 OK");
    let unknown = HealthCheckRequest { service: "nobody".to_owned() };
    let error = HealthClient::new(server.channel()).check(unknown).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn a_failing_dependency_turns_health_and_its_recovery_turns_it_back() {
    let well = Arc::new(AtomicBool::new(true));
    let probed = well.clone();
    let server = serve(|server| {
        server
            .probe("postgres", "10.0.0.1:5432", move || {
                let well = probed.load(Ordering::SeqCst);
                Box::pin(async move { if well { Ok(()) } else { Err("connection refused".to_owned()) } })
            })
            .probe("redis", "10.0.0.2:6379", || Box::pin(async { Ok(()) }))
    })
    .await;
    becomes(&server, "", ServingStatus::Serving).await;

    well.store(false, Ordering::SeqCst);
    for name in ["", SERVICE, "postgres"] {
        becomes(&server, name, ServingStatus::NotServing).await;
    }
    assert_eq!(check(&server, "redis").await, ServingStatus::Serving);
    let (line, report) = healthz(&server).await;
    assert_eq!(line, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(
        report,
        serde_json::json!({"service": "ingestion", "status": "unhealthy",
            "dependencies": {"postgres": "connection refused", "redis": "ok"}})
    );

    well.store(true, Ordering::SeqCst);
    for name in ["", SERVICE, "postgres"] {
        becomes(&server, name, ServingStatus::Serving).await;
    }
    assert_eq!(healthz(&server).await.0, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_probe_that_hangs_or_panics_counts_as_failing_and_is_run_again() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let server = serve(|server| {
        server.probe("chain", "ws://node", move || {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                match run {
                    0 => std::future::pending().await,
                    1 => panic!("the probe was told to"),
                    _ => Ok(()),
                }
            })
        })
    })
    .await;
    becomes(&server, "chain", ServingStatus::NotServing).await;
    becomes(&server, "", ServingStatus::Serving).await;
    assert!(runs.load(Ordering::SeqCst) >= 3);
}

#[tokio::test]
async fn nothing_serves_before_the_first_probe_has_answered() {
    let server = serve(|server| server.probe("postgres", "10.0.0.1:5432", || Box::pin(std::future::pending()))).await;
    becomes(&server, "", ServingStatus::NotServing).await;
    assert_eq!(healthz(&server).await.0, "HTTP/1.1 503 Service Unavailable");
    // When its time is over, it is said who did not answer.
    let said = loop {
        let said = healthz(&server).await.1["dependencies"]["postgres"].to_string();
        if !said.contains("not checked yet") {
            break said;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(said, "\"no answer from 10.0.0.1:5432 within 2 s\"");
}

#[tokio::test]
async fn a_drain_finishes_the_call_in_flight_and_ends_streams() {
    let server = serve(|server| server).await;
    becomes(&server, "", ServingStatus::Serving).await;
    let mut watch = HealthClient::new(server.channel())
        .watch(HealthCheckRequest { service: SERVICE.to_owned() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let mut stream = server.client().watch_miners(WatchMinersRequest {}).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let mut client = server.client();
    let call = tokio::spawn(async move { client.list_miners(request("wait")).await });
    server.stage.entered.notified().await;

    server.supervisor.shutdown();
    let joined = tokio::spawn(server.supervisor.clone().join(Duration::from_secs(60)));
    let told = eventually("the watcher is told", watch.message()).await.unwrap().unwrap();
    assert_eq!(told.status(), ServingStatus::NotServing);
    assert_eq!(eventually("the watch ends", watch.message()).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(eventually("the stream ends", stream.message()).await.unwrap_err().code(), Code::Unavailable);
    eventually("no connection is accepted", async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(!call.is_finished() && !joined.is_finished(), "the call is still in flight");

    server.stage.release.notify_one();
    eventually("the call is answered", call).await.unwrap().unwrap();
    eventually("the drain ends", joined).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_that_takes_too_long_names_the_server() {
    let server = serve(|server| server).await;
    let mut client = server.client();
    let call = tokio::spawn(async move { client.list_miners(request("wait")).await });
    server.stage.entered.notified().await;
    server.supervisor.shutdown();
    let error = server.supervisor.join(Duration::from_millis(50)).await.unwrap_err().to_string();
    assert!(error.contains("ingestion server"), "{error}");
    call.abort();
}
