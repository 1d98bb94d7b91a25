//! Keys: different requests have different keys, and a request made from a key has that key.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{Request, Uri};

use super::lines;
use crate::model::authority::{Scheme, normalize};
use crate::model::key::{Audience, CacheKey, Dimension, KeyRef};

/// What the key is made of, told apart by comparing it part by part.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    scheme: Scheme,
    audience: Audience,
    authority: String,
    route: String,
    tenant: Option<String>,
    path: String,
    query: Option<String>,
    vary: Vec<HeaderName>,
    dimensions: Vec<Option<String>>,
}

/// The input describes two requests, a part a line: `a` authority, `r` route, `t` tenant, `p` path, `q` query, `v` a
/// declared header, `=` the value of a dimension, `-` one that is absent, `s` https, `d` draft. After a line `|`
/// comes the second, which begins as a copy of the first; `c` clears its headers and dimensions.
///
/// Keys must be equal where all parts are and nowhere else, also between each request and its nearest neighbors.
///
/// # Panics
///
/// When they are not.
pub fn key(input: &[u8]) {
    let (one, two) = read(input);
    if [&one, &two].iter().any(|parts| parts.len() > 8 << 10) {
        return;
    }
    let mut all = one.neighbors();
    all.extend([one.clone(), two.clone()]);
    let all: Vec<Keyed> = all.into_iter().map(Keyed::of).collect();
    for (at, a) in all.iter().enumerate() {
        compare(a, &all[at..]);
    }
    for parts in [one, two] {
        reads_back(&parts);
        renders_again(parts);
    }
}

fn read(input: &[u8]) -> (Parts, Parts) {
    let mut parts = Parts {
        scheme: Scheme::Http,
        audience: Audience::Public,
        authority: String::new(),
        route: String::new(),
        tenant: None,
        path: String::new(),
        query: None,
        vary: Vec::new(),
        dimensions: Vec::new(),
    };
    let mut first = None;
    for line in lines(input).take(48) {
        let Some((&kind, text)) = line.split_first() else { continue };
        let text = String::from_utf8_lossy(text).into_owned();
        match kind {
            b'|' if first.is_none() => first = Some(parts.clone()),
            b's' => parts.scheme = Scheme::Https,
            b'd' => parts.audience = Audience::Draft,
            b'a' => parts.authority = text,
            b'r' => parts.route = text,
            b't' => parts.tenant = Some(text),
            b'p' => parts.path = text,
            b'q' => parts.query = Some(text),
            b'v' if parts.vary.len() < 4 => parts.vary.extend(HeaderName::from_bytes(text.as_bytes())),
            b'=' if parts.dimensions.len() < 4 => parts.dimensions.push(Some(text)),
            b'-' if parts.dimensions.len() < 4 => parts.dimensions.push(None),
            b'c' => (parts.vary, parts.dimensions) = Default::default(),
            _ => {}
        }
    }
    (first.unwrap_or_else(|| parts.clone()), parts)
}

impl Parts {
    fn len(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let dimensions: usize = self.dimensions.iter().map(optional).sum();
        let fixed = self.authority.len() + self.route.len() + self.path.len();
        fixed + optional(&self.tenant) + optional(&self.query) + dimensions
    }

    fn with_key<T>(&self, f: impl FnOnce(&KeyRef<'_>) -> T) -> T {
        let dimensions: Vec<Dimension<'_>> =
            self.dimensions.iter().map(|value| value.as_deref().map(Cow::Borrowed)).collect();
        f(&KeyRef {
            scheme: self.scheme,
            authority: &self.authority,
            route: &self.route,
            tenant: self.tenant.as_deref(),
            audience: self.audience,
            vary: &self.vary,
            path: &self.path,
            query: self.query.as_deref(),
            dimensions: &dimensions,
        })
    }

    fn key(&self) -> CacheKey {
        self.with_key(|key| key.to_owned(Arc::new(key.scope())))
    }

    /// Requests that a careless key takes for this one: a byte moved from one part to the next, two parts
    /// exchanged, an absent part that is empty, one dimension more.
    fn neighbors(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let count = 5 + self.dimensions.len();
        for at in 0..count {
            let mut toggled = self.clone();
            toggled.toggle(at);
            all.push(toggled);
            for to in [at + 1, at + 2].into_iter().filter(|&to| to < count) {
                let mut moved = self.clone();
                if let Some(character) = moved.part(at).pop() {
                    moved.part(to).insert(0, character);
                    all.push(moved);
                }
                let mut exchanged = self.clone();
                let text = std::mem::take(exchanged.part(at));
                let other = std::mem::replace(exchanged.part(to), text);
                *exchanged.part(at) = other;
                all.push(exchanged);
            }
        }
        for more in [None, Some(String::new())] {
            let mut longer = self.clone();
            longer.dimensions.push(more);
            all.push(longer);
        }
        let (mut draft, mut https) = (self.clone(), self.clone());
        draft.audience = Audience::Draft;
        https.scheme = Scheme::Https;
        all.extend([draft, https]);
        all
    }

    fn part(&mut self, at: usize) -> &mut String {
        match at {
            0 => &mut self.authority,
            1 => &mut self.route,
            2 => self.tenant.get_or_insert_default(),
            3 => &mut self.path,
            4 => self.query.get_or_insert_default(),
            _ => self.dimensions[at - 5].get_or_insert_default(),
        }
    }

    fn toggle(&mut self, at: usize) {
        let optional = match at {
            2 => &mut self.tenant,
            4 => &mut self.query,
            5.. => &mut self.dimensions[at - 5],
            _ => return,
        };
        *optional = if optional.is_some() { None } else { Some(String::new()) };
    }
}

/// A request, its key, and the key's name outside the process.
struct Keyed {
    parts: Parts,
    key: CacheKey,
    digest: [u8; 32],
}

impl Keyed {
    fn of(parts: Parts) -> Self {
        let key = parts.key();
        Self { digest: key.digest("build"), key, parts }
    }
}

fn compare(a: &Keyed, others: &[Keyed]) {
    a.parts.with_key(|as_read| {
        let hash = as_read.hash();
        for b in others {
            let equal = a.parts == b.parts;
            let both = (&a.parts, &b.parts);
            assert_eq!(a.key == b.key, equal, "as keys: {both:?}");
            assert_eq!(a.digest == b.digest, equal, "as digests: {both:?}");
            let matches = as_read.matches(b.key.scope(), b.key.tail());
            assert_eq!(matches, equal, "as compared on a hit: {both:?}");
            assert!(!equal || hash == b.key.hash(), "as hashed on a hit: {both:?}");
        }
    });
}

fn reads_back(parts: &Parts) {
    let key = parts.key();
    let dimensions: Vec<Option<&str>> = parts.dimensions.iter().map(Option::as_deref).collect();
    assert_eq!((key.path(), key.query()), (&*parts.path, parts.query.as_deref()));
    assert_eq!(key.dimensions(), dimensions);
    let again = CacheKey::from_parts(Arc::clone(key.scope()), Bytes::copy_from_slice(key.tail()));
    assert_eq!(again.as_ref(), Some(&key), "written down and read back");
    assert_ne!(key.digest("build"), key.digest("other build"));
    // Part of a written key is another key or none, never this one; of a long one, some parts.
    let whole = Bytes::copy_from_slice(key.tail());
    for end in (0..whole.len()).step_by(1 + whole.len() / 128) {
        let cut = CacheKey::from_parts(Arc::clone(key.scope()), whole.slice(..end));
        assert!(cut.is_none_or(|cut| cut != key));
    }
}

/// The parts as a server reads them, then the request that renders the page, then the parts again.
fn renders_again(mut parts: Parts) {
    let Some(authority) = normalize(&parts.authority, parts.scheme) else { return };
    parts.authority = authority.into_owned();
    let target = match &parts.query {
        Some(query) => format!("{}?{query}", parts.path),
        None => parts.path.clone(),
    };
    let Ok(uri) = target.parse::<Uri>() else { return };
    if !target.starts_with('/') {
        return;
    }
    parts.path = uri.path().to_owned();
    parts.query = uri.query().filter(|query| !query.is_empty()).map(str::to_owned);
    parts.dedup_vary();
    for value in parts.dimensions.iter_mut().flatten() {
        let Ok(header) = HeaderValue::from_str(value.trim_ascii()) else { return };
        let Ok(text) = header.to_str() else { return };
        *value = text.to_owned();
    }
    let key = parts.key();
    let request = key.request().unwrap_or_else(|| panic!("a page that can't be rendered again: {parts:?}"));
    assert_eq!(parts.of_request(&request), parts, "{request:?}");
}

impl Parts {
    /// As many dimensions as declared headers, each header once: as a policy has them.
    fn dedup_vary(&mut self) {
        let mut seen = Vec::new();
        self.vary.retain(|name| *name != HOST && !seen.contains(name) && (seen.push(name.clone()), true).1);
        self.dimensions.resize(self.vary.len(), None);
    }

    fn of_request(&self, request: &Request<()>) -> Self {
        let (uri, headers) = (request.uri(), request.headers());
        let scheme = uri.scheme_str().and_then(Scheme::parse).expect("an absolute URI");
        let stated = uri.authority().expect("an absolute URI").as_str();
        assert_eq!(headers.get(HOST).and_then(|host| host.to_str().ok()), Some(stated));
        let value = |name| headers.get(name).map(|value| value.to_str().expect("text").to_owned());
        Self {
            scheme,
            authority: normalize(stated, scheme).expect("a host").into_owned(),
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            dimensions: self.vary.iter().map(value).collect(),
            ..self.clone()
        }
    }
}
