//! Connections that rest between episodes.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize},
    time::Instant,
};

use super::*;

/// Waits for something that happens behind an episode's back.
async fn eventually(what: &str, happened: impl Fn() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Until the goodbye of the last episode is over and its connection rests.
async fn rested(server: &Server, episodes: usize) {
    eventually("the stream ends", || server.ended.load(Ordering::SeqCst) == episodes).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn the_next_episode_uses_the_connection_again_and_each_stream_ends_as_it_should() {
    let server = Server::start(chunks_of(3)).await;
    let transport = transport(ACTION_TIMEOUT);
    let (begun, mut episodes) = (Instant::now(), 0);
    // A connection rests a moment after its stream ended, so an episode may come too early for it.
    while server.connections.load(Ordering::SeqCst) == episodes {
        assert!(begun.elapsed() < Duration::from_secs(30), "a new connection for each of {episodes} episodes");
        play(&transport, &server.url(), 4).await.unwrap();
        episodes += 1;
        rested(&server, episodes).await;
    }
}

#[tokio::test]
async fn two_episodes_at_once_have_a_connection_each() {
    let server = Server::start(good).await;
    let transport = transport(ACTION_TIMEOUT);
    let url = server.url();
    let (first, second) = tokio::join!(play(&transport, &url, 3), play(&transport, &url, 3));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_of_a_fault_is_closed() {
    let faulty = std::sync::Arc::new(AtomicBool::new(true));
    let now = faulty.clone();
    let server = Server::start(move |event| match event {
        Event::Observation(_) if now.load(Ordering::SeqCst) => Reply::Messages(vec![ready()]),
        _ => good(event),
    })
    .await;
    let transport = transport(ACTION_TIMEOUT);
    assert!(play(&transport, &server.url(), 1).await.is_err());
    eventually("the connection is closed", || server.open.load(Ordering::SeqCst) == 0).await;
    faulty.store(false, Ordering::SeqCst);
    assert!(play(&transport, &server.url(), 1).await.is_ok());
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_at_rest_is_nobodys_fault() {
    let server = Server::start(good).await;
    let port = server.address.port();
    let transport = transport(ACTION_TIMEOUT);
    play(&transport, &server.url(), 2).await.unwrap();
    rested(&server, 1).await;
    server.stop().await;
    let again = Server::start_at(port, good).await;
    assert!(play(&transport, &again.url(), 2).await.is_ok());
    assert_eq!(again.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_policy_that_hangs_up_before_the_episode_begins_is_connected_to_again() {
    let server = Server::start(good).await;
    let port = server.address.port();
    let mut policy = transport(ACTION_TIMEOUT).open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
    server.stop().await;
    let again = Server::start_at(port, good).await;
    // Until the end of the connection has been seen; what is sent before that is rightly a fault.
    tokio::time::sleep(Duration::from_millis(200)).await;
    policy.reset(&task()).await.unwrap();
    assert!(policy.act(&observation()).await.is_ok());
    assert_eq!(again.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_policy_that_hangs_up_and_is_gone_when_the_episode_begins_is_at_fault() {
    let server = Server::start(good).await;
    let mut policy = transport(ACTION_TIMEOUT).open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
    server.stop().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(policy.reset(&task()).await.unwrap_err().cause(), Cause::ConnectionClosed);
}

#[tokio::test]
async fn a_connection_at_rest_is_closed_in_time() {
    let server = Server::start(good).await;
    let transport = transport(ACTION_TIMEOUT);
    play(&transport, &server.url(), 1).await.unwrap();
    rested(&server, 1).await;
    assert_eq!(server.open.load(Ordering::SeqCst), 1);
    eventually("the connection is closed", || server.open.load(Ordering::SeqCst) == 0).await;
    assert!(play(&transport, &server.url(), 1).await.is_ok());
}

#[tokio::test]
async fn a_policy_that_drains_as_an_episode_begins_is_asked_on_a_fresh_connection() {
    let server = Server::start(good).await;
    let address = raw::draining(1, server.address, Duration::ZERO).await;
    play(&transport(ACTION_TIMEOUT), &format!("grpc://{address}"), 2).await.unwrap();

    let starts = AtomicUsize::new(0);
    let refusing = Server::start(move |event| match event {
        Event::Start(_) if starts.fetch_add(1, Ordering::SeqCst) == 0 => Reply::Refuse,
        _ => good(event),
    })
    .await;
    play(&transport(ACTION_TIMEOUT), &refusing.url(), 2).await.unwrap();
    assert_eq!(refusing.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_policy_that_drains_for_ever_is_at_fault() {
    let server = Server::start(good).await;
    let address = raw::draining(9, server.address, Duration::ZERO).await;
    let fault = fault_of(&transport(ACTION_TIMEOUT), &format!("grpc://{address}")).await;
    assert_eq!(fault.cause(), Cause::ConnectionClosed, "{fault}");

    let refusing = Server::start(|_| Reply::Refuse).await;
    let fault = fault_of(&transport(ACTION_TIMEOUT), &refusing.url()).await;
    assert_eq!(fault.cause(), Cause::ConnectionClosed, "{fault}");
    assert_eq!(refusing.events.lock().unwrap().len(), 2, "once more and not again");
}

#[tokio::test]
async fn the_time_for_ready_begins_on_a_connection_that_stands() {
    let server = Server::start(|event| match event {
        Event::Start(_) => Reply::Late(Duration::from_millis(1200), ready()),
        _ => good(event),
    })
    .await;
    // Together more than the action timeout; each for itself less.
    let address = raw::draining(1, server.address, Duration::from_millis(1200)).await;
    play(&transport(Duration::from_secs(2)), &format!("grpc://{address}"), 2).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_waited_for_its_episode_is_proved_again() {
    let server = Server::start(good).await;
    let port = server.address.port();
    let mut policy = transport(ACTION_TIMEOUT).open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
    server.stop().await;
    let again = Server::start_at(port, good).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    policy.ensure_connected().await.unwrap();
    assert_eq!(again.connections.load(Ordering::SeqCst), 1, "before the episode's time begins");
    policy.reset(&task()).await.unwrap();
    assert!(policy.act(&observation()).await.is_ok());
}

#[tokio::test]
async fn a_policy_that_went_away_while_its_episode_waited_is_at_fault_however_often_it_is_looked_for() {
    let server = Server::start(good).await;
    let mut policy = transport(ACTION_TIMEOUT).open(at(&server.url()), METAWORLD_ACTION).await.unwrap();
    server.stop().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    for _ in 0..3 {
        assert_eq!(policy.ensure_connected().await.unwrap_err().cause(), Cause::ConnectionClosed);
    }
    assert_eq!(policy.reset(&task()).await.unwrap_err().cause(), Cause::ConnectionClosed);
}
