//! One episode, from an endpoint and a seed to a report with exactly one cause.

use std::time::{Duration, Instant};

use kinitro_domain::{Cause, EnvId};
use kinitro_policy::{Fault, HttpTransport, Observation, Policy};
use kinitro_sim::{Episode, EpisodeOptions, SimError, Simulator};

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
    pub(crate) eval_timeout: Duration,
}

/// What is known of an episode while it plays; it outlives the play when that is cut short.
#[derive(Default)]
struct Ledger {
    total_reward: f64,
    timesteps: u32,
    trajectory_hash: String,
    timing: Timing,
    /// Since when the policy has been asked and has not answered.
    asked: Option<Instant>,
}

impl Stage {
    /// Plays an episode to its end. Never fails: what goes wrong is the report's cause.
    pub(crate) async fn play(&self, plan: &Plan) -> Report {
        let begun = Instant::now();
        let mut ledger = Ledger::default();
        let ended = tokio::time::timeout(self.eval_timeout, self.run(plan, &mut ledger)).await;
        ledger.answered();
        ledger.timing.total = begun.elapsed();
        let (cause, evidence) = match ended {
            Ok(Ok(cause)) => (cause, String::new()),
            Ok(Err(fault)) => (fault.cause(), fault.evidence().to_owned()),
            Err(_) => ledger.out_of_time(self.eval_timeout),
        };
        let Ledger { total_reward, timesteps, trajectory_hash, timing, .. } = ledger;
        telemetry::episode(cause, timing.total);
        telemetry::steps(&plan.env_id, timesteps);
        Report { cause, evidence, total_reward, timesteps, trajectory_hash, timing }
    }

    async fn run(&self, plan: &Plan, ledger: &mut Ledger) -> Result<Cause, Fault> {
        // First the policy: a simulation that nobody plays would be a waste.
        ledger.ask();
        let opened = self.transport.open(&plan.endpoint, dialogue::ACTION).await;
        ledger.answered();
        let mut policy = opened?;

        let (episode, observation) = self.start(plan, ledger).await?;
        let task = dialogue::task_config(&plan.env_id);
        ledger.ask();
        let begun = policy.reset(&task).await;
        ledger.answered();
        begun?;
        self.steps(&mut policy, episode, observation, ledger).await
    }

    async fn start(&self, plan: &Plan, ledger: &mut Ledger) -> Result<(Episode, Observation), Fault> {
        let options = EpisodeOptions { max_timesteps: plan.max_timesteps, images: plan.images };
        let (simulator, env_id, seed) = (self.simulator.clone(), plan.env_id.clone(), plan.seed);
        let started = self
            .threads
            .run(move || {
                let begun = Instant::now();
                let mut episode = simulator.start(&env_id, seed, options)?;
                let simulated = begun.elapsed();
                let observation = episode.observe()?;
                Ok((episode, observation, simulated, begun.elapsed() - simulated))
            })
            .await;
        let (episode, observation, simulation, render) = simulated(started)?;
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
            ledger.ask();
            let answer = policy.act(&observation).await;
            ledger.answered();
            let action = dialogue::action(&answer?).map_err(|why| Fault::new(Cause::ActionShape, why))?;
            let stepped = self
                .threads
                .run(move || {
                    let begun = Instant::now();
                    let outcome = episode.step(&action)?;
                    let simulated = begun.elapsed();
                    let next = if outcome.finished { None } else { Some(episode.observe()?) };
                    Ok((episode, outcome, next, simulated, begun.elapsed() - simulated))
                })
                .await;
            let (played, outcome, next, simulation, render) = simulated(stepped)?;
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
    fn ask(&mut self) {
        self.asked = Some(Instant::now());
    }

    fn answered(&mut self) {
        if let Some(asked) = self.asked.take() {
            let took = asked.elapsed();
            self.timing.policy += took;
            telemetry::policy_call(took);
        }
    }

    /// Whose time it was: the policy's when it had more than half of it, else ours.
    fn out_of_time(&self, limit: Duration) -> (Cause, String) {
        let Timing { total, policy, .. } = self.timing;
        let cause = if policy > total / 2 { Cause::EpisodeTimeout } else { Cause::Executor };
        let evidence = format!(
            "the episode was not over after {limit:?} and {} steps; the policy had {:.3} s of it",
            self.timesteps,
            policy.as_secs_f64()
        );
        (cause, evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_time_is_the_fault_of_whoever_used_it() {
        let seconds = Duration::from_secs;
        let cause = |policy: u64| {
            let timing = Timing { total: seconds(10), policy: seconds(policy), ..Timing::default() };
            Ledger { timing, ..Ledger::default() }.out_of_time(seconds(10)).0
        };
        assert_eq!(cause(6), Cause::EpisodeTimeout);
        assert_eq!(cause(5), Cause::Executor);
        assert_eq!(cause(0), Cause::Executor);
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
