//! The work that counting may take, in operations: about one visit to a 64-bit word each. Never time, so that the same
//! input is counted or estimated alike on every machine.

/// There is no work left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exhausted;

/// An allowance, and what was used of it.
#[derive(Debug)]
pub(super) struct Work {
    done: u64,
    limit: u64,
}

impl Work {
    pub fn allow(limit: u64) -> Self {
        Self { done: 0, limit }
    }

    /// Uses some, before doing it.
    pub fn charge(&mut self, operations: u64) -> Result<(), Exhausted> {
        if operations > self.limit - self.done {
            return Err(Exhausted);
        }
        self.done += operations;
        Ok(())
    }

    pub fn done(&self) -> u64 {
        self.done
    }
}
