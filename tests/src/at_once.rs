//! The layer as a server uses it that answers hits itself: what can be answered at once is, all else is called.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use edge_isr_core::isr::lines::Lines;
use edge_isr_tower::{IsrService, NoFacts};
use tower::Service;

/// A service that is asked for an answer at once before it is called.
#[derive(Debug, Clone)]
pub(crate) struct AtOnce<S>(pub IsrService<S, NoFacts>);

impl<S> Service<Request> for AtOnce<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (parts, body) = request.into_parts();
        if let Some(answer) = self.0.answer_at_once::<Body, _, _>(&parts, put_together) {
            return Box::pin(std::future::ready(Ok(answer)));
        }
        let answer = self.0.call(Request::from_parts(parts, body));
        Box::pin(async { answer.await.map(|answer| answer.map(Body::new)) })
    }
}

/// The answer that the lines are of.
#[must_use]
pub fn put_together(lines: &Lines<'_>) -> Response {
    let mut answer = Response::new(Body::from(lines.content().into_bytes()));
    *answer.status_mut() = lines.status();
    for (name, value) in lines.fields() {
        answer.headers_mut().append(name, value.clone());
    }
    answer
}
