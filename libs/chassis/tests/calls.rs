//! What every gRPC call gets from the server: reflection, trace, metrics, deadline, protection from panics.
#![allow(clippy::unwrap_used)]

mod support;

use std::{sync::atomic::Ordering, time::Duration};

use kinitro_chassis::{
    ErrorCode, ErrorInfo, LogFormat, connect_lazy, connect_lazy_within, continue_trace, current_traceparent,
    init_telemetry, propagate,
};
use kinitro_proto::ingestion::v1::{
    ListMinersRequest, WatchMinersRequest, ingestion_service_client::IngestionServiceClient,
};
use support::{SERVICE, eventually, request, serve, serve_on};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;
use tracing::Instrument;

/// Sends one HTTP/1.1 request and reads the whole answer.
async fn http(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

macro_rules! lists_services {
    ($test:ident, $version:ident) => {
        #[tokio::test]
        async fn $test() {
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
            };
            let server = serve(|server| server).await;
            let mut client = ServerReflectionClient::new(server.channel());
            let ask = async |client: &mut ServerReflectionClient<_>, message_request| {
                let request = ServerReflectionRequest { host: String::new(), message_request: Some(message_request) };
                let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
                answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap()
            };
            let answer = ask(&mut client, MessageRequest::ListServices(String::new())).await;
            let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
            let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
            for expected in [
                SERVICE,
                "grpc.health.v1.Health",
                concat!("grpc.reflection.", stringify!($version), ".ServerReflection"),
            ] {
                assert!(names.iter().any(|name| name == expected), "{expected} is missing in {names:?}");
            }
            assert!(!names.iter().any(|name| name.contains("scoring")), "only what is served is listed: {names:?}");
            let answer = ask(&mut client, MessageRequest::FileContainingSymbol(SERVICE.to_owned())).await;
            assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{answer:?}");
        }
    };
}

lists_services!(reflection_v1_lists_the_services_that_are_served, v1);
lists_services!(reflection_v1alpha_lists_the_services_that_are_served, v1alpha);

#[tokio::test]
async fn a_panic_in_a_handler_is_an_internal_error_and_the_server_goes_on() {
    let server = serve(|server| server).await;
    let error = server.client().list_miners(request("panic")).await.unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert_eq!(ErrorInfo::from_status(&error).unwrap().reason, "PANIC");
    assert!(!error.message().contains("told to"), "internals stay inside: {}", error.message());
    server.client().list_miners(request("")).await.unwrap();
    assert!(!server.supervisor.draining().is_cancelled());
}

#[tokio::test]
async fn a_callers_deadline_ends_the_work_on_the_server() {
    let server = serve(|server| server).await;
    let mut call = request("wait");
    call.set_timeout(Duration::from_millis(50));
    server.client().list_miners(call).await.unwrap_err();
    eventually("the handler is dropped", async {
        while server.stage.dropped.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_without_an_answer_in_time_is_told_from_one_that_was_given_up() {
    let server = serve(|server| server).await;
    let channel = connect_lazy_within(&server.url(), Duration::from_millis(50)).unwrap();
    let error = IngestionServiceClient::new(channel).list_miners(request("wait")).await.unwrap_err();
    assert_eq!(ErrorCode::from_status(&error), Some(ErrorCode::DeadlineExceeded), "{error}");
    assert_eq!(ErrorCode::from_status(&tonic::Status::cancelled("enough")), Some(ErrorCode::Cancelled));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable_and_is_found_when_it_comes() {
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let mut client = IngestionServiceClient::new(connect_lazy(&format!("http://{address}")).unwrap());
    let error = client.list_miners(request("")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    let _server = serve_on(tokio::net::TcpListener::bind(address).await.unwrap(), |server| server);
    eventually("the channel finds the service", async {
        while client.list_miners(request("")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_unary_call_without_a_deadline_gets_the_servers_own() {
    let server = serve(|server| server.unary_limit(Duration::from_millis(50))).await;
    let error = server.client().list_miners(request("wait")).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(ErrorInfo::from_status(&error).unwrap().reason, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn a_stream_is_not_bound_by_the_limit_of_unary_calls() {
    let server = serve(|server| server.unary_limit(Duration::ZERO)).await;
    let mut stream = server.client().watch_miners(WatchMinersRequest {}).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
}

#[tokio::test]
async fn calls_beyond_the_bound_wait_for_their_turn() {
    let server = serve(|server| server.concurrency(1)).await;
    let (mut first, mut second) = (server.client(), server.client());
    let first = tokio::spawn(async move { first.list_miners(request("wait")).await });
    server.stage.entered.notified().await;
    let second = tokio::spawn(async move { second.list_miners(request("")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.stage.calls.load(Ordering::SeqCst), 1);
    server.stage.release.notify_one();
    eventually("the first is answered", first).await.unwrap().unwrap();
    eventually("the second is answered", second).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_beyond_the_bound_is_refused_until_another_ends() {
    let server = serve(|server| server.concurrency(1)).await;
    let stream = server.client().watch_miners(WatchMinersRequest {}).await.unwrap();
    let error = server.client().watch_miners(WatchMinersRequest {}).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    drop(stream);
    eventually("the place is free again", async {
        while server.client().watch_miners(WatchMinersRequest {}).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_error_carries_its_reason_to_the_caller() {
    let server = serve(|server| server).await;
    let error = server.client().list_miners(request("refuse")).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert_eq!(ErrorInfo::from_status(&error).unwrap().reason, "TOLD_TO");
}

#[tokio::test]
async fn an_unknown_call_is_unimplemented() {
    let server = serve(|server| server).await;
    let mut client = kinitro_proto::scoring::v1::scoring_service_client::ScoringServiceClient::new(server.channel());
    let error = client.get_weights(kinitro_proto::scoring::v1::GetWeightsRequest::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
}

#[tokio::test]
async fn the_trace_of_a_caller_goes_on_in_the_service() {
    init_telemetry("test", "error", LogFormat::Json).unwrap();
    let server = serve(|server| server).await;
    let mut client = IngestionServiceClient::with_interceptor(server.channel(), propagate);
    let span = tracing::info_span!("caller");
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    continue_trace(given, &span);
    let (mine, theirs) = async {
        let answer = client.list_miners(ListMinersRequest {}).await.unwrap().into_inner();
        (current_traceparent().unwrap(), answer.block_hash)
    }
    .instrument(span)
    .await;
    let id = |traceparent: &str| traceparent.split('-').nth(1).map(str::to_owned);
    assert_eq!(id(&mine), id(given));
    assert_eq!(id(&theirs), id(given), "{theirs}");
    assert_ne!(mine, theirs, "the service has a span of its own");
}

#[tokio::test]
async fn a_damaged_trace_context_starts_a_new_trace() {
    init_telemetry("test", "error", LogFormat::Json).unwrap();
    let server = serve(|server| server).await;
    for damaged in ["", "nonsense", "00-xyz-xyz-01", "00-00000000000000000000000000000000-0000000000000000-01"] {
        let mut call = request("");
        call.metadata_mut().insert("traceparent", damaged.parse().unwrap());
        let answer = server.client().list_miners(call).await.unwrap().into_inner();
        assert_eq!(answer.block_hash.len(), 55, "{}", answer.block_hash);
    }
}

#[tokio::test]
async fn every_call_is_counted_with_its_code_and_made_up_names_are_not() {
    let server = serve(|server| server).await;
    server.client().list_miners(request("")).await.unwrap();
    server.client().list_miners(request("refuse")).await.unwrap_err();
    http(server.address, "/made.up.Service/Method").await;
    let answer = http(server.address, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for code in ["Ok", "FailedPrecondition"] {
        let line = format!(r#"kinitro_grpc_requests_total{{service="{SERVICE}",method="ListMiners",code="{code}"}}"#);
        assert!(answer.contains(&line), "{line} is missing in {answer}");
    }
    assert!(answer.contains("kinitro_grpc_request_seconds_bucket"), "{answer}");
    assert!(!answer.contains("made.up"), "{answer}");
}
