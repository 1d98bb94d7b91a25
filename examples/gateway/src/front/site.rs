//! What stands behind the front.

use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use edge_isr_core::BoxError;
use edge_isr_core::isr::lines::Lines;
use edge_isr_tower::{IsrRequestBody, IsrService, NoFacts, ResponseFuture};
use http::request::Parts;
use http::{Extensions, Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service as _;

use super::refusal::Say;
use super::upload::Upload;
use crate::admin::{self, Admin};
use crate::proxy::Proxy;

/// A request as the front hands it on.
pub(crate) type Asked = Request<IsrRequestBody<Upload>>;

/// Answers the requests of all connections.
pub trait Site: Clone + Send + Sync + Unpin + 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
    /// An answer on its way.
    type Answer: Future<Output = Result<Response<Self::Body>, Infallible>> + Send + 'static;

    /// How it words what the front refuses in its place; otherwise that is a line of text.
    const SAYS: Option<Say> = None;

    /// Answers a request. `tell` says who asked, in an extension, to those that take longer than a look into the cache.
    fn answer(
        &self,
        request: Request<IsrRequestBody<Upload>>,
        tell: impl FnOnce(&mut Extensions),
    ) -> Self::Answer;

    /// Answers a request of HTTP/1.1 without a body, if that takes nothing but a look into the cache; nobody else hears of
    /// it then. What `write` makes of it.
    #[inline]
    fn answer_at_once<R>(&self, _asked: &Parts, _write: impl FnOnce(&Lines<'_>) -> R) -> Option<R> {
        None
    }

    /// Is told of what the front refused in its place; without `asked` it was not even a request.
    fn refused(&self, _status: StatusCode, _asked: Option<&Parts>) {}
}

impl Site for IsrService<Proxy<Upload>, NoFacts> {
    type Body = edge_isr_tower::IsrBody<crate::proxy::Answer<Upload>>;
    type Answer = ResponseFuture<Proxy<Upload>, IsrRequestBody<Upload>, crate::proxy::Answer<Upload>>;

    #[inline]
    fn answer(&self, request: Asked, tell: impl FnOnce(&mut Extensions)) -> Self::Answer {
        self.call_telling(request, tell)
    }

    #[inline]
    fn answer_at_once<R>(&self, asked: &Parts, write: impl FnOnce(&Lines<'_>) -> R) -> Option<R> {
        self.answer_at_once::<IsrRequestBody<Upload>, _, R>(asked, write)
    }
}

impl Site for Admin {
    type Body = http_body_util::Full<Bytes>;
    type Answer = <Self as tower_service::Service<Asked>>::Future;

    const SAYS: Option<Say> = Some(admin::refused);

    fn answer(&self, request: Asked, tell: impl FnOnce(&mut Extensions)) -> Self::Answer {
        let mut request = request;
        tell(request.extensions_mut());
        self.clone().call(request)
    }
}
