//! What comes of one telling at one connector, written down once its last item is done.

use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use crate::isr::progress::{PurgeState, Round, Watched};
use crate::sync::{Mutex, lock};

/// What is said of a telling that ended before it was told.
const BROKEN_OFF: &str = "it was broken off";

/// One telling at one connector. It settles when its last [`Share`] is gone.
#[derive(Debug)]
struct Ticket {
    /// The connector's place.
    nth: usize,
    round: Round,
    /// Weak: a receipt that nobody holds keeps no ticket alive.
    watched: Arc<[Weak<Watched>]>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many shares were not tried yet.
    untried: usize,
    /// Dropped when all were.
    tried: Option<oneshot::Sender<()>>,
    /// Why the last one that failed did.
    failed: Option<String>,
    /// Why the last one that is to be repeated failed.
    retrying: Option<String>,
}

impl Ticket {
    fn write(&self, state: &PurgeState) {
        for watched in self.watched.iter().filter_map(Weak::upgrade) {
            watched.purged(self.nth, self.round, state.clone());
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let failed = lock(&self.state).failed.take();
        self.write(&failed.map_or(PurgeState::Confirmed, PurgeState::Failed));
    }
}

/// A ticket's share in one item. One that is dropped without a word was broken off: it confirms nothing.
#[derive(Debug)]
pub(super) struct Share {
    ticket: Arc<Ticket>,
    is_tried: bool,
    is_settled: bool,
}

impl Share {
    /// The only share of a new ticket, and what resolves when it and what is made of it was tried.
    pub(super) fn begin(
        nth: usize,
        round: Round,
        watched: Arc<[Weak<Watched>]>,
    ) -> (Self, oneshot::Receiver<()>) {
        let (tried, all_tried) = oneshot::channel();
        let state = State { untried: 1, tried: Some(tried), failed: None, retrying: None };
        let ticket = Arc::new(Ticket { nth, round, watched, state: Mutex::new(state) });
        (Self { ticket, is_tried: false, is_settled: false }, all_tried)
    }

    /// A share in another item.
    pub(super) fn another(&self) -> Self {
        lock(&self.ticket.state).untried += 1;
        Self { ticket: Arc::clone(&self.ticket), is_tried: false, is_settled: false }
    }

    /// Whether anybody can still ask what came of it.
    pub(super) fn is_watched(&self) -> bool {
        self.ticket.watched.iter().any(|watched| watched.strong_count() > 0)
    }

    /// Keeps one share of each ticket: those of one item are said together.
    pub(super) fn one_of_each(shares: &mut Vec<Self>) {
        shares.sort_by_key(|share| Arc::as_ptr(&share.ticket).addr());
        let (kept, same): (Vec<Self>, Vec<Self>) = {
            let mut last = None;
            shares.drain(..).partition(|share| {
                let ticket = Some(Arc::as_ptr(&share.ticket).addr());
                std::mem::replace(&mut last, ticket) != ticket
            })
        };
        *shares = kept;
        // The one that is kept says what came of it.
        same.into_iter().for_each(Self::confirm);
    }

    /// The cache confirmed.
    pub(super) fn confirm(mut self) {
        self.is_settled = true;
    }

    /// The cache did not confirm and won't be asked again.
    pub(super) fn fail(mut self, why: &str) {
        self.is_settled = true;
        lock(&self.ticket.state).failed = Some(why.to_owned());
    }

    /// The cache did not confirm and will be asked again.
    pub(super) fn retry(&mut self, why: &str) {
        let is_known = {
            let mut state = lock(&self.ticket.state);
            let is_known = state.retrying.as_deref() == Some(why);
            state.retrying = Some(why.to_owned());
            is_known
        };
        if !is_known {
            self.ticket.write(&PurgeState::Retrying(why.to_owned()));
        }
        self.tried();
    }

    /// Counts it as tried; once. Resolves the wait with the last of them.
    fn tried(&mut self) {
        if !std::mem::replace(&mut self.is_tried, true) {
            let mut state = lock(&self.ticket.state);
            state.untried -= 1;
            if state.untried == 0 {
                state.tried = None;
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !self.is_settled {
            lock(&self.ticket.state).failed.get_or_insert_with(|| BROKEN_OFF.to_owned());
        }
        // The last share leaves it to its ticket, which first writes down what came of it.
        if Arc::strong_count(&self.ticket) > 1 {
            self.tried();
        }
    }
}
