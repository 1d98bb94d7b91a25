//! What those who wait are told, and when: some of it at the head of an answer, the rest at its end.

use std::sync::Arc;

use crate::isr::stream::Growing;
use crate::model::page::Page;
use crate::model::reason::Reason;

/// How a flight ended, for those who follow it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// An answer that may be shared: stored, or at least the same for everyone.
    Page(Arc<Page>),
    /// An answer that is the leader's alone.
    Unshareable(Reason),
    /// The inner service failed; the leader has the error.
    Failed,
    /// The handler panicked; the leader has the panic.
    Panicked,
    /// The render took too long.
    TimedOut,
    /// The render was dropped, by a shutdown for instance.
    Abandoned,
}

/// What a head says to those who wait.
#[derive(Debug, Clone)]
pub enum AtHead {
    /// It decides everything: all may read along.
    Shared(Arc<Streaming>),
    /// Whether there is a page is known at the end. Whoever waits goes alone.
    Undecided,
}

/// What a follower hears first.
#[derive(Debug)]
pub enum News {
    /// The head has come.
    AtHead(AtHead),
    /// The flight has ended.
    Landed(Outcome),
}

/// An answer whose body is on its way.
#[derive(Debug)]
pub struct Streaming {
    page: Arc<Page>,
    body: Growing,
}

impl Streaming {
    /// A page that lacks its body, and the body.
    #[must_use]
    pub const fn new(page: Arc<Page>, body: Growing) -> Self {
        Self { page, body }
    }

    /// The page as it will be but for its body: what is judged before anyone joins, and the head they leave with.
    #[must_use]
    pub const fn page(&self) -> &Arc<Page> {
        &self.page
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Growing {
        &self.body
    }
}

/// All that was told of a flight.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) at_head: Option<AtHead>,
    pub(super) outcome: Option<Outcome>,
}

impl Told {
    /// The end counts for more than the head.
    pub(super) fn news(&self) -> Option<News> {
        let landed = self.outcome.clone().map(News::Landed);
        landed.or_else(|| self.at_head.clone().map(News::AtHead))
    }
}
