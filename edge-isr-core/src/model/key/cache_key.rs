//! A key written down: what a page, a job and a row of the index keep.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Uri};
use sha2::{Digest, Sha256};

use super::key_ref::KeyRef;
use super::scope::Scope;
use crate::model::written::{dimensions, put, put_optional, url_of};

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
    pub(super) const fn written(hash: u64, scope: Arc<Scope>, tail: Bytes) -> Self {
        Self { hash, scope, tail }
    }

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
    #[cfg(any(test, feature = "testing"))]
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
