//! A stored response and the facts of its birth, flat: key, own values, tags and body stand in one buffer. Only
//! what few pages have, such as a long body in parts, stands apart.
//!
//! Here: what a page is. `assemble` puts it together, `judge` holds what is remembered of its marks, `answer` makes
//! responses of it, `form` adds coded bodies to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderValue;

use super::ahead::Lead;
use super::head::Head;
use super::key::{Audience, CacheKey, KeyRef, Scope};
use super::lifetime::Lifetime;
use super::snapshot::Snapshot;
use super::tag::TagId;
use super::verdict::Loss;
use crate::clock::Moment;
use crate::sync::modelled::AtomicU64;

mod answer;
mod assemble;
mod content;
mod downstream;
mod form;
mod judge;
mod of_origin;

pub use answer::Shown;
pub use content::{Content, Rope};
pub use downstream::{keep_private, zero_freshness};
pub use form::Form;

/// What the allocator and the store add to a page, roughly; the memory bench pins the sum.
const OVERHEAD_BYTES: usize = 120;

/// The two numbers in a page's buffer that say where its tags and their ids end.
const BORDERS_BYTES: usize = 2 * size_of::<u32>();

/// The head was made for this page, which then counts its bytes.
const PAYS_FOR_HEAD: u8 = 1;
/// The origin said that the page before it is still right; this is that page again.
const IS_CONFIRMED: u8 = 1 << 1;

/// How a page came into the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// Taken before the handler was polled.
    pub snapshot: Snapshot,
    /// When the render was complete.
    pub at: Moment,
}

/// A stored response.
pub struct Page {
    scope: Arc<Scope>,
    head: Arc<Head>,
    /// The key's tail, where tags and ids end (a `u32` each, of little end), the tags, their ids, the own values,
    /// the body.
    buffer: Bytes,
    /// The values that the head's template leaves open, in its order: slices of the buffer, checked once.
    own: Box<[HeaderValue]>,
    birth: Birth,
    /// The graph's `applied` as it was before the page's marks were last read and found harmless.
    verified: AtomicU64,
    /// The graph's `changes` for the page's tags, as they were then.
    changes: AtomicU64,
    /// What few pages have.
    extra: Option<Box<Extra>>,
    hits: AtomicU32,
    tail_end: u32,
    body_start: u32,
    /// [`PAYS_FOR_HEAD`] and [`IS_CONFIRMED`]: two facts in the byte that there is.
    facts: u8,
    /// Whether there may be coded forms, and for which of them work was begun.
    codings: AtomicU8,
    /// The two bytes that remain of the last eight: see [`Lead`] for how they suffice.
    lead: Lead,
}

/// What few pages have, so that the others don't pay for it.
#[derive(Debug, Default)]
struct Extra {
    /// The body, if it is too long to be copied into the buffer.
    rope: Option<Rope>,
    /// The coded forms. Few, so that the first is nearly always the one that is sought.
    forms: Box<[Form]>,
}

impl Page {
    /// Whether this is the page of that key, part by part.
    #[must_use]
    #[inline]
    pub fn is_of(&self, key: &KeyRef<'_>) -> bool {
        key.matches(&self.scope, &self.buffer[..self.tail_end as usize])
    }

    /// The key, written down.
    #[must_use]
    pub fn key(&self) -> Option<CacheKey> {
        let tail = Bytes::copy_from_slice(&self.buffer[..self.tail_end as usize]);
        CacheKey::from_parts(Arc::clone(&self.scope), tail)
    }

    /// What the page's key shares with its neighbours.
    #[must_use]
    pub const fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// The facts of its birth.
    #[must_use]
    pub const fn birth(&self) -> &Birth {
        &self.birth
    }

    /// For how long it is of use.
    #[must_use]
    #[inline]
    pub fn lifetime(&self) -> &Lifetime {
        self.head.lifetime()
    }

    /// What becomes of it when marks are lost.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.head.loss()
    }

    /// How long before its end it is rendered anew, on average.
    #[must_use]
    #[inline]
    pub const fn lead(&self) -> Lead {
        self.lead
    }

    /// The current age.
    #[must_use]
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.birth.at)
    }

    /// The explicit tags, as text.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let (tags_end, _) = self.borders();
        let text = std::str::from_utf8(&self.buffer[self.tail_end as usize + BORDERS_BYTES..tags_end]);
        text.unwrap_or_default().split(' ').filter(|tag| !tag.is_empty())
    }

    /// The ids of the tags that decide about the page, without those of its scope.
    pub fn ids(&self) -> impl Iterator<Item = TagId> {
        let (tags_end, ids_end) = self.borders();
        let (ids, _) = self.buffer[tags_end..ids_end].as_chunks::<8>();
        ids.iter().map(|id| TagId(u64::from_le_bytes(*id)))
    }

    /// Where tags and ids end.
    fn borders(&self) -> (usize, usize) {
        let Some([a, b, c, d, e, f, g, h]) = self.buffer[self.tail_end as usize..].first_chunk() else {
            return (0, 0);
        };
        (u32::from_le_bytes([*a, *b, *c, *d]) as usize, u32::from_le_bytes([*e, *f, *g, *h]) as usize)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// The body in one piece: sharing the page's buffer, or a copy of one that is kept in parts.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.content().into_bytes()
    }

    /// The body as it is kept.
    #[must_use]
    #[inline]
    pub fn content(&self) -> Content {
        match self.rope() {
            None => Content::One(self.buffer.slice(self.body_start as usize..)),
            Some(rope) => rope.content(),
        }
    }

    /// How many bytes the body has.
    #[must_use]
    #[inline]
    pub fn body_len(&self) -> usize {
        match self.rope() {
            None => self.buffer.len() - self.body_start as usize,
            Some(rope) => rope.len(),
        }
    }

    #[inline]
    fn rope(&self) -> Option<&Rope> {
        self.extra.as_ref()?.rope.as_ref()
    }

    /// How many bytes of memory the page holds, for the bound on bytes. The same for as long as it lives.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        // A head never changes, nor does its weight.
        let head = if self.facts & PAYS_FOR_HEAD != 0 { self.head.weight_bytes() } else { 0 };
        let texts = self.buffer.len() + self.scope.text_bytes() + head;
        let texts = texts + self.extra.as_ref().map_or(0, |extra| extra.weight_bytes());
        size_of::<Self>() + texts + size_of_val(&*self.own) + OVERHEAD_BYTES
    }

    /// Whether only the bearers of a draft secret may see it.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        self.scope.audience == Audience::Draft
    }
}

impl Extra {
    fn weight_bytes(&self) -> usize {
        let rope = self.rope.as_ref().map_or(0, Rope::weight_bytes);
        size_of::<Self>() + rope + self.forms.iter().map(Form::weight_bytes).sum::<usize>()
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("route", &self.scope.route)
            .field("status", &self.status())
            .field("seq", &self.birth.snapshot.seq)
            .field("bytes", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ETAG, HeaderMap};

    use super::*;
    use crate::model::authority::Scheme;
    use crate::model::coding::Coding;
    use crate::model::conditional::Selection;
    use crate::model::head::HeadParts;
    use crate::model::snapshot::Incarnation;
    use crate::model::tag::{TagSet, tag};
    use crate::model::verdict::Loss;

    const TAGS: [u64; 2] = [4, 25];

    /// A page with a line of its own, two tags and their ids.
    fn page(body: &[Bytes]) -> Page {
        let key = KeyRef::new(Scheme::Http, "h", "/{*path}", "/a");
        let key = key.to_owned(Arc::new(key.scope()));
        let headers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("\"e\""))]);
        let parts = HeadParts::take(StatusCode::OK, headers, Lifetime::default(), Loss::default());
        let own: Vec<HeaderValue> = parts.own().cloned().collect();
        let snapshot = Snapshot { incarnation: Incarnation::from_bytes([0; 16]), seq: 0 };
        let (birth, id) = (Birth { snapshot, at: Moment::from_nanos(0) }, parts.id());
        let tags: TagSet = TAGS.iter().map(|n| tag("post", n)).collect();
        Page::new(&key, birth, Arc::new(parts.build(id)), &own, &tags, &TAGS.map(TagId), body)
    }

    #[test]
    fn a_page_has_the_size_that_the_memory_bench_was_run_with() {
        assert_eq!(size_of::<Page>(), 136);
    }

    #[test]
    fn what_stands_in_the_buffer_is_found_with_and_without_a_body_there() {
        for body in [vec![], vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")], vec![long(); 2]] {
            let page = page(&body);
            assert!(page.tags().eq(["post:25", "post:4"]));
            assert!(page.ids().eq(TAGS.map(TagId)));
            assert_eq!((page.body_len(), page.body()), (body.concat().len(), body.concat().into()));
            assert_eq!(page.validators().etag, Some(&b"\"e\""[..]));
            assert_eq!(page.validators().len, page.body_len());
            assert_eq!(page.key().unwrap().path(), "/a");
        }
    }

    fn long() -> Bytes {
        vec![b'x'; 1 << 20].into()
    }

    #[test]
    fn p15_a_page_weighs_what_it_holds_wherever_its_body_is() {
        let (empty, short) = (page(&[]).weight_bytes(), page(&[vec![b'x'; 5000].into()]).weight_bytes());
        assert_eq!(short - empty, 5000);
        let body = vec![long(); 2];
        let page = page(&body);
        let parts = 8;
        let apart = size_of::<Extra>() + parts * size_of::<Bytes>();
        assert_eq!(page.weight_bytes() - empty, (2 << 20) + apart);
        let Content::Parts(_) = page.content() else { panic!("it was copied into one piece") };
        assert_eq!(page.buffer.len(), page.body_start as usize);
    }

    fn form(page: &Page, coding: Coding, body: &[Bytes]) -> Form {
        let parts = Form::head(page, coding, body.iter().map(Bytes::len).sum());
        let (own, id): (Vec<HeaderValue>, _) = (parts.own().cloned().collect(), parts.id());
        Form::new(coding, (Arc::new(parts.build(id)), false), &own, body)
    }

    #[test]
    fn p15_a_form_adds_what_it_holds_and_goes_with_its_page() {
        let page = page(&[long()]).codable();
        let mut weight = page.weight_bytes();
        for body in [vec![vec![b'y'; 700].into()], vec![long(); 2]] {
            let with_form = page.with_form(form(&page, Coding::Br, &body)).unwrap();
            let added = with_form.weight_bytes() - page.weight_bytes();
            let bytes = body.concat().len();
            assert!((bytes..bytes + 600).contains(&added), "{added} for {bytes}");
        }
        let (mut page, mut forms) = (page, 0);
        for coding in Coding::ALL {
            page = page.with_form(form(&page, coding, &[Bytes::from_static(b"coded")])).unwrap();
            forms += 1;
            assert!(page.weight_bytes() > weight, "{coding:?}");
            weight = page.weight_bytes();
            assert_eq!(page.extra.as_ref().unwrap().forms.len(), forms);
        }
        let again = page.with_form(form(&page, Coding::Br, &[Bytes::from_static(b"coded")])).unwrap();
        assert_eq!(again.weight_bytes(), weight, "it has each once");
    }

    #[test]
    fn a_page_with_a_form_is_as_visited_as_verified_and_as_dead_as_it_was() {
        let page = page(&[long()]).codable().confirmed();
        assert!(page.begin(Coding::Gzip) && !page.begin(Coding::Gzip));
        page.visit();
        page.verified.store(7, std::sync::atomic::Ordering::Release);
        page.changes.store(9, std::sync::atomic::Ordering::Release);
        let coded = page.with_form(form(&page, Coding::Br, &[Bytes::from_static(b"coded")])).unwrap();
        assert!(coded.is_verified(7) && coded.is_same_answer(&page) && coded.is_codable());
        assert_eq!((coded.visits(), coded.changes.load(std::sync::atomic::Ordering::Acquire)), (1, 9));
        assert!(coded.is_begun(Coding::Br) && coded.is_begun(Coding::Gzip) && !coded.is_begun(Coding::Zstd));
        assert_eq!(coded.forward_status(), StatusCode::NOT_MODIFIED);
        assert_eq!((coded.key(), coded.birth(), coded.body()), (page.key(), page.birth(), page.body()));
        page.kill();
        assert!(page.with_form(form(&page, Coding::Br, &[Bytes::from_static(b"coded")])).is_none());
    }

    #[test]
    fn a_form_has_a_tag_and_a_length_of_its_own_and_all_else_is_the_pages() {
        let page = page(&[Bytes::from_static(b"body")]);
        let coded = page.with_form(form(&page, Coding::Zstd, &[Bytes::from_static(b"coded")])).unwrap();
        let value = || HeaderValue::from_static("x");
        let answer = |coding| coded.shown(coding).answer(&Selection::Whole, value(), value()).into_parts();
        let ((plain, body), (parts, bytes)) = (answer(None), answer(Some(Coding::Zstd)));
        assert_eq!((body.into_bytes(), bytes.into_bytes()), ("body".into(), "coded".into()));
        assert_eq!((plain.headers["etag"].as_bytes(), plain.headers.len()), (&b"\"e\""[..], 3));
        assert_eq!(parts.headers["etag"], "\"e-zstd\"");
        assert_eq!(parts.headers["content-length"], "5");
        assert_eq!(parts.headers["content-encoding"], "zstd");
        assert_eq!(parts.headers.len(), 5);
        assert!(coded.shown(Some(Coding::Zstd)).is_known_as(b"\"e-zstd\""));
        assert!(!coded.shown(Some(Coding::Zstd)).is_known_as(b"\"e\""));
        assert!(coded.shown(Some(Coding::Br)).is_known_as(b"\"e\""), "in a coding it lacks it is as it is");
    }
}
