//! Pages that a late tag killed, for as long as the second tier may hold them: written down, they are as alive as ever.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::ports::ask;
use super::{Isr, busy};
use crate::model::key::CacheKey;
use crate::model::page::{Birth, Page};
use crate::model::reason::Reason;
use crate::sync::{Mutex, lock};

/// The most pages that are remembered until they are removed.
const MOST: usize = 1_024;

/// What the second tier must not bring back.
#[derive(Debug, Default)]
pub(crate) struct Killed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    pages: Vec<Remembered>,
    /// Pages that are just being written down.
    writing: Vec<(u64, Birth)>,
    is_removing: bool,
    /// How often some were removed: what was read before that may be one of them.
    removals: u64,
    /// Whether one had no room: then nothing that was written down can be believed.
    has_lost: bool,
}

#[derive(Debug)]
struct Remembered {
    key: CacheKey,
    birth: Birth,
}

impl State {
    fn is_written(&self, page: &Remembered) -> bool {
        self.writing.iter().any(|(hash, birth)| *hash == page.key.hash() && *birth == page.birth)
    }
}

impl Killed {
    /// Remembers a page. Whether there was room.
    fn add(&self, key: &CacheKey, birth: &Birth) -> bool {
        let mut state = lock(&self.0);
        if state.pages.iter().any(|page| page.key == *key && page.birth == *birth) {
            return true;
        }
        if state.pages.len() >= MOST {
            state.has_lost = true;
            return false;
        }
        state.pages.push(Remembered { key: key.clone(), birth: *birth });
        true
    }

    /// Whether a page of this birth that was read since `removals` may have been killed.
    pub(super) fn has(&self, hash: u64, birth: &Birth, removals: u64) -> bool {
        let state = lock(&self.0);
        state.has_lost
            || state.removals != removals
            || state.pages.iter().any(|page| page.key.hash() == hash && page.birth == *birth)
    }

    /// How often some were removed.
    pub(super) fn removals(&self) -> u64 {
        lock(&self.0).removals
    }

    /// Whether no page that was written down can be believed.
    pub(super) fn has_lost(&self) -> bool {
        lock(&self.0).has_lost
    }

    /// The pages that are to be removed now, if nobody removes any; those that are just being written down are not.
    fn begin(&self) -> Option<Vec<(CacheKey, Birth)>> {
        let mut state = lock(&self.0);
        if state.is_removing {
            return None;
        }
        let all = state.pages.iter().filter(|page| !state.is_written(page));
        let all: Vec<_> = all.map(|page| (page.key.clone(), page.birth)).collect();
        state.is_removing = !all.is_empty();
        state.is_removing.then_some(all)
    }

    fn removed(&self, removed: &[(CacheKey, Birth)]) {
        let mut state = lock(&self.0);
        state.removals += 1;
        state
            .pages
            .retain(|page| !removed.iter().any(|(key, birth)| page.key == *key && page.birth == *birth));
    }
}

/// A page that is being written down.
pub(super) struct Writing<'a> {
    isr: &'a Isr,
    page: &'a Arc<Page>,
    mark: (u64, Birth),
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.isr.0.killed.0);
            if let Some(at) = state.writing.iter().position(|mark| *mark == self.mark) {
                state.writing.swap_remove(at);
            }
        }
        if self.page.is_killed() {
            self.isr.remove_killed();
        }
    }
}

/// The right to remove killed pages, one at a time.
struct Removing(Isr, #[expect(dead_code, reason = "held")] busy::Guard);

impl Drop for Removing {
    fn drop(&mut self) {
        lock(&self.0.0.killed.0).is_removing = false;
    }
}

impl Isr {
    /// Announces that a page is written down. `None` if it was killed.
    pub(super) fn begin_writing<'a>(&'a self, hash: u64, page: &'a Arc<Page>) -> Option<Writing<'a>> {
        let mark = (hash, *page.birth());
        // Before the look: what kills it now leaves its removal to the end of the writing.
        lock(&self.0.killed.0).writing.push(mark);
        let writing = Writing { isr: self, page, mark };
        (!page.is_killed()).then_some(writing)
    }

    /// Believes nothing that the second tier says of a killed page, until it is removed there.
    pub(super) fn remember_killed(&self, key: &CacheKey, birth: &Birth) {
        if self.0.store.is_some() && !self.0.killed.add(key, birth) {
            const ADVICE: &str = "it removes nothing, and more pages came to carry late tags than are remembered: it is \
                                  not read until a restart";
            self.note(Reason::StoreUnavailable, "late tags", ADVICE);
        }
    }

    /// Removes killed pages from the second tier, in the background and all at once. What can't be removed is tried
    /// again when it is met, or another is killed.
    pub(super) fn remove_killed(&self) {
        // A handler may add tags on a thread of its own.
        let (Some(store), Ok(runtime)) = (self.0.store.clone(), Handle::try_current()) else { return };
        let Some(mut dead) = self.0.killed.begin() else { return };
        let removing = Removing(self.clone(), self.0.busy.begin());
        runtime.spawn(async move {
            let mut removing = removing;
            loop {
                let isr = removing.0.clone();
                let keys: Vec<CacheKey> = dead.iter().map(|(key, _)| key.clone()).collect();
                let remove = async { store.remove(&keys).await };
                if let Err(failure) = ask(isr.0.limits.store_wait * 5, remove).await {
                    isr.note_failure(&failure);
                    return;
                }
                isr.0.killed.removed(&dead);
                // More may have come meanwhile.
                let busy = isr.0.busy.begin();
                drop(removing);
                let Some(more) = isr.0.killed.begin() else { return };
                (dead, removing) = (more, Removing(isr, busy));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_engine::{Engine, policy};
    use super::*;

    #[test]
    fn p01_p03_where_not_all_killed_pages_can_be_remembered_none_that_was_written_down_is_believed() {
        let engine = Engine::new();
        let page = engine.page("/other", &policy());
        let (killed, birth) = (Killed::default(), *page.birth());
        for n in 0..MOST {
            let key = engine.key(&format!("/{n}"));
            assert!(killed.add(&key, &birth) && killed.add(&key, &birth), "{n}: each once");
        }
        let other = engine.key("/other");
        assert!(!killed.has(other.hash(), &birth, 0) && !killed.has_lost());
        let all = killed.begin().unwrap();
        assert!(all.len() == MOST && killed.begin().is_none(), "one at a time");
        assert!(!killed.add(&engine.key("/one-more"), &birth));
        killed.removed(&all);
        assert!(killed.has(other.hash(), &birth, 1) && killed.has_lost());
    }

    #[test]
    fn p01_p03_what_was_read_before_killed_pages_were_removed_may_be_one_of_them() {
        let engine = Engine::new();
        let (key, page) = (engine.key("/a"), engine.page("/a", &policy()));
        let killed = Killed::default();
        let before = killed.removals();
        killed.add(&key, page.birth());
        killed.removed(&killed.begin().unwrap());
        assert!(killed.has(key.hash(), page.birth(), before), "its answer was on the way");
        assert!(!killed.has(key.hash(), page.birth(), killed.removals()));
    }

    #[test]
    fn p01_p03_a_page_that_is_being_written_down_is_removed_when_that_is_over() {
        let engine = Engine::new();
        let (key, page) = (engine.key("/a"), engine.page("/a", &policy()));
        let killed = &engine.isr.0.killed;
        let writing = engine.isr.begin_writing(key.hash(), &page).unwrap();
        page.kill();
        killed.add(&key, page.birth());
        assert!(killed.begin().is_none(), "it would come back");
        assert!(engine.isr.begin_writing(key.hash(), &page).is_none(), "nor is it written once more");
        drop(writing);
        assert_eq!(killed.begin().unwrap().len(), 1);
    }
}
