//! What to render: all that a handler is given, taken from the key and the route.

use std::sync::Arc;

use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::page::Page;
use edge_isr_core::{Cookies, Isr, Reason, TagSet};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Extensions, Request, Uri, request};

use crate::context::IsrContext;
use crate::facts::RouteFacts;
use crate::gateway::HandedOn;
use crate::routes::Route;
use crate::service::Shared;

/// What to render.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) key: CacheKey,
    pub(crate) route: Arc<Route>,
    /// The path as the inner service knows it; a nested router has cut off a part.
    pub(crate) path: Box<str>,
    /// The route's facts, and those of the visitor's extensions that the layer lets through.
    pub(crate) extensions: Extensions,
    /// The tags of the layer's templates.
    pub(crate) tags: TagSet,
    /// A parameter that a template names and the route lacks.
    pub(crate) missing: Option<String>,
    /// Whether something between the router and the layer changed the URI.
    is_rewritten: bool,
    /// Whether what comes of it is for one visitor, and somebody else collects it if it is worth that.
    pub(super) is_passed: bool,
    /// On a gateway route: the visitor's own request.
    pub(crate) handed_on: Option<HandedOn>,
}

impl Order {
    pub(crate) fn new<F: RouteFacts, S>(
        shared: &Shared<S, F>,
        key: CacheKey,
        route: &Arc<Route>,
        parts: &request::Parts,
    ) -> Self {
        // As the key has it: the visitor's own URI may hold parameters that are not declared.
        let uri = key.path_and_query().parse().unwrap_or_default();
        let (mut extensions, params) = shared.facts_of(parts, &uri);
        let (tags, missing) = route.tags.fill(&params);
        F::take_over(&parts.extensions, &mut extensions);
        let is_gateway = route.rules.origin.is_some();
        extensions.extend(shared.let_through(&parts.extensions, is_gateway));
        let path: Box<str> = parts.uri.path().into();
        // A nested router cuts off the front, and leaves `/` of the whole; whoever changed more did it by
        // something that is not in the key.
        let is_rewritten = !key.path().ends_with(&*path) && &*path != "/";
        let handed_on = is_gateway.then(|| HandedOn::of(&shared.isr, route, parts));
        let route = Arc::clone(route);
        Self { key, route, path, extensions, tags, missing, is_rewritten, is_passed: false, handed_on }
    }

    /// Asks the origin whether this page is still right, on a gateway route.
    pub(crate) fn about(mut self, prior: Option<Arc<Page>>) -> Self {
        if let Some(handed_on) = &mut self.handed_on {
            handed_on.prior = prior;
        }
        self
    }

    /// For one visitor alone: nobody needs to collect it.
    pub(crate) fn passed(mut self) -> Self {
        self.is_passed = true;
        self
    }

    /// With the visitor's own conditions and range, on a gateway route: for an answer that nobody shares.
    pub(crate) fn narrowed(mut self, parts: &request::Parts) -> Self {
        if let Some(handed_on) = &mut self.handed_on {
            handed_on.narrow(&parts.headers);
            handed_on.prior = None;
        }
        self
    }

    /// Why the page must not be stored, whatever the handler says.
    pub(super) fn veto(&self, isr: &Isr) -> Option<Reason> {
        if self.is_rewritten {
            return Some(Reason::Rewritten);
        }
        self.missing.as_ref()?;
        let advice = "the tag template names a parameter that this route lacks; its pages are not stored";
        isr.note(Reason::TagParamMissing, &self.key.scope().route, advice);
        Some(Reason::TagParamMissing)
    }

    /// Whether it is asked with one visitor's credentials.
    pub(crate) fn has_credentials(&self) -> bool {
        let cookies_count = self.route.rules.cookies == Cookies::Explicit;
        self.handed_on.as_ref().is_some_and(|own| own.has_authorization || own.has_cookie && cookies_count)
    }

    /// The stale page that the origin is asked about.
    pub(super) fn prior(&self) -> Option<&Arc<Page>> {
        self.handed_on.as_ref()?.prior.as_ref()
    }

    /// The request the handler sees: what is in the key, and nothing else (P23).
    pub(super) fn request<B: Default>(&self, context: IsrContext) -> Option<Request<B>> {
        let mut request = self.key.request()?.map(|()| B::default());
        let target = match self.key.query() {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_string(),
        };
        // Origin form for all, so that HTTP/1 and HTTP/2 visitors can't make a difference.
        *request.uri_mut() = Uri::from(PathAndQuery::try_from(target).ok()?);
        if let Some(handed_on) = &self.handed_on {
            let host = std::mem::replace(request.headers_mut(), handed_on.headers.clone()).remove(HOST);
            // The one in the key: another spelling, or another host beside the URI's, could make everyone's page.
            host.and_then(|host| request.headers_mut().insert(HOST, host));
        }
        let extensions = request.extensions_mut();
        extensions.extend(self.extensions.clone());
        extensions.insert(context);
        Some(request)
    }
}
