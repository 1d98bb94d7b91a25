//! Asks a service by hand: no runtime stands between a request and its answer, so none is counted.

use std::convert::Infallible;
use std::future::{self, Future, Ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, response};
use http_body_util::{BodyExt, Full};
use tower_service::Service;

/// A service as it is measured: any body, no error.
pub trait Web<B>: Service<Request<Body>, Response = Response<B>, Error = Infallible> {}

impl<B, S: Service<Request<Body>, Response = Response<B>, Error = Infallible>> Web<B> for S {}

/// A body as it is measured.
pub trait Frames: http_body::Body<Data = Bytes, Error: std::fmt::Debug> {}

impl<B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>> Frames for B {}

/// Makes the service ready, calls it, polls its answer and collects the body.
pub fn drive<S: Web<B>, B: Frames>(service: &mut S, request: Request<Body>) -> (response::Parts, Bytes) {
    let mut cx = Context::from_waker(Waker::noop());
    while service.poll_ready(&mut cx).is_pending() {}
    let Ok(response) = at_once(service.call(request));
    let (parts, body) = response.into_parts();
    let body = at_once(body.collect()).expect("bodies here don't fail").to_bytes();
    (parts, body)
}

/// Polls until the future is ready, which a hit is at once.
pub fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

/// Gives a body back at once: what is left is the harness.
#[derive(Debug, Clone)]
pub struct Harness(pub Bytes);

impl Service<Request<Body>> for Harness {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        future::ready(Ok(Response::new(Full::new(self.0.clone()))))
    }
}
