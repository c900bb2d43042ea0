//! Whether the work that waits is being done.

use std::time::Duration;

use kinitro_queue::Depth;

use super::{TaskError, Tasks};

/// Work that waits for so long without one lease is worth a word.
const TOO_LONG: Duration = Duration::from_secs(60);

/// What waits although nobody comes for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unserved {
    /// For how long nothing was leased and no lease was kept alive.
    pub idle: Duration,
    /// How many tasks wait, those of executors that are gone included.
    pub tasks: u64,
}

impl Unserved {
    /// One line for people, when it has lasted too long.
    pub fn warning(&self) -> Option<String> {
        let (seconds, tasks) = (self.idle.as_secs(), self.tasks);
        let wait = if tasks == 1 { "task waits" } else { "tasks wait" };
        let told = tasks > 0 && self.idle >= TOO_LONG;
        told.then(|| format!("execution: no executor leased anything for {seconds} s while {tasks} {wait}"))
    }

    /// No lease lives when nothing was heard for long enough, so what Redis calls leased waits too. Work cannot have waited for longer than
    /// it is there.
    fn of(depths: &[Depth], unworked: Option<Duration>) -> Self {
        let tasks = depths.iter().map(|depth| depth.waiting + depth.leased).sum();
        let oldest = depths.iter().filter_map(|depth| depth.oldest_waiting).max();
        let idle = match (oldest, unworked) {
            (Some(oldest), Some(unworked)) => oldest.min(unworked),
            (one, other) => one.or(other).unwrap_or_default(),
        };
        Self { idle: if tasks == 0 { Duration::ZERO } else { idle }, tasks }
    }
}

impl Tasks {
    /// Looks whether what waits is being done.
    ///
    /// # Errors
    ///
    /// [`TaskError::Queue`].
    pub async fn unserved(&self) -> Result<Unserved, TaskError> {
        Ok(Unserved::of(&self.queue.depth(&[]).await?, self.queue.unworked().await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(waiting: u64, leased: u64, oldest: Option<u64>) -> Depth {
        let env_id = "metaworld/push-v3".parse().expect("valid");
        Depth { env_id, waiting, leased, oldest_waiting: oldest.map(Duration::from_secs) }
    }

    fn told(depths: &[Depth], unworked: Option<u64>) -> Option<String> {
        Unserved::of(depths, unworked.map(Duration::from_secs)).warning()
    }

    #[test]
    fn work_that_no_executor_comes_for_is_named_after_a_minute() {
        let words = "execution: no executor leased anything for 60 s while 18 tasks wait";
        assert_eq!(told(&[depth(18, 0, Some(60))], None).as_deref(), Some(words));
        assert_eq!(told(&[depth(12, 6, Some(300))], Some(60)).as_deref(), Some(words), "they hold six and are gone");
        assert_eq!(told(&[depth(0, 18, None)], Some(60)).as_deref(), Some(words), "they hold all and are gone");
        assert_eq!(told(&[depth(18, 0, Some(59))], None), None);
        assert_eq!(told(&[depth(12, 6, Some(300))], Some(59)), None, "they play");
        assert_eq!(told(&[depth(18, 0, Some(3))], Some(9000)), None, "a cycle begins after a quiet time");
        assert_eq!(told(&[], Some(9000)), None);
    }
}
