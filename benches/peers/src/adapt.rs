//! What stands between a peer and the application where the two don't fit by themselves.

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use edge_isr_bench::harness::Frames;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::util::MapErr;
use tower_service::Service;

/// An application whose bodies are collected before a cache sees them: for peers that want a body that is `Sync` or
/// can be cloned, which axum's is not. It runs only where there is no hit.
#[derive(Debug, Clone)]
pub struct Collected<S>(pub S);

impl<S, B> Service<Request<Body>> for Collected<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Frames + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let Ok(response) = answer.await;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.expect("bodies here don't fail").to_bytes();
            Ok(Response::from_parts(parts, Full::new(body)))
        })
    }
}

/// A service that says it can't fail, and would end the program if it did.
pub type Sure<S, E> = MapErr<S, fn(E) -> Infallible>;

/// Takes a service's error away.
pub fn sure<S, E: Debug>(service: S) -> Sure<S, E>
where
    S: Service<Request<Body>, Error = E>,
{
    MapErr::new(service, |error| panic!("a cache failed: {error:?}"))
}
