//! Where the layer stands: inside a route, or around the router.

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::MethodRouter;
use edge_isr_axum::prelude::*;
use edge_isr_tower::PathTags;
use tower::util::BoxCloneSyncService;

/// A finished application.
pub type Site = BoxCloneSyncService<Request, Response, Infallible>;

/// Where the layer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// On a route of the router, with the doorman outermost.
    Inside,
    /// Around the router.
    Around,
}

/// Both places.
pub const POSITIONS: [Position; 2] = [Position::Inside, Position::Around];

/// A site of one route, with the layer in its place.
pub fn place(
    position: Position,
    isr: &Isr,
    pattern: &str,
    policy: Policy,
    tags: impl Into<PathTags>,
    pages: MethodRouter,
) -> Site {
    match position {
        Position::Inside => {
            let layer = IsrLayer::new(isr).policy(policy).tags(tags);
            let router = Router::new().route(pattern, pages.layer(layer)).layer(isr.edge());
            BoxCloneSyncService::new(router)
        }
        Position::Around => {
            let layer = IsrLayer::around(isr).route(pattern, policy, tags).build();
            let layer = layer.expect("patterns and policies of the stories are right");
            BoxCloneSyncService::new(layer.wrap(Router::new().route(pattern, pages)))
        }
    }
}
