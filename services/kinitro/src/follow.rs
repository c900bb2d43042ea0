//! What goes on, in lines on the screen of `kinitro up`: cycles as they start, get on and end, and what the next one waits for.

use std::time::{Duration, Instant};

use kinitro_chassis::MeshChannel;
use kinitro_domain::CycleState;
use kinitro_proto::scheduling::v1::{
    Cycle, GetCycleRequest, GetStatusRequest, Status, scheduling_service_client::SchedulingServiceClient,
};

const POLL: Duration = Duration::from_secs(2);
/// A cycle that gets on slowly is told of at least so often.
const REMIND: Duration = Duration::from_secs(60);

/// Writes lines to stderr until it is dropped.
pub async fn follow(mut scheduling: SchedulingServiceClient<MeshChannel>) {
    let mut story = Story::default();
    loop {
        match look(&mut scheduling, &mut story).await {
            Ok((status, cycle)) => story.tell(&status, cycle.as_ref()).iter().for_each(|line| eprintln!("{line}")),
            // A service that fails says so itself.
            Err(error) => tracing::debug!(%error, "scheduling did not say what goes on"),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The status, and the cycle that is to be told of, if there is one.
async fn look(
    scheduling: &mut SchedulingServiceClient<MeshChannel>,
    story: &mut Story,
) -> Result<(Status, Option<Cycle>), tonic::Status> {
    let status = scheduling.get_status(GetStatusRequest {}).await?.into_inner();
    let Some(id) = story.next(&status) else { return Ok((status, None)) };
    let cycle = scheduling.get_cycle(GetCycleRequest { cycle_id: Some(id) }).await?.into_inner();
    Ok((status, Some(cycle)))
}

/// What was told so far.
#[derive(Default)]
struct Story {
    /// The cycle that is being told of.
    cycle: Option<Told>,
    /// The newest cycle that was told to its end, or that had ended before the first look; 0 is none.
    past: Option<u64>,
    /// What the next cycle waits for, as it was told last.
    waiting: Option<&'static str>,
}

struct Told {
    id: u64,
    tenths: u32,
    at: Instant,
}

impl Story {
    /// The cycle to tell of: the one that was begun, the one that runs, or one that began and ended between two looks.
    fn next(&mut self, status: &Status) -> Option<u64> {
        let ended = status.last_ended_cycle.as_ref().map_or(0, |cycle| cycle.id);
        let past = *self.past.get_or_insert(ended);
        let begun = self.cycle.as_ref().map(|told| told.id);
        let running = status.current_cycle.as_ref().map(|cycle| cycle.id);
        begun.or(Some(ended).filter(|&id| id > past)).or(running)
    }

    /// The lines that are news.
    fn tell(&mut self, status: &Status, cycle: Option<&Cycle>) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(cycle) = cycle {
            self.tell_of(cycle, &mut lines);
            if !is_open(cycle) && self.cycle.take().is_some() {
                lines.push(ended(cycle));
                self.past = Some(cycle.id);
                self.waiting = None;
            }
        }
        if self.cycle.is_none() && !status.is_evaluating {
            let (kind, line) = waiting(status);
            if self.waiting.replace(kind) != Some(kind) {
                lines.push(line);
            }
        }
        lines
    }

    fn tell_of(&mut self, cycle: &Cycle, lines: &mut Vec<String>) {
        let tenths = cycle.tasks_completed * 10 / cycle.tasks_total.max(1);
        let Some(told) = &mut self.cycle else {
            lines.push(format!(
                "cycle {} started: {} miners × {} environments × {} episodes",
                cycle.id, cycle.n_miners, cycle.n_environments, cycle.episodes_per_env
            ));
            self.cycle = Some(Told { id: cycle.id, tenths: 0, at: Instant::now() });
            return;
        };
        if is_open(cycle) && (tenths > told.tenths || told.at.elapsed() >= REMIND) {
            lines.push(format!(
                "cycle {}: {} of {} episodes played, {} solved",
                cycle.id, cycle.tasks_completed, cycle.tasks_total, cycle.successes
            ));
            (told.tenths, told.at) = (tenths, Instant::now());
        }
    }
}

fn is_open(cycle: &Cycle) -> bool {
    // A state that this version does not know is no end.
    !cycle.status.parse::<CycleState>().is_ok_and(CycleState::is_final)
}

fn ended(cycle: &Cycle) -> String {
    let mut line = format!(
        "cycle {} {} after {:.0} s: {} of {} episodes played, {} solved",
        cycle.id, cycle.status, cycle.duration_seconds, cycle.tasks_completed, cycle.tasks_total, cycle.successes
    );
    if cycle.tasks_failed > 0 {
        line += &format!(", {} not to be played (kinitro dead-letters list)", cycle.tasks_failed);
    }
    line
}

/// What the next cycle waits for: the kind, and the line that says so.
fn waiting(status: &Status) -> (&'static str, String) {
    match status.next_eval_in_seconds {
        None => ("asked", "no cycle runs; start one with: kinitro cycle start".to_owned()),
        Some(0) => {
            let registered = status.miners_registered;
            let line = format!("a cycle is due and waits for miners that can be evaluated ({registered} registered)");
            ("miners", line)
        }
        Some(seconds) => {
            ("time", format!("the next cycle starts in {seconds} s; start one now with: kinitro cycle start"))
        }
    }
}

#[cfg(test)]
mod tests {
    use kinitro_proto::scheduling::v1::CycleSummary;

    use super::*;

    fn cycle(status: &str, tasks_completed: u32) -> Cycle {
        Cycle {
            id: 3,
            status: status.to_owned(),
            n_miners: 4,
            n_environments: 3,
            episodes_per_env: 2,
            tasks_total: 24,
            tasks_completed,
            successes: tasks_completed / 2,
            duration_seconds: 12.4,
            ..Cycle::default()
        }
    }

    fn status(next: Option<u32>, is_evaluating: bool) -> Status {
        Status { next_eval_in_seconds: next, is_evaluating, miners_registered: 5, ..Status::default() }
    }

    #[test]
    fn a_cycle_is_told_from_its_start_to_what_comes_next_and_nothing_twice() {
        let mut story = Story::default();
        let due = "a cycle is due and waits for miners that can be evaluated (5 registered)";
        assert_eq!(story.tell(&status(Some(0), false), None), [due]);
        assert!(story.tell(&status(Some(0), false), None).is_empty());
        let started = ["cycle 3 started: 4 miners × 3 environments × 2 episodes"];
        assert_eq!(story.tell(&status(Some(0), true), Some(&cycle("running", 0))), started);
        assert!(story.tell(&status(Some(0), true), Some(&cycle("running", 1))).is_empty(), "less than a tenth");
        let half = ["cycle 3: 12 of 24 episodes played, 6 solved"];
        assert_eq!(story.tell(&status(Some(0), true), Some(&cycle("running", 12))), half);
        let unknown = story.tell(&status(Some(0), true), Some(&cycle("paused", 13)));
        assert!(unknown.is_empty(), "a state that a newer version knows is no end: {unknown:?}");
        let ended = [
            "cycle 3 completed after 12 s: 24 of 24 episodes played, 12 solved",
            "the next cycle starts in 99 s; start one now with: kinitro cycle start",
        ];
        assert_eq!(story.tell(&status(Some(99), false), Some(&cycle("completed", 24))), ended);
        assert!(story.tell(&status(Some(97), false), None).is_empty());
    }

    #[test]
    fn a_cycle_that_begins_and_ends_between_two_looks_is_told_once_and_an_old_one_never() {
        let ended = |id| Status {
            last_ended_cycle: Some(CycleSummary { id, ..CycleSummary::default() }),
            ..status(Some(99), false)
        };
        let mut story = Story::default();
        assert_eq!(story.next(&ended(2)), None, "it had ended before the first look");
        assert_eq!(story.next(&ended(3)), Some(3));
        assert_eq!(story.tell(&ended(3), Some(&cycle("completed", 24))).len(), 3, "start, end, what comes next");
        assert_eq!(story.next(&ended(3)), None);
        let running = CycleSummary { id: 5, ..CycleSummary::default() };
        let next = Status { current_cycle: Some(running), ..ended(4) };
        assert_eq!(story.next(&next), Some(4), "before the one that runs");

        let mut fresh = Story::default();
        assert_eq!(fresh.next(&status(Some(0), false)), None);
        assert_eq!(fresh.next(&ended(1)), Some(1), "the first one of all");
    }

    #[test]
    fn what_could_not_be_played_is_told_and_where_to_look() {
        let mut story = Story::default();
        let gap = Cycle { tasks_failed: 2, ..cycle("timed_out", 22) };
        let lines = story.tell(&status(None, false), Some(&gap));
        assert_eq!(
            lines[1],
            "cycle 3 timed_out after 12 s: 22 of 24 episodes played, 11 solved, 2 not to be played (kinitro dead-letters list)"
        );
        assert_eq!(lines[2], "no cycle runs; start one with: kinitro cycle start");
    }
}
