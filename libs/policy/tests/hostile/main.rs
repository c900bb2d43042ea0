//! Policies that misbehave: each is found out, by its cause, and the next one is played as if nothing had been.
#![allow(clippy::unwrap_used)]

mod floods;
mod pooling;
mod server;

use std::{sync::atomic::Ordering, time::Duration};

use kinitro_commitment::Endpoint;
use kinitro_domain::Cause;
use kinitro_policy::{
    Action, Destination, Fault, HttpTransport, Image, METAWORLD_ACTION, Observation, Policy as _, TaskConfig,
    TransportConfig,
};
use server::{GOOD_ACTION, Habits, Reply, Server, good, json, status};

/// Long enough for an honest answer on a busy machine.
const ACTION_TIMEOUT: Duration = Duration::from_secs(5);

/// For the tests that wait until it is over.
const SHORT: Duration = Duration::from_secs(1);

fn transport(action_timeout: Duration) -> HttpTransport {
    HttpTransport::new(TransportConfig { allow_private: true, connect_timeout: Duration::from_secs(5), action_timeout })
}

fn task() -> TaskConfig {
    TaskConfig {
        env_id: "metaworld/push-v3".to_owned(),
        env_name: "metaworld".to_owned(),
        task_name: "push-v3".to_owned(),
        policy_seed: 2_000_000_000,
        task_id: 7,
    }
}

fn observation() -> Observation {
    let image = || Image { width: 84, height: 84, rgb: vec![7; 84 * 84 * 3] };
    Observation { proprio: vec![("ee_pos", vec![0.0; 3])], rgb: vec![("corner", image()), ("corner2", image())] }
}

fn at(url: &str) -> Destination {
    url.parse::<Endpoint>().unwrap().into()
}

async fn play(transport: &HttpTransport, url: &str, steps: usize) -> Result<Action, Fault> {
    let to = url.parse::<Endpoint>()?.into();
    let mut policy = transport.open(to, METAWORLD_ACTION).await?;
    policy.reset(&task()).await?;
    let mut action = Action(Vec::new());
    for _ in 0..steps {
        action = policy.act(&observation()).await?;
    }
    Ok(action)
}

/// Plays against a server that misbehaves on one path, then against a good one.
async fn fault_within(timeout: Duration, path: &'static str, reply: Reply) -> (Fault, Server) {
    let transport = transport(timeout);
    let bad = Server::start(move |asked| if asked == path { reply.clone() } else { good(asked) }).await;
    let fault = play(&transport, &bad.url(), 2).await.unwrap_err();
    assert!(!fault.evidence().is_empty());
    assert!(!fault.evidence().contains(&bad.address.port().to_string()), "the endpoint is in the evidence: {fault}");
    let honest = Server::start(good).await;
    assert!(play(&transport, &honest.url(), 2).await.is_ok());
    (fault, bad)
}

async fn fault(path: &'static str, reply: Reply) -> Fault {
    fault_within(ACTION_TIMEOUT, path, reply).await.0
}

#[tokio::test]
async fn an_honest_policy_is_played_on_one_connection() {
    let server = Server::start(good).await;
    let action = play(&transport(ACTION_TIMEOUT), &server.url(), 20).await.unwrap();
    assert_eq!(action, Action(vec![vec![0.0; 6], vec![1.0]]));
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);

    let requests = server.requests.lock().unwrap();
    assert_eq!(requests.len(), 22);
    let id = |head: &str| head.lines().find_map(|line| line.strip_prefix("x-episode-id: ")).map(str::to_owned);
    let first = id(&requests[0].0).unwrap();
    assert!(requests.iter().all(|(head, _)| id(head).as_ref() == Some(&first)), "one id in every call");
    let reset: serde_json::Value = serde_json::from_slice(&requests[1].1).unwrap();
    let expected = serde_json::json!({"task_config": {
        "env_id": "metaworld/push-v3", "env_name": "metaworld", "task_name": "push-v3", "seed": 2_000_000_000, "task_id": 7,
    }});
    assert_eq!(reset, expected);
}

#[tokio::test]
async fn two_episodes_have_two_ids_and_two_connections() {
    let server = Server::start(good).await;
    let transport = transport(ACTION_TIMEOUT);
    let url = server.url();
    let (first, second) =
        tokio::join!(transport.open(at(&url), METAWORLD_ACTION), transport.open(at(&url), METAWORLD_ACTION));
    assert_ne!(first.unwrap().episode_id(), second.unwrap().episode_id());
    assert_eq!(server.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_policy_that_closes_after_each_answer_is_played() {
    let server = Server::start(|path| match good(path) {
        Reply::Json(text) => Reply::Raw(status("200 OK", "Connection: close\r\n", text.as_bytes())),
        other => other,
    })
    .await;
    assert!(play(&transport(ACTION_TIMEOUT), &server.url(), 3).await.is_ok());
    assert_eq!(server.connections.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_policy_without_health_is_played() {
    let server = Server::start(|path| match path {
        "/health" => Reply::Raw(status("404 Not Found", "", b"what?")),
        path => good(path),
    })
    .await;
    assert!(play(&transport(ACTION_TIMEOUT), &server.url(), 1).await.is_ok());
}

#[tokio::test]
async fn a_long_error_page_for_health_does_not_cost_the_connection() {
    for bytes in [1025, 60_000] {
        let page = status("404 Not Found", "", &vec![b'x'; bytes]);
        let server = Server::start(move |path| match path {
            "/health" => Reply::Raw(page.clone()),
            path => good(path),
        })
        .await;
        assert!(play(&transport(ACTION_TIMEOUT), &server.url(), 1).await.is_ok());
        assert_eq!(server.connections.load(Ordering::Relaxed), 1, "{bytes}");
    }
}

#[tokio::test]
async fn a_late_answer_is_an_action_timeout() {
    for path in ["/reset", "/act"] {
        let late = Reply::Late(Duration::from_secs(30), GOOD_ACTION.to_owned());
        let (fault, _) = fault_within(SHORT, path, late).await;
        assert_eq!(fault.cause(), Cause::ActionTimeout, "{fault}");
    }
}

#[tokio::test]
async fn a_hanging_policy_is_an_action_timeout() {
    let (fault, _) = fault_within(SHORT, "/act", Reply::Silence).await;
    assert_eq!(fault.cause(), Cause::ActionTimeout);
    // The head comes at once, the body never.
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"action\"".to_vec();
    let (fault, _) = fault_within(SHORT, "/act", Reply::Raw(half)).await;
    assert_eq!(fault.cause(), Cause::ActionTimeout);
}

#[tokio::test]
async fn numbers_that_are_not_finite_are_told_from_other_nonsense() {
    for number in ["NaN", "-Infinity", "1e999"] {
        let body = GOOD_ACTION.replace("[1]", number);
        assert_eq!(fault("/act", Reply::Json(body)).await.cause(), Cause::ActionNotFinite, "{number}");
    }
}

#[tokio::test]
async fn a_wrong_shape_is_found() {
    let body = GOOD_ACTION.replace("[0,0,0,0,0,0]", "[0,0,0]");
    let fault = fault("/act", Reply::Json(body)).await;
    assert_eq!(fault.cause(), Cause::ActionShape);
    assert!(fault.evidence().contains("`ee_twist` has 3 numbers, not 6"), "{fault}");
}

#[tokio::test]
async fn what_is_no_json_is_invalid() {
    for body in ["<html>hello</html>", "", "{\"action\":", "[[[["] {
        assert_eq!(fault("/act", Reply::Json(body.to_owned())).await.cause(), Cause::InvalidResponse, "{body}");
        assert_eq!(fault("/reset", Reply::Json(body.to_owned())).await.cause(), Cause::InvalidResponse, "{body}");
    }
    assert_eq!(fault("/act", Reply::Raw(json("{\"other\": 1}"))).await.cause(), Cause::InvalidResponse);
    assert_eq!(fault("/act", Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())).await.cause(), Cause::InvalidResponse);
}

#[tokio::test]
async fn a_hundred_megabytes_are_not_read() {
    const MEGABYTE: usize = 1 << 20;
    for head in
        [&b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"]
    {
        let (fault, server) = fault_within(ACTION_TIMEOUT, "/act", Reply::Endless(head, vec![b'['; 65536])).await;
        assert_eq!(fault.cause(), Cause::ResponseTooLarge, "{fault}");
        let taken = server.written.load(Ordering::Relaxed);
        assert!(taken < 16 * MEGABYTE, "{taken} bytes left the server; socket buffers explain a few megabytes");
    }
    let chunked: Vec<u8> = [&b"10000\r\n"[..], &[b'['; 65536], b"\r\n"].concat();
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (fault, _) = fault_within(ACTION_TIMEOUT, "/act", Reply::Endless(head, chunked)).await;
    assert_eq!(fault.cause(), Cause::ResponseTooLarge, "{fault}");
}

#[tokio::test]
async fn endless_headers_are_not_read() {
    let line = b"X-More: 0123456789abcdef0123456789abcdef0123456789abcdef\r\n".to_vec();
    let (many, _) = fault_within(ACTION_TIMEOUT, "/act", Reply::Endless(b"HTTP/1.1 200 OK\r\n", line)).await;
    assert_eq!(many.cause(), Cause::ResponseTooLarge, "{many}");
    let (long, _) =
        fault_within(ACTION_TIMEOUT, "/act", Reply::Endless(b"HTTP/1.1 200 OK\r\nX-Long: ", vec![b'x'; 8192])).await;
    assert_eq!(long.cause(), Cause::ResponseTooLarge, "{long}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let trap = Server::start(good).await;
    for code in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let headers = format!("Location: {}/act\r\n", trap.url());
        let fault = fault("/act", Reply::Raw(status(code, &headers, b""))).await;
        assert_eq!(fault.cause(), Cause::Redirect, "{fault}");
    }
    assert_eq!(trap.connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_status_other_than_success_is_kept_with_the_first_bytes() {
    let fault = fault("/act", Reply::Raw(status("500 Internal Server Error", "", b"Traceback:\n  boom"))).await;
    assert_eq!(fault.cause(), Cause::HttpStatus);
    assert!(fault.evidence().contains("500") && fault.evidence().contains("Traceback:\\n  boom"), "{fault}");
    let endless = Reply::Endless(b"HTTP/1.1 503 Service Unavailable\r\n\r\n", vec![b'x'; 65536]);
    let (fault, _) = fault_within(ACTION_TIMEOUT, "/reset", endless).await;
    assert_eq!(fault.cause(), Cause::HttpStatus);
}

#[tokio::test]
async fn a_policy_that_is_not_ready_says_so_and_when_to_ask_again() {
    for (code, line, wait) in [
        ("503 Service Unavailable", "Retry-After: 7\r\n", Some(7)),
        ("502 Bad Gateway", "", Some(0)),
        ("504 Gateway Timeout", "Retry-After: soon\r\n", Some(0)),
        ("500 Internal Server Error", "Retry-After: 7\r\n", None),
        ("404 Not Found", "", None),
    ] {
        let fault = fault("/act", Reply::Raw(status(code, line, b"no"))).await;
        assert_eq!((fault.cause(), fault.not_ready()), (Cause::HttpStatus, wait.map(Duration::from_secs)), "{code}");
    }
}

#[tokio::test]
async fn an_error_page_does_not_carry_the_endpoint_into_the_evidence() {
    for path in ["/reset", "/act"] {
        let page = status("404 Not Found", "", b"nothing is deployed at 127.0.0.1");
        let fault = fault(path, Reply::Raw(page)).await;
        assert!(fault.evidence().ends_with("nothing is deployed at [endpoint]"), "{fault}");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    let gzip = [&b"\x1f\x8b\x08\0\0\0\0\0\x02\x03"[..], &[0; 60_000]].concat();
    let fault = fault("/act", Reply::Raw(status("200 OK", "Content-Encoding: gzip\r\n", &gzip))).await;
    assert_eq!(fault.cause(), Cause::InvalidResponse);
    assert!(fault.evidence().contains("content encoding"), "{fault}");
}

#[tokio::test]
async fn a_connection_that_breaks_later_is_the_policys_fault() {
    for path in ["/reset", "/act"] {
        assert_eq!(fault(path, Reply::Close).await.cause(), Cause::ConnectionClosed);
    }
    let half = Reply::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"act\r\nzz\r\n".to_vec());
    assert_eq!(fault("/act", half).await.cause(), Cause::InvalidResponse, "in the middle of an answer");
}

#[tokio::test]
async fn an_act_is_never_sent_twice() {
    let (fault, server) = fault_within(ACTION_TIMEOUT, "/act", Reply::Close).await;
    assert_eq!(fault.cause(), Cause::ConnectionClosed);
    let acts = server.requests.lock().unwrap().iter().filter(|(head, _)| head.starts_with("POST /act")).count();
    assert_eq!(acts, 1);
}

#[tokio::test]
async fn a_connection_closed_between_two_calls_is_made_again() {
    let server = Server::start(|path| match (path, good(path)) {
        ("/reset", Reply::Json(text)) => Reply::JsonAndClose(text),
        (_, reply) => reply,
    })
    .await;
    let mut policy = transport(ACTION_TIMEOUT).open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
    policy.reset(&task()).await.unwrap();
    // Until the end of the connection has been seen; what is sent before that is rightly a fault.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(policy.act(&observation()).await.is_ok());
    assert_eq!(server.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_policy_that_cannot_be_reached_at_the_start_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let transport = transport(ACTION_TIMEOUT);
    let fault = play(&transport, &url, 1).await.unwrap_err();
    assert_eq!(fault.cause(), Cause::PolicyUnreachable, "{fault}");

    // Something accepts and hangs up: a balancer with nothing behind it.
    let closing = Server::start(|_| Reply::Close).await;
    assert_eq!(play(&transport, &closing.url(), 1).await.unwrap_err().cause(), Cause::PolicyUnreachable);

    // No TLS where TLS was promised.
    let plain = Server::start(good).await;
    let fault = play(&transport, &plain.url().replace("http:", "https:"), 1).await.unwrap_err();
    assert_eq!(fault.cause(), Cause::PolicyUnreachable, "{fault}");
}

#[tokio::test]
async fn a_policy_that_was_connected_to_and_never_heard_is_unreachable() {
    let transport = HttpTransport::new(TransportConfig {
        allow_private: true,
        connect_timeout: Duration::from_millis(500),
        action_timeout: Duration::from_millis(500),
    });
    let silent = Server::start(|_| Reply::Silence).await;
    let fault = play(&transport, &silent.url(), 1).await.unwrap_err();
    assert_eq!(fault.cause(), Cause::PolicyUnreachable, "{fault}");
    assert_eq!(silent.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_private_endpoint_is_not_connected_to() {
    let server = Server::start(good).await;
    let strict = HttpTransport::new(TransportConfig {
        allow_private: false,
        connect_timeout: Duration::from_secs(5),
        action_timeout: ACTION_TIMEOUT,
    });
    let localhost = format!("http://localhost:{}", server.address.port());
    for url in [server.url(), localhost] {
        assert_eq!(play(&strict, &url, 1).await.unwrap_err().cause(), Cause::EndpointRefused);
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 0);
}
