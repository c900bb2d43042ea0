//! The transcoded routes as the gateway serves them.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{House, ask};

#[tokio::test]
async fn weights_have_every_field_in_order_and_keys_by_number() {
    let house = House::build().await;
    let answer = house.get("/v1/weights/latest").await;
    assert_eq!(
        answer.body,
        concat!(
            r#"{"block":9,"block_number":9,"weights":{"2":0.75,"10":0.25},"created_at":null,"timestamp":null,"#,
            r#""cycle_id":0,"weights_u16":null,"metadata":null,"scheme":"","hotkeys":{},"burn_uid":null,"#,
            r#""episodes_planned":null,"episodes_played":null,"played_share":null,"min_played_share":null,"not_evaluated":{}}"#
        )
    );
    assert_eq!(answer.header("cache-control"), "no-cache");
}

#[tokio::test]
async fn scores_of_a_cycle_may_be_kept_for_ever_and_absence_may_not() {
    let house = House::build().await;
    let answer = house.get("/v1/weights/5").await;
    assert_eq!(answer.header("cache-control"), "no-cache", "a later cycle may be of the same block");
    let answer = house.get("/v1/scores/5").await;
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    let missing = ask(house.gateway, "GET", "/v1/weights/7", &[("x-request-id", "r-2")], "").await;
    assert_eq!((missing.status, missing.header("cache-control")), (404, "no-store"));
    assert_eq!(
        missing.body,
        concat!(
            r#"{"type":"urn:kinitro:problem:weights-not-found","title":"Weights not found","status":404,"#,
            r#""detail":"no weights at block 7","request_id":"r-2"}"#
        )
    );
}

#[tokio::test]
async fn a_poll_with_the_entity_tag_costs_no_body() {
    let house = House::build().await;
    let first = house.get("/v1/weights/latest").await;
    let again = ask(house.gateway, "GET", "/v1/weights/latest", &[("if-none-match", first.header("etag"))], "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), first.header("etag"));
}

#[tokio::test]
async fn every_error_is_a_problem_with_its_request_id() {
    let house = House::build().await;
    for (method, path, status, kind) in [
        ("GET", "/nothing", 404, "route-not-found"),
        ("DELETE", "/health", 405, "method-not-allowed"),
        ("DELETE", "/v1/weights/latest", 405, "method-not-allowed"),
        ("GET", "/v1/weights/newest", 400, "invalid-value"),
        ("GET", "/v1/status", 501, "unimplemented"),
    ] {
        let answer = ask(house.gateway, method, path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json()["type"], format!("urn:kinitro:problem:{kind}"));
        assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
        assert_eq!(status == 405, answer.header("allow") == "GET,HEAD", "{path}");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_path_makes_no_difference() {
    let house = House::build().await;
    for path in ["/health", "/v1/weights/latest", "/v1/scores/5"] {
        let plain = house.get(path).await;
        let slashed = house.get(&format!("{path}/")).await;
        assert_eq!((slashed.status, &slashed.body), (200, &plain.body), "{path}");
    }
    assert_eq!(house.get("/metrics/").await.status, 200);
    assert_eq!(house.get("/v1/weights/latest/?blok=1").await.header("x-ignored-parameters"), "blok");
    assert_eq!(house.post("/v1/tasks/fetch/", &[], "{}").await.status, 401, "the guard hangs on the route");
    assert_eq!(house.get("/nothing/").await.status, 404);
}

#[tokio::test]
async fn head_answers_without_a_body() {
    let house = House::build().await;
    for path in ["/v1/weights/latest", "/health", "/metrics", "/nothing"] {
        let answer = ask(house.gateway, "HEAD", path, &[], "").await;
        assert_eq!(answer.body, "", "{path}");
        assert_eq!(answer.status, if path == "/nothing" { 404 } else { 200 });
    }
}

#[tokio::test]
async fn a_drain_answers_what_is_under_way_and_closes() {
    let house = House::build().await;
    let mut kept = TcpStream::connect(house.gateway).await.unwrap();
    kept.write_all(b"GET /v1/weights/latest HTTP/1.1\r\nhost: g\r\n\r\n").await.unwrap();
    let mut begin = [0; 15];
    kept.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200 OK");

    // Half of a request is on its way when the drain begins: it is answered, then the connection is closed.
    let mut torn = TcpStream::connect(house.gateway).await.unwrap();
    let head = "POST /v1/tasks/fetch HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n\
                authorization: Bearer correct-horse-battery-staple\r\ncontent-length: 19\r\nexpect: 100-continue\r\n\r\n";
    torn.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    torn.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    let ended = tokio::spawn(house.supervisor.clone().join(Duration::from_secs(30)));
    house.supervisor.shutdown();
    torn.write_all(br#"{"executor_id":"e"}"#).await.unwrap();
    let mut answer = String::new();
    torn.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let mut rest = Vec::new();
    kept.read_to_end(&mut rest).await.unwrap();
    ended.await.unwrap().unwrap();
}
