//! Invalidations that no worker has taken up yet. Those of the same tags are one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::clock::Moment;
use crate::isr::progress::Watched;
use crate::isr::tell::Listed;
use crate::model::implicit;
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;
use crate::queue::{Priority, Window};

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
    /// When it was asked for, the first time and the last.
    pub(crate) first: Moment,
    pub(crate) last: Moment,
    /// Where its receipts look. Those of merged runs are one; there are more where all became one.
    pub(crate) watched: Vec<Arc<Watched>>,
    /// The URLs whose pages lost one of its tags since.
    pub(crate) listed: Listed,
}

impl Run {
    /// From when on its burst is over: it was not asked for again for a while, or has waited for that for long enough.
    fn due(&self, window: Window) -> Moment {
        self.last.after(window.quiet).min(self.first.after(window.most))
    }

    /// Does the other's work too: never for less than its sequence, never softer or later, and for its receipts.
    fn absorb(&mut self, other: Self) {
        self.seq = self.seq.max(other.seq);
        self.priority = self.priority.max(other.priority);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        if other.mode == Mode::Hard {
            self.mode = Mode::Hard;
        }
        self.listed.absorb(other.listed);
        // What nobody can ask for any more takes no room.
        self.watched.extend(other.watched.into_iter().filter(|watched| Arc::strong_count(watched) > 1));
    }
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By when they are looked at next: at once, and then when they would be due if nothing more came. So one that
    /// is asked for again and again costs no more than one that is not.
    order: BTreeMap<(Moment, u64), Name>,
    runs: HashMap<Name, Run>,
    last_id: u64,
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
        self.last_id += 1;
        self.order.insert((run.first, self.last_id), name.clone());
        self.runs.insert(name, run);
        watched
    }

    /// Whether there is a run whose burst is over.
    pub(super) fn has_due(&mut self, window: Window, now: Moment) -> bool {
        while let Some(entry) = self.order.first_entry().filter(|entry| entry.key().0 <= now) {
            let Some(due) = self.runs.get(entry.get()).map(|run| run.due(window)) else {
                entry.remove();
                continue;
            };
            if due <= now {
                return true;
            }
            let ((_, id), name) = entry.remove_entry();
            self.order.insert((due, id), name);
        }
        false
    }

    /// The first run whose burst is over.
    pub(super) fn take_due(&mut self, window: Window, now: Moment) -> Option<Run> {
        if self.has_due(window, now) { self.take() } else { None }
    }

    /// Any run.
    pub(super) fn take(&mut self) -> Option<Run> {
        let (_, name) = self.order.pop_first()?;
        self.runs.remove(&name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.runs.values_mut()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(name: &str, mode: Mode, seq: u64) -> Run {
        let watched = vec![Arc::default()];
        let (priority, at) = (Priority::Normal, Moment::default());
        let (tags, listed) = ([Tag::named(name)].into(), Listed::default());
        Run { tags, seq, mode, priority, first: at, last: at, watched, listed }
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
    fn p06_a_run_is_taken_once_it_is_quiet_and_after_the_longest_wait_in_any_case() {
        let at = |millis| Moment::default().after(Duration::from_millis(millis));
        let window = Window { quiet: Duration::from_millis(200), most: Duration::from_millis(1_000) };
        let asked =
            |name: &str, millis| Run { first: at(millis), last: at(millis), ..run(name, Mode::Soft, 1) };
        let mut waiting = Waiting::default();
        waiting.push(asked("quiet", 50));
        for millis in (0..5_000).step_by(100) {
            waiting.push(asked("steady", millis));
            let taken = waiting.take_due(window, at(millis)).map(|run| (run.tags[0].to_string(), run.first));
            let expected = match millis {
                300 => Some(("quiet".to_owned(), at(50))),
                _ if millis % 1_100 == 1_000 => Some(("steady".to_owned(), at(millis - 1_000))),
                _ => None,
            };
            assert_eq!(taken, expected, "{millis}");
        }
        assert!(!waiting.has_due(window, at(4_999)) && waiting.has_due(window, at(5_100)));
        let mut prompt = Waiting::default();
        prompt.push(asked("quiet", 50));
        assert!(prompt.take_due(Window::default(), at(50)).is_some(), "no window is over at once");
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
