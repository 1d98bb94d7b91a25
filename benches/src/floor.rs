//! The floor: a hash look-up of the path that answers a prepared response. It keeps no rule of caching, so
//! nothing that does can be as cheap.

use std::convert::Infallible;
use std::future::{self, Ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use quick_cache::sync::Cache;
use tower_service::Service;

use crate::page;

/// Prepared responses by path.
#[derive(Debug, Clone)]
pub struct Floor(Arc<Cache<Box<str>, Arc<Response<Bytes>>>>);

impl Floor {
    /// With the pages `0..keys`, four headers each.
    pub fn new(kib: usize, keys: u32) -> Self {
        // quick_cache bounds its shards, not the sum: room for twice the pages keeps them all.
        let cache = Cache::new(2 * keys as usize + 64);
        for key in 0..keys {
            let mut response = Response::new(page::body(kib, key));
            response.headers_mut().reserve(4);
            response.headers_mut().extend(page::OWN_HEADERS);
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(kib * 1024));
            response.headers_mut().insert(ETAG, HeaderValue::from_static("\"prepared\""));
            cache.insert(format!("/posts/{key}").into(), Arc::new(response));
        }
        Self(Arc::new(cache))
    }
}

impl Service<Request<Body>> for Floor {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let response = match self.0.get(request.uri().path()) {
            Some(page) => {
                let mut response = Response::new(Full::new(page.body().clone()));
                *response.headers_mut() = page.headers().clone();
                response
            }
            None => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
        };
        future::ready(Ok(response))
    }
}
