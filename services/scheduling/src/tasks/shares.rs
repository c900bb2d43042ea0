//! Who is served first: miners share the executors by the time that they take, so that slow policies hold up none but themselves.
//!
//! A policy that answers just within its limits keeps a slot for minutes where another takes seconds. In the order of the queue alone, every
//! slot that a quick one frees would go to a slow one in the end. So a lease is made in passes, each from what the one before left:
//!
//! 1. the miners that have used the least time in this cycle (to [`ALIKE`]) and have fewer episodes in flight than their share of all slots,
//! 2. those below their share,
//! 3. any, so that no slot stays empty; but while quick miners have tasks left, slow ones get no more than half of all slots beyond that.
//!
//! A miner's time is what its policy took in the results so far, and the age of its leases. It is read from Postgres at most every [`FRESH`],
//! and what this replica leases and takes in is added and subtracted meanwhile. It decides the order and nothing else.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kinitro_domain::MinerUid;
use sqlx::PgPool;

use super::TaskError;

/// For how long what was read stands. Reading a large cycle takes long: then for nine times that.
const FRESH: Duration = Duration::from_secs(1);
/// Before slots are given beyond the shares, it is read anew when it is older than this: results may have come in through other replicas.
const FRESHER: Duration = Duration::from_millis(100);
/// Times that differ by so many seconds are alike.
const ALIKE: f64 = 10.0;

/// What one miner has and has taken in the running cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Share {
    /// Tasks that wait.
    pub(super) pending: u64,
    /// Tasks that are leased.
    pub(super) in_flight: u64,
    /// Results.
    pub(super) results: u64,
    /// Seconds that its policy took in the results.
    pub(super) used: f64,
    /// Seconds since its leases began, together.
    pub(super) running: f64,
}

/// One pass of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    /// Of whom nothing is leased in it.
    pub(super) left_out: Vec<MinerUid>,
    /// At most so many of one miner; 0 for any number.
    pub(super) most: u32,
    /// It serves miners beyond their share.
    pub(super) is_last: bool,
}

/// What this replica knows of all miners.
#[derive(Clone, Default)]
pub(super) struct Shares(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// When it was read, and how long that took.
    read: Option<(Instant, Duration)>,
    miners: BTreeMap<MinerUid, Share>,
}

impl Shares {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads it again when it is old; `before_the_last` when it is not quite new.
    pub(super) async fn refresh(&self, pool: &PgPool, before_the_last: bool) -> Result<bool, TaskError> {
        let begun = Instant::now();
        {
            let mut known = self.known();
            let fresh = if before_the_last { FRESHER } else { FRESH };
            if known.read.is_some_and(|(at, took)| at.elapsed() < fresh.max(took * 9)) {
                return Ok(false);
            }
            // Others that lease meanwhile go by what there is.
            known.read = Some((begun, known.read.map_or(Duration::ZERO, |(_, took)| took)));
        }
        let miners = read(pool).await?;
        let mut known = self.known();
        known.read = Some((Instant::now(), begun.elapsed()));
        known.miners = miners;
        Ok(true)
    }

    /// Tasks of these miners were leased here.
    pub(super) fn leased(&self, uids: impl IntoIterator<Item = MinerUid>) {
        let mut known = self.known();
        for uid in uids {
            let share = known.miners.entry(uid).or_default();
            share.in_flight += 1;
            share.pending = share.pending.saturating_sub(1);
        }
    }

    /// Leases of these miners ended here.
    pub(super) fn ended(&self, uids: impl IntoIterator<Item = MinerUid>) {
        let mut known = self.known();
        for uid in uids {
            let share = known.miners.entry(uid).or_default();
            share.in_flight = share.in_flight.saturating_sub(1);
        }
    }

    /// The passes of a lease of so many tasks.
    pub(super) fn passes(&self, count: usize, slow: Option<f64>) -> Vec<Pass> {
        passes(&self.known().miners, count as u64, slow)
    }
}

/// Of every miner of the running cycle. It reads all its tasks.
pub(super) async fn read(pool: &PgPool) -> Result<BTreeMap<MinerUid, Share>, TaskError> {
    let rows = sqlx::query!(
        r#"SELECT t.uid,
                  count(*) FILTER (WHERE t.state = 'pending') AS "pending!",
                  count(*) FILTER (WHERE t.state = 'assigned') AS "in_flight!",
                  count(*) FILTER (WHERE t.state = 'completed') AS "results!",
                  coalesce(sum(least(t.policy_seconds, 1e6)) FILTER (WHERE t.state = 'completed'), 0) AS "used!",
                  coalesce(sum(greatest(0, extract(epoch FROM now() - t.leased_at)::float8))
                      FILTER (WHERE t.state = 'assigned'), 0) AS "running!"
             FROM scheduling.tasks t JOIN scheduling.cycles c ON c.id = t.cycle_id
            WHERE c.state = 'running'
            GROUP BY t.uid"#
    )
    .fetch_all(pool)
    .await?;
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let share = Share {
                pending: count(row.pending),
                in_flight: count(row.in_flight),
                results: count(row.results),
                used: row.used,
                running: row.running,
            };
            Some((MinerUid(u16::try_from(row.uid).ok()?), share))
        })
        .collect())
}

impl Share {
    fn time(&self) -> f64 {
        self.used + self.running
    }

    fn is_slow(&self, slow: Option<f64>) -> bool {
        slow.is_some_and(|slow| self.results > 0 && self.used > slow * self.results as f64)
    }
}

/// The passes for so many free slots. A policy that took more than `slow` seconds an episode so far is slow; none is without a limit.
fn passes(miners: &BTreeMap<MinerUid, Share>, count: u64, slow: Option<f64>) -> Vec<Pass> {
    let any = Pass { left_out: Vec::new(), most: 0, is_last: true };
    let waiting: Vec<(MinerUid, Share)> =
        miners.iter().filter(|(_, share)| share.pending > 0).map(|(uid, share)| (*uid, *share)).collect();
    if waiting.len() < 2 {
        return vec![any];
    }
    let slots = count + miners.values().map(|share| share.in_flight).sum::<u64>();
    let fair = (slots / waiting.len() as u64).max(1);
    let below = |share: &Share| share.in_flight < fair;
    let least =
        waiting.iter().filter(|(_, share)| below(share)).map(|(_, share)| share.time()).fold(f64::MAX, f64::min);
    let left_out = |kept: &dyn Fn(&Share) -> bool| -> Vec<MinerUid> {
        waiting.iter().filter(|(_, share)| !kept(share)).map(|(uid, _)| *uid).collect()
    };
    // No miner comes above its share by what it gets in one pass.
    let room = waiting.iter().filter(|(_, share)| below(share)).map(|(_, share)| fair - share.in_flight).min();
    let most = room.and_then(|room| u32::try_from(room).ok()).unwrap_or(1);

    let first = left_out(&|share| below(share) && share.time() <= least + ALIKE);
    let second = left_out(&below);
    let slow_in_flight: u64 = miners.values().filter(|share| share.is_slow(slow)).map(|share| share.in_flight).sum();
    let quick_wait = waiting.iter().any(|(_, share)| !share.is_slow(slow));
    let last = match quick_wait && slow_in_flight * 2 >= slots {
        true => left_out(&|share| !share.is_slow(slow)),
        false => Vec::new(),
    };
    let mut passes: Vec<Pass> = Vec::new();
    for left_out in [first, second] {
        if left_out.len() < waiting.len() && passes.last().is_none_or(|pass| pass.left_out != left_out) {
            passes.push(Pass { left_out, most, is_last: false });
        }
    }
    passes.push(Pass { left_out: last, ..any });
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miners(shares: &[(u64, u64, f64)]) -> BTreeMap<MinerUid, Share> {
        let share = |(pending, in_flight, time)| Share { pending, in_flight, running: time, ..Share::default() };
        (0..).map(MinerUid).zip(shares.iter().copied().map(share)).collect()
    }

    fn left_out(passes: &[Pass]) -> Vec<Vec<u16>> {
        passes.iter().map(|pass| pass.left_out.iter().map(|uid| uid.0).collect()).collect()
    }

    #[test]
    fn those_below_their_share_come_before_the_others_and_the_least_time_first() {
        // Six slots of three miners: two each.
        let three = miners(&[(9, 2, 300.0), (9, 1, 20.0), (9, 1, 100.0)]);
        let passes = passes(&three, 2, None);
        assert_eq!(left_out(&passes), [vec![0, 2], vec![0], vec![]]);
        assert_eq!(
            passes.iter().map(|pass| (pass.most, pass.is_last)).collect::<Vec<_>>(),
            [(1, false), (1, false), (0, true)]
        );
    }

    #[test]
    fn a_miner_that_is_alone_gets_every_slot() {
        assert_eq!(left_out(&passes(&miners(&[(9, 50, 900.0), (0, 3, 1.0)]), 10, Some(30.0))), [Vec::<u16>::new()]);
        assert_eq!(left_out(&passes(&BTreeMap::new(), 10, None)), [Vec::<u16>::new()]);
    }

    #[test]
    fn half_of_the_slots_are_kept_for_quick_miners_that_have_tasks_left() {
        let mut two = miners(&[(9, 5, 0.0), (9, 4, 0.0)]);
        if let Some(slow) = two.get_mut(&MinerUid(0)) {
            (slow.results, slow.used) = (2, 100.0);
        }
        assert_eq!(passes(&two, 1, Some(30.0)).last().map(|pass| pass.left_out.len()), Some(1));
        assert_eq!(passes(&two, 2, Some(30.0)).last().map(|pass| pass.left_out.len()), Some(0), "five of eleven");
        assert_eq!(passes(&two, 1, Some(60.0)).last().map(|pass| pass.left_out.len()), Some(0));
        if let Some(quick) = two.get_mut(&MinerUid(1)) {
            quick.pending = 0;
        }
        assert_eq!(passes(&two, 1, Some(30.0)).last().map(|pass| pass.left_out.len()), Some(0));
    }
}
