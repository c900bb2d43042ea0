//! Asking the backend, and which of its weights may be set.

use kinitro_domain::BlockNumber;

use crate::{
    Error,
    backend::Answer,
    check::{Published, follows, timely},
    fit::Fitted,
    status::Area,
    validator::Validator,
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

    /// The weights that may be set: the newest when they are in order, otherwise the last that were, while they are young enough.
    /// After a start, the last ones come from the disk.
    pub(crate) fn accept(&mut self, genesis: &str, finalized: BlockNumber) -> Result<Option<Published>, Error> {
        let limit = self.config.max_weights_age_blocks;
        if let Some(latest) = &self.latest {
            let known = self.store.memory(genesis).accepted;
            match timely(latest.block, finalized, limit).and_then(|()| follows(latest, known.as_ref())) {
                Ok(()) => {
                    let on_disk = self.store.accepted_weights(genesis).is_some();
                    if known.as_ref() != Some(&latest.accepted()) || !on_disk {
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
        Ok(self.accepted.clone().filter(|accepted| timely(accepted.block, finalized, limit).is_ok()))
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
