//! Asking the backend, and which of its weights may be set.

use crate::{
    Error, Obstacle,
    backend::Answer,
    check::{Published, follows, timely},
    decide::bearable,
    fit::{Fitted, fit},
    status::Area,
    validator::Validator,
    view::View,
};

impl Validator {
    pub(crate) async fn poll(&mut self) {
        let answer = self.backend.poll().await;
        let outcome = match &answer {
            Ok(Answer::New(_)) => "new",
            Ok(Answer::Unchanged) => "unchanged",
            Ok(Answer::NoneYet) => "none_yet",
            Err(fault) => fault.cause(),
        };
        metrics::counter!("kinitro_validator_backend_polls_total", "outcome" => outcome).increment(1);
        match answer {
            Ok(Answer::New(published)) => {
                self.latest = Some(published);
                self.status.clear(Area::Backend);
            }
            Ok(Answer::Unchanged) => self.status.clear(Area::Backend),
            Ok(Answer::NoneYet) => {
                let reason = "the backend answers 404: it has no weights yet, or the path in backend_url is wrong";
                self.status.raise(Area::Backend, outcome, reason.to_owned());
            }
            Err(fault) => {
                self.status.raise(Area::Backend, outcome, fault.to_string());
            }
        }
    }

    /// The weights that may be set: the newest when they are in order and can be set, otherwise the last that were, while they are young
    /// enough. After a start, the last ones come from the disk. Without any, the newest that cannot be set: nothing is set then, and it
    /// is told why.
    pub(crate) fn accept(&mut self, genesis: &str, view: &View) -> Result<Option<Published>, Error> {
        let (finalized, limit) = (view.head.number, self.config.max_weights_age_blocks);
        let mut unusable = None;
        if let Some(latest) = &self.latest {
            let known = self.store.memory(genesis).accepted;
            let in_order = timely(latest.block, finalized, limit).and_then(|()| follows(latest, known.as_ref()));
            let new = known.as_ref() != Some(&latest.accepted());
            match in_order.map(|()| if new { usable(latest, view) } else { Ok(()) }) {
                Ok(Err(obstacle)) => {
                    let reason = format!("the backend's weights cannot be set, so the last good ones stay: {obstacle}");
                    self.status.raise(Area::Weights, obstacle.cause(), reason);
                    unusable = Some(latest.clone());
                }
                Ok(Ok(())) => {
                    let on_disk = self.store.accepted_weights(genesis).is_some();
                    if new || !on_disk {
                        tracing::info!(block = %latest.block, cycle = %latest.cycle_id, miners = latest.shares.len(), "accepted new weights");
                        self.store.accept(genesis, latest)?;
                        self.remember(genesis);
                    }
                    self.accepted = Some(latest.clone());
                    self.status.clear(Area::Weights);
                }
                Err(refusal) => {
                    let reason = format!("the backend's weights are refused: {refusal}");
                    self.status.raise(Area::Weights, refusal.cause(), reason);
                }
            }
        }
        if self.accepted.is_none() {
            self.accepted = self.store.accepted_weights(genesis);
        }
        let accepted = self.accepted.clone().filter(|accepted| timely(accepted.block, finalized, limit).is_ok());
        Ok(accepted.or(unusable))
    }

    pub(crate) fn tell_dropped(&mut self, fitted: &Fitted) {
        for dropped in fitted.dropped.iter().filter(|dropped| !self.dropped.contains(&dropped.uid)) {
            metrics::counter!("kinitro_validator_dropped_uids_total").increment(1);
            let holder = dropped.holder.as_ref().map_or("nobody", |holder| holder.as_str());
            let (uid, weight, scored) = (dropped.uid, dropped.weight, &dropped.scored);
            tracing::warn!(%uid, weight, %scored, holder, "the uid changed hands, its weight goes to the others");
        }
        self.dropped = fitted.dropped.iter().map(|dropped| dropped.uid).collect();
    }
}

/// Whether anything of the weights could be set on the subnet as it is.
fn usable(published: &Published, view: &View) -> Result<(), Obstacle> {
    let fitted = fit(published, &view.neurons, view.subnet.owner_hotkey.as_ref())?;
    match (&fitted.weights[..], view.standing) {
        // Who weights itself alone needs no company (see `decide`).
        ([(uid, _)], Some(standing)) if *uid == standing.uid => Ok(()),
        _ => bearable(&view.terms(), &fitted.weights, fitted.without.len()),
    }
}
