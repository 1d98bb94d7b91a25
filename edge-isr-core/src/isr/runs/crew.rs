//! Who works on the runs: several workers, one of them the foreman, until all is closed.

use super::fed::Fed;
use super::{Run, Runs, Underway};
use crate::clock::Moment;
use crate::sync::lock;

impl Runs {
    pub(crate) fn attach(&self) {
        let mut state = lock(&self.state);
        state.workers += 1;
        state.keep_busy(&self.busy);
    }

    /// The place of the one worker that lists and feeds, if it is free.
    pub(crate) fn become_foreman(&self) -> bool {
        let mut state = lock(&self.state);
        !std::mem::replace(&mut state.has_foreman, true)
    }

    /// A worker leaves; whether it was the last.
    pub(crate) fn detach(&self, was_foreman: bool) -> bool {
        let mut state = lock(&self.state);
        state.workers -= 1;
        if was_foreman {
            state.has_foreman = false;
        }
        let is_last = state.workers == 0;
        // When it is closed, what is left is told before `idle` is let go.
        if !(is_last && state.is_closed) {
            state.keep_busy(&self.busy);
        }
        drop(state);
        // Another one may take the foreman's place.
        self.changed.notify_waiters();
        is_last
    }

    pub(crate) fn has_workers(&self) -> bool {
        lock(&self.state).workers > 0
    }

    /// Takes up no more. What is left is for whoever leaves last, or for the caller when nobody works.
    pub(crate) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_waiters();
    }

    /// Runs none of whose pages is in the air, begun or not. When no render begins any more, nothing brings them further.
    pub(crate) fn take_stranded(&self) -> Vec<Underway> {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let mut all: Vec<Underway> = std::mem::take(&mut state.over);
        let in_air = state.fed.in_air();
        let ids: Vec<u64> = state.underway.keys().filter(|id| !in_air.contains(id)).copied().collect();
        for id in ids {
            let Some(stranded) = state.underway.remove(&id) else { continue };
            state.at_work.remove(&id);
            state.backlog -= stranded.backlog.len();
            all.push(stranded.abandon());
        }
        while let Some(run) = state.waiting.take() {
            all.push(Underway::new(run, Moment::default()).abandon());
        }
        all
    }

    /// All that is left, begun or not. Its pages are left to their next visitors.
    pub(crate) fn take_all(&self) -> Vec<Underway> {
        let mut state = lock(&self.state);
        let mut all: Vec<Underway> = std::mem::take(&mut state.over);
        all.extend(std::mem::take(&mut state.underway).into_values().map(Underway::abandon));
        while let Some(run) = state.waiting.take() {
            all.push(Underway::new(run, Moment::default()).abandon());
        }
        state.at_work.clear();
        state.fed = Fed::default();
        state.backlog = 0;
        all
    }

    /// What is left, to be told while nobody works, without giving it up.
    pub(crate) fn untold(&self) -> Vec<Run> {
        let state = lock(&self.state);
        let underway = state.over.iter().chain(state.underway.values()).map(|underway| &underway.run);
        state.waiting.iter().chain(underway).cloned().collect()
    }
}
