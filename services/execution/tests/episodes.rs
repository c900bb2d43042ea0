//! Episodes in the real simulator against policies over real HTTP, on demand.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use kinitro_domain::CATALOGUE;
use kinitro_proto::execution::v1::{EpisodeResult, ListEnvironmentsRequest, RunEpisodeRequest};
use kinitro_proto::policy::v1::{
    Action, ActionChunk, EpisodeEvent, EpisodeReady, PolicyReply, Values,
    episode_event::Event,
    policy_reply::Reply,
    policy_service_server::{PolicyService, PolicyServiceServer},
};
use support::{
    ENVIRONMENTS, Executor, free_address,
    policy::{Act, PolicyServer, STAY},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Code, Status, Streaming};

async fn run(executor: &Executor, env_id: &str, seed: u64, endpoint: &str) -> Result<EpisodeResult, Status> {
    let request =
        RunEpisodeRequest { env_id: env_id.to_owned(), seed, endpoint: endpoint.to_owned(), ..Default::default() };
    executor.client.clone().run_episode(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_environment_of_the_catalogue_is_played() {
    let executor = Executor::alone(|_| {}).await;
    let policy = PolicyServer::start(|number, _| Act::Move([0.3, 0.5, -0.2, 0.0, 0.0, number as f64], 1.0)).await;
    let offered = executor.client.clone().list_environments(ListEnvironmentsRequest {}).await.unwrap().into_inner();
    let offered: Vec<_> = offered.environments.into_iter().map(|environment| environment.env_id).collect();
    assert_eq!(offered, CATALOGUE.iter().map(|entry| entry.id).collect::<Vec<_>>());

    for env_id in offered {
        let first = run(&executor, &env_id, 1, &policy.url()).await.unwrap();
        assert_eq!((first.verdict.as_str(), first.cause.as_str()), ("failure", "step_limit"), "{first:?}");
        assert_eq!(first.timesteps, 10);
        assert!(first.total_reward.is_finite() && first.evidence.is_empty());
        assert_eq!(first.trajectory_hash.len(), 64);
        let timing = first.timing.unwrap();
        assert!(timing.policy_seconds > 0.0 && timing.simulation_seconds > 0.0);
        assert!(timing.total_seconds >= timing.policy_seconds + timing.simulation_seconds + timing.queue_seconds);
        assert!(0.0 < timing.policy_p50_seconds && timing.policy_p50_seconds <= timing.policy_p99_seconds);
        assert!(timing.policy_p99_seconds <= timing.policy_max_seconds);

        let again = run(&executor, &env_id, 1, &policy.url()).await.unwrap();
        assert_eq!(again.trajectory_hash, first.trajectory_hash);
        let other = run(&executor, &env_id, 2, &policy.url()).await.unwrap();
        assert_ne!(other.trajectory_hash, first.trajectory_hash);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_sent_when_they_are_on() {
    let executor = Executor::alone(|config| {
        config.use_images = true;
        config.max_timesteps = 2;
    })
    .await;
    let policy = PolicyServer::start(|_, _| STAY).await;
    let result = run(&executor, "metaworld/push-v3", 1, &policy.url()).await.unwrap();
    assert_eq!(result.cause, "step_limit", "{}", result.evidence);
    assert!(result.timing.unwrap().render_seconds > 0.0);
    let received = policy.received.lock().unwrap();
    let acts: Vec<_> = received.iter().filter(|received| received.path == "/act").collect();
    assert_eq!(acts.len(), 2);
    for act in acts {
        let body = act.json();
        let rgb = body["obs"]["rgb"].as_object().unwrap();
        assert_eq!(rgb.keys().collect::<Vec<_>>(), ["corner", "corner2"]);
        for image in rgb.values() {
            assert_eq!((&image["shape"], &image["dtype"]), (&serde_json::json!([84, 84, 3]), &"uint8".into()));
            assert_eq!(image["data"].as_str().unwrap().len(), 84 * 84 * 3 * 4 / 3);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_reaches_its_goal_succeeds() {
    let executor = Executor::alone(|config| config.max_timesteps = 500).await;
    // Down to the height of the drawer's handle where the hand starts, then forward.
    let policy = PolicyServer::start(|_, body| {
        let height = body["obs"]["proprio"]["ee_pos"][2].as_f64().unwrap();
        let down = ((0.09 - height) * 100.0).clamp(-1.0, 1.0);
        Act::Move([0.0, if down > -0.5 { 1.0 } else { -1.0 }, down, 0.0, 0.0, 0.0], 1.0)
    })
    .await;
    let mut verdicts = Vec::new();
    for seed in 0..10 {
        let result = run(&executor, "metaworld/drawer-close-v3", seed, &policy.url()).await.unwrap();
        if result.success {
            assert_eq!((result.verdict.as_str(), result.cause.as_str()), ("success", "environment"));
            assert!(result.timesteps < 500);
            return;
        }
        verdicts.push(result);
    }
    panic!("a blind push closes no drawer: {verdicts:?}");
}

/// Stays where it is, four steps at a time, and notes when it was asked.
struct Chunks(mpsc::UnboundedSender<u32>);

#[tonic::async_trait]
impl PolicyService for Chunks {
    type PlayStream = ReceiverStream<Result<PolicyReply, Status>>;

    async fn play(
        &self,
        request: tonic::Request<Streaming<EpisodeEvent>>,
    ) -> Result<tonic::Response<Self::PlayStream>, Status> {
        let (sender, replies) = mpsc::channel(1);
        let (mut events, asked) = (request.into_inner(), self.0.clone());
        tokio::spawn(async move {
            while let Ok(Some(event)) = events.message().await {
                let reply = match event.event.unwrap() {
                    Event::Start(_) => Reply::Ready(EpisodeReady {}),
                    Event::Observation(observation) => {
                        asked.send(observation.step).unwrap();
                        let zeros = |count| Values { values: vec![0.0; count] };
                        let continuous = [("ee_twist".to_owned(), zeros(6)), ("gripper".to_owned(), zeros(1))];
                        let action = Action { continuous: continuous.into() };
                        Reply::Actions(ActionChunk { step: observation.step, actions: vec![action; 4] })
                    }
                };
                if sender.send(Ok(PolicyReply { reply: Some(reply) })).await.is_err() {
                    return;
                }
            }
        });
        Ok(tonic::Response::new(ReceiverStream::new(replies)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_says_several_steps_at_once_is_asked_less_and_plays_the_same_episode() {
    let executor = Executor::alone(|_| {}).await;
    #[expect(clippy::disallowed_methods, reason = "one message a question of one episode")]
    let (sender, mut asked) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("grpc://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder().add_service(PolicyServiceServer::new(Chunks(sender)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let chunks = run(&executor, "metaworld/push-v3", 7, &endpoint).await.unwrap();
    assert_eq!((chunks.cause.as_str(), chunks.timesteps), ("step_limit", 10), "{chunks:?}");
    let steps: Vec<u32> = std::iter::from_fn(|| asked.try_recv().ok()).collect();
    assert_eq!(steps, [0, 4, 8]);

    let single = PolicyServer::start(|_, _| STAY).await;
    let single = run(&executor, "metaworld/push-v3", 7, &single.url()).await.unwrap();
    assert_eq!(chunks.trajectory_hash, single.trajectory_hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_misbehaviour_has_its_verdict_and_cause_and_the_executor_goes_on() {
    let executor = Executor::alone(|_| {}).await;
    let hasty = Executor::alone(|config| config.action_timeout = 1.0).await;
    let honest = PolicyServer::start(|_, _| STAY).await;
    let action =
        |twist: &str| Act::Body(format!(r#"{{"action":{{"continuous":{{"ee_twist":{twist},"gripper":0}}}}}}"#));
    let cases = [
        ("action_timeout", Act::Sleep(Duration::from_secs(30)), &hasty),
        ("action_timeout", Act::Hang, &hasty),
        ("action_not_finite", action("[NaN,0,0,0,0,0]"), &executor),
        ("action_shape", action("[0,0,0]"), &executor),
        ("response_too_large", Act::Huge(100 << 20), &executor),
        ("redirect", Act::Redirect(format!("{}/act", honest.url())), &executor),
        ("invalid_response", Act::Body("<html>".to_owned()), &executor),
        ("connection_closed", Act::Break, &executor),
        ("http_status", Act::Status(500), &executor),
    ];
    for (cause, misbehaviour, executor) in cases {
        // Three good answers first.
        let policy = PolicyServer::start(move |number, _| if number < 3 { STAY } else { misbehaviour.clone() }).await;
        let result = run(executor, "metaworld/reach-v3", 1, &policy.url()).await.unwrap();
        assert_eq!((result.verdict.as_str(), result.cause.as_str()), ("policy_fault", cause), "{}", result.evidence);
        assert_eq!((result.success, result.timesteps), (false, 3));
        assert!(!result.evidence.is_empty() && result.evidence.len() <= 4096);
        let next = run(executor, "metaworld/reach-v3", 1, &honest.url()).await.unwrap();
        assert_eq!((next.verdict.as_str(), next.timesteps), ("failure", 10), "after {cause}");
    }
    assert_eq!(honest.acts(), 9 * 10, "the redirect led nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_not_there_is_nobodys_failure() {
    let executor = Executor::alone(|_| {}).await;
    let result = run(&executor, "metaworld/reach-v3", 1, &format!("http://{}", free_address().await)).await.unwrap();
    assert_eq!((result.verdict.as_str(), result.cause.as_str()), ("infrastructure_fault", "policy_unreachable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_uses_up_the_episodes_time_is_at_fault() {
    let executor = Executor::alone(|config| {
        config.action_timeout = 2.0;
        config.eval_timeout = 3.0;
        config.max_timesteps = 500;
    })
    .await;
    let policy = PolicyServer::start(|_, _| Act::Sleep(Duration::from_millis(400))).await;
    let result = run(&executor, "metaworld/reach-v3", 1, &policy.url()).await.unwrap();
    assert_eq!((result.verdict.as_str(), result.cause.as_str()), ("policy_fault", "episode_timeout"), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_refused_by_name() {
    let executor = Executor::alone(|config| {
        config.allow_private_endpoints = false;
        config.default_max_concurrent = 1;
    })
    .await;
    let policy = PolicyServer::start(|_, _| STAY).await;
    for (env_id, endpoint, field) in [
        ("metaworld/no-such-v3", policy.url(), "env_id"),
        ("push", policy.url(), "env_id"),
        ("metaworld/push-v3", "file:///etc/passwd".to_owned(), "endpoint"),
        ("metaworld/push-v3", policy.url(), "endpoint"),
    ] {
        let status = run(&executor, env_id, 1, &endpoint).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(field), "{status:?}");
    }
    assert!(policy.received.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_without_a_free_slot_is_refused() {
    let executor = Executor::alone(|config| config.default_max_concurrent = 1).await;
    let policy = PolicyServer::start(|_, _| Act::Hang).await;
    let (client, url) = (executor.client.clone(), policy.url());
    let request = RunEpisodeRequest { env_id: ENVIRONMENTS[0].to_owned(), endpoint: url, ..Default::default() };
    let first = tokio::spawn({
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.run_episode(request).await }
    });
    support::until("the first episode to play", || policy.acts() == 1).await;
    assert_eq!(client.clone().run_episode(request.clone()).await.unwrap_err().code(), Code::ResourceExhausted);
    // The caller goes away, and with it its episode.
    first.abort();
    let honest = PolicyServer::start(|_, _| STAY).await;
    let request = RunEpisodeRequest { endpoint: honest.url(), ..request };
    let mut tries = 0;
    let result = loop {
        match client.clone().run_episode(request.clone()).await {
            Err(status) if status.code() == Code::ResourceExhausted && tries < 500 => tries += 1,
            other => break other,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(result.unwrap().into_inner().timesteps, 10);
}
