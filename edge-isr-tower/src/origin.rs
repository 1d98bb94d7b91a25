//! The application as an origin: the worker's request goes through all of it, to the layer that owns the page.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::reason::Reason;
use edge_isr_core::origin::{Origin, Refill, Refilled};
use edge_isr_core::{Isr, Result};
use http::Request;
use tower::ServiceExt;
use tower_service::Service;

use crate::edge::Edge;

/// A worker's order for a page, in the extensions of its request. Nobody outside this crate can make one, so
/// no client can.
#[derive(Debug, Clone)]
pub(crate) struct Ticket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    refill: Refill,
    answer: Mutex<Refilled>,
}

impl Ticket {
    pub(crate) fn new(refill: Refill) -> Self {
        Self(Arc::new(Inner { refill, answer: Mutex::new(Refilled::Unreached) }))
    }

    pub(crate) fn key(&self) -> &CacheKey {
        &self.0.refill.key
    }

    pub(crate) fn want(&self) -> u64 {
        self.0.refill.want
    }

    pub(crate) fn answer(&self, refilled: Refilled) {
        *self.0.answer.lock().unwrap_or_else(PoisonError::into_inner) = refilled;
    }

    fn answered(&self) -> Refilled {
        *self.0.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An application that renders its own pages again. [`IsrExt::worker_for`] is a worker with one of these; give it to
/// [`Isr::work`] to put something in between.
pub struct AppOrigin<A, B> {
    app: Mutex<A>,
    body: std::marker::PhantomData<fn() -> B>,
}

impl<A, B> AppOrigin<A, B> {
    /// This finished application, layers included.
    #[must_use]
    pub fn new(app: A) -> Self {
        Self { app: Mutex::new(app), body: std::marker::PhantomData }
    }
}

impl<A, B> fmt::Debug for AppOrigin<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppOrigin")
    }
}

#[async_trait]
impl<A, B> Origin for AppOrigin<A, B>
where
    A: Service<Request<B>> + Clone + Send + 'static,
    A::Future: Send,
    A::Response: Send,
    A::Error: Send,
    B: Default + Send + 'static,
{
    async fn refill(&self, refill: &Refill) -> Result<Refilled> {
        let Some(request) = refill.key.request() else { return Ok(Refilled::Unreached) };
        let mut request = request.map(|()| B::default());
        let ticket = Ticket::new(refill.clone());
        request.extensions_mut().insert(ticket.clone());
        let app = self.app.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match app.oneshot(request).await {
            Ok(_) => Ok(ticket.answered()),
            Err(_) => Ok(Refilled::Failed(Reason::RenderFailed)),
        }
    }
}

/// What the handle does where there are services: a doorman and a worker.
pub trait IsrExt {
    /// The outermost layer. See [`Edge`].
    fn edge(&self) -> Edge;

    /// Renders invalidated pages before anyone asks, through the finished application. Spawn it once:
    /// `tokio::spawn(isr.worker_for::<_, Body>(app.clone()))`. It ends when the handle is shut down, and holds no
    /// reference to anything but its own clones.
    fn worker_for<A, B>(&self, app: A) -> Pin<Box<dyn Future<Output = ()> + Send>>
    where
        A: Service<Request<B>> + Clone + Send + 'static,
        A::Future: Send,
        A::Response: Send,
        A::Error: Send,
        B: Default + Send + 'static;
}

impl IsrExt for Isr {
    fn edge(&self) -> Edge {
        Edge::new(self.clone())
    }

    fn worker_for<A, B>(&self, app: A) -> Pin<Box<dyn Future<Output = ()> + Send>>
    where
        A: Service<Request<B>> + Clone + Send + 'static,
        A::Future: Send,
        A::Response: Send,
        A::Error: Send,
        B: Default + Send + 'static,
    {
        let origin = AppOrigin::<A, B>::new(app);
        Box::pin(self.clone().work(Arc::new(origin)))
    }
}
