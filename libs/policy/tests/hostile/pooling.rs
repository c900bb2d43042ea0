//! Connections that rest between episodes.

use std::sync::atomic::AtomicUsize;

use super::*;

/// A policy as it should be, but for the second `/health`, which is the first question on a connection that rested.
async fn odd_at_the_second_health(reply: Reply) -> Server {
    let asked = AtomicUsize::new(0);
    Server::start(move |path| {
        if path == "/health" && asked.fetch_add(1, Ordering::SeqCst) == 1 { reply.clone() } else { good(path) }
    })
    .await
}

#[tokio::test]
async fn the_next_episode_uses_the_connection_again_under_an_id_of_its_own() {
    let server = Server::start(good).await;
    let transport = transport(ACTION_TIMEOUT);
    for _ in 0..4 {
        play(&transport, &server.url(), 3).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let requests = server.requests.lock().unwrap();
    let ids: std::collections::BTreeSet<_> =
        requests.iter().filter_map(|(head, _)| head.lines().find(|line| line.starts_with("x-episode-id: "))).collect();
    assert_eq!((requests.len(), ids.len()), (20, 4));
}

/// However the answers are cut into packets, and however soon the next question follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_of_a_server_that_never_closes_take_one_connection() {
    let server = Server::start(|path| match good(path) {
        Reply::Json(text) => Reply::InTwo(text),
        other => other,
    })
    .await;
    play(&transport(ACTION_TIMEOUT), &server.url(), 1000).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_fresh_connection_is_made_only_after_the_server_closed_one() {
    let acts = AtomicUsize::new(0);
    let server = Server::start(move |path| match (path, good(path)) {
        ("/act", Reply::Json(text)) if acts.fetch_add(1, Ordering::SeqCst) % 100 == 99 => Reply::JsonAndClose(text),
        (_, reply) => reply,
    })
    .await;
    let mut policy = transport(ACTION_TIMEOUT).open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
    policy.reset(&task()).await.unwrap();
    for call in 1..=500 {
        policy.act(&observation()).await.unwrap();
        if call % 100 == 0 {
            // Until the end of the connection has been seen; what is sent before that is rightly a fault.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn two_episodes_at_once_have_a_connection_each() {
    let server = Server::start(good).await;
    let transport = transport(ACTION_TIMEOUT);
    let url = server.url();
    for _ in 0..3 {
        let (first, second) = tokio::join!(play(&transport, &url, 3), play(&transport, &url, 3));
        assert!(first.is_ok() && second.is_ok());
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_at_rest_belongs_to_its_endpoint() {
    let server = Server::start(good).await;
    let transport = transport(ACTION_TIMEOUT);
    play(&transport, &server.url(), 1).await.unwrap();
    play(&transport, &server.url().replace("127.0.0.1", "localhost"), 1).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_at_rest_is_nobodys_fault() {
    // With the last answer.
    let server = Server::start(|path| match (path, good(path)) {
        ("/act", Reply::Json(text)) => Reply::JsonAndClose(text),
        (_, reply) => reply,
    })
    .await;
    let transport = transport(ACTION_TIMEOUT);
    for _ in 0..3 {
        play(&transport, &server.url(), 1).await.unwrap();
    }
    // When it is used again.
    let server = odd_at_the_second_health(Reply::Close).await;
    for _ in 0..3 {
        play(&transport, &server.url(), 1).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_that_went_bad_at_rest_is_nobodys_fault() {
    let transport = transport(SHORT);
    for reply in [Reply::Silence, Reply::Raw(b"no HTTP\r\n\r\n".to_vec())] {
        let server = odd_at_the_second_health(reply).await;
        for _ in 0..3 {
            play(&transport, &server.url(), 1).await.unwrap();
        }
        assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_policy_that_went_away_while_its_connection_rested_is_unreachable() {
    let health = AtomicUsize::new(0);
    let server = Server::start(move |path| {
        if path == "/health" && health.fetch_add(1, Ordering::SeqCst) > 0 { Reply::Close } else { good(path) }
    })
    .await;
    let transport = transport(ACTION_TIMEOUT);
    play(&transport, &server.url(), 1).await.unwrap();
    assert_eq!(play(&transport, &server.url(), 1).await.unwrap_err().cause(), Cause::PolicyUnreachable);
}

#[tokio::test]
async fn a_connection_of_a_fault_is_not_used_again() {
    let acts = AtomicUsize::new(0);
    let server = Server::start(move |path| match path {
        "/act" if acts.fetch_add(1, Ordering::SeqCst) == 0 => Reply::Json("{}".to_owned()),
        _ => good(path),
    })
    .await;
    let transport = transport(ACTION_TIMEOUT);
    assert!(play(&transport, &server.url(), 1).await.is_err());
    assert!(play(&transport, &server.url(), 1).await.is_ok());
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_answer_that_nobody_waited_for_does_not_meet_the_next_episode() {
    let late = AtomicUsize::new(0);
    let server = Server::start(move |path| match (path, good(path)) {
        ("/act", Reply::Json(text)) if late.fetch_add(1, Ordering::SeqCst) == 1 => {
            Reply::Late(Duration::from_millis(300), text)
        }
        (_, reply) => reply,
    })
    .await;
    let transport = transport(ACTION_TIMEOUT);
    let mut policy = transport.open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
    policy.reset(&task()).await.unwrap();
    policy.act(&observation()).await.unwrap();
    // The executor gives the episode up in the middle of a call.
    assert!(tokio::time::timeout(Duration::from_millis(50), policy.act(&observation())).await.is_err());
    drop(policy);
    assert!(play(&transport, &server.url(), 1).await.is_ok());
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

/// More than a connection rests without being asked whether it stands.
const LONG_REST: Duration = Duration::from_millis(4200);

#[tokio::test]
async fn a_rest_within_an_episode_is_not_on_the_policys_account() {
    // A connection takes longer to be made than an answer may take, and is hung up on while the executor is busy.
    let habits = Habits { first: Duration::from_millis(1500), keep_alive: Duration::from_secs(3) };
    let server = Server::start_with(habits, good).await;
    let mut policy = transport(SHORT).open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
    tokio::time::sleep(LONG_REST).await;
    policy.reset(&task()).await.unwrap();
    policy.act(&observation()).await.unwrap();
    tokio::time::sleep(LONG_REST).await;
    policy.act(&observation()).await.unwrap();
    tokio::time::sleep(LONG_REST).await;
    policy.ensure_connected().await.unwrap();
    policy.act(&observation()).await.unwrap();
    let asked = server.requests.lock().unwrap();
    let acts = asked.iter().filter(|(head, _)| head.starts_with("POST /act")).count();
    assert_eq!(acts, 3);
}

#[tokio::test]
async fn a_connection_that_still_stands_after_a_rest_within_an_episode_is_kept() {
    let server = Server::start(good).await;
    let mut policy = transport(ACTION_TIMEOUT).open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
    policy.reset(&task()).await.unwrap();
    tokio::time::sleep(LONG_REST).await;
    policy.act(&observation()).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_policy_that_went_away_within_an_episode_is_at_fault() {
    for gone in [Reply::Close, Reply::Silence] {
        let healths = AtomicUsize::new(0);
        let server = Server::start(move |path| match path {
            "/health" if healths.fetch_add(1, Ordering::SeqCst) > 0 => gone.clone(),
            path => good(path),
        })
        .await;
        let config =
            TransportConfig { allow_private: true, connect_timeout: SHORT, action_timeout: Duration::from_millis(500) };
        let mut policy = HttpTransport::new(config).open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
        policy.reset(&task()).await.unwrap();
        tokio::time::sleep(LONG_REST).await;
        assert_eq!(policy.act(&observation()).await.unwrap_err().cause(), Cause::ConnectionClosed);
    }
}
