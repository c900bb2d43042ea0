#![allow(clippy::unwrap_used)]

use kinitro_policy::TransportConfig;

use super::{
    policy_server::{Act, PolicyServer, STAY},
    *,
};

const EVAL_TIMEOUT: Duration = Duration::from_secs(4);

fn stage() -> Stage {
    let seconds = Duration::from_secs;
    Stage {
        transport: Transport::new(TransportConfig {
            allow_private: true,
            connect_timeout: seconds(30),
            action_timeout: seconds(30),
        }),
        simulator: Simulator::new(None).unwrap(),
        threads: SimulationThreads::start(1).unwrap(),
        eval_timeout: EVAL_TIMEOUT,
        longest_open: seconds(90),
        action_timeout: seconds(30),
        warm_ups: WarmUps::new(seconds(30)),
        quality: ImageQuality::Fast,
        randomisation: Randomisation::OFF,
    }
}

fn plan(endpoint: String, max_timesteps: u32) -> Plan {
    let env_id = "metaworld/reach-v3".parse().unwrap();
    Plan {
        env_id,
        seed: 1,
        endpoint: endpoint.parse().unwrap(),
        address: None,
        entrant: None,
        max_timesteps,
        images: false,
        task_uuid: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the simulation's thread is to be busy")]
async fn an_episode_that_waits_for_a_busy_executor_is_played_to_its_end() {
    let stage = stage();
    let policy = PolicyServer::start(|_, _| STAY).await;
    let plan = plan(policy.url(), 6);
    // Other episodes that want the only thread too.
    let busy = async {
        loop {
            stage.threads.run(|| std::thread::sleep(EVAL_TIMEOUT / 3)).await.0.unwrap();
        }
    };
    let report = tokio::select! {
        report = stage.play(&plan, || ()) => report,
        () = busy => unreachable!("it never ends"),
    };
    assert_eq!((report.cause, report.timesteps), (Cause::StepLimit, 6), "{report:?}");
    let (timing, limit) = (report.timing, EVAL_TIMEOUT.as_secs_f64());
    assert!(timing.total > limit && timing.policy < limit && timing.queue > limit / 3.0, "{report:?}");
    assert_eq!(report.calls.len(), 6, "those for actions");
    assert!(0.0 < timing.policy_p50 && timing.policy_p50 <= timing.policy_p99, "{timing:?}");
    assert!(timing.policy_p99 <= timing.policy_max && timing.policy_max < timing.policy, "{timing:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the simulation's thread is to be busy")]
async fn a_policy_that_is_slow_all_the_time_is_at_fault_however_busy_the_executor_is() {
    let stage = stage();
    let policy = PolicyServer::start(|_, _| Act::Sleep(EVAL_TIMEOUT / 4)).await;
    let plan = plan(policy.url(), 500);
    let busy = async {
        loop {
            stage.threads.run(|| std::thread::sleep(EVAL_TIMEOUT / 3)).await.0.unwrap();
        }
    };
    let report = tokio::select! {
        report = stage.play(&plan, || ()) => report,
        () = busy => unreachable!("it never ends"),
    };
    assert_eq!(report.cause, Cause::EpisodeTimeout, "{report:?}");
}

#[tokio::test]
async fn a_standstill_during_a_call_is_not_time_of_the_policy() {
    let stage = Stage { action_timeout: Duration::from_millis(1), longest_open: EVAL_TIMEOUT, ..stage() };
    let mut ledger = Ledger::default();
    let call = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(7)
    };
    assert_eq!(stage.asked(&mut ledger, call).await, (Ok(7), stage.action_timeout));
    assert_eq!(ledger.policy, stage.action_timeout);
}

#[tokio::test]
async fn a_policy_that_is_not_there_is_unreachable_however_short_its_time_for_the_episode_is() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "constants")]
    let seconds = Duration::from_secs_f64;
    let config = TransportConfig { allow_private: true, connect_timeout: seconds(0.3), action_timeout: seconds(0.3) };
    let stage = Stage {
        transport: Transport::new(config),
        eval_timeout: Duration::from_millis(100),
        longest_open: config.longest_call(),
        ..stage()
    };
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let report = stage.play(&plan(format!("http://{free}"), 1), || unreachable!("nobody is there")).await;
    assert_eq!(report.cause, Cause::PolicyUnreachable, "{report:?}");
    let report = stage.play(&plan(format!("http://{}", silent.local_addr().unwrap()), 1), || ()).await;
    assert_ne!(report.cause, Cause::EpisodeTimeout, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_before_a_fault_of_the_policy_are_hashed() {
    let stage = stage();
    let policy = PolicyServer::start(|number, _| if number < 3 { STAY } else { Act::Status(500) }).await;
    let fault = stage.play(&plan(policy.url(), 500), || ()).await;
    let honest = PolicyServer::start(|_, _| STAY).await;
    let whole = stage.play(&plan(honest.url(), 3), || ()).await;
    assert_eq!((fault.cause, whole.cause), (Cause::HttpStatus, Cause::StepLimit));
    assert_eq!((fault.timesteps, fault.trajectory_hash), (3, whole.trajectory_hash));
    let none = PolicyServer::start(|_, _| Act::Status(500)).await;
    assert_eq!(stage.play(&plan(none.url(), 3), || ()).await.trajectory_hash, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_whether_the_policy_may_have_seen_an_observation() {
    let stage = stage();
    let policy = PolicyServer::start(|_, _| Act::Status(500)).await;
    assert!(stage.play(&plan(policy.url(), 1), || ()).await.shown, "also when it answers nothing");
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(!stage.play(&plan(format!("http://{free}"), 1), || ()).await.shown);
}

#[test]
fn latencies_are_those_of_real_calls() {
    let hundred: Vec<f32> = (1..=100).rev().map(|n| n as f32).collect();
    assert_eq!(latencies(&hundred), [50.0, 99.0, 100.0]);
    assert_eq!(latencies(&[3.0, 1.0]), [1.0, 3.0, 3.0]);
    assert_eq!(latencies(&[]), [0.0; 3]);
}

#[test]
fn only_unstable_physics_is_the_end_of_an_episode_and_not_our_fault() {
    let fault = |outcome| simulated::<()>(outcome).unwrap_err();
    let unstable =
        SimError::Unstable { env_id: "metaworld/push-v3".parse().unwrap(), step: 17, warning: "mjWARN_BADQACC" };
    let unstable = fault(Ok(Err(unstable)));
    assert_eq!(unstable.cause(), Cause::PhysicsUnstable);
    assert!(unstable.evidence().contains("step 17") && unstable.evidence().contains("BADQACC"), "{unstable}");
    assert_eq!(fault(Ok(Err(SimError::Finished))).cause(), Cause::Simulator);
    assert_eq!(fault(Ok(Err(SimError::RendererGone))).cause(), Cause::Renderer);
    assert_eq!(fault(Err(Panicked("index".to_owned()))).cause(), Cause::Simulator);
}

fn entrant(mut plan: Plan) -> Plan {
    plan.entrant = Some(Entrant { cycle: 1, uid: 7 });
    plan
}

fn resets(policy: &PolicyServer) -> usize {
    policy.received.lock().unwrap().iter().filter(|received| received.path == "/reset").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_wakes_up_is_asked_again_from_the_beginning_and_plays() {
    for status in [502, 503, 504] {
        let policy = PolicyServer::start(move |number, _| if number < 2 { Act::Status(status) } else { STAY }).await;
        let report = stage().play(&entrant(plan(policy.url(), 3)), || ()).await;
        assert_eq!((report.cause, report.timesteps), (Cause::StepLimit, 3), "{report:?}");
        assert_eq!((resets(&policy), policy.acts(), report.calls.len()), (3, 5, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_answer_that_loads_the_model_is_waited_for_and_asked_for_again() {
    let limit = Duration::from_secs(3);
    let config = TransportConfig { allow_private: true, connect_timeout: 10 * limit, action_timeout: limit };
    let stage = Stage { transport: Transport::new(config), action_timeout: limit, ..stage() };
    let policy = PolicyServer::start(move |number, _| if number == 0 { Act::Sleep(2 * limit) } else { STAY }).await;
    let report = stage.play(&entrant(plan(policy.url(), 2)), || ()).await;
    assert_eq!((report.cause, report.timesteps), (Cause::StepLimit, 2), "{report:?}");
    assert_eq!((resets(&policy), report.calls.len()), (2, 2), "one question at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_does_not_wake_up_fails_and_is_not_waited_for_again_in_the_cycle() {
    let stage = Stage { warm_ups: WarmUps::new(3 * PAUSE), ..stage() };
    let policy = PolicyServer::start(|_, _| Act::Status(503)).await;
    let report = stage.play(&entrant(plan(policy.url(), 2)), || ()).await;
    assert_eq!(report.cause, Cause::HttpStatus, "{report:?}");
    let asked = policy.acts();
    assert!(asked > 1, "{asked}");
    let report = stage.play(&entrant(plan(policy.url(), 2)), || ()).await;
    assert_eq!((report.cause, policy.acts()), (Cause::HttpStatus, asked + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_never_answers_is_waited_for_once_in_the_cycle() {
    let limit = Duration::from_millis(300);
    let length = 10 * limit;
    let config = TransportConfig { allow_private: true, connect_timeout: 10 * limit, action_timeout: limit };
    let stage =
        Stage { transport: Transport::new(config), action_timeout: limit, warm_ups: WarmUps::new(length), ..stage() };
    let policy = PolicyServer::start(|_, _| Act::Sleep(Duration::from_secs(3600))).await;
    for _ in 0..2 {
        let report = stage.play(&entrant(plan(policy.url(), 2)), || ()).await;
        assert_eq!(report.cause, Cause::ActionTimeout, "{report:?}");
        assert_eq!(stage.warm_ups.share(Entrant { cycle: 1, uid: 7 }).map(|share| share.left()), None, "it is over");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_awake_is_not_waited_for() {
    let stage = stage();
    let policy = PolicyServer::start(|number, _| if number == 0 { STAY } else { Act::Status(503) }).await;
    for acts in [2, 3] {
        let report = stage.play(&entrant(plan(policy.url(), 5)), || ()).await;
        assert_eq!((report.cause, policy.acts()), (Cause::HttpStatus, acts), "{report:?}");
    }
    // Nor is one that answers something else.
    let policy = PolicyServer::start(|_, _| Act::Status(500)).await;
    let report =
        stage.play(&Plan { entrant: Some(Entrant { cycle: 2, uid: 7 }), ..plan(policy.url(), 5) }, || ()).await;
    assert_eq!((report.cause, policy.acts()), (Cause::HttpStatus, 1), "{report:?}");
}
