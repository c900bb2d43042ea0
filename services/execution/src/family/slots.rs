//! The places for episodes. While a family is closed none is free, which is how a dead process holds leasing back.

use std::sync::Arc;

use tokio::sync::watch;

use crate::telemetry;

/// A family's slots. Clones share them.
#[derive(Clone)]
pub(crate) struct Slots {
    family: Arc<str>,
    size: usize,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy)]
struct State {
    busy: usize,
    open: bool,
}

/// A place for one episode. Dropping it frees the place.
pub(crate) struct Slot(Slots);

impl Slots {
    /// So many slots, closed.
    pub(crate) fn new(family: &str, size: usize) -> Self {
        let slots = Self { family: family.into(), size, state: watch::Sender::new(State { busy: 0, open: false }) };
        slots.show();
        slots
    }

    pub(crate) fn open(&self) {
        self.state.send_modify(|state| state.open = true);
        self.show();
    }

    pub(crate) fn close(&self) {
        self.state.send_modify(|state| state.open = false);
        self.show();
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state.borrow().open
    }

    pub(crate) fn free(&self) -> usize {
        self.free_of(*self.state.borrow())
    }

    /// Resolves when a slot is free, without taking it.
    pub(crate) async fn one_free(&self) {
        let mut state = self.state.subscribe();
        // An error would say that the sender is gone, and we hold one.
        drop(state.wait_for(|state| self.free_of(*state) > 0).await);
    }

    /// A slot, if one is free.
    pub(crate) fn try_take(&self) -> Option<Slot> {
        let taken = self.state.send_if_modified(|state| {
            let free = self.free_of(*state) > 0;
            state.busy += usize::from(free);
            free
        });
        self.show();
        taken.then(|| Slot(self.clone()))
    }

    /// A slot that a process left busy may outlast it, so there can be more busy ones than an old count allows.
    fn free_of(&self, State { busy, open }: State) -> usize {
        if open { self.size.saturating_sub(busy) } else { 0 }
    }

    fn show(&self) {
        let state = *self.state.borrow();
        telemetry::slots(&self.family, state.busy, self.free_of(state), state.open);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.busy -= 1);
        self.0.show();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_slot_of_a_closed_family_is_free() {
        let slots = Slots::new("metaworld", 2);
        assert!(slots.free() == 0 && slots.try_take().is_none());
        slots.open();
        slots.one_free().await;
        let (first, second) = (slots.try_take(), slots.try_take());
        assert!(first.is_some() && second.is_some() && slots.try_take().is_none());
        slots.close();
        drop(first);
        assert!(slots.free() == 0 && slots.try_take().is_none());
        slots.open();
        assert_eq!(slots.free(), 1, "the second one still plays");
    }
}
