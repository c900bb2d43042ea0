//! One episode, from an endpoint and a seed to a report with exactly one cause.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use kinitro_domain::{Cause, EnvId};
use kinitro_policy::{Fault, HttpTransport, Observation, Policy};
use kinitro_sim::{Episode, EpisodeOptions, SimError, Simulator};
use tokio::time::timeout;

use crate::{
    dialogue,
    simulation::{Panicked, SimulationThreads},
    telemetry,
};

/// What is played.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) env_id: EnvId,
    pub(crate) seed: u64,
    pub(crate) endpoint: String,
    pub(crate) max_timesteps: u32,
    pub(crate) images: bool,
}

/// What became of it.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) cause: Cause,
    /// Empty when there is nothing to say beyond the cause.
    pub(crate) evidence: String,
    pub(crate) total_reward: f64,
    pub(crate) timesteps: u32,
    /// Of the steps that were made; empty when none was.
    pub(crate) trajectory_hash: String,
    pub(crate) timing: Timing,
}

/// Where the time went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timing {
    pub(crate) total: Duration,
    pub(crate) policy: Duration,
    pub(crate) simulation: Duration,
    pub(crate) render: Duration,
}

/// What episodes are played with.
pub(crate) struct Stage {
    pub(crate) transport: HttpTransport,
    pub(crate) simulator: Simulator,
    pub(crate) threads: SimulationThreads,
    /// What the policy may take over an episode as a whole; and what a single step may take on our side.
    pub(crate) eval_timeout: Duration,
    /// The longest that one call of a policy may take. What a call took beyond that, this process stood still.
    pub(crate) longest_call: Duration,
}

/// What is known of an episode while it plays; it outlives the play when that is cut short.
#[derive(Default)]
struct Ledger {
    total_reward: f64,
    timesteps: u32,
    trajectory_hash: String,
    timing: Timing,
}

impl Stage {
    /// Plays an episode to its end. Never fails: what goes wrong is the report's cause.
    pub(crate) async fn play(&self, plan: &Plan) -> Report {
        let begun = Instant::now();
        let mut ledger = Ledger::default();
        let ended = self.run(plan, &mut ledger).await;
        ledger.timing.total = begun.elapsed();
        let (cause, evidence) = match ended {
            Ok(cause) => (cause, String::new()),
            Err(fault) => (fault.cause(), fault.evidence().to_owned()),
        };
        let Ledger { total_reward, timesteps, trajectory_hash, timing, .. } = ledger;
        telemetry::episode(cause, timing.total);
        telemetry::steps(&plan.env_id, timesteps);
        Report { cause, evidence, total_reward, timesteps, trajectory_hash, timing }
    }

    async fn run(&self, plan: &Plan, ledger: &mut Ledger) -> Result<Cause, Fault> {
        // First the policy: a simulation that nobody plays would be a waste.
        let mut policy = self.asked(ledger, self.transport.open(&plan.endpoint, dialogue::ACTION)).await?;

        let (episode, observation) = self.start(plan, ledger).await?;
        let task = dialogue::task_config(&plan.env_id);
        self.asked(ledger, policy.reset(&task)).await?;
        self.steps(&mut policy, episode, observation, ledger).await
    }

    /// Waits for the policy, within what is left of its time in this episode.
    ///
    /// Its time is its own: what the simulation takes, or the wait for a thread when many episodes play, is not on its account.
    /// One limit for both would let a policy on a busy executor answer just slowly enough that hard scenes end undecided.
    async fn asked<T>(&self, ledger: &mut Ledger, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let mut call = pin!(call);
        loop {
            let left = self.eval_timeout.saturating_sub(ledger.timing.policy);
            let begun = Instant::now();
            let answer = timeout(left, call.as_mut()).await;
            ledger.answered(begun.elapsed().min(self.longest_call));
            if let Ok(answer) = answer {
                return answer;
            }
            // Else this process stood still for longer than any call may take, and the timer fired over that.
            if ledger.timing.policy >= self.eval_timeout {
                let (steps, limit) = (ledger.timesteps, self.eval_timeout);
                let what = format!("the policy used up the {limit:?} that it has for an episode, after {steps} steps");
                return Err(Fault::new(Cause::EpisodeTimeout, what));
            }
        }
    }

    /// Waits for a simulation job.
    async fn simulated<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, SimError> + Send + 'static,
    ) -> Result<T, Fault> {
        timeout(self.eval_timeout, self.threads.run(job)).await.map_or_else(
            |_| {
                Err(Fault::new(Cause::Executor, format!("a single step took longer than {:?} here", self.eval_timeout)))
            },
            simulated,
        )
    }

    async fn start(&self, plan: &Plan, ledger: &mut Ledger) -> Result<(Episode, Observation), Fault> {
        let options = EpisodeOptions { max_timesteps: plan.max_timesteps, images: plan.images };
        let (simulator, env_id, seed) = (self.simulator.clone(), plan.env_id.clone(), plan.seed);
        let started = self
            .simulated(move || {
                let begun = Instant::now();
                let mut episode = simulator.start(&env_id, seed, options)?;
                let simulated = begun.elapsed();
                let observation = episode.observe()?;
                Ok((episode, observation, simulated, begun.elapsed() - simulated))
            })
            .await;
        let (episode, observation, simulation, render) = started?;
        ledger.timing.simulation += simulation;
        ledger.timing.render += render;
        Ok((episode, dialogue::observation(observation)))
    }

    async fn steps(
        &self,
        policy: &mut impl Policy,
        mut episode: Episode,
        mut observation: Observation,
        ledger: &mut Ledger,
    ) -> Result<Cause, Fault> {
        loop {
            let answer = self.asked(ledger, policy.act(&observation)).await?;
            let action = dialogue::action(&answer).map_err(|why| Fault::new(Cause::ActionShape, why))?;
            let stepped = self
                .simulated(move || {
                    let begun = Instant::now();
                    let outcome = episode.step(&action)?;
                    let simulated = begun.elapsed();
                    let next = if outcome.finished { None } else { Some(episode.observe()?) };
                    Ok((episode, outcome, next, simulated, begun.elapsed() - simulated))
                })
                .await;
            let (played, outcome, next, simulation, render) = stepped?;
            ledger.timing.simulation += simulation;
            ledger.timing.render += render;
            ledger.timesteps += 1;
            ledger.total_reward += outcome.reward;
            match next {
                Some(seen) => (episode, observation) = (played, dialogue::observation(seen)),
                None => {
                    ledger.trajectory_hash = played.trajectory_hash();
                    return Ok(if outcome.success { Cause::Environment } else { Cause::StepLimit });
                }
            }
        }
    }
}

/// The faults of a simulation job, which are all ours.
fn simulated<T>(outcome: Result<Result<T, SimError>, Panicked>) -> Result<T, Fault> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let cause = match &error {
                SimError::Graphics { .. } | SimError::RendererGone | SimError::RendererThread(_) => Cause::Renderer,
                _ => Cause::Simulator,
            };
            tracing::error!(%error, "the simulation failed");
            Err(Fault::new(cause, error.to_string()))
        }
        Err(Panicked(message)) => {
            tracing::error!(message, "the simulation panicked");
            Err(Fault::new(Cause::Simulator, format!("the simulation panicked: {message}")))
        }
    }
}

impl Ledger {
    fn answered(&mut self, took: Duration) {
        self.timing.policy += took;
        telemetry::policy_call(took);
    }
}

#[cfg(test)]
#[path = "../tests/support/policy.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests of whole executors")]
mod policy_server;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kinitro_policy::HttpConfig;

    use super::{
        policy_server::{Act, PolicyServer, STAY},
        *,
    };

    const EVAL_TIMEOUT: Duration = Duration::from_secs(4);

    fn stage() -> Stage {
        let seconds = Duration::from_secs;
        Stage {
            transport: HttpTransport::new(HttpConfig {
                allow_private: true,
                connect_timeout: seconds(30),
                action_timeout: seconds(30),
            }),
            simulator: Simulator::new(None).unwrap(),
            threads: SimulationThreads::start(1).unwrap(),
            eval_timeout: EVAL_TIMEOUT,
            longest_call: seconds(90),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_episode_that_waits_for_a_busy_executor_is_played_to_its_end() {
        let stage = stage();
        let policy = PolicyServer::start(|_, _| STAY).await;
        let env_id = "metaworld/reach-v3".parse().unwrap();
        let plan = Plan { env_id, seed: 1, endpoint: policy.url(), max_timesteps: 6, images: false };
        // Other episodes that want the only thread too.
        let busy = async {
            loop {
                stage.threads.run(|| std::thread::sleep(EVAL_TIMEOUT / 3)).await.unwrap();
            }
        };
        let report = tokio::select! {
            report = stage.play(&plan) => report,
            () = busy => unreachable!("it never ends"),
        };
        assert_eq!((report.cause, report.timesteps), (Cause::StepLimit, 6), "{report:?}");
        assert!(report.timing.total > EVAL_TIMEOUT && report.timing.policy < EVAL_TIMEOUT, "{report:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_policy_that_is_slow_all_the_time_is_at_fault_however_busy_the_executor_is() {
        let stage = stage();
        let policy = PolicyServer::start(|_, _| Act::Sleep(EVAL_TIMEOUT / 4)).await;
        let env_id = "metaworld/reach-v3".parse().unwrap();
        let plan = Plan { env_id, seed: 1, endpoint: policy.url(), max_timesteps: 500, images: false };
        let busy = async {
            loop {
                stage.threads.run(|| std::thread::sleep(EVAL_TIMEOUT / 3)).await.unwrap();
            }
        };
        let report = tokio::select! {
            report = stage.play(&plan) => report,
            () = busy => unreachable!("it never ends"),
        };
        assert_eq!(report.cause, Cause::EpisodeTimeout, "{report:?}");
    }

    #[tokio::test]
    async fn a_standstill_during_a_call_is_not_time_of_the_policy() {
        let stage = Stage { longest_call: Duration::from_millis(1), ..stage() };
        let mut ledger = Ledger::default();
        let call = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(7)
        };
        assert_eq!(stage.asked(&mut ledger, call).await, Ok(7));
        assert_eq!(ledger.timing.policy, stage.longest_call);
    }

    #[test]
    fn what_the_simulator_says_is_never_the_policys_fault() {
        let unstable = SimError::Finished;
        assert_eq!(simulated::<()>(Ok(Err(unstable))).map_err(|fault| fault.cause()), Err(Cause::Simulator));
        assert_eq!(
            simulated::<()>(Ok(Err(SimError::RendererGone))).map_err(|fault| fault.cause()),
            Err(Cause::Renderer)
        );
        let panicked = simulated::<()>(Err(Panicked("index".to_owned()))).map_err(|fault| fault.cause());
        assert_eq!(panicked, Err(Cause::Simulator));
    }
}
