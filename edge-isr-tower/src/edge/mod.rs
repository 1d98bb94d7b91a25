//! The doorman: outermost, it keeps our control headers for us, applies invalidation by response, and takes
//! back what something outside the page's layer made private.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use edge_isr_core::{Isr, Mode};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use self::headers::take_back;
use crate::origin::Ticket;

mod by_response;
mod headers;
mod reference;

pub(crate) use by_response::{Target, after_unsafe};
pub(crate) use headers::strip;

/// Whether a proxy in front sets the forwarding headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Forwarding {
    /// Nobody does: what comes in is the client's own word, and is removed.
    #[default]
    Removed,
    /// A proxy of the operator's does, and replaces what clients send.
    Kept,
}

/// The outermost layer. Made by [`IsrExt::edge`](crate::IsrExt::edge).
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put on a service"]
pub struct Edge {
    isr: Isr,
    forwarding: Forwarding,
}

impl Edge {
    pub(crate) fn new(isr: Isr) -> Self {
        Self { isr, forwarding: Forwarding::default() }
    }

    /// Keeps `Forwarded` and `X-Forwarded-*`, for applications behind a proxy of their own that sets them. Cached
    /// pages never see them either way.
    pub fn keep_forwarded(mut self) -> Self {
        self.forwarding = Forwarding::Kept;
        self
    }
}

impl<S> Layer<S> for Edge {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService { edge: self.clone(), inner }
    }
}

/// The middleware of [`Edge`].
#[derive(Debug, Clone)]
pub struct EdgeService<S> {
    edge: Edge,
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for EdgeService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ResBody: Send + 'static,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = EdgeFuture<S::Future, ResBody, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let is_workers = request.extensions().get::<Ticket>().is_some();
        if is_workers || self.edge.isr.is_disabled() {
            return EdgeFuture { state: State::Pass { future: self.inner.call(request) } };
        }
        let (mut parts, body) = request.into_parts();
        strip(&mut parts.headers, self.edge.forwarding == Forwarding::Kept);
        if parts.method.is_safe() {
            let future = self.inner.call(Request::from_parts(parts, body));
            return EdgeFuture { state: State::Safe { future, isr: self.edge.isr.clone() } };
        }
        let isr = self.edge.isr.clone();
        let target = Target::of(&isr, &parts.uri, &parts.headers);
        let future = self.inner.call(Request::from_parts(parts, body));
        let future = async move {
            let mut response = future.await?;
            after_unsafe(&isr, target, |_| Mode::Soft, &mut response).await;
            take_back(response.headers_mut(), isr.name());
            Ok(response)
        };
        EdgeFuture { state: State::Unsafe { future: Box::pin(future) } }
    }
}

pin_project! {
    /// The future of [`EdgeService`].
    pub struct EdgeFuture<F, B, E> {
        #[pin]
        state: State<F, B, E>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, B, E> {
        Pass { #[pin] future: F },
        Safe { #[pin] future: F, isr: Isr },
        Unsafe { future: Pin<Box<dyn Future<Output = Result<Response<B>, E>> + Send>> },
    }
}

impl<F, B, E> Future for EdgeFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Pass { future } => future.poll(cx),
            StateProj::Safe { future, isr } => future.poll(cx).map_ok(|mut response| {
                take_back(response.headers_mut(), isr.name());
                response
            }),
            StateProj::Unsafe { future } => future.as_mut().poll(cx),
        }
    }
}

impl<F, B, E> std::fmt::Debug for EdgeFuture<F, B, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeFuture").finish_non_exhaustive()
    }
}
