//! What selects a page: origin, matched route, path, declared query, declared dimensions, tenant, audience.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher as _;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{Request, Uri};
use sha2::{Digest, Sha256};

use super::authority::{HostUse, Scheme};
use super::implicit;
use super::tag::TagId;
use super::written::{dimensions, put, put_optional, strip, strip_optional, url_of};
use crate::clock::Moment;
use crate::hash;

/// The most bytes of a tenant.
const MAX_TENANT_BYTES: usize = 256;

/// Who may see a page: everybody, or those whom the policy's `draft` predicate let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Audience {
    /// Everybody.
    #[default]
    Public,
    /// Preview traffic. Never shares a key, a flight or a fill with public traffic.
    Draft,
}

/// What a page's key shares with its neighbours. Interned, so that a page pays one pointer for it.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The scheme of the origin.
    pub scheme: Scheme,
    /// Host and port of the origin, normalized.
    pub authority: Box<str>,
    /// The pattern that matched, as the router knows it.
    pub route: Box<str>,
    /// The tenant, where the policy has tenants.
    pub tenant: Option<Box<str>>,
    /// Public or draft.
    pub audience: Audience,
    /// The headers whose values are part of the key, in the policy's order.
    pub vary: Box<[HeaderName]>,
    /// When the host was last used, where the number of hosts is bounded.
    host: Option<Arc<HostUse>>,
    /// The implicit tags of all its pages, once needed.
    ids: OnceLock<Box<[TagId]>>,
}

impl Scope {
    /// The implicit tags that all pages of the scope share. `build` is the same at every call.
    #[must_use]
    pub fn ids(&self, build: Option<&str>) -> &[TagId] {
        self.ids.get_or_init(|| {
            let mut tags =
                vec![implicit::all(), implicit::host(&self.authority), implicit::route(&self.route)];
            tags.extend(build.map(implicit::build));
            tags.iter().map(|tag| TagId::of(tag.as_str())).collect()
        })
    }

    pub(crate) fn with_host(self, host: Option<Arc<HostUse>>) -> Self {
        Self { host, ..self }
    }

    pub(crate) fn host(&self) -> Option<&Arc<HostUse>> {
        self.host.as_ref()
    }

    /// Remembers that its host is in use.
    #[inline]
    pub(crate) fn touch(&self, now: Moment) {
        if let Some(host) = &self.host {
            host.touch(now);
        }
    }

    /// Whether another host took the place of its own.
    #[inline]
    pub(crate) fn is_displaced(&self) -> bool {
        self.host.as_ref().is_some_and(|host| host.is_displaced())
    }

    /// How many bytes of text it holds. Each page and each row counts them as its own: a stranger who chooses
    /// hosts makes a scope a page.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.authority.len() + self.route.len() + self.tenant.as_deref().map_or(0, str::len)
    }

    fn parts(&self) -> (Scheme, &str, &str, Option<&str>, Audience, &[HeaderName]) {
        (self.scheme, &self.authority, &self.route, self.tenant.as_deref(), self.audience, &self.vary)
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Scope {}

impl std::hash::Hash for Scope {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// The value of one dimension: a declared header's, normalized, or what a variant function said. An absent
/// header is not an empty one.
pub type Dimension<'a> = Option<Cow<'a, str>>;

/// A key as a request has it, borrowed: hashed and compared without being built.
#[derive(Debug, Clone, Copy)]
pub struct KeyRef<'a> {
    /// See [`Scope::scheme`].
    pub scheme: Scheme,
    /// See [`Scope::authority`].
    pub authority: &'a str,
    /// See [`Scope::route`].
    pub route: &'a str,
    /// See [`Scope::tenant`].
    pub tenant: Option<&'a str>,
    /// See [`Scope::audience`].
    pub audience: Audience,
    /// See [`Scope::vary`].
    pub vary: &'a [HeaderName],
    /// The raw path, as the router saw it.
    pub path: &'a str,
    /// The declared parameters, sorted by name, as raw text; `None` when there is none.
    pub query: Option<&'a str>,
    /// The values of the declared headers, then of the policy's variants.
    pub dimensions: &'a [Dimension<'a>],
}

impl KeyRef<'_> {
    /// The keyed hash of the key, for use inside the process only.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = hash::hasher();
        hasher.write_u8(self.scheme as u8 | ((self.audience as u8) << 1));
        hash::segment(&mut hasher, self.authority.as_bytes());
        hash::segment(&mut hasher, self.route.as_bytes());
        hash::segment(&mut hasher, self.path.as_bytes());
        for optional in [self.tenant, self.query] {
            hash_optional(&mut hasher, optional);
        }
        for dimension in self.dimensions {
            hash_optional(&mut hasher, dimension.as_deref());
        }
        hasher.finish()
    }

    /// How many bytes the key has once written down, for the bound on keys. With an over-long tenant more than
    /// any bound: each tenant is a scope of its own, of which few can be shared.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        if self.tenant.is_some_and(|tenant| tenant.len() > MAX_TENANT_BYTES) {
            return usize::MAX;
        }
        let dimensions: usize = self.dimensions.iter().flatten().map(|value| value.len() + 3).sum();
        self.authority.len()
            + self.route.len()
            + self.path.len()
            + self.tenant.map_or(0, str::len)
            + self.query.map_or(0, str::len)
            + dimensions
    }

    /// Whether this is the key written down as `scope` and `tail`.
    #[must_use]
    pub fn matches(&self, scope: &Scope, tail: &[u8]) -> bool {
        *scope.authority == *self.authority
            && *scope.route == *self.route
            && scope.scheme == self.scheme
            && scope.audience == self.audience
            && scope.tenant.as_deref() == self.tenant
            && *scope.vary == *self.vary
            && self.matches_tail(tail).is_some()
    }

    fn matches_tail(&self, tail: &[u8]) -> Option<()> {
        let mut rest = strip(tail, self.path)?;
        rest = strip_optional(rest, self.query)?;
        for dimension in self.dimensions {
            rest = strip_optional(rest, dimension.as_deref())?;
        }
        rest.is_empty().then_some(())
    }

    /// The key's own part, written down.
    fn tail(&self) -> Vec<u8> {
        let mut tail = Vec::with_capacity(self.path.len() + self.query.map_or(0, str::len) + 8);
        put(&mut tail, self.path);
        put_optional(&mut tail, self.query);
        for dimension in self.dimensions {
            put_optional(&mut tail, dimension.as_deref());
        }
        tail
    }

    /// The scope of this key, to be interned.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope {
            scheme: self.scheme,
            authority: self.authority.into(),
            route: self.route.into(),
            tenant: self.tenant.map(Into::into),
            audience: self.audience,
            vary: self.vary.into(),
            host: None,
            ids: OnceLock::new(),
        }
    }

    /// The key, owned. `scope` must equal [`KeyRef::scope`].
    #[must_use]
    pub fn to_owned(&self, scope: Arc<Scope>) -> CacheKey {
        debug_assert!(*scope == self.scope(), "a key is written down in its own scope");
        CacheKey { hash: self.hash(), scope, tail: self.tail().into() }
    }
}

/// A key written down: injective, since every part is preceded by its length or its presence.
///
/// The build id is part of [`digest`](Self::digest), the name outside the process; inside, all pages are of one build.
///
/// Follows RFC 9111 §2 (cache key) with the matched route pattern, the tenant and the audience added, so that
/// one route's fill can't stand under another's key.
#[derive(Clone)]
pub struct CacheKey {
    hash: u64,
    scope: Arc<Scope>,
    tail: Bytes,
}

impl CacheKey {
    /// From the parts of a stored page. `None` when the tail can't be read.
    #[must_use]
    pub fn from_parts(scope: Arc<Scope>, tail: Bytes) -> Option<Self> {
        let mut key = Self { hash: 0, scope, tail };
        key.hash = key.read(|key| key.hash())?;
        Some(key)
    }

    /// The keyed hash, for use inside the process only.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// The key as if its hash were another's.
    #[cfg(test)]
    pub(crate) fn colliding_with(self, other: &Self) -> Self {
        Self { hash: other.hash, ..self }
    }

    /// What the key shares with its neighbours.
    #[must_use]
    pub const fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// The key's own part: path, query and dimensions, each with its length.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// The raw path.
    #[must_use]
    pub fn path(&self) -> &str {
        url_of(&self.tail).map_or("", |(path, _)| path)
    }

    /// The canonical query.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        url_of(&self.tail)?.1
    }

    /// Path and query as a client would send them.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match self.query() {
            Some(query) => format!("{}?{query}", self.path()),
            None => self.path().to_owned(),
        }
    }

    /// The values of the declared headers, then of the variants.
    #[must_use]
    pub fn dimensions(&self) -> Vec<Option<&str>> {
        dimensions(&self.tail).unwrap_or_default()
    }

    /// Calls `f` with the key as a request would have it.
    pub fn read<T>(&self, f: impl FnOnce(&KeyRef<'_>) -> T) -> Option<T> {
        read(&self.scope, &self.tail, f)
    }

    /// The 256-bit name of the page outside the process: SHA-256 over every part and the build id.
    #[must_use]
    pub fn digest(&self, build: &str) -> [u8; 32] {
        let scope = &*self.scope;
        let mut text = vec![1, scope.scheme as u8, scope.audience as u8];
        put(&mut text, build);
        put(&mut text, &scope.authority);
        put(&mut text, &scope.route);
        put_optional(&mut text, scope.tenant.as_deref());
        put(&mut text, &scope.vary.len().to_string());
        for name in &scope.vary {
            put(&mut text, name.as_str());
        }
        text.extend_from_slice(&self.tail);
        Sha256::digest(&text).into()
    }

    /// The request that renders this page again: `GET`, absolute URI, `Host`, the declared query, each
    /// declared header with its normalized value. What is absent from the key is absent here.
    ///
    /// `None` when the key holds something no request can carry.
    #[must_use]
    pub fn request(&self) -> Option<Request<()>> {
        let scope = &*self.scope;
        let uri = Uri::builder()
            .scheme(scope.scheme.as_str())
            .authority(&*scope.authority)
            .path_and_query(self.path_and_query())
            .build()
            .ok()?;
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        request.headers_mut().insert(HOST, HeaderValue::from_str(&scope.authority).ok()?);
        for (name, value) in scope.vary.iter().zip(self.dimensions()) {
            if let Some(value) = value {
                request.headers_mut().insert(name, HeaderValue::from_str(value).ok()?);
            }
        }
        Some(request)
    }
}

impl PartialEq for CacheKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.tail == other.tail
            && (Arc::ptr_eq(&self.scope, &other.scope) || self.scope == other.scope)
    }
}

impl Eq for CacheKey {}

impl std::hash::Hash for CacheKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for CacheKey {
    /// Without the query and the dimensions, which may hold what a visitor typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CacheKey({}://{}{:?} via {:?})",
            self.scope.scheme.as_str(),
            self.scope.authority,
            self.path(),
            self.scope.route
        )
    }
}

/// Calls `f` with a written key as a request would have it. `None` when the tail can't be read.
pub(crate) fn read<T>(scope: &Scope, tail: &[u8], f: impl FnOnce(&KeyRef<'_>) -> T) -> Option<T> {
    let (path, query) = url_of(tail)?;
    let dimensions: Vec<_> = dimensions(tail)?.into_iter().map(|value| value.map(Cow::Borrowed)).collect();
    Some(f(&KeyRef {
        scheme: scope.scheme,
        authority: &scope.authority,
        route: &scope.route,
        tenant: scope.tenant.as_deref(),
        audience: scope.audience,
        vary: &scope.vary,
        path,
        query,
        dimensions: &dimensions,
    }))
}

fn hash_optional(hasher: &mut impl std::hash::Hasher, text: Option<&str>) {
    match text {
        // No text is so long. As wide as a length, since the hasher joins numbers without their widths.
        None => hasher.write_usize(usize::MAX),
        Some(text) => hash::segment(hasher, text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// (authority, route, tenant, path, query, dimensions), from an alphabet that provokes separators.
    type Parts = (String, String, Option<String>, String, Option<String>, Vec<Option<String>>);

    fn parts() -> impl Strategy<Value = Parts> {
        let text = || "[ab/:&=\u{0}\u{1}]{0,4}";
        let optional = || proptest::option::of(text());
        (text(), text(), optional(), text(), optional(), proptest::collection::vec(optional(), 0..3))
    }

    fn key(parts: &Parts) -> CacheKey {
        let (authority, route, tenant, path, query, values) = parts;
        let dimensions: Vec<Dimension<'_>> =
            values.iter().map(|value| value.as_deref().map(Cow::Borrowed)).collect();
        let key = KeyRef {
            scheme: Scheme::Http,
            authority,
            route,
            tenant: tenant.as_deref(),
            audience: Audience::Public,
            vary: &[],
            path,
            query: query.as_deref(),
            dimensions: &dimensions,
        };
        key.to_owned(Arc::new(key.scope()))
    }

    #[test]
    fn p27_absent_and_empty_parts_do_not_collide_in_any_order() {
        let values =
            |values: &[Option<&str>]| values.iter().map(|value| value.map(str::to_owned)).collect::<Vec<_>>();
        let base = || ("h".to_owned(), "/".to_owned(), None, "/".to_owned(), None);
        let mut hashes = std::collections::BTreeSet::new();
        let all = [
            &[None, None][..],
            &[None, Some("")],
            &[Some(""), None],
            &[Some(""), Some("")],
            &[None],
            &[Some("")],
        ];
        for dimensions in all {
            let (authority, route, tenant, path, query) = base();
            hashes.insert(key(&(authority, route, tenant, path, query, values(dimensions))).hash());
        }
        assert_eq!(hashes.len(), all.len());
    }

    proptest! {
        #[test]
        fn p27_d07_different_parts_are_different_keys(a in parts(), b in parts()) {
            let (one, two) = (key(&a), key(&b));
            prop_assert_eq!(one == two, a == b);
            prop_assert_eq!(one.digest("x") == two.digest("x"), a == b);
            prop_assert_eq!(two.read(|two| two.matches(one.scope(), one.tail())), Some(a == b));
        }

        #[test]
        fn a_written_key_reads_back(a in parts()) {
            let key = key(&a);
            prop_assert_eq!(key.path(), &a.3);
            prop_assert_eq!(key.query(), a.4.as_deref());
            prop_assert_eq!(key.dimensions(), a.5.iter().map(Option::as_deref).collect::<Vec<_>>());
            let again = CacheKey::from_parts(Arc::clone(key.scope()), Bytes::copy_from_slice(key.tail()));
            prop_assert_eq!(again, Some(key));
        }
    }

    #[test]
    fn p15_an_over_long_tenant_makes_the_key_too_long() {
        for (len, is_too_long) in [(256, false), (257, true)] {
            let tenant = "t".repeat(len);
            let key = KeyRef {
                scheme: Scheme::Http,
                authority: "h",
                route: "/",
                tenant: Some(&tenant),
                audience: Audience::Public,
                vary: &[],
                path: "/",
                query: None,
                dimensions: &[],
            };
            assert_eq!(key.len_bytes() == usize::MAX, is_too_long, "{len}");
        }
    }

    #[test]
    fn p28_draft_and_public_are_different_keys() {
        let key = |audience| {
            let key = KeyRef {
                scheme: Scheme::Http,
                authority: "h",
                route: "/",
                tenant: None,
                audience,
                vary: &[],
                path: "/",
                query: None,
                dimensions: &[],
            };
            key.to_owned(Arc::new(key.scope()))
        };
        assert_ne!(key(Audience::Public), key(Audience::Draft));
    }
}
