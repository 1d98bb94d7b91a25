//! The page and the requests for it: 20 routes, 10 tags, 8 response headers on the wire.

use std::sync::LazyLock;

use axum::body::Body;
use bytes::Bytes;
use edge_isr_axum::tower::PathTags;
use edge_isr_axum::{Cookies, Policy, Tag, path_tag};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_TYPE, HOST, HeaderName, HeaderValue, IF_NONE_MATCH,
    REFERER, UPGRADE_INSECURE_REQUESTS, USER_AGENT, VARY,
};
use http::{Method, Request, Uri};

use crate::scenario::Ask;

/// The router's routes; pages are below the first.
pub const ROUTES: [&str; 20] = [
    "/posts/{id}",
    "/",
    "/about",
    "/contact",
    "/imprint",
    "/search",
    "/authors",
    "/authors/{id}",
    "/authors/{id}/posts",
    "/categories",
    "/categories/{id}",
    "/categories/{id}/{page}",
    "/tags/{name}",
    "/archive/{year}",
    "/archive/{year}/{month}",
    "/products",
    "/products/{slug}",
    "/products/{slug}/reviews",
    "/help/{topic}",
    "/feeds/{name}",
];

/// The headers that the handler sets itself.
pub const OWN_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (VARY, HeaderValue::from_static("accept-encoding")),
];

/// Headers of a page as a cache sends it on, for an axum that sets them all itself.
pub const DRESS: [(&str, &str); 5] = [
    ("age", "0"),
    ("cache-status", "edge-isr;hit;ttl=3600"),
    ("etag", ETAG),
    ("cache-control", "public, max-age=0, s-maxage=3600, stale-while-revalidate=86400"),
    (
        "surrogate-key",
        "author author:7 category category:3 footer front-page layout menu post post:0 posts site theme theme:2",
    ),
];

/// An entity tag as long as a page's.
const ETAG: &str = "\"AAAAAAAAAAAAAAAAAAAAAA\"";

/// What a current browser sends for a page, without cookies.
static BROWSER: LazyLock<Vec<(HeaderName, HeaderValue)>> = LazyLock::new(|| {
    let fetch = |name: &'static str, value: &'static str| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    vec![
        fetch("host", "www.example.com"),
        (
            USER_AGENT,
            HeaderValue::from_static(
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ),
        ),
        (ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")),
        (ACCEPT_LANGUAGE, HeaderValue::from_static("en-GB,en;q=0.7,de;q=0.3")),
        (ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br, zstd")),
        (REFERER, HeaderValue::from_static("https://www.example.com/")),
        (UPGRADE_INSECURE_REQUESTS, HeaderValue::from_static("1")),
        fetch("sec-fetch-dest", "document"),
        fetch("sec-fetch-mode", "navigate"),
        fetch("sec-fetch-site", "same-origin"),
        fetch("sec-fetch-user", "?1"),
        fetch("priority", "u=0, i"),
    ]
});

/// A body of so many KiB, each key's of its own.
pub fn body(kib: usize, key: u32) -> Bytes {
    let mut text = format!("<!doctype html><title>Post {key}</title>").into_bytes();
    text.resize(kib * 1024, b'x');
    text.into()
}

/// The policy of every route.
pub fn policy() -> Policy {
    let hour = std::time::Duration::from_secs(3600);
    Policy::new().s_maxage(hour).stale_while_revalidate(24 * hour).cookies(Cookies::Ignore)
}

/// The ten tags of a page.
pub fn tags() -> PathTags {
    let fixed =
        ["author:7", "category:3", "theme:2", "posts", "front-page", "menu", "footer", "layout", "site"];
    let all =
        [PathTags::from(path_tag("post:{id}"))].into_iter().chain(fixed.map(|name| Tag::named(name).into()));
    all.collect::<Vec<_>>().into()
}

/// Requests, ready to be built again and again.
#[derive(Debug)]
pub struct Asking {
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    uris: Vec<Uri>,
}

impl Asking {
    /// For pages `0..keys`; `etag` is what a conditional request knows.
    pub fn new(ask: Ask, keys: u32, etag: Option<HeaderValue>) -> Self {
        let method = if ask == Ask::Head { Method::HEAD } else { Method::GET };
        let mut headers = match ask {
            Ask::Browser => BROWSER.clone(),
            Ask::Coding => {
                BROWSER.iter().filter(|(name, _)| [HOST, ACCEPT_ENCODING].contains(name)).cloned().collect()
            }
            _ => vec![(HOST, HeaderValue::from_static("www.example.com"))],
        };
        if ask == Ask::Condition {
            headers.push((IF_NONE_MATCH, etag.unwrap_or(HeaderValue::from_static(ETAG))));
        }
        let uri = |key| Uri::try_from(format!("/posts/{key}")).expect("a path is a URI");
        Self { method, headers, uris: (0..keys).map(uri).collect() }
    }

    /// With URLs in full, as a client writes them.
    #[must_use]
    pub fn absolute(mut self) -> Self {
        for uri in &mut self.uris {
            let full = format!("http://www.example.com{uri}");
            *uri = Uri::try_from(full).expect("a host and a path are a URI");
        }
        self
    }

    /// As a server hands it over: headers put in one by one, values shared.
    pub fn build(&self, key: u32) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uris[key as usize].clone();
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        request
    }
}
