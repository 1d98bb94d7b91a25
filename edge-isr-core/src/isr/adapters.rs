//! What adapter crates do with the handle: count, note, find room for a render.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use super::Isr;
use crate::model::authority::{Scheme, normalize};
use crate::model::policy::Rules;
use crate::model::reason::Reason;

impl Isr {
    /// The one spelling of a host; `None` when it is none.
    ///
    /// Most sites have one host. So the first one that came in its one spelling is kept, and the same text again is not
    /// read byte by byte. Whichever that was, no more than time depends on it.
    #[must_use]
    #[inline]
    pub fn host<'a>(&'a self, text: &'a [u8], scheme: Scheme) -> Option<Cow<'a, str>> {
        match self.0.usual_host.get() {
            Some((usual, of)) if usual.as_bytes() == text && of.is_none_or(|of| of == scheme) => {
                Some(Cow::Borrowed(usual))
            }
            _ => self.read_host(text, scheme),
        }
    }

    #[inline(never)]
    fn read_host<'a>(&self, text: &'a [u8], scheme: Scheme) -> Option<Cow<'a, str>> {
        let host = normalize(std::str::from_utf8(text).ok()?, scheme)?;
        if host.as_bytes() == text && self.scheme_of(&host, None).is_some() {
            // Without a port it is spelled alike under either scheme.
            let of = host.contains(':').then_some(scheme);
            self.0.usual_host.get_or_init(|| ((*host).into(), of));
        }
        Some(host)
    }

    /// The scheme of a host; `None` when the host is not accepted.
    #[must_use]
    #[inline]
    pub fn scheme_of(&self, host: &str, stated: Option<Scheme>) -> Option<Scheme> {
        self.0.hosts.scheme(host, stated)
    }

    /// Whether caches in front are told what to forget, by a connector or by the tags of their pages.
    #[must_use]
    pub fn tells_caches(&self) -> bool {
        !self.0.outboxes.is_empty() || !self.0.tag_headers.is_empty()
    }

    /// Counts an outcome.
    #[inline]
    pub fn count(&self, reason: Reason) {
        self.0.counters.count(reason);
    }

    /// Counts a request that was answered by another's render.
    pub fn count_collapsed(&self) {
        self.0.counters.collapsed();
    }

    /// Counts an outcome and tells the operator about it.
    pub fn note(&self, reason: Reason, subject: &str, advice: &'static str) {
        self.0.counters.count(reason);
        self.0.notes.note(reason, subject, advice);
    }

    /// Remembers how a policy reads a query.
    pub fn declare(&self, rules: &Rules) {
        let mut known = self.0.queries.write().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&rules.query) {
            known.insert(rules.query.clone());
        }
    }

    /// The right to run a render: at once, or after a wait for room. `None` after [`Isr::shutdown`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the place in the queue.
    pub async fn render_slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.renders).acquire_owned().await.ok()
    }

    /// Whether there is room for another render right now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.renders.available_permits() > 0
    }

    /// Whether [`Isr::shutdown`] was called.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.renders.is_closed()
    }

    /// Counts a render.
    pub fn count_render(&self) {
        self.0.counters.render();
    }

    /// Resolves when renders in the air are to be dropped.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn aborted(&self) {
        let mut aborted = self.0.aborted.subscribe();
        // The sender lives as long as `self`.
        let _ = aborted.wait_for(|aborted| *aborted).await;
    }

    /// The sequence a receipt's cookie vouches for; zero for none, or one that is forged, foreign or expired.
    #[must_use]
    pub fn owed(&self, cookie: Option<&[u8]>) -> u64 {
        #[cfg(feature = "twins")]
        let cookie = cookie.filter(|_| !self.lacks(crate::testing::Twin::IgnoreReceipt));
        let snapshot = cookie.and_then(|value| self.0.signer.read(value, self.0.clock.wall()));
        let ours = snapshot.filter(|snapshot| snapshot.incarnation == self.0.graph.ledger().incarnation());
        ours.map_or(0, |snapshot| snapshot.seq)
    }
}
