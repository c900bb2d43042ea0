//! Requests that are refused: who may not, what is malformed, what is not there.

use insta::assert_snapshot;
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    empty::empty,
    house::{KEY, run},
    wire::ask,
};

fn get(path: &str) -> String {
    run(async { empty().await.get(path).await.shown() })
}

fn post(path: &str, body: &str) -> String {
    run(async { empty().await.post(path, body).await.shown() })
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    run(async { ask(empty().await.gateway, method, path, headers, body).await.shown() })
}

const FETCH: &str = "/v1/tasks/fetch";
const SUBMIT: &str = "/v1/tasks/submit";
const JSON: (&str, &str) = ("content-type", "application/json");
const SOUND: &str = r#"{"executor_id":"executor-1"}"#;

#[test]
fn tasks_need_the_key() {
    let with = |authorization: &[(&str, &str)]| {
        let headers = [&[JSON], authorization].concat();
        let fetch = request(Method::POST, FETCH, &headers, SOUND);
        assert_eq!(request(Method::POST, SUBMIT, &headers, SOUND), fetch);
        fetch
    };
    assert_snapshot!(with(&[]), @r#"
    401 application/problem+json no-store Bearer realm="kinitro"
    {"type":"urn:kinitro:problem:unauthenticated","title":"Unauthenticated","status":401,"detail":"this route needs a key: send authorization: Bearer <key>",
    "request_id":"r-1"}
    "#);
    assert_snapshot!(with(&[("authorization", "Bearer the-key-of-the-neighbour")]), @r#"
    401 application/problem+json no-store Bearer realm="kinitro", error="invalid_token"
    {"type":"urn:kinitro:problem:unauthenticated","title":"Unauthenticated","status":401,"detail":"the key is not the one of this backend",
    "request_id":"r-1"}
    "#);
    assert_eq!(with(&[("authorization", "Basic dXNlcjpwYXNz")]), with(&[]));
    assert_eq!(with(&[("authorization", &format!("Bearer {KEY}")), ("authorization", "Bearer other")]), with(&[]));
}

#[test]
fn batch_size_is_1_to_100() {
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","batch_size":0}"#), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-argument","title":"Invalid argument","status":400,"detail":"batch_size must be 1 to 100",
    "field":"batch_size","request_id":"r-1"}
    "#);
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","batch_size":101}"#), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-argument","title":"Invalid argument","status":400,"detail":"batch_size must be 1 to 100",
    "field":"batch_size","request_id":"r-1"}
    "#);
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","batch_size":"x"}"#), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"\"x\" is not a decimal integer for uint32 (0 to 4294967295)",
    "field":"batch_size","request_id":"r-1"}
    "#);
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","batch_size":-1}"#), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"-1 is out of range for uint32 (0 to 4294967295)",
    "field":"batch_size","request_id":"r-1"}
    "#);
}

#[test]
fn an_executor_has_a_name() {
    assert_snapshot!(post(FETCH, "{}"), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-argument","title":"Invalid argument","status":400,"detail":"executor_id must be 1 to 128 printable ASCII characters without spaces",
    "field":"executor_id","request_id":"r-1"}
    "#);
    assert_snapshot!(post(SUBMIT, r#"{"results":[]}"#), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-argument","title":"Invalid argument","status":400,"detail":"executor_id must be 1 to 128 printable ASCII characters without spaces",
    "field":"executor_id","request_id":"r-1"}
    "#);
}

#[test]
fn an_unknown_field_is_refused_by_name() {
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","batchsize":1}"#), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:unknown-field","title":"Unknown field","status":400,"detail":"no field \"batchsize\"; the fields are executor_id, batch_size, env_ids, wait_ms, full_miner_uids, max_per_miner, heartbeats, lease_seconds",
    "field":"batchsize","request_id":"r-1"}
    "#);
    assert_snapshot!(post(SUBMIT, r#"{"executor_id":"executor-1","results":[{},{"reward":1}]}"#), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:unknown-field","title":"Unknown field","status":400,"detail":"no field \"reward\"; the fields are task_uuid, success, score, total_reward, timesteps, error, verification_passed, verification_score, attempt, verdict, cause, trajectory_hash, duration_seconds, policy_seconds, simulation_seconds, render_seconds, queue_seconds, policy_p50_seconds, policy_p99_seconds, policy_max_seconds, observation_shown, beacon_reached, fault_message",
    "field":"results[1].reward","request_id":"r-1"}
    "#);
}

#[test]
fn a_field_of_another_type_is_refused_by_its_place() {
    let body = r#"{"executor_id":"executor-1","results":[{"task_uuid":"t"},{"timesteps":1.5}]}"#;
    assert_snapshot!(post(SUBMIT, body), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"1.5 is not an integer",
    "field":"results[1].timesteps","request_id":"r-1"}
    "#);
    assert_snapshot!(post(SUBMIT, r#"{"executor_id":"executor-1","results":{}}"#), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"invalid type: map, expected a list at line 1 column 40",
    "field":"results","request_id":"r-1"}
    "#);
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","env_ids":["Push"]}"#), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-argument","title":"Invalid argument","status":400,"detail":"env_ids has an entry that is no environment: `Push` is no environment: expected `family/name` in lower-case letters, digits and hyphens, e.g. `metaworld/push-v3`",
    "field":"env_ids","request_id":"r-1"}
    "#);
}

#[test]
fn malformed_json_is_refused() {
    assert_snapshot!(post(FETCH, r#"{"executor_id":"#), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-json","title":"Invalid json","status":400,"detail":"the body is not JSON: EOF while parsing a value at line 1 column 15",
    "field":"executor_id","request_id":"r-1"}
    "#);
    assert_snapshot!(post(FETCH, "[]"), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"invalid type: sequence, expected an object at line 1 column 2",
    "request_id":"r-1"}
    "#);
    assert_snapshot!(post(FETCH, ""), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-json","title":"Invalid json","status":400,"detail":"the body is not JSON: EOF while parsing a value at line 1 column 0",
    "request_id":"r-1"}
    "#);
}

#[test]
fn a_body_of_another_type_is_refused() {
    let key = ("authorization", &*format!("Bearer {KEY}"));
    assert_snapshot!(request(Method::POST, FETCH, &[key, ("content-type", "text/plain")], SOUND), @r#"
    415 application/problem+json no-store
    {"type":"urn:kinitro:problem:unsupported-media-type","title":"Unsupported media type","status":415,
    "detail":"the body must be JSON: send content-type application/json","request_id":"r-1"}
    "#);
    assert_snapshot!(request(Method::POST, FETCH, &[key], SOUND), @r#"
    415 application/problem+json no-store
    {"type":"urn:kinitro:problem:unsupported-media-type","title":"Unsupported media type","status":415,
    "detail":"the body must be JSON: send content-type application/json","request_id":"r-1"}
    "#);
}

#[test]
fn too_large_a_body_is_refused_before_it_is_read() {
    let answer = run(async {
        let mut connection = TcpStream::connect(empty().await.gateway).await.unwrap();
        let head = format!(
            "POST {SUBMIT} HTTP/1.1\r\nhost: gateway\r\nx-request-id: r-1\r\nauthorization: Bearer {KEY}\r\n\
             content-type: application/json\r\ncontent-length: 5000000\r\nconnection: close\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 413 ") && head.contains("content-type: application/problem+json"), "{head}");
    assert_snapshot!(body, @r#"{"type":"urn:kinitro:problem:body-too-large","title":"Body too large","status":413,"detail":"the body is larger than 4194304 bytes; send less at a time","request_id":"r-1"}"#);
}

#[test]
fn a_block_and_a_cycle_are_numbers() {
    assert_snapshot!(get("/v1/weights/newest"), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"\"newest\" is not a decimal integer for uint64 (0 to 18446744073709551615)",
    "field":"block","request_id":"r-1"}
    "#);
    assert_snapshot!(get("/v1/weights/-1"), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"-1 is out of range for uint64 (0 to 18446744073709551615)",
    "field":"block","request_id":"r-1"}
    "#);
    assert_snapshot!(get("/v1/weights/18446744073709551616"), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"18446744073709551616 is out of range for uint64 (0 to 18446744073709551615)",
    "field":"block","request_id":"r-1"}
    "#);
    assert_snapshot!(get("/v1/weights/18446744073709551615"), @r#"
    404 application/problem+json no-store
    {"type":"urn:kinitro:problem:weights-not-found","title":"Weights not found","status":404,"detail":"no weights were computed at block 18446744073709551615",
    "request_id":"r-1"}
    "#);
    assert_snapshot!(get("/v1/scores/newest"), @r#"
    400 application/problem+json no-store
    {"type":"urn:kinitro:problem:invalid-value","title":"Invalid value","status":400,"detail":"\"newest\" is not a decimal integer for uint64 (0 to 18446744073709551615)",
    "field":"cycle_id","request_id":"r-1"}
    "#);
}

#[test]
fn a_method_that_a_route_does_not_take_is_refused() {
    let reads = ["/health", "/v1/status", "/v1/weights/latest", "/v1/weights/7", "/v1/scores/latest", "/v1/scores/1"];
    let reads = reads.into_iter().chain(["/v1/miners", "/v1/environments", "/v1/tasks/stats", "/metrics"]);
    let refused: Vec<_> = reads.map(|path| request(Method::POST, path, &[JSON], "{}")).collect();
    assert_snapshot!(refused[0], @r#"
    405 application/problem+json no-store GET,HEAD
    {"type":"urn:kinitro:problem:method-not-allowed","title":"Method not allowed","status":405,
    "detail":"this path does not take this method; the header allow lists those it takes","request_id":"r-1"}
    "#);
    assert!(refused.iter().all(|answer| *answer == refused[0]), "{refused:#?}");
    assert_snapshot!(get(FETCH), @r#"
    405 application/problem+json no-store POST
    {"type":"urn:kinitro:problem:method-not-allowed","title":"Method not allowed","status":405,
    "detail":"this path does not take this method; the header allow lists those it takes","request_id":"r-1"}
    "#);
    assert_eq!(get(SUBMIT), get(FETCH));
}

#[test]
fn a_route_that_does_not_exist_is_not_found() {
    assert_snapshot!(get("/v2/weights/latest"), @r#"
    404 application/problem+json no-store
    {"type":"urn:kinitro:problem:route-not-found","title":"Route not found","status":404,"detail":"there is nothing at this path",
    "request_id":"r-1"}
    "#);
    assert_eq!(get("/"), get("/v2/weights/latest"));
    assert_eq!(get("/v2/weights/latest/"), get("/v2/weights/latest"));
}
