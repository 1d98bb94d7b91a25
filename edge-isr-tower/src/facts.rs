//! What a router knows about a request, and how to make it know that again for a sanitised one.

use std::fmt::Debug;

use http::{Extensions, Uri, request};

/// Says which route matched. An adapter for a router implements it; [`NoFacts`] is for services without one.
pub trait RouteFacts: Debug + Copy + Send + Sync + 'static {
    /// The pattern that matched, which becomes part of the key; `None` when no route did, and the request
    /// bypasses.
    fn pattern(parts: &request::Parts) -> Option<&str>;

    /// Whether a router has routed the request already: then a layer that should stand around it stands inside.
    fn is_routed(parts: &request::Parts) -> bool;

    /// The whole URI, whatever a nested router has cut off.
    fn uri(parts: &request::Parts) -> &Uri;

    /// A fresh set of extensions in which handlers find the route's facts, and the route's parameters,
    /// percent-decoded. Nothing of the visitor's request is in it but its URI.
    fn recreate(pattern: &str, uri: &Uri) -> (Extensions, Vec<(String, String)>);

    /// Takes over what the router says about its routes and can't be recreated; nothing about the visitor.
    fn take_over(_from: &Extensions, _to: &mut Extensions) {}
}

/// No router: one pattern for everything below the layer.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFacts;

impl RouteFacts for NoFacts {
    fn pattern(_: &request::Parts) -> Option<&str> {
        Some("*")
    }

    fn is_routed(_: &request::Parts) -> bool {
        false
    }

    fn uri(parts: &request::Parts) -> &Uri {
        &parts.uri
    }

    fn recreate(_: &str, _: &Uri) -> (Extensions, Vec<(String, String)>) {
        (Extensions::new(), Vec::new())
    }
}
