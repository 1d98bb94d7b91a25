//! An answer with its body collected.

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::gate::within;
use crate::site::Site;

/// An answer with its body collected.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("pages of the stories are text")
    }

    /// A header's lines, joined; empty without any.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let lines: Vec<_> =
            self.headers.get_all(name).iter().map(|line| line.to_str().expect("text")).collect();
        lines.join(", ")
    }

    /// What the cache says about it.
    #[must_use]
    pub fn cache_status(&self) -> String {
        self.header("cache-status")
    }

    /// The reason's word in `Cache-Status`; empty without one.
    #[must_use]
    pub fn detail(&self) -> String {
        let status = self.cache_status();
        let detail = status.split(';').find_map(|part| part.trim().strip_prefix("detail="));
        detail.unwrap_or_default().to_owned()
    }

    /// Whether it came from a stored page, fresh or stale.
    #[must_use]
    pub fn is_hit(&self) -> bool {
        self.cache_status().split(';').any(|part| part.trim() == "hit")
    }

    /// Whether it was served as fresh: without a render, and with no reason against it.
    #[must_use]
    pub fn is_fresh_hit(&self) -> bool {
        self.is_hit() && self.detail().is_empty()
    }

    /// Whether no cache downstream may keep it as fresh.
    #[must_use]
    pub fn is_zero_downstream(&self) -> bool {
        let line = self.header("cache-control");
        let has = |part: &str| line.split(',').any(|own| own.trim() == part);
        has("no-store") || has("max-age=0") && has("s-maxage=0") && has("must-revalidate")
    }
}

/// Sends a request.
pub async fn send(site: &Site, request: Request) -> Answer {
    let Ok(response) = within(site.clone().oneshot(request)).await;
    let (parts, body) = response.into_parts();
    let body = within(body.collect()).await.expect("the body arrives whole").to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// A visitor's `GET`.
pub async fn get(site: &Site, path: &str) -> Answer {
    send(site, request(Method::GET, path)).await
}

/// A visitor's `HEAD`.
pub async fn head(site: &Site, path: &str) -> Answer {
    send(site, request(Method::HEAD, path)).await
}

/// A request as a visitor sends it, to be added to.
#[must_use]
pub fn request(method: Method, path: &str) -> Request {
    let request = Request::builder().method(method).uri(path).header("host", "www.example.com");
    request.body(Body::empty()).expect("a path of ours")
}
