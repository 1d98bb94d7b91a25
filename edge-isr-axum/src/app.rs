//! The finished application: a router with a layer around it, a worker, a doorman.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use edge_isr_core::Isr;
use edge_isr_tower::IsrExt as _;
use tower_service::Service;

use crate::IsrLayer;
use crate::facts::AxumFacts;

/// What the handle does in an axum application.
pub trait IsrExt {
    /// The outermost layer. See [`Edge`](edge_isr_tower::Edge).
    fn edge(&self) -> edge_isr_tower::Edge;

    /// Renders invalidated pages before anyone asks, through the finished application. Spawn it once. It ends
    /// when the handle is [shut down](Isr::shutdown).
    fn worker<A>(&self, app: A) -> Pin<Box<dyn Future<Output = ()> + Send>>
    where
        A: Service<Request> + Clone + Send + 'static,
        A::Future: Send,
        A::Response: Send,
        A::Error: Send;
}

impl IsrExt for Isr {
    fn edge(&self) -> edge_isr_tower::Edge {
        edge_isr_tower::IsrExt::edge(self)
    }

    fn worker<A>(&self, app: A) -> Pin<Box<dyn Future<Output = ()> + Send>>
    where
        A: Service<Request> + Clone + Send + 'static,
        A::Future: Send,
        A::Response: Send,
        A::Error: Send,
    {
        self.worker_for::<A, Body>(app)
    }
}

/// Puts a layer around a finished router.
pub trait WrapRouter {
    /// The application: pages are answered before routing.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use edge_isr_axum::prelude::*;
    ///
    /// let isr = Isr::builder().build()?;
    /// let router = Router::new().route("/posts/{id}", get(|| async { "a post" }));
    /// let app = IsrLayer::around(&isr)
    ///     .route("/posts/{id}", Policy::new(), path_tag("post:{id}"))
    ///     .build()?
    ///     .wrap(router);
    /// let make = app.into_make_service(); // for axum::serve
    /// # let _ = make;
    /// # Ok::<(), edge_isr_axum::ConfigError>(())
    /// ```
    fn wrap(&self, router: Router) -> App;
}

impl WrapRouter for IsrLayer {
    fn wrap(&self, router: Router) -> App {
        // Routes that were never given a state would put their layers on again at each request.
        App(tower::Layer::layer(self, router.with_state(())))
    }
}

/// A router with a layer around it. Give it to `axum::serve` by [`into_make_service`](Self::into_make_service),
/// and a clone to [`worker`](IsrExt::worker).
#[derive(Debug, Clone)]
pub struct App(edge_isr_tower::IsrService<Router, AxumFacts>);

impl App {
    /// A service that makes a clone of this one for each connection.
    #[must_use]
    pub fn into_make_service(self) -> axum::routing::IntoMakeService<Self> {
        axum::ServiceExt::<Request>::into_make_service(self)
    }
}

impl Service<Request> for App {
    type Response = Response;
    type Error = Infallible;
    type Future = AppFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request) -> AppFuture {
        AppFuture(self.0.call(request))
    }
}

/// The future of [`App`].
#[derive(Debug)]
pub struct AppFuture(edge_isr_tower::ResponseFuture<Router, Body, Body>);

impl Future for AppFuture {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_ok(|response| response.map(Body::new))
    }
}
