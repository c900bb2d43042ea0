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
    assert_snapshot!(with(&[]), @"");
    assert_snapshot!(with(&[("authorization", "Bearer the-key-of-the-neighbour")]), @"");
    assert_eq!(with(&[("authorization", "Basic dXNlcjpwYXNz")]), with(&[]));
    assert_eq!(with(&[("authorization", &format!("Bearer {KEY}")), ("authorization", "Bearer other")]), with(&[]));
}

#[test]
fn batch_size_is_1_to_100() {
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","batch_size":0}"#), @"");
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","batch_size":101}"#), @"");
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","batch_size":"x"}"#), @"");
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","batch_size":-1}"#), @"");
}

#[test]
fn an_executor_has_a_name() {
    assert_snapshot!(post(FETCH, "{}"), @"");
    assert_snapshot!(post(SUBMIT, r#"{"results":[]}"#), @"");
}

#[test]
fn an_unknown_field_is_refused_by_name() {
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","batchsize":1}"#), @"");
    assert_snapshot!(post(SUBMIT, r#"{"executor_id":"executor-1","results":[{},{"reward":1}]}"#), @"");
    assert_snapshot!(get("/v1/miners?limit=3"), @"");
}

#[test]
fn a_field_of_another_type_is_refused_by_its_place() {
    let body = r#"{"executor_id":"executor-1","results":[{"task_uuid":"t"},{"timesteps":1.5}]}"#;
    assert_snapshot!(post(SUBMIT, body), @"");
    assert_snapshot!(post(SUBMIT, r#"{"executor_id":"executor-1","results":{}}"#), @"");
    assert_snapshot!(post(FETCH, r#"{"executor_id":"executor-1","env_ids":["Push"]}"#), @"");
}

#[test]
fn malformed_json_is_refused() {
    assert_snapshot!(post(FETCH, r#"{"executor_id":"#), @"");
    assert_snapshot!(post(FETCH, "[]"), @"");
    assert_snapshot!(post(FETCH, ""), @"");
}

#[test]
fn a_body_of_another_type_is_refused() {
    let key = ("authorization", &*format!("Bearer {KEY}"));
    assert_snapshot!(request(Method::POST, FETCH, &[key, ("content-type", "text/plain")], SOUND), @"");
    assert_snapshot!(request(Method::POST, FETCH, &[key], SOUND), @"");
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
    assert_snapshot!(body, @"");
}

#[test]
fn a_block_and_a_cycle_are_numbers() {
    assert_snapshot!(get("/v1/weights/newest"), @"");
    assert_snapshot!(get("/v1/weights/-1"), @"");
    assert_snapshot!(get("/v1/weights/18446744073709551616"), @"");
    assert_snapshot!(get("/v1/weights/18446744073709551615"), @"");
    assert_snapshot!(get("/v1/scores/newest"), @"");
}

#[test]
fn a_method_that_a_route_does_not_take_is_refused() {
    let reads = ["/health", "/v1/status", "/v1/weights/latest", "/v1/weights/7", "/v1/scores/latest", "/v1/scores/1"];
    let reads = reads.into_iter().chain(["/v1/miners", "/v1/environments", "/v1/tasks/stats", "/metrics"]);
    let refused: Vec<_> = reads.map(|path| request(Method::POST, path, &[JSON], "{}")).collect();
    assert_snapshot!(refused[0], @"");
    assert!(refused.iter().all(|answer| *answer == refused[0]), "{refused:#?}");
    assert_snapshot!(get(FETCH), @"");
    assert_eq!(get(SUBMIT), get(FETCH));
}

#[test]
fn a_route_that_does_not_exist_is_not_found() {
    assert_snapshot!(get("/v2/weights/latest"), @"");
    assert_eq!(get("/"), get("/v2/weights/latest"));
    assert_eq!(get("/v1/weights/latest/"), get("/v2/weights/latest"));
}
