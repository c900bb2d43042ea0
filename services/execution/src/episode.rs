//! One episode, from an endpoint and a seed to a report with exactly one cause.

use std::{
    net::SocketAddr,
    pin::pin,
    time::{Duration, Instant},
};

use kinitro_commitment::Endpoint;
use kinitro_domain::{Cause, EnvId};
use kinitro_policy::{Action, Destination, Fault, Observation, Policy, TaskConfig, Transport};
use kinitro_sim::{Episode, EpisodeOptions, ImageQuality, Randomisation, SimError, Simulator, StepOutcome};
use tokio::time::{sleep, timeout};

use crate::{
    dialogue,
    simulation::{Panicked, SimulationThreads},
    warm_up::{Entrant, PAUSE, Share, WarmUps, attended},
};

/// What is played.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) env_id: EnvId,
    pub(crate) seed: u64,
    pub(crate) endpoint: Endpoint,
    /// Where the endpoint leads; absent when that is still to be found out.
    pub(crate) address: Option<SocketAddr>,
    /// Whose warm-up it may use; absent for an episode on demand, which has none.
    pub(crate) entrant: Option<Entrant>,
    pub(crate) max_timesteps: u32,
    pub(crate) images: bool,
    /// For the log: empty for an episode on demand.
    pub(crate) task_uuid: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) cause: Cause,
    /// Empty when there is nothing to say beyond the cause.
    pub(crate) evidence: String,
    pub(crate) total_reward: f64,
    pub(crate) timesteps: u32,
    /// Of the steps that were made; empty when none was, or when the simulation was lost with them.
    pub(crate) trajectory_hash: String,
    pub(crate) timing: Timing,
    /// Whether the policy may have seen an observation.
    pub(crate) shown: bool,
    /// Seconds of each call for an action that the policy was waited for.
    pub(crate) calls: Vec<f32>,
}

/// Where the time went, in seconds.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Timing {
    #[prost(double, tag = "1")]
    pub(crate) total: f64,
    #[prost(double, tag = "2")]
    pub(crate) policy: f64,
    #[prost(double, tag = "3")]
    pub(crate) simulation: f64,
    #[prost(double, tag = "4")]
    pub(crate) render: f64,
    /// Waiting for a simulation thread.
    #[prost(double, tag = "5")]
    pub(crate) queue: f64,
    /// Of the calls for an action: the middle one, the 99th of a hundred, the longest.
    #[prost(double, tag = "6")]
    pub(crate) policy_p50: f64,
    #[prost(double, tag = "7")]
    pub(crate) policy_p99: f64,
    #[prost(double, tag = "8")]
    pub(crate) policy_max: f64,
}

/// What episodes are played with.
pub(crate) struct Stage {
    pub(crate) transport: Transport,
    pub(crate) simulator: Simulator,
    pub(crate) threads: SimulationThreads,
    /// What the policy may take over an episode as a whole, once it was reached.
    pub(crate) eval_timeout: Duration,
    /// The longest that reaching a policy may take, and the longest that it may take for an answer. What a call took beyond that, this
    /// process stood still.
    pub(crate) longest_open: Duration,
    pub(crate) action_timeout: Duration,
    pub(crate) warm_ups: WarmUps,
    pub(crate) quality: ImageQuality,
    pub(crate) randomisation: Randomisation,
}

/// What is known of an episode while it plays; it outlives the play when that is cut short.
#[derive(Default)]
struct Ledger {
    total_reward: f64,
    timesteps: u32,
    /// The simulation, while no job has it.
    episode: Option<Episode>,
    /// Reaching the policy, at first and again, which is not on its account.
    opening: Duration,
    policy: Duration,
    simulation: Duration,
    render: Duration,
    queue: Duration,
    shown: bool,
    calls: Vec<f32>,
}

/// What a simulation job leaves: the episode, whatever became of the step, and what was seen.
type Left = (Option<Episode>, Result<Seen, SimError>);

/// What a simulation job brought, and how long its parts took.
struct Seen {
    outcome: Option<StepOutcome>,
    observation: Option<kinitro_sim::Observation>,
    simulation: Duration,
    render: Duration,
}

impl Report {
    /// Of an episode of which nothing is known but its end.
    pub(crate) fn fault(cause: Cause, evidence: String) -> Self {
        Ledger::default().report(cause, evidence, Duration::ZERO)
    }
}

impl Stage {
    /// Plays an episode to its end. Never fails: what goes wrong is the report's cause.
    /// `reached` is called when the policy was reached.
    pub(crate) async fn play(&self, plan: &Plan, reached: impl FnOnce()) -> Report {
        let begun = Instant::now();
        let mut ledger = Ledger::default();
        let ended = self.run(plan, reached, &mut ledger).await;
        let (cause, evidence) = match ended {
            Ok(cause) => (cause, String::new()),
            Err(fault) => (fault.cause(), fault.evidence().to_owned()),
        };
        ledger.report(cause, evidence, begun.elapsed())
    }

    async fn run(&self, plan: &Plan, reached: impl FnOnce(), ledger: &mut Ledger) -> Result<Cause, Fault> {
        // First the policy: a simulation that nobody plays would be a waste. Opening has limits of its own and is not on the policy's
        // account: whether it is there at all must not look like slowness.
        let endpoint = plan.endpoint.clone();
        let destination = match plan.address {
            Some(address) => Destination::pinned(endpoint, address),
            None => endpoint.into(),
        };
        let mut policy = self.reaching(ledger, self.transport.open(destination, dialogue::ACTION)).await?;
        reached();

        let first = self.start(plan, ledger).await?;
        let task = dialogue::task_config(&plan.env_id);
        let mut shown = Observation::default();
        if let Some(observation) = first.observation {
            dialogue::show(observation, &mut shown);
        }
        let answer = self.first_answer(&mut policy, &task, &shown, plan.entrant, ledger).await?;
        self.steps(&mut policy, shown, answer, ledger).await
    }

    /// The answer to the first observation. Until there is one, the policy may be [waking up](crate::warm_up): then all begins again.
    async fn first_answer(
        &self,
        policy: &mut impl Policy,
        task: &TaskConfig,
        shown: &Observation,
        entrant: Option<Entrant>,
        ledger: &mut Ledger,
    ) -> Result<Action, Fault> {
        let share = entrant.and_then(|entrant| self.warm_ups.share(entrant));
        loop {
            let left = share.as_ref().map(Share::left).unwrap_or_default();
            let before = ledger.policy;
            policy.set_patience(self.action_timeout + left);
            let (outcome, took) = attended(self.begin(policy, task, shown, !left.is_zero(), ledger)).await;
            policy.set_patience(self.action_timeout);
            let fault = match outcome {
                Ok(answer) => {
                    if let Some(share) = share {
                        share.answered();
                    }
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            // One that does not answer at all uses the warm-up of its miner, too.
            if let Some(share) = share.as_ref().filter(|_| took > self.action_timeout) {
                share.begin(took);
            }
            let (Some(share), Some(ask_after), false) = (&share, fault.not_ready(), left.is_zero()) else {
                return Err(fault);
            };
            share.begin(took);
            let pause = ask_after.max(PAUSE);
            if pause >= share.left() {
                return Err(fault);
            }
            tracing::debug!(evidence = fault.evidence(), ?pause, "a policy is not ready yet");
            sleep(pause).await;
            // None of it counts as time or answers of the policy.
            ledger.policy = before;
            ledger.calls.clear();
            ledger.opening += took + pause;
        }
    }

    /// One attempt at that. While the policy may be waking up, an answer that took longer than the action timeout is none.
    async fn begin(
        &self,
        policy: &mut impl Policy,
        task: &TaskConfig,
        shown: &Observation,
        waking: bool,
        ledger: &mut Ledger,
    ) -> Result<Action, Fault> {
        let in_time = |took: Duration, what: &str| {
            let limit = self.action_timeout;
            if !waking || took <= limit {
                return Ok(());
            }
            let what = format!("{what} was answered after {took:?} and not within {limit:?}");
            Err(Fault::new(Cause::ActionTimeout, what).of_one_not_ready(Duration::ZERO))
        };
        self.reaching(ledger, policy.ensure_connected()).await?;
        let ((begun, _), took) = attended(self.asked(ledger, policy.reset(task))).await;
        begun?;
        in_time(took, "the beginning of the episode")?;
        self.reaching(ledger, policy.ensure_connected()).await?;
        let (answer, took) = attended(self.answer(policy, shown, ledger)).await;
        let answer = answer?;
        in_time(took, "the first observation")?;
        Ok(answer)
    }

    /// What the policy does next.
    async fn answer(
        &self,
        policy: &mut impl Policy,
        shown: &Observation,
        ledger: &mut Ledger,
    ) -> Result<Action, Fault> {
        if !policy.wants_observation() {
            // It said so before, and is not waited for.
            return policy.act(shown).await;
        }
        // The wait for a simulation thread may have been longer than its connection lives.
        self.reaching(ledger, policy.ensure_connected()).await?;
        ledger.shown = true;
        let (answer, took) = self.asked(ledger, policy.act(shown)).await;
        ledger.calls.push(took.as_secs_f32());
        answer
    }

    /// Waits until a policy is connected.
    async fn reaching<T>(
        &self,
        ledger: &mut Ledger,
        connected: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let begun = Instant::now();
        let outcome = connected.await;
        ledger.opening += begun.elapsed().min(self.longest_open);
        outcome
    }

    /// Waits for an answer of the policy, within what is left of its time in this episode; also says how much of it that took.
    ///
    /// Its time is its own: what the simulation takes, or the wait for a thread when many episodes play, is not on its account.
    /// One limit for both would let a policy on a busy executor answer just slowly enough that hard scenes end undecided.
    async fn asked<T>(
        &self,
        ledger: &mut Ledger,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> (Result<T, Fault>, Duration) {
        let mut call = pin!(call);
        let (begun, before) = (Instant::now(), ledger.policy);
        loop {
            let left = self.eval_timeout.saturating_sub(ledger.policy);
            let answer = timeout(left, call.as_mut()).await;
            let took = begun.elapsed().min(self.action_timeout);
            ledger.policy = before + took;
            if let Ok(answer) = answer {
                return (answer, took);
            }
            // Else this process stood still for longer than an answer may take, and the timer fired over that.
            if ledger.policy >= self.eval_timeout {
                let (steps, limit) = (ledger.timesteps, self.eval_timeout);
                let what = format!("the policy used up the {limit:?} that it has for an episode, after {steps} steps");
                return (Err(Fault::new(Cause::EpisodeTimeout, what)), took);
            }
        }
    }

    /// Waits for a simulation job. One that never ends is noticed by whoever watches the threads.
    async fn simulated(&self, ledger: &mut Ledger, job: impl FnOnce() -> Left + Send + 'static) -> Result<Seen, Fault> {
        let (left, queue) = self.threads.run(job).await;
        ledger.queue += queue;
        let outcome = left.map(|(episode, outcome)| {
            ledger.episode = episode;
            outcome
        });
        let seen = simulated(outcome)?;
        ledger.simulation += seen.simulation;
        ledger.render += seen.render;
        Ok(seen)
    }

    async fn start(&self, plan: &Plan, ledger: &mut Ledger) -> Result<Seen, Fault> {
        let options = EpisodeOptions {
            max_timesteps: plan.max_timesteps,
            images: plan.images.then_some(self.quality),
            randomisation: self.randomisation,
        };
        let (simulator, env_id, seed) = (self.simulator.clone(), plan.env_id.clone(), plan.seed);
        let job = move || {
            let begun = Instant::now();
            let mut episode = match simulator.start(&env_id, seed, options) {
                Ok(episode) => episode,
                Err(error) => return (None, Err(error)),
            };
            let simulation = begun.elapsed();
            let seen = episode.observe().map(|observation| Seen {
                outcome: None,
                observation: Some(observation),
                simulation,
                render: begun.elapsed() - simulation,
            });
            (Some(episode), seen)
        };
        self.simulated(ledger, job).await
    }

    async fn steps(
        &self,
        policy: &mut impl Policy,
        mut shown: Observation,
        mut answer: Action,
        ledger: &mut Ledger,
    ) -> Result<Cause, Fault> {
        loop {
            let action = dialogue::action(&answer).map_err(|why| Fault::new(Cause::ActionShape, why))?;
            let observe = policy.wants_observation();
            let Some(mut episode) = ledger.episode.take() else {
                return Err(Fault::new(Cause::Executor, "the simulation of this episode is gone"));
            };
            let job = move || {
                let stepped = step(&mut episode, &action, observe);
                (Some(episode), stepped)
            };
            let seen = self.simulated(ledger, job).await?;
            ledger.timesteps += 1;
            if let Some(StepOutcome { reward, success, finished }) = seen.outcome {
                ledger.total_reward += reward;
                if finished {
                    return Ok(if success { Cause::Environment } else { Cause::StepLimit });
                }
            }
            if let Some(observation) = seen.observation {
                dialogue::show(observation, &mut shown);
            }
            answer = self.answer(policy, &shown, ledger).await?;
        }
    }
}

/// One step, and what is seen after it.
fn step(episode: &mut Episode, action: &kinitro_sim::Action, observe: bool) -> Result<Seen, SimError> {
    let begun = Instant::now();
    let outcome = episode.step(action)?;
    let simulation = begun.elapsed();
    let observation = if observe && !outcome.finished { Some(episode.observe()?) } else { None };
    Ok(Seen { outcome: Some(outcome), observation, simulation, render: begun.elapsed() - simulation })
}

/// The faults of a simulation job. All are ours, but for physics that the policy's actions drove out of bounds: the scene would end so
/// on every executor.
fn simulated<T>(outcome: Result<Result<T, SimError>, Panicked>) -> Result<T, Fault> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(unstable @ SimError::Unstable { .. })) => Err(Fault::new(Cause::PhysicsUnstable, unstable.to_string())),
        Ok(Err(error)) => {
            let cause = match &error {
                SimError::Graphics { .. }
                | SimError::EglDevice { .. }
                | SimError::RendererGone
                | SimError::RendererThread(_) => Cause::Renderer,
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
    fn report(self, cause: Cause, evidence: String, total: Duration) -> Report {
        let [policy_p50, policy_p99, policy_max] = latencies(&self.calls);
        let timing = Timing {
            total: total.as_secs_f64(),
            policy: (self.opening + self.policy).as_secs_f64(),
            simulation: self.simulation.as_secs_f64(),
            render: self.render.as_secs_f64(),
            queue: self.queue.as_secs_f64(),
            policy_p50,
            policy_p99,
            policy_max,
        };
        let Self { total_reward, timesteps, episode, shown, calls, .. } = self;
        let trajectory_hash = match episode {
            Some(episode) if timesteps > 0 => episode.trajectory_hash(),
            _ => String::new(),
        };
        Report { cause, evidence, total_reward, timesteps, trajectory_hash, timing, shown, calls }
    }
}

/// The middle one of some durations, the 99th of a hundred, and the longest; zeros when there is none.
fn latencies(calls: &[f32]) -> [f64; 3] {
    let mut sorted = calls.to_vec();
    sorted.sort_by(f32::total_cmp);
    // The smallest one that so many of a hundred do not exceed.
    let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    [50, 99, 100].map(|percent| sorted.get(rank(percent)).copied().unwrap_or_default().into())
}

#[cfg(test)]
#[path = "../tests/support/policy.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests of whole executors")]
mod policy_server;

#[cfg(test)]
#[path = "episode_tests.rs"]
mod tests;
