//! Telling the caches in front to forget: within their limits, never less than was invalidated.
//!
//! `listing` finds the URLs, `narrow` what may be said for a mere request, `calls` puts words into calls, `settling` lets
//! second purges wait, `outbox` holds what is still to be said, `teller` says it, and `ticket` writes down what came of
//! it.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Isr;
use super::progress::{Round, Watched};
use super::runs::Run;
use crate::connector::PurgeLimits;
use crate::model::implicit;
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;

mod calls;
mod listing;
mod narrow;
mod outbox;
mod settling;
mod teller;
#[cfg(test)]
mod tests;
mod ticket;

pub(crate) use calls::Item;
pub(crate) use listing::{Asked, Listed};
pub(crate) use outbox::Outbox;
pub(crate) use settling::Settling;
use settling::{Opened, Place};
use ticket::Share;

/// How much longer than a connector may take its answer is waited for: what it says at the last moment stands in the
/// receipt.
const A_LITTLE: Duration = Duration::from_millis(250);

/// What the caches in front are to be told.
#[derive(Debug)]
pub(crate) struct Telling {
    pub(crate) tags: Arc<[Tag]>,
    pub(crate) mode: Mode,
    /// The URLs that carried the tags before their pages were rendered anew.
    pub(crate) listed: Listed,
    /// Where it is written down what they said.
    pub(crate) watched: Vec<Arc<Watched>>,
    /// Of two rounds the answer to the last one counts more.
    pub(crate) round: Round,
}

impl Telling {
    /// The first of two rounds: at once.
    pub(crate) fn first(run: Run) -> Self {
        Self { round: Round::First, ..Self::last(run) }
    }

    /// The only round, or the last of two.
    pub(crate) fn last(run: Run) -> Self {
        let Run { tags, mode, listed, watched, .. } = run;
        Self { tags, mode, listed, watched, round: Round::Last }
    }

    /// The same of everything, for all of these.
    fn widened(self, watched: Vec<Arc<Watched>>) -> Self {
        Self { tags: [implicit::all()].into(), listed: Listed::default(), watched, ..self }
    }
}

impl Isr {
    /// Tells every connector, in tasks of their own. Resolves when each was told once, whatever it said, or when one
    /// has had its time; what is repeated goes on after that.
    ///
    /// # Cancellation
    ///
    /// It is told all the same.
    pub(crate) fn tell(&self, telling: Telling) -> impl Future<Output = ()> + Send + use<> {
        let (isr, busy) = (self.clone(), self.0.busy.begin());
        let most = self.0.limits.purge_wait + A_LITTLE;
        let (shares, tried) = self.shares(&telling);
        tokio::spawn(async move {
            let _busy = busy;
            isr.until_silenced(isr.say(&telling, shares)).await;
        });
        async move {
            let all_tried = async {
                for tried in tried {
                    // A ticket that is gone was tried, or broken off.
                    let _ = tried.await;
                }
            };
            let _ = tokio::time::timeout(most, all_tried).await;
        }
    }

    /// Tells every connector after the settle time, which is for what was in flight. What was said before is said again,
    /// whatever lost its tag since.
    pub(crate) fn tell_settled(&self, mut telling: Telling, settle: Duration) {
        let permit = match self.0.settling.place(&telling) {
            Place::Joined => return,
            Place::Begins => None,
            Place::Own(permit) => Some(permit),
        };
        let opened = permit.is_none().then(|| Opened::new(self));
        // At once, so that receipts say so if it is broken off before it is told.
        let begun = permit.is_some().then(|| self.shares(&telling).0);
        let (isr, busy) = (self.clone(), self.0.busy.begin());
        tokio::spawn(async move {
            let (_busy, _permit) = (busy, permit);
            // At the deadline of a shutdown it is said too early, rather than never.
            let settled = || tokio::time::timeout(settle, isr.aborted());
            let saying = async {
                let shares = if let Some(shares) = begun {
                    isr.list_first(&telling.tags, &mut telling.listed).await;
                    shares
                } else {
                    let _ = settled().await;
                    // The last to join waits as long as the first, from here on.
                    telling = telling.widened(opened.map(Opened::close).unwrap_or_default());
                    isr.shares(&telling).0
                };
                let _ = settled().await;
                isr.say(&telling, shares).await;
            };
            isr.until_silenced(saying).await;
        });
    }

    /// A share of a new ticket for each connector, and what resolves when it was tried.
    fn shares(&self, telling: &Telling) -> (Vec<Share>, Vec<oneshot::Receiver<()>>) {
        let watched: Arc<[_]> = telling.watched.iter().map(Arc::downgrade).collect();
        let begun = |nth| Share::begin(nth, telling.round, Arc::clone(&watched));
        (0..self.0.outboxes.len()).map(begun).unzip()
    }

    /// Has it said, unless nobody is told any more: a while after the deadline of a shutdown.
    async fn until_silenced(&self, saying: impl Future<Output = ()>) {
        let mut silenced = self.0.silenced.subscribe();
        tokio::select! {
            () = saying => {}
            // The sender lives as long as `self`.
            _ = silenced.wait_for(|silenced| *silenced) => {}
        }
    }

    /// Puts a telling into the outboxes: first into those for which no URLs have to be listed.
    async fn say(&self, telling: &Telling, shares: Vec<Share>) {
        let mut shares: Vec<_> = shares.into_iter().enumerate().collect();
        let takes_a_walk = |nth: usize| {
            let limits = self.0.outboxes[nth].limits();
            telling.tags.iter().any(|tag| calls::is_told_in_urls(limits, tag))
        };
        shares.sort_by_cached_key(|(nth, _)| takes_a_walk(*nth));
        for (nth, share) in shares {
            let outbox = &self.0.outboxes[nth];
            let Telling { tags, listed, .. } = telling;
            let items = if listed.is_by_request() && tags.iter().all(calls::is_url) {
                let (items, is_whole) = self.narrow_items(outbox.limits(), tags, listed).await;
                if !is_whole {
                    share.another().fail(narrow::UNSAID);
                }
                items
            } else {
                self.items(outbox.limits(), tags, listed).await
            };
            if outbox.put(items, telling.mode, share) {
                self.begin_telling(nth);
            }
        }
    }

    /// What a cache with these limits is told about these tags.
    pub(crate) async fn items(&self, limits: &PurgeLimits, tags: &[Tag], listed: &Listed) -> BTreeSet<Item> {
        let (by_url, by_tag): (Vec<Tag>, Vec<Tag>) =
            tags.iter().cloned().partition(|tag| !calls::is_told_as_tag(limits, tag));
        let urls = if limits.urls > 0 || by_url.is_empty() {
            self.complete_urls(&by_url, listed).await
        } else {
            None
        };
        calls::items(limits, by_tag, urls)
    }

    /// Whether a cache in front has to be told this tag's URLs.
    pub(crate) fn is_told_in_urls(&self, tag: &Tag) -> bool {
        self.0.outboxes.iter().any(|outbox| calls::is_told_in_urls(outbox.limits(), tag))
    }
}
