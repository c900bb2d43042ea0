//! Notices a process that lives, answers, and plays nothing to its end: a lost graphics driver, a damaged model, a full disk.
//!
//! Left alone it would take up task after task and spend an attempt of each. The rule: as many faults of ours in a row as the family
//! has slots, and at least [`FEWEST`], without one episode in between that counts. A policy that cannot be reached says nothing about
//! the process.

use kinitro_domain::Cause;

/// One odd scene is no sick process.
const FEWEST: usize = 3;

/// The faults of ours since the last episode that counted.
pub(super) struct Streak {
    faults: usize,
    most: usize,
}

impl Streak {
    pub(super) fn new(slots: usize) -> Self {
        Self { faults: 0, most: slots.max(FEWEST) }
    }

    /// Whether this end of an episode shows that the process is of no use.
    pub(super) fn breaks(&mut self, cause: Cause) -> bool {
        self.faults = match cause {
            Cause::Renderer | Cause::Simulator | Cause::Executor => self.faults + 1,
            cause if cause.verdict().counts() => 0,
            _ => self.faults,
        };
        self.is_broken()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.faults >= self.most
    }

    pub(super) fn faults(&self) -> usize {
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaks(slots: usize, causes: &[Cause]) -> bool {
        let mut streak = Streak::new(slots);
        causes.iter().fold(false, |_, cause| streak.breaks(*cause))
    }

    #[test]
    fn a_process_is_of_no_use_after_as_many_faults_in_a_row_as_it_has_slots() {
        let fault = [Cause::Renderer, Cause::Simulator, Cause::Executor, Cause::Renderer];
        assert!(breaks(4, &fault) && !breaks(4, &fault[1..]) && !breaks(5, &fault));
        assert!(!breaks(1, &fault[..2]) && breaks(1, &fault[..3]));
        let away = Cause::PolicyUnreachable;
        assert!(breaks(3, &[fault[0], away, fault[1], away, fault[2]]) && !breaks(3, &[away; 9]));
        for counted in [Cause::Environment, Cause::StepLimit, Cause::PhysicsUnstable, Cause::ActionTimeout] {
            assert!(!breaks(3, &[fault[0], fault[1], counted, fault[2], fault[3]]));
        }
    }
}
