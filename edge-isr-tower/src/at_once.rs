//! Hits without a future: for servers that write answers themselves.

use bytes::Bytes;
use edge_isr_core::BoxError;
use edge_isr_core::isr::lines::Lines;
use http::{Method, Request, Response, request};
use http_body::Body;
use tower_service::Service;

use crate::facts::RouteFacts;
use crate::layer::Plan;
use crate::reading::Reading;
use crate::service::{IsrService, asks_more, select};

impl<S, F> IsrService<S, F> {
    /// Answers a `GET` from a stored page, if that takes nothing but a look: the page is fresh, and nothing in the
    /// request asks for more. `write` gets the answer by its lines, and is called once at most.
    ///
    /// `None` leaves no trace, and the request goes to [`call`](Service::call), which does all that there is to do. So
    /// do all requests with extensions, and those of routes whose policy has functions: they run once a request.
    ///
    /// It is the server that frames the answer: an answer has a `Content-Length`, but for those that have none of their
    /// own (204, 304: RFC 9110 §8.6), and a `Date`. Layers around this one see nothing of such a request.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::time::Duration;
    ///
    /// use bytes::Bytes;
    /// use edge_isr_core::{Isr, Policy};
    /// use edge_isr_tower::{IsrLayer, NoFacts};
    /// use http::{Request, Response, StatusCode};
    /// use http_body_util::Full;
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), edge_isr_core::ConfigError> {
    /// let isr = Isr::builder().build()?;
    /// let hour = Policy::new().s_maxage(Duration::from_secs(3600));
    /// let layer = IsrLayer::<NoFacts>::around(&isr).route("/posts/{id}", hour, ()).build()?;
    /// let page = service_fn(|_: Request<Full<Bytes>>| async {
    ///     Ok::<_, Infallible>(Response::new(Full::from("a post")))
    /// });
    /// let service = layer.layer(page);
    ///
    /// let asked = || Request::get("/posts/1").header("host", "example.com");
    /// let (parts, ()) = asked().body(()).unwrap().into_parts();
    /// let at_once = || service.answer_at_once::<Full<Bytes>, _, _>(&parts, |answer| answer.status());
    /// assert_eq!(at_once(), None);
    /// service.clone().oneshot(asked().body(Full::default()).unwrap()).await.unwrap();
    /// isr.idle().await;
    /// assert_eq!(at_once(), Some(StatusCode::OK));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[inline]
    pub fn answer_at_once<ReqBody, ResBody, T>(
        &self,
        parts: &request::Parts,
        write: impl FnOnce(&Lines<'_>) -> T,
    ) -> Option<T>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        F: RouteFacts,
        ReqBody: Default + Send + 'static,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Into<BoxError>,
    {
        let isr = &self.shared.isr;
        if parts.method != Method::GET || !parts.extensions.is_empty() || isr.is_disabled() {
            return None;
        }
        let uri = F::uri(parts);
        let (pattern, route) = self.shared.route_at(parts, uri).ok()?;
        let reads_heads = match &*self.shared.plan {
            Plan::Around(table) => table.reads_heads(),
            Plan::Inside(route) => route.rules.reads_heads(),
        };
        if reads_heads {
            return None;
        }
        let reading = Reading::of(isr, &route.rules, pattern, uri, parts).ok()?;
        if asks_more(route, &reading, &parts.headers) {
            return None;
        }
        let mut hit = isr.fresh_hit(&reading.key())?;
        let selection = select(isr, &mut hit, &reading, &parts.headers, false);
        let written = write(&isr.lines(&hit, &selection)?);
        self.after_hit(&hit, &reading, route, parts);
        Some(written)
    }
}
