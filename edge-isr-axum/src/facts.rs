//! What axum's router knows about a request.

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, NestedPath, OriginalUri, Request};
use axum::response::Response;
use axum::routing::any;
use edge_isr_tower::{RouteFacts, path_params};
use futures_util::FutureExt;
use http::{Extensions, Uri, request};
use tower::ServiceExt;

/// Reads the matched path, the original URI and the path parameters of axum, nested routers included.
#[derive(Debug, Clone, Copy, Default)]
pub struct AxumFacts;

impl RouteFacts for AxumFacts {
    fn pattern(parts: &request::Parts) -> Option<&str> {
        parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str)
    }

    fn is_routed(parts: &request::Parts) -> bool {
        parts.extensions.get::<MatchedPath>().is_some()
    }

    fn uri(parts: &request::Parts) -> &Uri {
        parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri)
    }

    /// axum keeps path parameters in a type of its own. A router of one route, run on the full URI, puts them
    /// on a request that holds nothing of the visitor's; its handler hands back what it found.
    fn recreate(pattern: &str, uri: &Uri) -> (Extensions, Vec<(String, String)>) {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri.clone();
        // The pattern comes from a route that axum accepted, so it accepts it again.
        let router: Router = Router::new().without_v07_checks().route(pattern, any(hand_back));
        // Nothing in there waits: it is ready at the first poll.
        let found = router.oneshot(request).now_or_never().and_then(Result::ok);
        let found = found.and_then(|mut response| response.extensions_mut().remove::<Found>());
        (found.map(|Found(extensions)| extensions).unwrap_or_default(), path_params(pattern, uri.path()))
    }

    /// The pattern of the router's nesting, which a router of one route does not have.
    fn take_over(from: &Extensions, to: &mut Extensions) {
        if let Some(nested) = from.get::<NestedPath>() {
            to.insert(nested.clone());
        }
    }
}

/// What the router put on the request.
#[derive(Clone)]
struct Found(Extensions);

async fn hand_back(request: Request) -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Found(request.into_parts().0.extensions));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_a_route_are_recreated_and_nothing_else() {
        let uri = Uri::from_static("/api/posts/a%20b?x=1");
        let (extensions, params) = AxumFacts::recreate("/api/posts/{id}", &uri);
        assert_eq!(params, [("id".to_owned(), "a b".to_owned())]);
        assert_eq!(extensions.get::<MatchedPath>().map(MatchedPath::as_str), Some("/api/posts/{id}"));
        assert_eq!(extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri), Some(&uri));
    }

    #[test]
    fn parameters_that_are_no_text_stay_encoded() {
        let params = |pattern, uri| AxumFacts::recreate(pattern, &Uri::from_static(uri)).1;
        assert_eq!(params("/p/{id}", "/p/%ff"), [("id".to_owned(), "%ff".to_owned())]);
        assert!(params("/p/{id}", "/q").is_empty());
        assert!(params("/:p", "/x").is_empty());
    }
}
