//! Every key by its name, and what sets it. The file, the environment and the flags go through this one table.

use http::uri::{Scheme, Uri};

use edge_isr_core::Cookies;
use edge_isr_core::model::authority::{self, normalize};
use edge_isr_core::model::origin::{RequestDirectives, SetCookie};

use super::draft::Draft;
use super::names::tag_header;
use super::value::{Fault, Given, Read, fault, put, shown};

/// What hyper needs room for at least.
const LEAST_HEAD: u64 = 8 << 10;
const MOST_HEAD: u64 = 1 << 20;
/// What holds a few pages: a cache that can hold none is a slip, and `EDGE_ISR=off` says it better.
const LEAST_CACHE: u64 = 1 << 20;
/// What the library keeps of one body at most.
const MOST_BODY: u64 = 1 << 30;

/// A key, and what a value of it changes.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) set: fn(&mut Draft, Given<'_>) -> Read<()>,
}

impl Key {
    /// The variable that sets it: `EDGE_ISR_CACHE__MAX_BYTES`.
    pub(super) fn variable(&self) -> String {
        format!("EDGE_ISR_{}", self.name.to_ascii_uppercase().replace('.', "__"))
    }
}

const fn key(name: &'static str, set: fn(&mut Draft, Given<'_>) -> Read<()>) -> Key {
    Key { name, set }
}

pub(super) const COOKIES: &[(&str, Cookies)] =
    &[("explicit", Cookies::Explicit), ("ignore", Cookies::Ignore), ("rfc", Cookies::Rfc)];
const SET_COOKIE: &[(&str, SetCookie)] = &[("veto", SetCookie::Veto), ("store", SetCookie::Store)];
const DIRECTIVES: &[(&str, RequestDirectives)] =
    &[("ignore", RequestDirectives::Ignore), ("honor", RequestDirectives::Honor)];

pub(super) const KEYS: &[Key] = &[
    key("listen", |draft, given| put(&mut draft.listen, given.address())),
    key("origin", |draft, given| put(&mut draft.origin, origin(given).map(Some))),
    key("origins", |draft, given| put(&mut draft.origins, hosts(given))),
    key("tag_headers", |draft, given| put(&mut draft.tag_headers, given.list_of(tag_header))),
    key("pass_tag_headers", |draft, given| put(&mut draft.pass_tag_headers, given.truth())),
    key("cache.max_bytes", |draft, given| {
        put(&mut draft.cache.max_bytes, given.number(LEAST_CACHE..=u64::MAX))
    }),
    key("cache.max_body_bytes", |draft, given| {
        put(&mut draft.cache.max_body_bytes, given.number(1..=MOST_BODY))
    }),
    key("cache.compress", |draft, given| put(&mut draft.cache.compress, given.truth())),
    key("http.cookies", |draft, given| put(&mut draft.http.cookies, given.word(COOKIES))),
    key("http.set_cookie", |draft, given| put(&mut draft.http.set_cookie, given.word(SET_COOKIE))),
    key("http.request_directives", |draft, given| {
        put(&mut draft.http.request_directives, given.word(DIRECTIVES))
    }),
    key("http.heuristics", |draft, given| put(&mut draft.http.heuristics, given.truth())),
    key("limits.head_bytes", |draft, given| {
        let bytes = given.number(LEAST_HEAD..=MOST_HEAD);
        put(&mut draft.limits.head_bytes, bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)))
    }),
    key("limits.request_body_bytes", |draft, given| {
        put(&mut draft.limits.request_body_bytes, given.number(0..=u64::MAX))
    }),
    key("limits.header_timeout", |draft, given| put(&mut draft.limits.header_timeout, given.timeout())),
    key("limits.origin_connect_timeout", |draft, given| {
        put(&mut draft.limits.origin_connect_timeout, given.timeout())
    }),
    key("limits.origin_timeout", |draft, given| put(&mut draft.limits.origin_timeout, given.timeout())),
    key("admin.listen", |draft, given| put(&mut draft.admin_listen, given.address().map(Some))),
];

/// Scheme and authority of the origin. What is refused is not repeated where it may hold a password.
fn origin(given: Given<'_>) -> Read<Uri> {
    let text = given.text()?;
    if text.contains('@') {
        return Err(fault("must have no user or password: they would be a secret in a file or a flag"));
    }
    let wrong = |why: &str| -> Fault {
        fault(format!("must be a URL such as http://127.0.0.1:8000, not `{}`: {why}", shown(text)))
    };
    let uri: Uri = text.parse().map_err(|_| wrong("it can't be read"))?;
    match (uri.scheme(), uri.authority()) {
        (None, _) => return Err(wrong("it must begin with http://")),
        (Some(scheme), _) if *scheme != Scheme::HTTP => {
            return Err(wrong("the way to the origin is http; it must begin with http://"));
        }
        (_, None) => return Err(wrong("it names no host")),
        (_, Some(authority)) if normalize(authority.as_str(), authority::Scheme::Http).is_none() => {
            return Err(wrong("its host or port can't be read"));
        }
        _ => {}
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err(wrong("it must end after the host and port: paths are the clients'"));
    }
    Ok(uri)
}

/// The accepted hosts, each with its scheme where that is stated.
fn hosts(given: Given<'_>) -> Read<Vec<String>> {
    let hosts = given.list_of(Host::read)?;
    Ok(hosts.into_iter().map(|Host { text, .. }| text).collect())
}

struct Host {
    text: String,
    name: String,
}

/// A host has one scheme, so that it is one host whatever is said of that.
impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Host {
    fn read(text: &str) -> Result<Self, String> {
        let (scheme, host) = match text.split_once("://") {
            Some((scheme, host)) => {
                (authority::Scheme::parse(scheme), host.strip_suffix('/').unwrap_or(host))
            }
            None => (Some(authority::Scheme::Https), text),
        };
        let scheme = scheme.ok_or("its scheme must be http or https")?;
        let name = normalize(host, scheme).ok_or("write a host, such as www.example.com")?.into_owned();
        Ok(Self { text: text.to_owned(), name })
    }
}

/// The known name that is most like an unknown one, if any is like it.
pub(super) fn alike<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let own = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let last = own(unknown).to_ascii_lowercase().replace('-', "_");
    let distance = |name: &&str| {
        // `max_bytes` outside of its table is that key all the same.
        if own(name) == last { 0 } else { strsim::damerau_levenshtein(unknown, name) }
    };
    let nearest = known.min_by_key(distance)?;
    (distance(&nearest) <= unknown.len().max(nearest.len()) / 3).then_some(nearest)
}
