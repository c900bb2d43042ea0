//! What happened, for whoever shows it.

use jiff::Timestamp;
use kinitro_domain::{BlockNumber, CycleId, EnvId, MinerUid, TaskId};
use serde::{Deserialize, Serialize};

/// Something that happened, and when. As JSON one object: `at`, `event`, and the fields of the kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A cycle's tasks exist.
    CycleStarted {
        /// The cycle.
        cycle_id: CycleId,
        /// The block at which the miners were read.
        block_number: BlockNumber,
        /// How many miners it evaluates.
        miners: u32,
        /// What they play.
        env_ids: Vec<EnvId>,
        /// How many episodes that is.
        tasks_total: u32,
    },
    /// Results were recorded.
    TasksCompleted {
        /// The cycle.
        cycle_id: CycleId,
        /// How many results it has now.
        completed: u32,
        /// How many tasks it has.
        tasks_total: u32,
    },
    /// A task used all its attempts.
    DeadLetter {
        /// The cycle.
        cycle_id: CycleId,
        /// The task.
        task_id: TaskId,
        /// Whose episode it was.
        uid: MinerUid,
        /// Where.
        env_id: EnvId,
        /// The cause of the last attempt's end.
        cause: String,
    },
    /// A second completion of a task disagreed with the recorded one.
    Disagreement {
        /// The cycle.
        cycle_id: CycleId,
        /// The task.
        task_id: TaskId,
    },
    /// A cycle takes no more results.
    CycleClosed {
        /// The cycle.
        cycle_id: CycleId,
        /// How many results it has.
        completed: u32,
        /// How many tasks have none.
        failed: u32,
        /// It was closed because its time was over.
        timed_out: bool,
    },
    /// A cycle was ended by an operator and is not scored.
    CycleCancelled {
        /// The cycle.
        cycle_id: CycleId,
    },
    /// A cycle ended without being scored, because too little was played: the weights of before stand.
    CycleUnscored {
        /// The cycle.
        cycle_id: CycleId,
        /// What was missing, for people.
        reason: String,
    },
    /// A cycle was scored, and validators may set its weights.
    WeightsPublished {
        /// The cycle.
        cycle_id: CycleId,
        /// The block that the weights belong to.
        block_number: BlockNumber,
    },
}

impl Event {
    /// An event of this moment.
    pub fn now(kind: EventKind) -> Self {
        Self { at: Timestamp::now(), kind }
    }
}
