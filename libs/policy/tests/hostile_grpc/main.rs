//! Policies over gRPC that misbehave: each is found out, by its cause, and the next one is played as if nothing had been.
#![allow(clippy::unwrap_used)]

mod pooling;
mod raw;
mod server;

use std::{sync::atomic::Ordering, time::Duration};

use h2::Reason;
use kinitro_commitment::Endpoint;
use kinitro_domain::Cause;
use kinitro_policy::{
    Action, Destination, Fault, Image, MAX_CHUNK, MAX_REPLY_BYTES, METAWORLD_ACTION, Observation, Policy as _,
    TaskConfig, Transport, TransportConfig,
};
use kinitro_proto::policy::v1::episode_event::Event;
use raw::{CONTINUATION, DATA, GRPC_HEAD, HEADERS, PING, SETTINGS, UNKNOWN, frame};
use server::{Reply, Server, action, chunk, chunks_of, framed, good, ready};

/// Long enough for an honest answer on a busy machine.
const ACTION_TIMEOUT: Duration = Duration::from_secs(5);

/// For the tests that wait until it is over.
const SHORT: Duration = Duration::from_secs(1);

fn transport(action_timeout: Duration) -> Transport {
    Transport::new(TransportConfig { allow_private: true, connect_timeout: Duration::from_secs(5), action_timeout })
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

async fn play(transport: &Transport, url: &str, steps: usize) -> Result<Vec<Action>, Fault> {
    let to = url.parse::<Endpoint>()?.into();
    let mut policy = transport.open(to, METAWORLD_ACTION).await?;
    policy.reset(&task()).await?;
    let mut actions = Vec::new();
    for _ in 0..steps {
        let seen = if policy.wants_observation() { observation() } else { Observation::default() };
        actions.push(policy.act(&seen).await?);
    }
    Ok(actions)
}

#[derive(Clone, Copy, PartialEq)]
enum At {
    Start,
    Observation,
}

/// Plays against a server that misbehaves at one message, then against a good one.
async fn fault_within(timeout: Duration, at: At, reply: Reply) -> (Fault, Server) {
    let transport = transport(timeout);
    let bad = Server::start(move |event| match (event, at) {
        (Event::Start(_), At::Start) | (Event::Observation(_), At::Observation) => reply.clone(),
        _ => good(event),
    })
    .await;
    let fault = fault_of(&transport, &bad.url()).await;
    let honest = Server::start(good).await;
    assert!(play(&transport, &honest.url(), 2).await.is_ok());
    (fault, bad)
}

async fn fault_of(transport: &Transport, url: &str) -> Fault {
    let fault = play(transport, url, 2).await.unwrap_err();
    assert!(!fault.evidence().is_empty());
    let port = url.rsplit(':').next().unwrap();
    assert!(!fault.evidence().contains(port), "the endpoint is in the evidence: {fault}");
    assert!(!fault.evidence().contains("127.0.0.1"), "the endpoint is in the evidence: {fault}");
    fault
}

async fn fault(at: At, reply: Reply) -> Fault {
    fault_within(ACTION_TIMEOUT, at, reply).await.0
}

async fn answered(actions: Vec<kinitro_proto::policy::v1::Action>) -> Fault {
    fault(At::Observation, Reply::Messages(vec![chunk(0, actions)])).await
}

fn trailers(lines: &[(&'static str, &str)]) -> Reply {
    Reply::Trailers(lines.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
}

fn head(status: u16, lines: &[(&'static str, &str)]) -> Reply {
    Reply::Head(status, lines.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
}

#[tokio::test]
async fn an_honest_policy_is_played_on_one_stream_and_told_what_the_proto_says() {
    let server = Server::start(good).await;
    let actions = play(&transport(ACTION_TIMEOUT), &server.url(), 20).await.unwrap();
    assert_eq!(actions, vec![Action(vec![vec![0.0; 6], vec![1.0]]); 20]);
    let events = server.events.lock().unwrap();
    assert_eq!(events.len(), 21);
    let Event::Start(start) = &events[0] else { panic!("{:?}", events[0]) };
    let names = [&start.env_id, &start.env_name, &start.task_name];
    assert_eq!(names, ["metaworld/push-v3", "metaworld", "push-v3"]);
    assert_eq!((start.policy_seed, start.task_id), (2_000_000_000, 7));
    assert_eq!(start.max_actions as usize, MAX_CHUNK);
    for (step, event) in (0..).zip(&events[1..]) {
        let Event::Observation(seen) = event else { panic!("{event:?}") };
        assert_eq!(seen.step, step);
        assert_eq!(seen.images["corner2"].rgb.len(), 84 * 84 * 3);
    }
}

#[tokio::test]
async fn a_chunk_is_played_without_asking_and_its_rest_is_cut() {
    let server = Server::start(chunks_of(8)).await;
    assert_eq!(play(&transport(ACTION_TIMEOUT), &server.url(), 20).await.unwrap().len(), 20);
    let steps: Vec<u32> = server
        .events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::Observation(seen) => Some(seen.step),
            Event::Start(_) => None,
        })
        .collect();
    assert_eq!(steps, [0, 8, 16]);
    assert!(play(&transport(ACTION_TIMEOUT), &Server::start(chunks_of(MAX_CHUNK)).await.url(), 200).await.is_ok());
}

#[tokio::test]
async fn a_late_reply_is_an_action_timeout() {
    for (at, message) in [(At::Start, ready()), (At::Observation, chunk(0, vec![action(vec![0.0; 6], vec![0.0])]))] {
        let (fault, _) = fault_within(SHORT, at, Reply::Late(Duration::from_secs(30), message)).await;
        assert_eq!(fault.cause(), Cause::ActionTimeout, "{fault}");
    }
}

#[tokio::test]
async fn a_hanging_policy_is_an_action_timeout() {
    let half = framed(&ready())[..6].to_vec();
    let begun = framed(&chunk(0, vec![action(vec![0.0; 6], vec![0.0])]))[..20].to_vec();
    for (at, reply) in [
        (At::Start, Reply::Silence),
        (At::Observation, Reply::Silence),
        (At::Start, Reply::Raw(half)),
        (At::Observation, Reply::Raw(begun)),
        (At::Observation, Reply::Raw(vec![0, 0])),
        (At::Start, head(200, &[("content-type", "application/grpc")])),
    ] {
        let (fault, _) = fault_within(SHORT, at, reply).await;
        assert_eq!(fault.cause(), Cause::ActionTimeout, "{fault}");
    }
}

#[tokio::test]
async fn a_policy_that_never_reads_is_an_action_timeout() {
    // Its window stays as it began, and no picture fits in it.
    let once = vec![frame(HEADERS, 4, 1, GRPC_HEAD), frame(DATA, 0, 1, &framed(&ready()))];
    let address = raw::framing(once, Vec::new()).await;
    let fault = fault_of(&transport(SHORT), &format!("grpc://{address}")).await;
    assert_eq!(fault.cause(), Cause::ActionTimeout, "{fault}");
    assert!(fault.evidence().contains("an observation"), "{fault}");
}

#[tokio::test]
async fn actions_are_checked_all_of_them() {
    let good = || action(vec![0.0; 6], vec![1.0]);
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let bad = action(vec![0.0, 0.0, number, 0.0, 0.0, 0.0], vec![1.0]);
        assert_eq!(answered(vec![bad.clone()]).await.cause(), Cause::ActionNotFinite);
        assert_eq!(answered(vec![good(), good(), bad]).await.cause(), Cause::ActionNotFinite);
    }
    let short = answered(vec![action(vec![0.0; 3], vec![1.0])]).await;
    assert_eq!(short.cause(), Cause::ActionShape);
    assert!(short.evidence().contains("3 values in `ee_twist`, not 6"), "{short}");
    assert_eq!(answered(vec![Default::default()]).await.cause(), Cause::ActionShape);
    assert_eq!(answered(vec![]).await.cause(), Cause::InvalidResponse);
    let many = answered(vec![good(); MAX_CHUNK + 1]).await;
    assert_eq!(many.cause(), Cause::InvalidResponse);
    assert!(many.evidence().contains("65 actions"), "{many}");
}

#[tokio::test]
async fn what_is_no_reply_is_invalid() {
    for at in [At::Start, At::Observation] {
        for reply in [
            Reply::Messages(vec![b"<html>hello</html>".to_vec()]),
            Reply::Messages(vec![Vec::new()]),
            Reply::Raw(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
            Reply::Raw([&[1][..], &framed(&ready())[1..]].concat()),
            head(200, &[("content-type", "text/html")]),
            head(200, &[("content-type", "application/grpc"), ("grpc-encoding", "gzip")]),
        ] {
            // A head can only be sent once.
            if at == At::Start || !matches!(reply, Reply::Head(..)) {
                assert_eq!(fault(at, reply).await.cause(), Cause::InvalidResponse);
            }
        }
    }
    let swapped = fault(At::Start, Reply::Messages(vec![chunk(0, vec![action(vec![0.0; 6], vec![0.0])])])).await;
    assert_eq!(swapped.cause(), Cause::InvalidResponse);
    assert_eq!(fault(At::Observation, Reply::Messages(vec![ready()])).await.cause(), Cause::InvalidResponse);
}

#[tokio::test]
async fn what_nobody_asked_for_is_not_taken_for_the_next_answer() {
    let answer = chunk(0, vec![action(vec![0.0; 6], vec![0.0])]);
    let fault = fault(At::Observation, Reply::Messages(vec![answer.clone(), answer])).await;
    assert_eq!(fault.cause(), Cause::InvalidResponse);
    assert!(fault.evidence().contains("step 0, not 1"), "{fault}");
}

#[tokio::test]
async fn a_long_reply_is_not_read() {
    const MEGABYTE: usize = 1 << 20;
    for length in [MAX_REPLY_BYTES as u32 + 1, 100 << 20, u32::MAX] {
        let prefix = [&[0][..], &length.to_be_bytes()].concat();
        let endless = Reply::Endless(prefix, vec![7; 65536]);
        let (fault, server) = fault_within(ACTION_TIMEOUT, At::Observation, endless).await;
        assert_eq!(fault.cause(), Cause::ResponseTooLarge, "{fault}");
        assert!(server.written.load(Ordering::SeqCst) < MEGABYTE);
    }
}

#[tokio::test]
async fn a_flood_behind_a_good_reply_stays_where_it_is() {
    let answer = framed(&chunk(0, vec![action(vec![0.0; 6], vec![0.0])]));
    let server = Server::start(move |event| match event {
        Event::Observation(_) => Reply::Endless(answer.clone(), vec![0; 65536]),
        Event::Start(_) => good(event),
    })
    .await;
    let mut policy = transport(ACTION_TIMEOUT).open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
    policy.reset(&task()).await.unwrap();
    policy.act(&observation()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(server.written.load(Ordering::SeqCst) < 4 * MAX_REPLY_BYTES, "its window is all that it fills");
    assert_eq!(policy.act(&observation()).await.unwrap_err().cause(), Cause::InvalidResponse);
}

#[tokio::test]
async fn header_and_trailer_lines_are_bounded() {
    for bytes in [20_000, 1 << 20] {
        let long = "x".repeat(bytes);
        let lines = [("content-type", "application/grpc"), ("x-long", long.as_str())];
        let fault = fault(At::Start, head(200, &lines)).await;
        assert!(matches!(fault.cause(), Cause::InvalidResponse | Cause::ResponseTooLarge), "{fault}");
    }
    let long = "x".repeat(1 << 20);
    let fault = fault(At::Observation, trailers(&[("grpc-status", "3"), ("grpc-message", &long)])).await;
    assert!(matches!(fault.cause(), Cause::InvalidResponse | Cause::ResponseTooLarge), "{fault}");
    assert!(fault.evidence().len() < 1024);
}

#[tokio::test]
async fn endless_frames_are_not_read() {
    let begun = || frame(HEADERS, 0, 1, GRPC_HEAD);
    let head = || frame(HEADERS, 4, 1, GRPC_HEAD);
    // A header line `a: b` that takes room in no table.
    let line = b"\x00\x01a\x01b";
    for (cause, once, forever) in [
        (Cause::ResponseTooLarge, vec![begun()], frame(CONTINUATION, 0, 1, line)),
        (Cause::ResponseTooLarge, vec![begun()], frame(CONTINUATION, 0, 1, &[])),
        (Cause::ResponseTooLarge, vec![head(), frame(HEADERS, 0, 1, line)], frame(CONTINUATION, 0, 1, line)),
        (Cause::ResponseTooLarge, vec![head()], frame(DATA, 0, 1, &[])),
        (Cause::InvalidResponse, vec![head()], frame(DATA, 0, 1, &[0xff])),
        (Cause::ResponseTooLarge, vec![head()], frame(PING, 0, 0, &[0; 8])),
        (Cause::ResponseTooLarge, vec![head()], frame(SETTINGS, 0, 0, &[])),
        (Cause::ResponseTooLarge, vec![head()], frame(UNKNOWN, 0, 0, &[0; 1000])),
    ] {
        let address = raw::framing(once, forever).await;
        let fault = fault_of(&transport(ACTION_TIMEOUT), &format!("grpc://{address}")).await;
        assert_eq!(fault.cause(), cause, "{fault}");
    }
}

#[tokio::test]
async fn a_status_is_kept_with_its_message() {
    let lines = [("grpc-status", "13"), ("grpc-message", "CUDA%20out%20of%20memory at 127.0.0.1")];
    for at in [At::Start, At::Observation] {
        let fault = fault(at, trailers(&lines)).await;
        assert_eq!(fault.cause(), Cause::HttpStatus);
        assert!(fault.evidence().contains("INTERNAL") && fault.evidence().contains("CUDA out of memory at [endpoint]"));
    }
    // The end in the head, as servers do that fail before they begin.
    let grpc = ("content-type", "application/grpc");
    let fault = fault(At::Start, head(200, &[grpc, ("grpc-status", "12"), ("grpc-message", "no such service")])).await;
    assert_eq!(fault.cause(), Cause::HttpStatus);
    assert!(fault.evidence().contains("UNIMPLEMENTED"), "{fault}");
}

#[tokio::test]
async fn an_answer_of_plain_http_is_told_by_its_status() {
    assert_eq!(fault(At::Start, head(404, &[("content-type", "text/html")])).await.cause(), Cause::HttpStatus);
    let elsewhere = [("location", "http://169.254.169.254/")];
    assert_eq!(fault(At::Start, head(307, &elsewhere)).await.cause(), Cause::Redirect);
}

#[tokio::test]
async fn a_stream_or_connection_that_ends_early_is_the_policys_fault() {
    for at in [At::Start, At::Observation] {
        for reply in [
            trailers(&[("grpc-status", "0")]),
            trailers(&[]),
            Reply::Reset(Reason::CANCEL),
            Reply::Reset(Reason::REFUSED_STREAM),
            Reply::GoAway(Reason::ENHANCE_YOUR_CALM),
            Reply::Close,
        ] {
            let fault = fault(at, reply).await;
            assert_eq!(fault.cause(), Cause::ConnectionClosed, "{fault}");
        }
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_reached_at_the_start_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let transport = transport(SHORT);
    let honest = Server::start(good).await;
    for url in [
        format!("grpc://{nobody}"),
        // Something accepts and says nothing.
        format!("grpc://{}", raw::answering(b"", false).await),
        // Something accepts and hangs up: a balancer with nothing behind it.
        format!("grpc://{}", raw::answering(b"", true).await),
        // No TLS where TLS was promised.
        honest.url().replace("grpc:", "grpcs:"),
    ] {
        let fault = fault_of(&transport, &url).await;
        assert_eq!(fault.cause(), Cause::PolicyUnreachable, "{fault}");
    }
}

#[tokio::test]
async fn what_speaks_no_http_2_is_invalid() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46 and more",
    ] {
        for hang_up in [false, true] {
            let address = raw::answering(bytes, hang_up).await;
            let fault = fault_of(&transport(ACTION_TIMEOUT), &format!("grpc://{address}")).await;
            assert_eq!(fault.cause(), Cause::InvalidResponse, "{fault}");
        }
    }
}

#[tokio::test]
async fn a_private_endpoint_is_not_connected_to() {
    let server = Server::start(good).await;
    let strict = Transport::new(TransportConfig {
        allow_private: false,
        connect_timeout: Duration::from_secs(5),
        action_timeout: ACTION_TIMEOUT,
    });
    let port = server.address.port();
    for url in [
        server.url(),
        format!("grpc://localhost:{port}"),
        format!("grpcs://127.0.0.1:{port}"),
        format!("grpc://[::ffff:127.0.0.1]:{port}"),
        format!("grpc://2130706433:{port}"),
    ] {
        assert_eq!(play(&strict, &url, 1).await.unwrap_err().cause(), Cause::EndpointRefused, "{url}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}
