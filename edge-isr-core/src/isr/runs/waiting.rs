//! Invalidations that no worker has taken up yet. Those of the same tags are one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::isr::progress::Watched;
use crate::model::implicit;
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;
use crate::queue::Priority;

/// The most invalidations that wait for a worker; beyond it they collapse into one of everything.
pub(super) const MOST_WAITING: usize = 4_096;

/// What a run is about. Those that are about the same are one.
type Name = (Arc<[Tag]>, Mode);

/// An invalidation whose pages are to be rendered anew and whose purges are to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) tags: Arc<[Tag]>,
    pub(crate) seq: u64,
    pub(crate) mode: Mode,
    pub(crate) priority: Priority,
    /// Where its receipts look. Those of merged runs are one; there are more where all became one.
    pub(crate) watched: Vec<Arc<Watched>>,
}

impl Run {
    /// Does the other's work too: never for less than its sequence, never softer or later, and for its receipts.
    fn absorb(&mut self, other: Self) {
        self.seq = self.seq.max(other.seq);
        self.priority = self.priority.max(other.priority);
        if other.mode == Mode::Hard {
            self.mode = Mode::Hard;
        }
        // What nobody can ask for any more takes no room.
        self.watched.extend(other.watched.into_iter().filter(|watched| Arc::strong_count(watched) > 1));
    }
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    order: VecDeque<Name>,
    runs: HashMap<Name, Run>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Adds a run, or merges it with the one of the same; where its receipt has to look.
    pub(super) fn push(&mut self, mut run: Run) -> Option<Arc<Watched>> {
        let mut name = (Arc::clone(&run.tags), run.mode);
        if let Some(standing) = self.runs.get_mut(&name) {
            run.watched.clear();
            standing.absorb(run);
            return standing.watched.first().cloned();
        }
        let watched = run.watched.first().cloned();
        if self.order.len() >= MOST_WAITING {
            // At the bound one takes all: purging too much is safe, too little is not. Pages that are fresh
            // are not rendered for it.
            self.order.clear();
            for (_, other) in self.runs.drain() {
                run.absorb(other);
            }
            run.tags = [implicit::all()].into();
            name = (Arc::clone(&run.tags), run.mode);
        }
        self.order.push_back(name.clone());
        self.runs.insert(name, run);
        watched
    }

    pub(super) fn take(&mut self) -> Option<Run> {
        let name = self.order.pop_front()?;
        self.runs.remove(&name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, mode: Mode, seq: u64) -> Run {
        let watched = vec![Arc::default()];
        Run { tags: [Tag::named(name)].into(), seq, mode, priority: Priority::Normal, watched }
    }

    #[test]
    fn p06_runs_of_the_same_are_one_with_the_latest_sequence_the_highest_priority_and_one_progress() {
        let mut waiting = Waiting::default();
        let first = waiting.push(run("a", Mode::Soft, 1)).unwrap();
        let urgent = Run { priority: Priority::High, ..run("a", Mode::Soft, 3) };
        assert!(Arc::ptr_eq(&first, &waiting.push(urgent).unwrap()));
        let hard = waiting.push(run("a", Mode::Hard, 2)).unwrap();
        assert!(!Arc::ptr_eq(&first, &hard));
        waiting.push(run("a", Mode::Soft, 2));
        let (soft, hard) = (waiting.take().unwrap(), waiting.take().unwrap());
        assert_eq!((soft.mode, soft.seq, soft.priority), (Mode::Soft, 3, Priority::High));
        assert_eq!((hard.mode, hard.seq, soft.watched.len()), (Mode::Hard, 2, 1));
        assert!(waiting.take().is_none() && waiting.is_empty());
    }

    #[test]
    fn p06_p15_at_the_bound_all_of_them_become_one_that_lacks_nothing_and_holds_no_receipt_in_vain() {
        let mut waiting = Waiting::default();
        let held = waiting.push(run("latest", Mode::Hard, 1_000_000)).unwrap();
        for round in 0..3 {
            for seq in 0..MOST_WAITING as u64 {
                waiting.push(run(&format!("{round}:{seq}"), Mode::Soft, seq));
            }
        }
        let all = std::iter::from_fn(|| waiting.take()).find(|run| run.tags[0] == implicit::all()).unwrap();
        assert_eq!((all.mode, all.seq), (Mode::Hard, 1_000_000));
        assert!(all.watched.iter().any(|watched| Arc::ptr_eq(watched, &held)));
        assert!(all.watched.len() <= 4, "{}", all.watched.len());
    }
}
