//! The middleware's future: a hit is ready at once and allocates nothing for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use edge_isr_core::model::cache_status::CACHE_STATUS;
use edge_isr_core::model::page::Content;
use http::header::HeaderValue;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_service::Service;

use crate::body::IsrBody;
use crate::routes::Route;

type Answer<B, E> = Result<Response<IsrBody<B>>, E>;

pin_project! {
    /// The future of [`IsrService`](crate::IsrService).
    pub struct ResponseFuture<S: Service<Request<ReqBody>>, ReqBody, ResBody> {
        #[pin]
        state: State<S, ReqBody, ResBody>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S: Service<Request<ReqBody>>, ReqBody, ResBody> {
        Ready { response: Option<Response<Content>> },
        // Boxed, since it holds a request: hits would pay for moving its room.
        Pass { future: Pin<Box<Oneshot<S, Request<ReqBody>>>>, status: Option<HeaderValue>, obeyed: Option<Arc<Route>> },
        Boxed { future: Pin<Box<dyn Future<Output = Answer<ResBody, S::Error>> + Send>> },
    }
}

impl<S: Service<Request<ReqBody>>, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody> {
    #[inline]
    pub(crate) const fn ready(response: Response<Content>) -> Self {
        Self { state: State::Ready { response: Some(response) } }
    }

    pub(crate) fn pass(future: Oneshot<S, Request<ReqBody>>, status: Option<HeaderValue>) -> Self {
        Self { state: State::Pass { future: Box::pin(future), status, obeyed: None } }
    }

    /// The answer is one of this route, which may keep something back.
    pub(crate) fn obeyed(mut self, route: Option<Arc<Route>>) -> Self {
        if let State::Pass { obeyed, .. } = &mut self.state {
            *obeyed = route.filter(|route| route.rules.origin.is_some());
        }
        self
    }

    pub(crate) fn boxed(future: impl Future<Output = Answer<ResBody, S::Error>> + Send + 'static) -> Self {
        Self { state: State::Boxed { future: Box::pin(future) } }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Output = Answer<ResBody, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Ready { response } => {
                let response = response.take().expect("polled after it was ready");
                Poll::Ready(Ok(response.map(IsrBody::stored)))
            }
            StateProj::Pass { future, status, obeyed } => future.as_mut().poll(cx).map_ok(|mut response| {
                let obeys = obeyed.as_ref().and_then(|route| route.rules.origin.as_ref());
                obeys.iter().for_each(|obeys| obeys.withhold_tags(response.headers_mut()));
                finish(response.map(IsrBody::origin), status.take())
            }),
            StateProj::Boxed { future } => future.as_mut().poll(cx),
        }
    }
}

/// The origin's answer as ours, with a `Cache-Status` that says why it was passed.
pub(crate) fn finish<B>(
    mut response: Response<IsrBody<B>>,
    status: Option<HeaderValue>,
) -> Response<IsrBody<B>> {
    if let Some(status) = status {
        response.headers_mut().append(CACHE_STATUS, status);
    }
    response
}

impl<S: Service<Request<ReqBody>>, ReqBody, ResBody> fmt::Debug for ResponseFuture<S, ReqBody, ResBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
