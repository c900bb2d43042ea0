//! Comparing what the chain shows with what was sent, and noticing when it shows nothing new.
//!
//! Readable weights are compared at the finalized head, in every round until it is known: an error in between costs a round, not the
//! answer. Hidden ones are compared when the chain is due to open them. All that wait for that are watched, not the newest only:
//! weights that change often would otherwise always replace the ones that never came.

use kinitro_domain::BlockNumber;

use crate::{
    Error,
    memory::{LastSet, Memory, Reveal},
    status::Area,
    validator::Validator,
    view::View,
};

/// What the chain's weights say about those that wait to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is too early to say.
    Open,
    /// The chain shows this one; the ones before are replaced.
    Shown(usize),
    /// The oldest was not opened in time.
    Lost,
}

impl Validator {
    pub(crate) fn watch(&mut self, genesis: &str, view: &View) -> Result<(), Error> {
        self.watch_age(genesis, view);
        self.watch_readable(genesis, view)?;
        self.watch_hidden(genesis, view)
    }

    /// Whatever the reason: weights that were accepted and are not set in time are a trouble.
    fn watch_age(&self, genesis: &str, view: &View) {
        let (now, cutoff) = (view.head.number, view.terms().activity_cutoff);
        let last = view.standing.map(|standing| standing.last_update).filter(|last| last.0 > 0);
        let age = last.map(|last| now.0.saturating_sub(last.0));
        match (last, age) {
            (Some(last), Some(age)) if age > cutoff && self.store.memory(genesis).accepted.is_some() => {
                let reason = format!(
                    "the hotkey's weights are of block {last}, {age} blocks ago, and count no more after {cutoff}: \
                     see what is in the way, and the subnet's weights_rate_limit"
                );
                self.status.raise(Area::Age, "stale", reason);
            }
            _ => self.status.clear(Area::Age),
        }
    }

    fn watch_readable(&mut self, genesis: &str, view: &View) -> Result<(), Error> {
        let last = self.store.memory(genesis).last_set;
        let Some(last) = last.filter(|last| last.message.reveal.is_none() && last.as_sent.is_none()) else {
            return Ok(());
        };
        // When somebody else set weights since, nothing can be compared any more.
        if view.standing.is_none_or(|standing| standing.last_update != last.at) {
            return Ok(());
        }
        let as_sent = view.on_chain == last.message.weights;
        self.judge(genesis, |memory| {
            if let Some(last) = &mut memory.last_set {
                last.as_sent = Some(as_sent);
            }
        })?;
        if as_sent {
            self.status.clear(Area::ReadBack);
        } else {
            let reason =
                format!("the weights in block {} are not those that were sent: see the chain's events", last.at);
            self.status.raise(Area::ReadBack, "read_back", reason);
        }
        Ok(())
    }

    fn watch_hidden(&mut self, genesis: &str, view: &View) -> Result<(), Error> {
        let memory = self.store.memory(genesis);
        if !view.subnet.commit_reveal && !memory.hidden.is_empty() {
            // What became of the older ones does not matter any more.
            self.judge(genesis, |memory| memory.hidden.clear())?;
            return Ok(());
        }
        let committed: Vec<&LastSet> = memory.committed().collect();
        let equal = |last: &LastSet| view.on_chain == last.message.weights;
        let due: Vec<(Reveal, bool)> =
            committed.iter().filter_map(|last| last.message.reveal.map(|reveal| (reveal, equal(last)))).collect();
        match verdict(&due, view.head.number) {
            Verdict::Open => Ok(()),
            Verdict::Shown(at) => self.shown(genesis, committed[at], at),
            Verdict::Lost => self.lost(genesis, committed[0], view.head.number),
        }
    }

    fn shown(&mut self, genesis: &str, shown: &LastSet, at: usize) -> Result<(), Error> {
        let newest = self.store.memory(genesis).hidden.len() == at;
        let certain = shown.message.reveal.is_some_and(|reveal| !reveal.shown_before);
        if newest {
            self.status.clear(Area::ReadBack);
        }
        if at == 0 && newest && !certain {
            return Ok(());
        }
        self.judge(genesis, |memory| {
            memory.hidden.drain(..memory.hidden.len().min(at + 1));
            if let Some(last) = memory.last_set.as_mut().filter(|_| newest && certain) {
                last.as_sent = Some(true);
            }
        })?;
        if certain {
            let (block, cycle) = (shown.at, shown.message.cycle_id);
            metrics::counter!("kinitro_validator_reveals_total", "outcome" => "as_committed").increment(1);
            tracing::info!(%block, %cycle, "the chain revealed the weights as they were committed");
            self.status.clear(Area::ReadBack);
        }
        Ok(())
    }

    fn lost(&mut self, genesis: &str, lost: &LastSet, now: BlockNumber) -> Result<(), Error> {
        self.judge(genesis, |memory| {
            if memory.hidden.is_empty() {
                if let Some(last) = &mut memory.last_set {
                    last.as_sent = Some(false);
                }
            } else {
                memory.hidden.remove(0);
            }
        })?;
        metrics::counter!("kinitro_validator_reveals_total", "outcome" => "otherwise").increment(1);
        let reason = format!(
            "the weights that were committed in block {} were not revealed up to block {now}: \
             the subnet's epochs moved, or the beacon was late",
            lost.at
        );
        self.status.raise(Area::ReadBack, "reveal", reason);
        Ok(())
    }

    fn judge(&mut self, genesis: &str, change: impl FnOnce(&mut Memory)) -> Result<(), Error> {
        self.store.update(genesis, change)?;
        self.remember(genesis);
        Ok(())
    }
}

/// Judges what waits, the oldest first, each with whether the chain shows it. Before its time, equal weights are older ones; and
/// where the chain showed the same before, they say nothing about what was committed earlier and must still come.
fn verdict(due: &[(Reveal, bool)], now: BlockNumber) -> Verdict {
    let shown = |(reveal, equal): &(Reveal, bool)| *equal && now >= reveal.from;
    let certain = |(reveal, _): &(Reveal, bool)| !reveal.shown_before;
    if let Some(at) = due.iter().rposition(|one| shown(one) && certain(one)) {
        return Verdict::Shown(at);
    }
    if let Some(at) = due.iter().rposition(shown).filter(|at| !due[..*at].iter().any(certain)) {
        return Verdict::Shown(at);
    }
    match due.first() {
        Some((oldest, _)) if now > oldest.until => Verdict::Lost,
        _ => Verdict::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reveal(from: u64, until: u64) -> Reveal {
        Reveal { round: 1, from: BlockNumber(from), until: BlockNumber(until), shown_before: false }
    }

    #[test]
    fn a_reveal_is_judged_within_its_time() {
        let at = |now, equal| verdict(&[(reveal(100, 200), equal)], BlockNumber(now));
        assert_eq!(at(99, true), Verdict::Open, "these are the weights of before");
        assert_eq!([at(99, false), at(100, false), at(200, false)], [Verdict::Open; 3]);
        assert_eq!([at(100, true), at(200, true), at(201, true)], [Verdict::Shown(0); 3]);
        assert_eq!(at(201, false), Verdict::Lost);
        assert_eq!(verdict(&[], BlockNumber(201)), Verdict::Open);
    }

    #[test]
    fn the_oldest_is_missed_however_many_were_committed_since() {
        let at = |equal: [bool; 2], now| {
            let [first, second] = equal;
            verdict(&[(reveal(100, 200), first), (reveal(150, 250), second)], BlockNumber(now))
        };
        assert_eq!(at([false, false], 201), Verdict::Lost);
        assert_eq!(at([true, false], 120), Verdict::Shown(0));
        assert_eq!(at([false, true], 160), Verdict::Shown(1), "the first was replaced, or shown while nobody looked");
        assert_eq!(at([false, true], 140), Verdict::Open, "these are older ones");
        assert_eq!(at([true, true], 210), Verdict::Shown(1));
    }

    #[test]
    fn weights_that_the_chain_showed_before_hide_no_loss() {
        let before = |from, until| Reveal { shown_before: true, ..reveal(from, until) };
        let at = |now| verdict(&[(reveal(100, 200), false), (before(150, 250), true)], BlockNumber(now));
        assert_eq!((at(160), at(201)), (Verdict::Open, Verdict::Lost));
        assert_eq!(
            verdict(&[(before(100, 200), false), (before(150, 250), true)], BlockNumber(160)),
            Verdict::Shown(1)
        );
    }
}
