//! A complete answer: may it be stored, what does it leave with, and where does it go.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_LENGTH, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue, PRAGMA,
};
use http::{StatusCode, response};

use super::Isr;
use super::born::Born;
use super::etag::Hash;
use super::exchange::Exchange;
use super::flight::Permit;
use crate::clock::Moment;
use crate::model::ahead::Lead;
use crate::model::cache_control;
use crate::model::head::{CACHE_TAG, HeadParts, SURROGATE_KEY};
use crate::model::implicit;
use crate::model::key::{Audience, CacheKey};
use crate::model::lifetime::Lifetime;
use crate::model::origin::groups;
use crate::model::page::{Birth, Page, keep_private, zero_freshness};
use crate::model::policy::Rules;
use crate::model::reason::Reason;
use crate::model::reuse::Reuse;
use crate::model::storable;
use crate::model::tag::{TagId, TagSet};
use crate::model::verdict::Verdict;
use crate::store::Put;
use crate::sync::between_steps;

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

/// The most lines of a head that is stored. A map of headers panics at some 24,000, and each line of a template
/// costs more than it says.
const HEAD_LINES: usize = 1_000;

/// Into how many lifetimes those of a route's pages are spread. Pages with the same one share a head.
const JITTER_STEPS: u64 = 32;

/// What the handler said while it rendered, sealed when its body was complete.
#[derive(Debug, Clone, Default)]
pub struct Sealed {
    /// The tags.
    pub tags: TagSet,
    /// A lifetime of its own.
    pub lifetime: Option<Duration>,
    /// What a layer within the render allows at most.
    pub at_most: Option<Duration>,
    /// Why the page must not be stored, if so.
    pub veto: Option<Reason>,
    /// The hash of the body, where it was made while that came.
    pub hash: Option<Hash>,
    /// On a gateway route: how the origin was asked.
    pub exchange: Option<Box<Exchange>>,
}

impl Sealed {
    /// The page that the origin said is still right.
    pub(super) fn confirmed(&self) -> Option<&Arc<Page>> {
        self.exchange.as_ref()?.confirmed.as_ref()
    }

    /// Whether the origin said that the page before it is still right.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.confirmed().is_some()
    }
}

/// What an answer is stored as.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) key: CacheKey,
    pub(super) tags: TagSet,
    pub(super) lifetime: Lifetime,
    pub(super) born: Moment,
    pub(super) reuse: Reuse,
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
        seal: impl FnOnce(Born),
    ) -> Admitted {
        let len = body.iter().map(Bytes::len).sum();
        let confirm = |page: Page| if sealed.is_confirmed() { page.confirmed() } else { page };
        let admission = match self.may_store(permit, rules, (&parts, Some(len)), sealed) {
            Ok(admission) => admission,
            Err(Reason::Status)
                if parts.status.is_server_error()
                    && sealed.veto.is_none()
                    && self.is_everyones(permit.key(), rules, &parts.headers) =>
            {
                // Not stored, but not multiplied either: those who wait get the same failure.
                storable::strip_hop_by_hop(&mut parts.headers);
                rules.origin.iter().for_each(|obeys| obeys.withhold_tags(&mut parts.headers));
                parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
                let admission = self.unstored(permit.key());
                let page = self.assemble(permit, rules, &admission, &mut parts, Some(&body));
                self.0.counters.count(Reason::Status);
                return Admitted::Page(Arc::new(confirm(page)), Some(Reason::Status));
            }
            Err(reason) => {
                let reason = sealed.veto.filter(|_| reason == Reason::Status).unwrap_or(reason);
                self.refuse(permit, parts.status, reason);
                return Admitted::Vetoed(reason, Box::new(parts), body);
            }
        };
        let is_codable = self.offer_codings(&mut parts.headers, rules, len);
        match &rules.origin {
            Some(obeys) => self.dress_as_origin(&mut parts.headers, obeys, Some((&body, sealed))),
            None => self.dress(&mut parts.headers, rules, &admission.lifetime, permit.key(), &body),
        }
        self.tell_tags(&mut parts.headers, permit.key(), &admission.tags);
        let page = confirm(self.assemble(permit, rules, &admission, &mut parts, Some(&body)));
        let page = if is_codable { self.with_known_forms(page.codable(), sealed.confirmed()) } else { page };
        let page = Arc::new(page);
        seal(Born::of(&page));
        let kept = self.keep(permit, &page, &admission);
        if let Some(reason) = kept {
            self.0.counters.count(reason);
        }
        Admitted::Page(page, kept)
    }

    /// Judges an answer; one whose body is still to come by its head, with the length that it promises.
    pub(super) fn may_store(
        &self,
        permit: &Permit,
        rules: &Rules,
        (parts, len): (&response::Parts, Option<usize>),
        sealed: &Sealed,
    ) -> Result<Admission, Reason> {
        // First: a failure is shared without being stored, and its head is made into a template all the same.
        let head: usize =
            parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if head > self.0.limits.head_bytes || parts.headers.len() > HEAD_LINES {
            return Err(Reason::HeadTooLarge);
        }
        if let (Some(obeys), Some(exchange)) = (&rules.origin, &sealed.exchange) {
            return self.may_store_as_origin(permit.key(), rules, obeys, (parts, len), sealed, exchange);
        }
        storable::head(parts, rules)?;
        len.map_or(Ok(()), |len| storable::body(parts, len, rules))?;
        if let Some(reason) = sealed.veto {
            return Err(reason);
        }
        let tags = self.with_groups(sealed.tags.clone(), permit.key(), &parts.headers);
        if tags.len() > self.0.limits.tags_per_page {
            return Err(Reason::TooManyTags);
        }
        let lifetime = rules.lifetime_of(parts.status).ok_or(Reason::Status)?;
        let own = sealed.lifetime.unwrap_or(lifetime.fresh);
        let fresh = sealed.at_most.map_or(own, |most| own.min(most)).min(Lifetime::LONGEST);
        if fresh.is_zero() {
            return Err(Reason::HandlerLifetime);
        }
        Ok(Admission {
            lifetime: self.jittered(Lifetime { fresh, ..lifetime }, rules),
            tags,
            ..self.unstored(permit.key())
        })
    }

    /// With the groups that an answer says it belongs to (RFC 9875 §2).
    pub(super) fn with_groups(&self, mut tags: TagSet, key: &CacheKey, headers: &HeaderMap) -> TagSet {
        if headers.contains_key(groups::CACHE_GROUPS) {
            let host = &key.scope().authority;
            tags.extend(groups::groups_of(headers).iter().map(|group| implicit::group(host, group)));
        }
        tags
    }

    /// The page's own lifetime: what pages are stored with together ends apart.
    fn jittered(&self, lifetime: Lifetime, rules: &Rules) -> Lifetime {
        if rules.lifetime_jitter <= 0.0 {
            return lifetime;
        }
        let step = self.0.chance.bits() % JITTER_STEPS;
        lifetime.shortened(rules.lifetime_jitter * step as f64 / (JITTER_STEPS - 1) as f64)
    }

    /// An answer that is not stored: the key is passed for a while, and what stood there before goes, unless
    /// the origin merely failed.
    pub fn refuse(&self, permit: &Permit, status: StatusCode, reason: Reason) {
        self.0.counters.count(reason);
        if !displaces(permit, status, reason) {
            return;
        }
        self.0.pages.remove_up_to(permit.key(), permit.snapshot().seq);
        if self.0.pages.peek(permit.key()).is_some() {
            // A later render's page stands there: this answer is past.
            return;
        }
        let until = self.0.clock.now().after(self.0.limits.pass_ttl);
        self.0.passed.insert(permit.key().hash(), until);
    }

    /// Puts on what every page leaves with.
    fn dress(
        &self,
        headers: &mut HeaderMap,
        rules: &Rules,
        lifetime: &Lifetime,
        key: &CacheKey,
        body: &[Bytes],
    ) {
        storable::strip_hop_by_hop(headers);
        storable::name_dimensions(headers, &rules.vary);
        for name in [AGE, EXPIRES, PRAGMA] {
            headers.remove(name);
        }
        let len: usize = body.iter().map(Bytes::len).sum();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
        if !headers.contains_key(ETAG) {
            headers.insert(ETAG, Hash::of(body).etag());
        }
        let freshness = match key.scope().audience {
            Audience::Draft => Some(cache_control::PRIVATE),
            // What a function computed can't be told to a shared cache downstream, which would mix the pages up.
            Audience::Public if rules.tenant.is_some() || !rules.variants.is_empty() => {
                let text = format!("private, max-age={}", rules.browser_max_age.as_secs());
                HeaderValue::from_str(&text).ok()
            }
            Audience::Public => {
                HeaderValue::from_str(&cache_control::write(lifetime, rules.browser_max_age)).ok()
            }
        };
        if let Some(value) = freshness {
            headers.insert(CACHE_CONTROL, value);
        }
        if key.scope().audience == Audience::Draft {
            keep_private(headers);
        }
    }

    /// Tells CDNs the tags of a page.
    pub(super) fn tell_tags(&self, headers: &mut HeaderMap, key: &CacheKey, tags: &TagSet) {
        for header in &self.0.tag_headers {
            // Groups have a field of their own (RFC 9875).
            let texts: Vec<&str> =
                tags.with_ancestors().into_iter().filter(|tag| !tag.starts_with('~')).collect();
            let text = texts.join(header.separator());
            match HeaderValue::from_str(&text) {
                Ok(value) if !text.is_empty() && text.len() <= TAG_HEADER_BYTES => {
                    headers.insert(header.name(), value);
                }
                Ok(_) if text.is_empty() => {}
                _ => {
                    // A cache that can't be told to forget a page must not keep it.
                    if key.scope().audience != Audience::Draft {
                        zero_freshness(headers);
                    }
                    self.note(
                        Reason::TooManyTags,
                        &key.scope().route,
                        "the tag header is too long for a CDN: use fewer tags",
                    );
                }
            }
        }
    }

    /// Puts a page together. One whose body is still to come is nobody's neighbour: its head is its own.
    pub(super) fn assemble(
        &self,
        permit: &Permit,
        rules: &Rules,
        admission: &Admission,
        parts: &mut response::Parts,
        body: Option<&[Bytes]>,
    ) -> Page {
        let Admission { key, tags, lifetime, born, reuse } = admission;
        let head = HeadParts::take(parts.status, std::mem::take(&mut parts.headers), *lifetime, rules.loss)
            .with_reuse(*reuse);
        let own: Vec<HeaderValue> = head.own().cloned().collect();
        let snapshot = permit.snapshot();
        #[cfg(feature = "twins")]
        let snapshot = if self.lacks(crate::testing::Twin::LateSnapshot) {
            self.0.graph.ledger().snapshot()
        } else {
            snapshot
        };
        let birth = Birth { snapshot, at: *born };
        let (head, is_new) = match body {
            Some(_) => self.0.heads.of(head),
            None => (Arc::new(head.alone()), false),
        };
        let ids = self.ids(key, tags, false);
        #[cfg(feature = "twins")]
        let ids = if self.lacks(crate::testing::Twin::LayerTagsOnly) { permit.known().into() } else { ids };
        let took = permit.began().map(|began| self.0.clock.now().since(began)).unwrap_or_default();
        let page = Page::new(key, birth, head, &own, tags, &ids, body.unwrap_or_default())
            .with_lead(Lead::of(took, rules.refresh_ahead));
        if is_new { page.paying_for_head() } else { page }
    }

    /// The ids that decide about a page: tags, ancestors, implicit tags; those of the scope on demand.
    pub(crate) fn ids(&self, key: &CacheKey, tags: &TagSet, with_scope: bool) -> Box<[TagId]> {
        let mut ids: Vec<TagId> = tags.with_ancestors().into_iter().map(TagId::of).collect();
        key.read(|key| implicit::own(key, |tag| ids.push(TagId::of(tag))));
        if with_scope {
            ids.extend_from_slice(key.scope().ids(self.0.build.as_deref()));
        }
        ids.into()
    }

    /// Stores and binds. Says why it did not, if so.
    fn keep(&self, permit: &Permit, page: &Arc<Page>, admission: &Admission) -> Option<Reason> {
        let (key, tags) = (&admission.key, &admission.tags);
        let now = self.0.clock.now();
        if self.verdict_of(page, now, self.applied()) == Verdict::Dead {
            return Some(Reason::Overtaken);
        }
        if key.scope().is_displaced() {
            return Some(Reason::HostLimit);
        }
        between_steps();
        let Some(giving_way) = self.room_for(key, now) else { return Some(Reason::VariantLimit) };
        match self.0.pages.keep(key, Arc::clone(page)) {
            Put::Kept => {}
            Put::Outrun => return Some(Reason::Overtaken),
            Put::Refused => return Some(Reason::StoreRefused),
        }
        between_steps();
        self.0.counters.stored();
        self.0.passed.remove(&key.hash());
        self.note_varies(key);
        if key != permit.key() {
            // Who asks for it as this request did is to find the page by what it varies on now.
            self.0.pages.remove_up_to(permit.key(), permit.snapshot().seq);
            self.0.passed.remove(&permit.key().hash());
        }
        let expires: Moment = now.after(page.lifetime().total());
        if !self.bind(key, tags, now, expires) {
            self.note(
                Reason::IndexFull,
                "index",
                "raise `limits.index_bytes` or `index_rows`; until then lists of URLs are incomplete",
            );
        }
        giving_way.iter().for_each(|gone| self.give_way(gone));
        None
    }

    /// Which variants of its URL give way to a page: some of those that were evicted, where it has as many as it may.
    ///
    /// A page that a second tier may still have gives way to none: it comes back without being bound again.
    fn room_for(&self, key: &CacheKey, now: Moment) -> Option<Vec<CacheKey>> {
        let is_gone = |other: &CacheKey| self.0.store.is_none() && self.0.pages.peek(other).is_none();
        let most = self.0.limits.variants_per_url;
        self.0.graph.with_index(|index| index.room_for(key, most, now, is_gone))
    }
}

/// Whether an answer that is not stored takes the place of the page that stands there.
#[must_use]
pub fn displaces(permit: &Permit, status: StatusCode, reason: Reason) -> bool {
    let has_failed = status.is_server_error() || reason == Reason::Truncated;
    let is_about_the_request = permit.is_as_asked() && is_about_the_request(status);
    !has_failed && !is_about_the_request && !permit.is_for_one()
}

/// Whether an answer may be about one request, its sender or the moment, and so says nothing of the page.
///
/// All others do: it is gone or was never there (404, 410), is elsewhere (3xx), asks for credentials (401), is kept from
/// everyone without them (403) or from everyone (451), or can't be read at all any more (405, 414).
const fn is_about_the_request(status: StatusCode) -> bool {
    matches!(
        status,
        // What its conditions or its range led to.
        StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE
        // What it should have said, or not, and what it would take instead.
        | StatusCode::BAD_REQUEST | StatusCode::NOT_ACCEPTABLE | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::EXPECTATION_FAILED | StatusCode::UPGRADE_REQUIRED
        | StatusCode::PRECONDITION_REQUIRED | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        // By which way it came, too late, too early or too often.
        | StatusCode::MISDIRECTED_REQUEST | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS
    )
}
