//! Keys, tags and pages to try a backend with. No two calls give the same key, in no two processes, so that
//! what is tried can stand in one backend side by side.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LINK, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::clock::Moment;
use crate::model::authority::Scheme;
use crate::model::head::HeadParts;
use crate::model::implicit;
use crate::model::key::{Audience, CacheKey, KeyRef};
use crate::model::lifetime::Lifetime;
use crate::model::page::{Birth, Page};
use crate::model::snapshot::{Incarnation, Snapshot};
use crate::model::tag::{Tag, TagId, TagSet, tag};
use crate::model::verdict::Loss;

const VARIES: &[HeaderName] = &[http::header::ACCEPT_LANGUAGE, http::header::ACCEPT];
const VARIES_LESS: &[HeaderName] = &[http::header::ACCEPT_LANGUAGE];

/// A word that was never given before.
#[must_use]
pub fn word() -> String {
    static RUN: LazyLock<u64> = LazyLock::new(|| getrandom::u64().unwrap_or_default());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}-{}", *RUN, COUNT.fetch_add(1, Relaxed))
}

/// A tag that was never given before.
#[must_use]
pub fn new_tag() -> Tag {
    tag("sample", word())
}

/// A key that was never given before, of a page without variants.
#[must_use]
pub fn key() -> CacheKey {
    at(&format!("/samples/{}", word()))
}

/// The key of a path that it shares with nobody else.
fn at(path: &str) -> CacheKey {
    written(&KeyRef::new(Scheme::Https, "www.example.com", "/samples/{id}", path))
}

fn written(key: &KeyRef<'_>) -> CacheKey {
    key.to_owned(Arc::new(key.scope()))
}

/// New keys, each of which differs from the first in one part: scheme, host, route, tenant, audience, declared
/// headers, path, query, the value of a header, a variant. What is absent is not what is empty.
#[must_use]
pub fn neighbors() -> Vec<CacheKey> {
    let path = format!("/samples/{}", word());
    let longer = format!("{path}/");
    let text = |text| Some(Cow::Borrowed(text));
    let own = [text("en"), None, text("phone")];
    let base = KeyRef {
        scheme: Scheme::Https,
        authority: "www.example.com",
        route: "/samples/{id}",
        tenant: Some("shop"),
        audience: Audience::Public,
        vary: VARIES,
        path: &path,
        query: Some("page=2&q=%c3%b6"),
        dimensions: &own,
    };
    let other_value = [text("de"), None, text("phone")];
    let empty_value = [text("en"), text(""), text("phone")];
    let other_variant = [text("en"), None, text("tablet")];
    let run_together = [text("en"), None, text("pho"), text("ne")];
    let others = [
        base,
        KeyRef { scheme: Scheme::Http, ..base },
        KeyRef { authority: "www.example.com:8443", ..base },
        KeyRef { route: "/samples/{*rest}", ..base },
        KeyRef { tenant: None, ..base },
        KeyRef { tenant: Some(""), ..base },
        KeyRef { audience: Audience::Draft, ..base },
        KeyRef { vary: VARIES_LESS, ..base },
        KeyRef { path: &longer, ..base },
        KeyRef { query: None, ..base },
        KeyRef { query: Some(""), ..base },
        KeyRef { dimensions: &other_value, ..base },
        KeyRef { dimensions: &empty_value, ..base },
        KeyRef { dimensions: &other_variant, ..base },
        KeyRef { dimensions: &run_together, ..base },
    ];
    others.iter().map(written).collect()
}

/// A page in the making: change what matters, then [`build`](Self::build).
///
/// ```
/// use edge_isr_core::testing::sample::{self, SamplePage};
///
/// let key = sample::key();
/// let page = SamplePage { body: "hello".into(), ..SamplePage::of(&key) }.build();
/// assert_eq!(page.body(), "hello");
/// assert_eq!(page.key(), Some(key));
/// ```
#[derive(Debug, Clone)]
pub struct SamplePage {
    /// Whose page it is.
    pub key: CacheKey,
    /// Where its render stood.
    pub snapshot: Snapshot,
    /// When its render was complete.
    pub at: Moment,
    /// Its status.
    pub status: StatusCode,
    /// Its head.
    pub headers: HeaderMap,
    /// For how long it is of use.
    pub lifetime: Lifetime,
    /// What becomes of it when marks are lost.
    pub loss: Loss,
    /// Its explicit tags.
    pub tags: TagSet,
    /// Its body.
    pub body: Bytes,
}

/// The incarnation of samples that don't say another.
#[must_use]
pub const fn incarnation() -> Incarnation {
    Incarnation::from_bytes(*b"sample pages' id")
}

/// An incarnation that never was before.
///
/// # Panics
///
/// When the system gives no randomness.
#[must_use]
pub fn new_incarnation() -> Incarnation {
    let mut bytes = [0; 16];
    // Without randomness two lives could not be told apart.
    getrandom::fill(&mut bytes).expect("the system gives randomness");
    Incarnation::from_bytes(bytes)
}

impl SamplePage {
    /// A page with a little of everything: two tags, lines of its own, lines it shares, a line that comes twice.
    #[must_use]
    pub fn of(key: &CacheKey) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "public, max-age=0, s-maxage=300"),
            (ETAG, "\"sample\""),
            (LINK, "</a.css>; rel=preload"),
            (VARY, "accept-language"),
            (VARY, "accept"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        Self {
            key: key.clone(),
            snapshot: Snapshot { incarnation: incarnation(), seq: 7 },
            at: Moment::from_nanos(1_000_000_000),
            status: StatusCode::OK,
            headers,
            lifetime: Lifetime {
                fresh: Duration::from_millis(300_500),
                while_revalidate: Duration::from_secs(60),
                if_error: Duration::from_secs(86_400),
            },
            loss: Loss::Miss,
            tags: [tag("post", 42), Tag::named("posts")].into_iter().collect(),
            body: Bytes::from_static("<p>sämple</p>".as_bytes()),
        }
    }

    /// With another snapshot of the same incarnation.
    #[must_use]
    pub fn since(self, seq: u64) -> Self {
        Self { snapshot: Snapshot { seq, ..self.snapshot }, ..self }
    }

    /// With this body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Puts it together as the engine would.
    #[must_use]
    pub fn build(mut self) -> Arc<Page> {
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        let parts = HeadParts::take(self.status, self.headers, self.lifetime, self.loss);
        let own: Vec<HeaderValue> = parts.own().cloned().collect();
        let mut ids: Vec<TagId> = self.tags.with_ancestors().into_iter().map(TagId::of).collect();
        self.key.read(|key| implicit::own(key, |tag| ids.push(TagId::of(tag))));
        let id = parts.id();
        let birth = Birth { snapshot: self.snapshot, at: self.at };
        let head = Arc::new(parts.build(id));
        Arc::new(Page::new(&self.key, birth, head, &own, &self.tags, &ids, &[self.body]))
    }
}
