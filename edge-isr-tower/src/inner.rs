//! What the layer asks of the service below it and of its bodies, said once.

use bytes::Bytes;
use edge_isr_core::BoxError;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

/// A service whose answers become pages. It is cloned for each render, which runs in a task of its own.
pub(crate) trait Inner<ReqBody, ResBody>:
    Service<Request<ReqBody>, Response = Response<ResBody>, Error: Send + 'static, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
}

impl<S, ReqBody, ResBody> Inner<ReqBody, ResBody> for S
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
}

/// A body that a render's request can do without.
pub(crate) trait RequestBody: Default + Send + 'static {}

impl<B: Default + Send + 'static> RequestBody for B {}

/// A body that can be collected into a page.
pub(crate) trait PageBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static {}

impl<B> PageBody for B
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
}
