//! The coded forms of a page: each has a head, own values and bytes of its own, and all else is the page's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, HeaderValue,
};

use super::{Content, Extra, Page, Rope};
use crate::model::cache_status::CACHE_STATUS;
use crate::model::coding::{Accepts, Coding};
use crate::model::head::{Head, HeadParts};
use crate::sync::modelled::AtomicU64;

/// Of [`Page::codings`]: whether there may be coded forms. The bits below say for which of them work was begun.
const CODABLE: u8 = 1 << 7;

/// What the allocator adds to a form, roughly.
const OVERHEAD_BYTES: usize = 60;

/// The values of a form that are not its page's.
const CHANGED: [HeaderName; 2] = [ETAG, CONTENT_LENGTH];

/// A page in one coding.
#[derive(Debug, Clone)]
pub struct Form {
    coding: Coding,
    /// Whether the head was made for it.
    pays_for_head: bool,
    pub(super) head: Arc<Head>,
    /// As a page's. Those that are the same in all forms share the page's buffer.
    pub(super) own: Box<[HeaderValue]>,
    body: Content,
    /// Its own values, its buffer and its parts.
    held_bytes: usize,
}

impl Form {
    /// The head of a page in a coding of so many bytes. Its entity tag is another than the page's, and as strong.
    #[must_use]
    pub fn head(page: &Page, coding: Coding, len: usize) -> HeadParts {
        let none = || HeaderValue::from_static("");
        let mut headers = page.head.full(none(), none(), &page.own).into_parts().0.headers;
        headers.remove(CACHE_STATUS);
        if let Some(Ok(prior)) = page.head.prior.as_deref().map(HeaderValue::from_str) {
            headers.insert(CACHE_STATUS, prior);
        }
        // Ranges are those of the page itself.
        headers.remove(ACCEPT_RANGES);
        replace(&mut headers, &ETAG, |tag| tag_of(tag, coding));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
        headers.insert(CONTENT_ENCODING, coding.header());
        HeadParts::take(page.status(), headers, *page.lifetime(), page.head.loss()).with_reuse(page.reuse())
    }

    /// Puts a form together. `own` are the values that the head leaves open.
    #[must_use]
    pub fn new(
        coding: Coding,
        (head, is_new): (Arc<Head>, bool),
        own: &[HeaderValue],
        body: &[Bytes],
    ) -> Self {
        let rope = Rope::of(body);
        let mut own: Box<[HeaderValue]> = own.into();
        // In one buffer with the body, as a page has it: a hit then counts itself in one place.
        let changed = CHANGED.map(|name| head.own_position(&name).filter(|place| *place < own.len()));
        let mut buffer = Vec::new();
        for place in changed.into_iter().flatten() {
            buffer.extend_from_slice(own[place].as_bytes());
        }
        let body_start = buffer.len();
        let in_one = if rope.is_some() { &[] } else { body };
        buffer.reserve_exact(in_one.iter().map(Bytes::len).sum());
        in_one.iter().for_each(|piece| buffer.extend_from_slice(piece));
        let buffer = Bytes::from(buffer);
        let mut at = 0;
        for place in changed.into_iter().flatten() {
            let text = buffer.slice(at..at + own[place].len());
            at += text.len();
            if let Ok(value) = HeaderValue::from_maybe_shared(text) {
                own[place] = value;
            }
        }
        let held_bytes = size_of_val(&*own) + buffer.len() + rope.as_ref().map_or(0, Rope::weight_bytes);
        let body = rope.map_or_else(|| Content::One(buffer.slice(body_start..)), |rope| rope.content());
        Self { coding, pays_for_head: is_new, head, own, body, held_bytes }
    }

    /// The bytes, sharing the form's.
    #[inline]
    pub(super) fn content(&self) -> Content {
        self.body.clone()
    }

    #[inline]
    pub(super) fn body_len(&self) -> usize {
        self.body.len()
    }

    /// How many bytes of memory it adds to its page.
    pub(super) fn weight_bytes(&self) -> usize {
        let head = if self.pays_for_head { self.head.weight_bytes() } else { 0 };
        size_of::<Self>() + self.held_bytes + head + OVERHEAD_BYTES
    }
}

/// `"abc"` becomes `"abc-br"`, and a weak one stays weak.
fn tag_of(tag: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
    let text = tag.as_bytes();
    let (inside, end) = text.strip_suffix(b"\"").map_or((text, &b""[..]), |inside| (inside, b"\""));
    HeaderValue::from_bytes(&[inside, b"-", coding.as_str().as_bytes(), end].concat()).ok()
}

/// Replaces a field's only line; of one that came in several none is kept.
fn replace(
    headers: &mut HeaderMap,
    name: &HeaderName,
    with: impl FnOnce(&HeaderValue) -> Option<HeaderValue>,
) {
    let mut lines = headers.get_all(name).iter();
    let value = lines.next().filter(|_| lines.next().is_none()).and_then(with);
    match value {
        Some(value) => drop(headers.insert(name, value)),
        None => drop(headers.remove(name)),
    }
}

impl Page {
    /// Lets the page have coded forms.
    #[must_use]
    pub fn codable(self) -> Self {
        self.codings.fetch_or(CODABLE, Ordering::Relaxed);
        self
    }

    /// Whether it may have coded forms.
    #[must_use]
    #[inline]
    pub fn is_codable(&self) -> bool {
        self.codings.load(Ordering::Relaxed) & CODABLE != 0
    }

    /// Whether work on a coded form was begun. It is begun once, while the page stands where it is.
    #[must_use]
    #[inline]
    pub fn is_begun(&self, coding: Coding) -> bool {
        self.codings.load(Ordering::Relaxed) & coding.bit() != 0
    }

    /// Begins work on a coded form; whether nobody else had.
    #[must_use]
    pub fn begin(&self, coding: Coding) -> bool {
        self.codings.fetch_or(coding.bit(), Ordering::Relaxed) & coding.bit() == 0
    }

    /// Lets work on a coded form be begun again.
    pub fn end(&self, coding: Coding) {
        self.codings.fetch_and(!coding.bit(), Ordering::Relaxed);
    }

    /// Takes it that no coding makes the page smaller.
    pub fn leave_uncoded(&self) {
        self.codings.fetch_or(!CODABLE, Ordering::Relaxed);
    }

    /// Whether no coding makes the page smaller.
    #[must_use]
    pub fn is_left_uncoded(&self) -> bool {
        self.codings.load(Ordering::Relaxed) | CODABLE == u8::MAX
    }

    /// The coded forms.
    pub fn forms(&self) -> impl Iterator<Item = (Coding, Content)> {
        let forms = self.extra.iter().flat_map(|extra| &extra.forms);
        forms.map(|form| (form.coding, form.content()))
    }

    /// Whether two pages that may have coded forms may have the same bytes, as far as their heads say.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let facts = |page: &Self| (page.status(), page.body_len());
        let is_of_one_key = self.scope == other.scope
            && self.buffer[..self.tail_end as usize] == other.buffer[..other.tail_end as usize];
        let may_be_coded = self.is_codable() && other.is_codable();
        is_of_one_key
            && may_be_coded
            && facts(self) == facts(other)
            && self.validators().etag == other.validators().etag
    }

    /// Whether two pages have the same bytes.
    #[must_use]
    pub fn has_bytes_of(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.content().into_pieces(), other.content().into_pieces());
        ours.iter().flatten().eq(theirs.iter().flatten())
    }

    /// The best form of those that a request takes and that are there; `None` for the page as it is.
    #[must_use]
    #[inline]
    pub fn form_among(&self, accepts: Accepts) -> Option<Coding> {
        let forms = &*self.extra.as_ref()?.forms;
        accepts.iter().find(|coding| forms.iter().any(|form| form.coding == *coding))
    }

    #[inline]
    pub(super) fn form(&self, coding: Option<Coding>) -> Option<&Form> {
        let coding = coding?;
        self.extra.as_ref()?.forms.iter().find(|form| form.coding == coding)
    }

    /// Whether two pages come of one answer, and differ at most in their coded forms.
    #[must_use]
    pub fn is_same_answer(&self, other: &Self) -> bool {
        // What both hold can't be another's memory.
        self.buffer.as_ptr_range() == other.buffer.as_ptr_range() && !self.buffer.is_empty()
    }

    /// The page with one more form, as visited and as verified as it is now. `None` if it was killed.
    ///
    /// It weighs more, so it has to take the page's place in a store that counts bytes.
    #[must_use]
    pub fn with_form(&self, form: Form) -> Option<Self> {
        let verified = self.verified.load(Ordering::Acquire);
        if self.is_killed() {
            return None;
        }
        let rope = self.extra.as_ref().and_then(|extra| extra.rope.clone());
        let known = self.extra.iter().flat_map(|extra| &extra.forms);
        let coding = form.coding;
        let others = known.filter(|known| known.coding != coding).cloned();
        let forms = others.chain([form]).collect();
        let number = |number: &AtomicU64| AtomicU64::new(number.load(Ordering::Acquire));
        Some(Self {
            scope: Arc::clone(&self.scope),
            head: Arc::clone(&self.head),
            buffer: self.buffer.clone(),
            own: self.own.clone(),
            birth: self.birth,
            verified: AtomicU64::new(verified),
            changes: number(&self.changes),
            extra: Some(Box::new(Extra { rope, forms })),
            hits: AtomicU32::new(self.visits()),
            tail_end: self.tail_end,
            body_start: self.body_start,
            facts: self.facts,
            codings: AtomicU8::new(self.codings.load(Ordering::Relaxed) | coding.bit()),
            lead: self.lead,
        })
    }
}
