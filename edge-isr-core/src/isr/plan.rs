//! The dry run: what an invalidation would reach, without doing it.

use std::collections::HashSet;

use super::Isr;
use super::invalidate::absolute;
use super::tell::Listed;
use crate::hash::{self, IdentityState};
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;

/// The most variants that are told apart; of more a plan says that there are at least so many.
const MOST_VARIANTS: usize = 1_000_000;
/// How many pages are listed under one lock.
const BATCH: usize = 256;

/// What an invalidation would reach, as far as is known now. From [`Graph::plan`](crate::Graph::plan).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Plan {
    /// How many URLs have pages that would be stale or dead.
    pub pages: usize,
    /// How many pages these are, one for each variant.
    pub variants: usize,
    /// Whether these are all: otherwise there are at least so many.
    pub is_complete: bool,
    /// What each connector would be told, in the order in which they were added.
    pub calls: Vec<PlannedCalls>,
}

/// What a connector would be told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedCalls {
    /// Its name.
    pub connector: &'static str,
    /// How many calls it takes, if none has to be repeated. A hard invalidation makes each twice.
    pub calls: usize,
    /// Whether it would be told to forget everything, since it can't be told in tags or URLs.
    pub is_everything: bool,
}

#[derive(Default)]
struct Count {
    pages: HashSet<u64, IdentityState>,
    variants: HashSet<u64, IdentityState>,
}

impl Isr {
    pub(crate) async fn plan(&self, tags: &[Tag], mode: Mode) -> Plan {
        let mut plan = self.count_pages(tags).await;
        for outbox in &self.0.outboxes {
            let planned = outbox.plan(self.items(outbox.limits(), tags, &Listed::default()).await);
            let rounds = if mode == Mode::Hard { 2 } else { 1 };
            plan.calls.push(PlannedCalls { calls: planned.calls * rounds, ..planned });
        }
        plan
    }

    async fn count_pages(&self, tags: &[Tag]) -> Plan {
        let (mut count, mut is_complete) = (Count::default(), true);
        for tag in tags {
            let mut after = None;
            loop {
                let members = self.members(tag, after, BATCH);
                is_complete &= members.is_complete;
                for key in &members.keys {
                    if count.variants.len() >= MOST_VARIANTS {
                        is_complete = false;
                        break;
                    }
                    count.variants.insert(key.hash());
                    count.pages.insert(hash::of(absolute(key).as_bytes()));
                }
                after = members.next;
                // A long walk must not keep others from the thread.
                tokio::task::yield_now().await;
                if after.is_none() || count.variants.len() >= MOST_VARIANTS {
                    is_complete &= after.is_none();
                    break;
                }
            }
        }
        let (pages, variants) = (count.pages.len(), count.variants.len());
        Plan { pages, variants, is_complete, calls: Vec::new() }
    }
}
