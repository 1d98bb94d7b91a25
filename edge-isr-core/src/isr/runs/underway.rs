//! A run that a worker has taken up: which of its pages are known, which are still to be rendered.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use super::waiting::Run;
use crate::clock::Moment;
use crate::graph::{Cursor, Members};
use crate::isr::progress::Progress;
use crate::model::key::CacheKey;
use crate::model::tag::Tag;

/// How long the first page waits for the listing of the others. A million take about two seconds.
const LONGEST_LISTING: Duration = Duration::from_secs(30);

/// With no more URLs than this for the caches in front, many runs can be remembered at once.
const FEW_URLS: usize = 64;

/// So many pages that were given up are remembered. Of more it may be told twice that they are left.
const MOST_GIVEN_UP: usize = 1_024;

/// Where the listing of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which of its tags.
    pub(crate) nth: usize,
    pub(crate) after: Option<Cursor>,
    /// First the pages in memory, of which it is known how often they are visited; then, where there is a second
    /// tier, those that are only there.
    pub(crate) is_second: bool,
}

/// Pages of a batch that have to be rendered.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Visits and hash of the key.
    pub(crate) in_memory: Vec<(u32, u64)>,
    pub(crate) elsewhere: Vec<CacheKey>,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Underway {
    pub(crate) run: Run,
    /// When it was taken up.
    since: Moment,
    /// `None` once all pages are known.
    pub(super) at: Option<Place>,
    /// Pages that no queue has yet, the most visited first: sixteen bytes each, since a tag may have a million.
    pub(super) backlog: BTreeSet<(Reverse<u32>, u64)>,
    pub(super) elsewhere: Vec<CacheKey>,
    /// Which of its pages were given up, as long as they may come again: a listing may find a page twice.
    pub(super) given_up: BTreeSet<u64>,
    /// No more than so many URLs are listed for the caches in front.
    pub(super) urls: usize,
    /// How many pages were found, and how many of them are not done.
    pages: usize,
    pub(super) left: usize,
}

impl Underway {
    pub(super) fn new(run: Run, now: Moment) -> Self {
        let at = (!run.tags.is_empty()).then_some(Place { nth: 0, after: None, is_second: false });
        let (backlog, elsewhere, given_up) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        Self { run, since: now, at, backlog, elsewhere, given_up, urls: 0, pages: 0, left: 0 }
    }

    /// The tag to list, and from where on.
    pub(super) fn place(&self) -> Option<(&Tag, Place)> {
        let at = self.at?;
        Some((self.run.tags.get(at.nth)?, at))
    }

    /// Whether it has pages for the queue.
    pub(super) fn has_page(&self) -> bool {
        !self.backlog.is_empty() || !self.elsewhere.is_empty()
    }

    /// Whether there is more to do about it, or more to remember of it, than to wait for pages that the queue has.
    pub(super) fn is_at_work(&self) -> bool {
        self.at.is_some() || self.has_page() || self.urls > FEW_URLS
    }

    /// Whether its most visited pages are known by now, since all those in memory are. A list without end is not
    /// waited for.
    pub(super) fn is_in_order(&self, now: Moment) -> bool {
        self.at.is_none_or(|at| at.is_second) || now.since(self.since) >= LONGEST_LISTING
    }

    /// Takes in a batch; how many pages the backlog grew by.
    pub(super) fn add(&mut self, members: &Members, found: Found, has_second: bool) -> usize {
        let Some(at) = self.at else { return 0 };
        let before = self.backlog.len();
        let visited = found.in_memory.into_iter().map(|(visits, hash)| (Reverse(visits), hash));
        self.backlog.extend(visited);
        let grown = self.backlog.len() - before;
        let count = grown + found.elsewhere.len();
        self.elsewhere.extend(found.elsewhere);
        self.pages += count;
        self.left += count;
        let is_last = at.nth + 1 >= self.run.tags.len();
        self.at = match members.next {
            Some(cursor) => Some(Place { after: Some(cursor), ..at }),
            None if !is_last => Some(Place { nth: at.nth + 1, after: None, ..at }),
            None if has_second && !at.is_second => Some(Place { nth: 0, after: None, is_second: true }),
            None => None,
        };
        self.tell_pages();
        grown
    }

    /// A page was listed twice: it carries several of the tags.
    pub(super) fn uncount(&mut self) {
        self.pages = self.pages.saturating_sub(1);
        self.left = self.left.saturating_sub(1);
        self.tell_pages();
    }

    /// One page is left to its next visitor.
    pub(super) fn give_up(&mut self, hash: u64) {
        self.done(false);
        if self.given_up.len() < MOST_GIVEN_UP {
            self.given_up.insert(hash);
        }
    }

    pub(super) fn has_given_up(&self, hash: u64) -> bool {
        self.given_up.contains(&hash)
    }

    /// One page is done: rendered, or left to its next visitor.
    pub(super) fn done(&mut self, is_rendered: bool) {
        self.left = self.left.saturating_sub(1);
        self.tell(|progress| {
            if is_rendered {
                progress.rendered += 1;
            } else {
                progress.left += 1;
            }
        });
    }

    /// Whether every page is known and done.
    pub(super) fn is_over(&self) -> bool {
        self.at.is_none() && self.left == 0
    }

    /// Leaves what is not done to its next visitors.
    pub(super) fn abandon(mut self) -> Self {
        let left = std::mem::take(&mut self.left);
        self.tell(|progress| progress.left += left);
        self.at = None;
        self.tell_pages();
        self
    }

    /// How many there are can be told once all are known.
    fn tell_pages(&self) {
        if self.at.is_none() {
            self.tell(|progress| progress.pages = Some(self.pages));
        }
    }

    fn tell(&self, change: impl Fn(&mut Progress)) {
        self.run.watched.iter().for_each(|watched| watched.change(&change));
    }
}
