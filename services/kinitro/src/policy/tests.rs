//! The sample policies, asked as an executor asks them.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use clap::ValueEnum as _;
use kinitro_commitment::Endpoint;
use kinitro_policy::{
    Action, Fault, METAWORLD_ACTION, Observation, Policy as _, TaskConfig, Transport, TransportConfig,
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Kind, ServeOptions, serve};

/// `host:port` of a policy that is served until the guard is dropped.
async fn served(kind: Kind, chunk: u32) -> (String, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    tokio::spawn(serve(ServeOptions { kind, latency: Duration::ZERO, chunk }, listener, stop.clone()));
    (address.to_string(), stop.drop_guard())
}

fn transport() -> Transport {
    let patience = Duration::from_secs(30);
    Transport::new(TransportConfig { allow_private: true, connect_timeout: patience, action_timeout: patience })
}

/// The actions of an episode whose hand stays where it is, and how often the policy looked.
async fn play(transport: &Transport, endpoint: &str, steps: usize) -> Result<(Vec<Action>, usize), Fault> {
    let to = endpoint.parse::<Endpoint>()?.into();
    let mut policy = transport.open(to, METAWORLD_ACTION).await?;
    let task = TaskConfig {
        env_id: "metaworld/push-v3".to_owned(),
        env_name: "metaworld".to_owned(),
        task_name: "push-v3".to_owned(),
        policy_seed: 7,
        task_id: 9,
    };
    policy.reset(&task).await?;
    let seen = Observation { proprio: vec![("ee_pos", vec![0.0, 0.6, 0.2])], rgb: Vec::new() };
    let (mut actions, mut looks) = (Vec::new(), 0);
    for _ in 0..steps {
        looks += usize::from(policy.wants_observation());
        actions.push(policy.act(&seen).await?);
    }
    Ok((actions, looks))
}

#[tokio::test]
async fn every_sample_plays_the_same_over_either_protocol_and_in_chunks() {
    let transport = transport();
    for kind in Kind::value_variants() {
        let (single, _guard) = served(*kind, 1).await;
        let (chunked, _guard) = served(*kind, 5).await;
        let http = play(&transport, &format!("http://{single}"), 23).await.unwrap();
        let grpc = play(&transport, &format!("grpc://{single}"), 23).await.unwrap();
        let chunks = play(&transport, &format!("grpc://{chunked}"), 23).await.unwrap();
        assert_eq!((http.1, grpc.1, chunks.1), (23, 23, 5), "{kind:?}");
        assert!(http.0 == grpc.0 && http.0 == chunks.0, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_episodes_play_at_once_and_one_after_the_other() {
    let transport = std::sync::Arc::new(transport());
    let (address, _guard) = served(Kind::Random, 3).await;
    let (expected, _) = play(&transport, &format!("http://{address}"), 40).await.unwrap();
    for _ in 0..3 {
        let episodes: Vec<_> = (0..48)
            .map(|number| {
                let endpoint = format!("{}://{address}", if number % 2 == 0 { "grpc" } else { "http" });
                let transport = transport.clone();
                tokio::spawn(async move { play(&transport, &endpoint, 40).await })
            })
            .collect();
        for episode in episodes {
            assert_eq!(episode.await.unwrap().unwrap().0, expected);
        }
    }
}
