//! Every render goes through here, whoever asks for it: snapshot, render, may it be stored, bind, store.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, CONTENT_LENGTH, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue, PRAGMA};
use http::{StatusCode, response};
use sha2::{Digest, Sha256};

use super::Isr;
use super::flight::{Boarding, Flight, Outcome, Permit};
use super::look_up::Miss;
use crate::clock::Moment;
use crate::model::cache_control;
use crate::model::cache_status::Forward;
use crate::model::head::{CACHE_TAG, HeadParts, SURROGATE_KEY};
use crate::model::implicit;
use crate::model::key::{Audience, CacheKey, KeyRef};
use crate::model::lifetime::Lifetime;
use crate::model::page::{Birth, Page};
use crate::model::policy::Rules;
use crate::model::reason::Reason;
use crate::model::storable;
use crate::model::tag::{TagId, TagSet};
use crate::model::verdict::{Staleness, Verdict};
use crate::store::Put;

/// A header that tells a CDN the tags of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagHeader {
    /// `Surrogate-Key`, separated by spaces: Fastly, Varnish, KeyCDN.
    SurrogateKey,
    /// `Cache-Tag`, separated by commas: Cloudflare, Akamai, bunny.net.
    CacheTag,
}

impl TagHeader {
    const fn name(self) -> HeaderName {
        match self {
            Self::SurrogateKey => SURROGATE_KEY,
            Self::CacheTag => CACHE_TAG,
        }
    }

    const fn separator(self) -> &'static str {
        match self {
            Self::SurrogateKey => " ",
            Self::CacheTag => ",",
        }
    }
}

/// The most bytes of a tag header that CDNs take (Fastly and Cloudflare: 16 KiB).
const TAG_HEADER_BYTES: usize = 16_000;

/// What the handler said while it rendered, sealed when its body was complete.
#[derive(Debug, Default)]
pub struct Sealed {
    /// The tags.
    pub tags: TagSet,
    /// A lifetime of its own.
    pub lifetime: Option<Duration>,
    /// Why the page must not be stored, if so.
    pub veto: Option<Reason>,
}

/// A complete answer that was judged.
#[derive(Debug)]
pub enum Admitted {
    /// It may be shared; it was stored unless a reason says why not.
    Page(Arc<Page>, Option<Reason>),
    /// It is the leader's alone, as it came.
    Vetoed(Reason, Box<response::Parts>, Vec<Bytes>),
}

impl Isr {
    /// Joins the flight for a key or begins the next one. `owed` is the sequence of the visitor's receipt or
    /// of the job; a flight that began before it is not joined, nor one that a hard mark has overtaken.
    pub fn board(&self, key: &CacheKey, tags: &TagSet, owed: u64) -> Boarding {
        let ledger = self.0.graph.ledger();
        let joinable = |flight: &Flight| {
            #[cfg(feature = "twins")]
            if self.lacks(crate::testing::Twin::JoinOvertaken) {
                return true;
            }
            let seq = flight.snapshot().seq;
            seq >= owed && ledger.marks(flight.known().iter().copied()).latest.hard <= seq
        };
        let begin = || (ledger.snapshot(), self.ids(key, tags, true));
        self.0.flights.board(key, joinable, begin)
    }

    /// Whether a stale page needs no further render begun: one is in the air, or its answer is not stored.
    #[must_use]
    pub fn is_being_renewed(&self, key: &CacheKey) -> bool {
        self.is_closing() || self.0.flights.is_aloft(key) || self.is_passed(key)
    }

    /// The right to render a key that nobody can join.
    pub fn solo(&self, key: CacheKey) -> Permit {
        let snapshot = self.0.graph.ledger().snapshot();
        self.0.flights.solo(key, snapshot)
    }

    /// Whether the key is passed in parallel because its answer was lately not storable.
    #[must_use]
    pub fn is_passed(&self, key: &CacheKey) -> bool {
        self.0.passed.get(&key.hash()).is_some_and(|until| self.0.clock.now() < until)
    }

    /// The key, written down in its interned scope. Also notes the host.
    #[must_use]
    pub fn own_key(&self, key: &KeyRef<'_>) -> CacheKey {
        if let Some(evicted) = self.0.hosts.admit(key.authority) {
            self.note(Reason::HostLimit, &evicted, "list the accepted hosts with `origins`");
        }
        key.to_owned(self.0.scopes.of(key))
    }

    /// A page of the second tier, if there is one and it may still be of use; it is taken into memory.
    ///
    /// # Errors
    ///
    /// [`Reason::StoreUnavailable`] when the store did not answer in time. The page is then rendered.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn fetch(&self, key: &CacheKey) -> Result<Option<Arc<Page>>, Reason> {
        let Some(store) = &self.0.store else { return Ok(None) };
        match tokio::time::timeout(self.0.limits.store_wait, store.get(key)).await {
            Ok(Ok(Some(page))) if key.read(|key| page.is_of(key)) == Some(true) => {
                self.0.pages.keep(key, Arc::clone(&page));
                Ok(Some(page))
            }
            Ok(Ok(_)) => Ok(None),
            Ok(Err(_)) | Err(_) => {
                self.note(Reason::StoreUnavailable, "page store", "pages are rendered instead; look after the store");
                Err(Reason::StoreUnavailable)
            }
        }
    }

    /// Judges a complete answer and stores it if it may be stored.
    ///
    /// `seal` is told the page that came of it, so that a tag that is added later can kill it.
    pub fn admit(
        &self,
        permit: &Permit,
        rules: &Rules,
        mut parts: response::Parts,
        body: Vec<Bytes>,
        sealed: &Sealed,
        seal: impl FnOnce(Weak<Page>),
    ) -> Admitted {
        let lifetime = match self.may_store(rules, &parts, &body, sealed) {
            Ok(lifetime) => lifetime,
            Err(reason) if reason == Reason::Status && parts.status.is_server_error() => {
                // Not stored, but not multiplied either: those who wait get the same failure.
                storable::strip_hop_by_hop(&mut parts.headers);
                let len: usize = body.iter().map(Bytes::len).sum();
                parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
                let page = self.assemble(permit, rules, Lifetime::default(), &mut parts, &body, &TagSet::default());
                self.0.counters.count(Reason::Status);
                return Admitted::Page(Arc::new(page), Some(Reason::Status));
            }
            Err(reason) => {
                self.refuse(permit, parts.status, reason);
                return Admitted::Vetoed(reason, Box::new(parts), body);
            }
        };
        self.dress(&mut parts.headers, rules, &lifetime, permit.key(), &sealed.tags, &body);
        let page = Arc::new(self.assemble(permit, rules, lifetime, &mut parts, &body, &sealed.tags));
        seal(Arc::downgrade(&page));
        let kept = self.keep(permit, &page, &sealed.tags);
        if let Some(reason) = kept {
            self.0.counters.count(reason);
        }
        Admitted::Page(page, kept)
    }

    fn may_store(&self, rules: &Rules, parts: &response::Parts, body: &[Bytes], sealed: &Sealed) -> Result<Lifetime, Reason> {
        storable::head(parts, rules)?;
        let len: usize = body.iter().map(Bytes::len).sum();
        storable::body(parts, len, rules)?;
        let head: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if head > self.0.limits.head_bytes {
            return Err(Reason::HeadTooLarge);
        }
        if let Some(reason) = sealed.veto {
            return Err(reason);
        }
        if sealed.tags.len() > self.0.limits.tags_per_page {
            return Err(Reason::TooManyTags);
        }
        let lifetime = rules.lifetime_of(parts.status).ok_or(Reason::Status)?;
        match sealed.lifetime {
            Some(fresh) if fresh.is_zero() => Err(Reason::HandlerLifetime),
            Some(fresh) => Ok(Lifetime { fresh, ..lifetime }),
            None => Ok(lifetime),
        }
    }

    /// An answer that is not stored: the key is passed for a while, and what stood there before goes, unless
    /// the origin merely failed.
    pub fn refuse(&self, permit: &Permit, status: StatusCode, reason: Reason) {
        self.0.counters.count(reason);
        if status.is_server_error() {
            return;
        }
        let until = self.0.clock.now().after(self.0.limits.pass_ttl);
        self.0.passed.insert(permit.key().hash(), until);
        self.0.pages.remove_up_to(permit.key(), permit.snapshot().seq);
    }

    /// Puts on what every page leaves with.
    fn dress(&self, headers: &mut HeaderMap, rules: &Rules, lifetime: &Lifetime, key: &CacheKey, tags: &TagSet, body: &[Bytes]) {
        storable::strip_hop_by_hop(headers);
        for name in [AGE, EXPIRES, PRAGMA] {
            headers.remove(name);
        }
        let len: usize = body.iter().map(Bytes::len).sum();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
        if !headers.contains_key(ETAG) {
            headers.insert(ETAG, etag(body));
        }
        let mut freshness = match key.scope().audience {
            Audience::Public => HeaderValue::from_str(&cache_control::write(lifetime, rules.browser_max_age)).ok(),
            Audience::Draft => Some(cache_control::PRIVATE),
        };
        for header in &self.0.tag_headers {
            let text = tags.with_ancestors().join(header.separator());
            match HeaderValue::from_str(&text) {
                Ok(value) if !text.is_empty() && text.len() <= TAG_HEADER_BYTES => {
                    headers.insert(header.name(), value);
                }
                Ok(_) if text.is_empty() => {}
                _ => {
                    // A cache that can't be told to forget a page must not keep it.
                    freshness = Some(cache_control::NO_FRESHNESS);
                    self.note(Reason::TooManyTags, &key.scope().route, "the tag header is too long for a CDN: use fewer tags");
                }
            }
        }
        if let Some(value) = freshness {
            headers.insert(CACHE_CONTROL, value);
        }
    }

    fn assemble(
        &self,
        permit: &Permit,
        rules: &Rules,
        lifetime: Lifetime,
        parts: &mut response::Parts,
        body: &[Bytes],
        tags: &TagSet,
    ) -> Page {
        let key = permit.key();
        let head = HeadParts::take(parts.status, std::mem::take(&mut parts.headers));
        let own: Vec<Bytes> = head.own().cloned().collect();
        let snapshot = permit.snapshot();
        #[cfg(feature = "twins")]
        let snapshot =
            if self.lacks(crate::testing::Twin::LateSnapshot) { self.0.graph.ledger().snapshot() } else { snapshot };
        let birth = Birth { snapshot, at: self.0.clock.now(), lifetime, loss: rules.loss };
        Page::new(key, birth, self.0.heads.of(head), &own, tags, self.ids(key, tags, false), body)
    }

    /// The ids that decide about a page: tags, ancestors, implicit tags; those of the scope on demand.
    fn ids(&self, key: &CacheKey, tags: &TagSet, with_scope: bool) -> Box<[TagId]> {
        let mut ids: Vec<TagId> = tags.with_ancestors().into_iter().map(TagId::of).collect();
        key.read(|key| implicit::own(key, |tag| ids.push(TagId::of(tag))));
        if with_scope {
            ids.extend_from_slice(key.scope().ids(self.0.build.as_deref()));
        }
        ids.into()
    }

    /// Stores and binds. Says why it did not, if so.
    fn keep(&self, permit: &Permit, page: &Arc<Page>, tags: &TagSet) -> Option<Reason> {
        let key = permit.key();
        let now = self.0.clock.now();
        let applied = self.0.graph.ledger().applied();
        if page.judge(now, &self.marks_of(page), applied) == Verdict::Dead {
            return Some(Reason::Overtaken);
        }
        let dimensions = key.dimensions();
        if !dimensions.is_empty() {
            let beside = self.0.graph.with_index(|index| index.variants_beside(key));
            if beside >= self.0.limits.variants_per_url {
                return Some(Reason::VariantLimit);
            }
        }
        match self.0.pages.keep(key, Arc::clone(page)) {
            Put::Kept => {}
            Put::Outrun => return Some(Reason::Overtaken),
            Put::Refused => return Some(Reason::StoreRefused),
        }
        self.0.counters.stored();
        self.0.passed.remove(&key.hash());
        let expires: Moment = now.after(page.birth().lifetime.total());
        if !self.0.graph.with_index(|index| index.bind(key, tags, now, expires)) {
            self.note(Reason::IndexFull, "index", "raise `limits.index_rows`; until then lists of URLs are incomplete");
        }
        None
    }

    /// Removes a page that was refused from the second tier, too.
    ///
    /// # Cancellation
    ///
    /// The page may or may not have been removed.
    pub async fn forget(&self, key: &CacheKey) {
        if let Some(store) = &self.0.store {
            // Room, not truth: what stays there is judged when it is read.
            let _ = tokio::time::timeout(self.0.limits.store_wait * 5, store.remove(std::slice::from_ref(key))).await;
        }
    }

    /// Hands a stored page to the second tier. Failing is slow at worst, never wrong.
    ///
    /// # Cancellation
    ///
    /// The page may or may not have reached the store.
    pub async fn pass_on(&self, key: &CacheKey, page: &Arc<Page>) {
        if let Some(store) = &self.0.store {
            let put = tokio::time::timeout(self.0.limits.store_wait * 5, store.put(key, Arc::clone(page))).await;
            if !matches!(put, Ok(Ok(_))) {
                self.note(Reason::StoreUnavailable, "page store", "pages are rendered instead; look after the store");
            }
        }
    }

    /// What a flight's outcome means for one who waited: the page, judged again just before it is handed out.
    ///
    /// # Errors
    ///
    /// A miss, when the page may not be handed to this visitor.
    pub fn hand_out(&self, page: &Arc<Page>, owed: u64) -> Result<HandOut, Miss> {
        let now = self.0.clock.now();
        if page.status().is_server_error() && page.birth().lifetime.fresh.is_zero() {
            return Ok(HandOut { page: Arc::clone(page), now, overtaken: false });
        }
        #[cfg(feature = "twins")]
        if self.lacks(crate::testing::Twin::JoinOvertaken) {
            return Ok(HandOut { page: Arc::clone(page), now, overtaken: false });
        }
        let applied = self.0.graph.ledger().applied();
        let verdict = page.judge(now, &self.marks_of(page), applied);
        let birth = page.birth();
        let overtaken = match verdict {
            Verdict::Fresh => false,
            // A lifetime shorter than the wait: it was fresh when it was made for this visitor.
            Verdict::Stale(Staleness::Aged) => false,
            Verdict::Stale(Staleness::Invalidated) => {
                if birth.snapshot.seq < owed || !birth.lifetime.may_serve_while_revalidating(page.age(now)) {
                    return Err(Miss { forward: Forward::Stale, reason: Reason::Overtaken, spare: None });
                }
                true
            }
            Verdict::Dead => return Err(Miss { forward: Forward::Miss, reason: Reason::Overtaken, spare: None }),
        };
        Ok(HandOut { page: Arc::clone(page), now, overtaken })
    }

    /// A stale page that may be served because a render failed: judged again, and never after a hard
    /// invalidation (P19).
    #[must_use]
    pub fn stand_in(&self, page: &Arc<Page>) -> Option<HandOut> {
        let now = self.0.clock.now();
        let applied = self.0.graph.ledger().applied();
        let verdict = page.judge(now, &self.marks_of(page), applied);
        let may = verdict != Verdict::Dead && page.birth().lifetime.may_serve_on_error(page.age(now));
        let overtaken = verdict == Verdict::Stale(Staleness::Invalidated);
        may.then(|| HandOut { page: Arc::clone(page), now, overtaken })
    }

    /// Ends a flight that failed, for those who follow.
    pub fn fail(&self, permit: Permit, outcome: Outcome) {
        let reason = match outcome {
            Outcome::Panicked => Reason::RenderPanicked,
            Outcome::TimedOut => Reason::RenderTimeout,
            Outcome::Failed => Reason::RenderFailed,
            Outcome::Page(..) | Outcome::Unshareable(_) | Outcome::Abandoned => return permit.finish(outcome),
        };
        self.0.counters.count(reason);
        permit.finish(outcome);
    }
}

/// A page for one who waited.
#[derive(Debug)]
pub struct HandOut {
    /// The page.
    pub page: Arc<Page>,
    /// When it was judged.
    pub now: Moment,
    /// Whether it was invalidated while it was rendered.
    pub overtaken: bool,
}

/// A strong entity tag from the content (RFC 9110 §8.8.3): 128 bits of SHA-256.
fn etag(body: &[Bytes]) -> HeaderValue {
    let mut hash = Sha256::new();
    for frame in body {
        hash.update(frame);
    }
    let digest = hash.finalize();
    let mut text = String::with_capacity(24);
    text.push('"');
    // Six bits a character, in the alphabet of RFC 4648 §5.
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for chunk in digest[..16].chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text.push('"');
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}
