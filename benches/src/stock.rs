//! Many pages, stored as an application stores them: each is asked for once through the layer around a router.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::get;
use bytes::Bytes;
use edge_isr_axum::{App, Isr, IsrContext, IsrExt, IsrLayer, Limits, Policy, Tag};
use http::Request;
use http::header::{CONTENT_LANGUAGE, CONTENT_TYPE, HOST, VARY};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tower_layer::Layer;
use tower_service::Service;

use edge_isr_bench::outcome::Outcome;

/// The pattern of the pages.
pub(crate) const ROUTE: &str = "/posts/{id}";
/// Where they live.
pub(crate) const HOST_NAME: &str = "www.example.com";

/// What a page is made of.
type Recipe = Arc<dyn Fn(u32) -> (Bytes, Vec<Tag>) + Send + Sync>;

/// An engine, and a runtime to fill it on.
pub(crate) struct Stock {
    pub(crate) isr: Isr,
    runtime: Runtime,
}

impl Stock {
    /// With room for so many bytes of pages.
    pub(crate) fn new(store_bytes: u64) -> Outcome<Self> {
        Self::with(room_for(store_bytes))
    }

    /// Within these limits.
    pub(crate) fn with(limits: Limits) -> Outcome<Self> {
        let isr = Isr::builder().limits(limits).build()?;
        Ok(Self { isr, runtime: tokio::runtime::Builder::new_current_thread().enable_time().build()? })
    }

    /// Asks for these pages, each of so many bytes, with three headers and these tags.
    pub(crate) fn fill(
        &self,
        pages: impl IntoIterator<Item = u32>,
        len: impl Fn(u32) -> usize + Send + Sync + 'static,
        tags: impl Fn(u32) -> Vec<Tag> + Send + Sync + 'static,
    ) -> Outcome {
        let recipe: Recipe = Arc::new(move |page| (vec![b'x'; len(page)].into(), tags(page)));
        let router = Router::new().route(ROUTE, get(render)).with_state(recipe);
        let layer: IsrLayer = IsrLayer::around(&self.isr).route(ROUTE, Policy::new(), ()).build()?;
        let mut service = layer.layer(router);
        self.runtime.block_on(async {
            for page in pages {
                let request =
                    Request::get(format!("/posts/{page}")).header(HOST, HOST_NAME).body(Body::empty())?;
                let Ok::<_, Infallible>(response) = service.call(request).await;
                if !response.status().is_success() {
                    return Err(format!("page {page} answered {}", response.status()).into());
                }
            }
            Ok(())
        })
    }
}

/// Has a worker run, and counted as one from now on.
pub(crate) async fn hire(isr: &Isr, app: App) -> JoinHandle<()> {
    let mut worker = isr.worker(app);
    // It counts once it is polled.
    poll_fn(|cx| {
        let _ = worker.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    tokio::spawn(worker)
}

/// Limits for so many bytes of pages.
pub(crate) fn room_for(store_bytes: u64) -> Limits {
    let mut limits = Limits::default();
    limits.store_bytes = store_bytes;
    // Bounded by half of the store then, so that a million pages are all in the index.
    limits.index_bytes = store_bytes;
    limits
}

async fn render(
    Path(page): Path<u32>,
    State(recipe): State<Recipe>,
    context: IsrContext,
) -> ([(http::HeaderName, &'static str); 3], Bytes) {
    let (body, tags) = recipe(page);
    context.add_tags(tags);
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (VARY, "accept-encoding"), (CONTENT_LANGUAGE, "en")], body)
}
