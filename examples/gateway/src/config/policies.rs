//! What the settings mean for the cache: a policy for each route, and one for all the rest.

use edge_isr_core::{Cookies, Isr, Policy};
use edge_isr_tower::{Around, IsrLayer, NoFacts, PathTags, path_tag};
use http::header::HeaderName;

use super::route::Route;
use super::{Config, Http};
use crate::front::Visitor;

/// What goes for gateway routes: of those that are not named all of it, of the others what they do not name.
pub(super) fn of_origin(http: &Http, tag_headers: &[HeaderName], pass_tag_headers: bool) -> Policy {
    Policy::from_origin()
        .cookies(http.cookies.clone())
        .set_cookie(http.set_cookie)
        .request_directives(http.request_directives)
        .heuristics(http.heuristics)
        .tag_headers(tag_headers)
        .pass_tag_headers(pass_tag_headers)
}

impl Route {
    /// With `s_maxage` the gateway decides; without it the origin does.
    pub(super) fn policy(&self, of_origin: &Policy) -> Policy {
        let mut policy = match self.s_maxage {
            Some(fresh) => Policy::new().s_maxage(fresh),
            None => of_origin.clone(),
        };
        if let Some(window) = self.stale_while_revalidate {
            policy = policy.stale_while_revalidate(window);
        }
        if let Some(names) = &self.query {
            policy = policy.query(names.clone());
        }
        match &self.cookies {
            // A page that the gateway decides about can't say for whom it is.
            Some(Cookies::Explicit) if self.is_policy() => policy = policy.cookies(Cookies::Bypass),
            Some(cookies) => policy = policy.cookies(cookies.clone()),
            None => {}
        }
        policy.vary(self.vary.clone())
    }
}

impl Config {
    /// The layer that goes around the way to the origin, while more can be said of it.
    pub fn layer(&self, isr: &Isr) -> Around<NoFacts> {
        let of_origin = of_origin(&self.http, &self.tag_headers, self.pass_tag_headers);
        let mut around = IsrLayer::around(isr).otherwise(of_origin.clone(), PathTags::default());
        for route in &self.routes {
            let tags: Vec<_> = route.tags.iter().map(|template| path_tag(template)).collect();
            around = around.route(&route.path, route.policy(&of_origin), tags);
        }
        // The origin is told who asked; what a policy makes for everyone must not be.
        around.origin_extension::<Visitor>()
    }
}
