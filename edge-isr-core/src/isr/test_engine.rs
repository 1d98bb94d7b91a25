//! What the tests of this room share: an engine with time by hand, its keys, and pages that were rendered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::admit::{Admitted, Sealed};
use super::flight::{Boarding, Permit};
use super::{Builder, Isr};
use crate::model::authority::Scheme;
use crate::model::key::{CacheKey, KeyRef};
use crate::model::page::Page;
use crate::model::policy::Policy;
use crate::model::snapshot::Mode;
use crate::model::tag::{Tag, TagId, TagSet};
use crate::testing::ManualClock;

/// Fresh for ten seconds, served for five more while a render runs, and for another five if renders fail.
pub(super) fn policy() -> Policy {
    let seconds = Duration::from_secs;
    Policy::new().s_maxage(seconds(10)).stale_while_revalidate(seconds(5)).stale_if_error(seconds(10))
}

pub(super) fn key(path: &str) -> KeyRef<'_> {
    KeyRef::new(Scheme::Http, "h.example", "/{*path}", path)
}

/// An engine whose clock stands still.
pub(super) struct Engine {
    pub(super) isr: Isr,
    pub(super) clock: ManualClock,
}

impl Engine {
    pub(super) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(super) fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = ManualClock::default();
        let isr = settings(Isr::builder().clock(Arc::new(clock.clone()))).build().unwrap();
        Self { isr, clock }
    }

    pub(super) fn key(&self, path: &str) -> CacheKey {
        self.isr.own_key(&key(path))
    }

    /// Boards without a receipt and without tags that are known before the render.
    pub(super) fn board(&self, path: &str) -> Boarding {
        self.isr.board(&self.key(path), 0, TagSet::default)
    }

    pub(super) fn lead(&self, path: &str) -> Permit {
        match self.board(path) {
            Boarding::Lead(permit) => permit,
            other => panic!("a flight was in the air: {other:?}"),
        }
    }

    /// What comes of a render that answers with this status and carries the tag `t`.
    pub(super) fn admit(&self, permit: &Permit, policy: &Policy, status: StatusCode) -> Arc<Page> {
        let parts = Response::builder().status(status).body(()).unwrap().into_parts().0;
        let sealed = Sealed { tags: TagSet::from_iter([Tag::named("t")]), ..Sealed::default() };
        let body = vec![Bytes::from_static(b"page")];
        match self.isr.admit(permit, &policy.check().unwrap(), parts, body, &sealed, |_| {}) {
            Admitted::Page(page, _) => page,
            Admitted::Vetoed(reason, ..) => panic!("refused: {reason:?}"),
        }
    }

    /// A page as it is stored, its flight ended.
    pub(super) fn page(&self, path: &str, policy: &Policy) -> Arc<Page> {
        self.admit(&self.lead(path), policy, StatusCode::OK)
    }

    /// Marks the tag that every page carries.
    pub(super) fn invalidate(&self, mode: Mode) {
        self.mark("t", mode);
    }

    pub(super) fn mark(&self, tag: &str, mode: Mode) {
        self.isr.0.graph.ledger().mark(&[TagId::of(tag)], mode, self.isr.now());
    }

    pub(super) fn pass_seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}
