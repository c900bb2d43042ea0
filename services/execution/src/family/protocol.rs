//! What an executor and the process of a family say to each other: frames of a length and a protobuf message.
//!
//! Protobuf, because it is in every service already, and because a reader skips nothing silently: a frame that is none is an error.
//! Both sides are the same build, so the messages are written here and have no `.proto`.

use kinitro_commitment::Endpoint;
use kinitro_domain::Cause;
use prost::Message;
use tokio_util::codec::LengthDelimitedCodec;

use crate::{
    episode::{Plan, Report, Timing},
    warm_up::Entrant,
};

/// The largest frame: the latencies of a hundred thousand calls fit.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// How frames are cut.
pub(crate) fn frames() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME_BYTES).new_codec()
}

/// To the process.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ToWorker {
    #[prost(oneof = "Order", tags = "1, 2, 3, 4")]
    pub(crate) order: Option<Order>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Order {
    /// The first one.
    #[prost(message, tag = "1")]
    Start(Settings),
    #[prost(message, tag = "2")]
    Play(Play),
    /// Stops the episode of this number. No report of it follows, unless one is on its way.
    #[prost(uint64, tag = "3")]
    Stop(u64),
    /// Answered by [`Word::Pong`].
    #[prost(bool, tag = "4")]
    Ping(bool),
}

/// From the process.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FromWorker {
    #[prost(oneof = "Word", tags = "1, 2, 3, 4, 5")]
    pub(crate) word: Option<Word>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Word {
    /// It plays.
    #[prost(bool, tag = "1")]
    Ready(bool),
    /// It cannot play, and ends.
    #[prost(string, tag = "2")]
    Failed(String),
    #[prost(message, tag = "3")]
    Played(Played),
    /// For how many seconds the oldest simulation job has been running; 0 when none is.
    #[prost(double, tag = "4")]
    Pong(f64),
    /// The policy of the episode of this number was reached.
    #[prost(uint64, tag = "5")]
    Reached(u64),
}

/// What a process plays with.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Settings {
    #[prost(string, tag = "1")]
    pub(crate) family: String,
    /// The process that starts it, and that it ends with.
    #[prost(uint32, tag = "2")]
    pub(crate) parent: u32,
    #[prost(string, optional, tag = "3")]
    pub(crate) assets: Option<String>,
    #[prost(uint32, tag = "4")]
    pub(crate) threads: u32,
    #[prost(bool, tag = "5")]
    pub(crate) allow_private: bool,
    #[prost(double, tag = "6")]
    pub(crate) connect_timeout: f64,
    #[prost(double, tag = "7")]
    pub(crate) action_timeout: f64,
    #[prost(double, tag = "8")]
    pub(crate) eval_timeout: f64,
    #[prost(bool, tag = "9")]
    pub(crate) reference_images: bool,
    /// Two factors each, the lower one first.
    #[prost(double, repeated, tag = "10")]
    pub(crate) friction: Vec<f64>,
    #[prost(double, repeated, tag = "11")]
    pub(crate) damping: Vec<f64>,
    /// The most episodes at a time.
    #[prost(uint32, tag = "12")]
    pub(crate) slots: u32,
    /// Seconds that a policy may take to wake up, once a cycle.
    #[prost(double, tag = "13")]
    pub(crate) warm_up: f64,
}

/// An episode to play.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Play {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    #[prost(string, tag = "2")]
    pub(crate) env_id: String,
    #[prost(uint64, tag = "3")]
    pub(crate) seed: u64,
    #[prost(string, tag = "4")]
    pub(crate) endpoint: String,
    #[prost(uint32, tag = "5")]
    pub(crate) max_timesteps: u32,
    #[prost(bool, tag = "6")]
    pub(crate) images: bool,
    /// For the log: empty for an episode on demand.
    #[prost(string, tag = "7")]
    pub(crate) task_uuid: String,
    #[prost(string, tag = "8")]
    pub(crate) traceparent: String,
    /// Where the endpoint leads; absent when that is still to be found out.
    #[prost(string, optional, tag = "9")]
    pub(crate) address: Option<String>,
    /// The miner and cycle whose warm-up it may use; absent for an episode on demand.
    #[prost(uint64, optional, tag = "10")]
    pub(crate) cycle: Option<u64>,
    #[prost(uint32, optional, tag = "11")]
    pub(crate) uid: Option<u32>,
}

/// What became of an episode.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Played {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    #[prost(string, tag = "2")]
    cause: String,
    #[prost(string, tag = "3")]
    evidence: String,
    #[prost(double, tag = "4")]
    total_reward: f64,
    #[prost(uint32, tag = "5")]
    timesteps: u32,
    #[prost(string, tag = "6")]
    trajectory_hash: String,
    #[prost(message, optional, tag = "7")]
    timing: Option<Timing>,
    #[prost(float, repeated, tag = "8")]
    calls: Vec<f32>,
    #[prost(bool, tag = "9")]
    shown: bool,
}

impl Play {
    /// Without a number yet.
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            number: 0,
            env_id: plan.env_id.to_string(),
            seed: plan.seed,
            endpoint: plan.endpoint.to_string(),
            max_timesteps: plan.max_timesteps,
            images: plan.images,
            task_uuid: plan.task_uuid.clone(),
            address: plan.address.map(|address| address.to_string()),
            cycle: plan.entrant.map(|entrant| entrant.cycle),
            uid: plan.entrant.map(|entrant| entrant.uid),
            traceparent: kinitro_chassis::current_traceparent().unwrap_or_default(),
        }
    }

    /// The error says what is wrong with it.
    pub(crate) fn plan(self) -> Result<Plan, String> {
        let Self { env_id, seed, endpoint, address, cycle, uid, max_timesteps, images, task_uuid, .. } = self;
        let env_id = env_id.parse().map_err(|error| format!("{error}"))?;
        let endpoint = endpoint.parse::<Endpoint>().map_err(|error| error.to_string())?;
        let address =
            address.map(|address| address.parse()).transpose().map_err(|error| format!("address: {error}"))?;
        let entrant = cycle.zip(uid).map(|(cycle, uid)| Entrant { cycle, uid });
        Ok(Plan { env_id, seed, endpoint, address, entrant, max_timesteps, images, task_uuid })
    }
}

impl Played {
    pub(crate) fn of(number: u64, report: Report) -> Self {
        let Report { cause, evidence, total_reward, timesteps, trajectory_hash, timing, shown, calls } = report;
        let (cause, timing) = (cause.as_str().to_owned(), Some(timing));
        Self { number, cause, evidence, total_reward, timesteps, trajectory_hash, timing, calls, shown }
    }

    /// The error says what is wrong with it.
    pub(crate) fn report(self) -> Result<Report, String> {
        let Self { cause, evidence, total_reward, timesteps, trajectory_hash, timing, calls, shown, .. } = self;
        let cause: Cause = cause.parse().map_err(|error| format!("{error}"))?;
        let timing = timing.unwrap_or_default();
        Ok(Report { cause, evidence, total_reward, timesteps, trajectory_hash, timing, shown, calls })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_report_comes_through_as_it_was() {
        let timing = Timing { total: 2.0, policy: 1.0, queue: 0.25, policy_max: 0.5, ..Timing::default() };
        let report = Report {
            cause: Cause::StepLimit,
            evidence: "…".to_owned(),
            total_reward: -1.5,
            timesteps: 100_000,
            trajectory_hash: "ab".repeat(32),
            timing,
            shown: true,
            calls: vec![0.05; 100_002],
        };
        let word = FromWorker { word: Some(Word::Played(Played::of(7, report.clone()))) };
        let frame = word.encode_to_vec();
        assert!(frame.len() < MAX_FRAME_BYTES, "the longest episode's report is {} bytes", frame.len());
        let Some(Word::Played(played)) = FromWorker::decode(frame.as_slice()).unwrap().word else {
            panic!("another word")
        };
        assert_eq!((played.number, played.report()), (7, Ok(report)));
    }

    #[test]
    fn a_report_without_a_known_cause_is_none() {
        assert!(Played { cause: "tired".to_owned(), ..Played::default() }.report().is_err());
    }
}
