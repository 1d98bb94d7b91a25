//! How far an invalidation has come: marked, rendered, purged.

use std::time::Duration;

use tokio::sync::Notify;

use crate::sync::{Mutex, lock};

/// Where a connector stands with an invalidation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeState {
    /// It has not been told yet: soft purges follow the new pages.
    Pending,
    /// It did not confirm, and will be told again; what it said.
    Retrying(String),
    /// It confirmed.
    Confirmed,
    /// It did not confirm, and will not be told again; what it said last.
    Failed(String),
}

impl PurgeState {
    /// Whether it stays as it is.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::Confirmed | Self::Failed(_))
    }
}

/// The stages of an invalidation, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// No page that was begun before is served as fresh: so it is from the first.
    Marked,
    /// A worker is done with every page that it found: each is rendered anew, or left to its next visitor.
    Rendered,
    /// Every connector has confirmed, or was given up. A hard invalidation is told twice; this is the second time.
    Purged,
}

/// How far an invalidation has come.
///
/// One that was merged with others of the same tags tells how far all of them are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// How many pages, variants included, are to be rendered; `None` while they are being counted, and where no
    /// worker runs. Less later for each that a visitor's request renders before its turn.
    pub pages: Option<usize>,
    /// How many of them are rendered.
    pub rendered: usize,
    /// How many are left to their next visitors: their renders failed, or they are gone from the store.
    pub left: usize,
    /// Where each connector stands.
    pub purges: Vec<(&'static str, PurgeState)>,
    /// What is known of each connector's last round. A hard invalidation has two, and the first settles nothing.
    last: Vec<Last>,
}

/// How far the last round is at one connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Silent,
    Told,
    Settled,
}

impl Progress {
    /// Whether it has come so far.
    #[must_use]
    pub fn has_reached(&self, stage: Stage) -> bool {
        let is_rendered = self.pages.is_some_and(|pages| self.rendered + self.left >= pages);
        let is_purged = self.last.iter().all(|last| *last == Last::Settled);
        match stage {
            Stage::Marked => true,
            Stage::Rendered => is_rendered,
            // Where nobody renders, purges don't wait for it.
            Stage::Purged => is_purged && (is_rendered || !self.purges.is_empty()),
        }
    }

    /// The last stage it has reached.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let reached = |stage: &Stage| self.has_reached(*stage);
        [Stage::Purged, Stage::Rendered].into_iter().find(reached).unwrap_or(Stage::Marked)
    }
}

/// Which of the two purges of a hard invalidation; a soft one has the last alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Round {
    First,
    Last,
}

/// A [`Progress`] that several watch.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    progress: Mutex<Progress>,
    changed: Notify,
}

impl Watched {
    pub(crate) fn new(connectors: impl Iterator<Item = &'static str>) -> Self {
        let purges = connectors.map(|name| (name, PurgeState::Pending)).collect();
        Self::of(purges, Last::Silent)
    }

    /// One about which nothing is to be done.
    pub(crate) fn nothing(connectors: impl Iterator<Item = &'static str>) -> Self {
        let watched = Self::of(connectors.map(|name| (name, PurgeState::Confirmed)).collect(), Last::Settled);
        watched.change(|progress| progress.pages = Some(0));
        watched
    }

    fn of(purges: Vec<(&'static str, PurgeState)>, last: Last) -> Self {
        let last = vec![last; purges.len()];
        Self { progress: Mutex::new(Progress { purges, last, ..Progress::default() }), ..Self::default() }
    }

    pub(crate) fn now(&self) -> Progress {
        lock(&self.progress).clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut lock(&self.progress));
        self.changed.notify_waiters();
    }

    /// What the connector in this place said. A first purge that ends late does not hide what the last one said.
    pub(crate) fn purged(&self, nth: usize, round: Round, state: PurgeState) {
        self.change(|progress| {
            let both = progress.purges.get_mut(nth).zip(progress.last.get_mut(nth));
            let Some(((_, known), last)) = both else { return };
            match round {
                Round::First if *last != Last::Silent => return,
                Round::Last if state.is_settled() => *last = Last::Settled,
                Round::Last if state != PurgeState::Pending => *last = Last::Told,
                Round::First | Round::Last => {}
            }
            *known = state;
        });
    }

    /// Waits until `done` says so, at most so long; how far it is then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub(crate) async fn until(
        &self,
        done: impl Fn(&Progress) -> bool + Send + Sync,
        timeout: Duration,
    ) -> Progress {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Registered before it is looked at, so that no change is missed.
                changed.as_mut().enable();
                if done(&self.now()) {
                    return;
                }
                changed.await;
            }
        };
        let _ = tokio::time::timeout(timeout, waiting).await;
        self.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_follow_each_other_and_a_failure_ends_a_stage_too() {
        let watched = Watched::new(["a", "b"].into_iter());
        let stage = || watched.now().stage();
        assert_eq!(stage(), Stage::Marked);
        watched.change(|progress| progress.pages = Some(2));
        watched.change(|progress| progress.rendered += 1);
        assert_eq!(stage(), Stage::Marked);
        watched.change(|progress| progress.left += 1);
        assert_eq!(stage(), Stage::Rendered);
        watched.purged(0, Round::First, PurgeState::Confirmed);
        watched.purged(1, Round::First, PurgeState::Confirmed);
        assert_eq!(stage(), Stage::Rendered, "the first of two rounds settles nothing");
        watched.purged(0, Round::Last, PurgeState::Confirmed);
        watched.purged(1, Round::Last, PurgeState::Retrying("busy".to_owned()));
        assert_eq!(stage(), Stage::Rendered);
        watched.purged(1, Round::Last, PurgeState::Failed("busy".to_owned()));
        assert_eq!(stage(), Stage::Purged);
    }

    #[test]
    fn p22_a_first_purge_that_ends_late_does_not_hide_what_the_last_said() {
        let watched = Watched::new(["a"].into_iter());
        watched.purged(0, Round::First, PurgeState::Retrying("late".to_owned()));
        assert_eq!(watched.now().purges[0].1, PurgeState::Retrying("late".to_owned()));
        watched.purged(0, Round::Last, PurgeState::Confirmed);
        watched.purged(0, Round::First, PurgeState::Failed("late".to_owned()));
        assert_eq!(watched.now().purges[0].1, PurgeState::Confirmed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_the_stage_or_with_its_time() {
        let watched = std::sync::Arc::new(Watched::new(std::iter::empty()));
        let second = Duration::from_secs(1);
        let timed_out = watched.until(|now| now.has_reached(Stage::Rendered), second).await;
        assert!(!timed_out.has_reached(Stage::Rendered));
        let waiting = {
            let watched = std::sync::Arc::clone(&watched);
            tokio::spawn(
                async move { watched.until(|now| now.has_reached(Stage::Rendered), second * 3600).await },
            )
        };
        tokio::task::yield_now().await;
        watched.change(|progress| progress.pages = Some(0));
        assert!(waiting.await.unwrap().has_reached(Stage::Rendered));
    }
}
