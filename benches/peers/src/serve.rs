//! A stack as a server of its own: `edge-isr-peers serve <stack> <KiB> <address>`.

use std::net::SocketAddr;

use axum::BoxError;
use axum::body::Body;
use axum::serve::ListenerExt;
use edge_isr_bench::harness::{Frames, Web};
use edge_isr_bench::outcome::Outcome;
use http::Response;
use tokio::net::TcpListener;
use tower::make::Shared;
use tower::util::MapResponse;

use crate::stack::{self, Site, Use};

/// Serves until the process is ended.
pub fn child_of(stack: &str, kib: usize, at: SocketAddr) -> Outcome {
    stack::with(stack::named(stack)?.stack, &Site::new(kib), 1, Serve(at))
}

struct Serve(SocketAddr);

impl Use for Serve {
    type Output = ();

    fn with<S, B>(self, service: S) -> Outcome
    where
        S: Web<B> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Frames + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // What `#[tokio::main]` makes: a thread for each processor that the process may use.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind(self.0).await?.tap_io(|stream| {
                // Without it some answers wait for the acknowledgement of their beginning.
                let _ = stream.set_nodelay(true);
            });
            // The one body that `axum::serve` takes.
            let boxed = MapResponse::new(service, |response: Response<B>| response.map(Body::new));
            Ok(axum::serve(listener, Shared::new(boxed)).await?)
        })
    }
}
