//! Requests that read nothing: handed on, and what they change is invalidated.

use edge_isr_core::model::cache_status::Forward;
use edge_isr_core::{Mode, Reason};
use http::{Request, request};
use tower::ServiceExt;

use crate::body::IsrBody;
use crate::edge;
use crate::facts::RouteFacts;
use crate::future::{ResponseFuture, finish};
use crate::gateway::Posted;
use crate::inner::{Inner, PageBody, RequestBody};
use crate::layer::Plan;
use crate::service::IsrService;

impl<S, F> IsrService<S, F> {
    /// Neither `GET` nor `HEAD`. Around a router, what succeeds invalidates its URL (RFC 9111 §4.4).
    pub(crate) fn not_a_read<ReqBody, ResBody>(
        &self,
        mut parts: request::Parts,
        body: ReqBody,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Inner<ReqBody, ResBody>,
        F: RouteFacts,
        ReqBody: RequestBody,
        ResBody: PageBody,
    {
        let shared = &self.shared;
        if matches!(*shared.plan, Plan::Inside(_)) {
            return self.bypass(parts, body, Forward::Method, Reason::Method);
        }
        self.shared.strip(&mut parts.headers);
        // A path that is no page of ours passes untouched, but what it changes is still invalidated.
        let route = shared.route(&parts);
        let status = route.is_ok().then(|| self.status(Forward::Method, Reason::Method));
        let is_gateway = route.is_ok_and(|(_, route)| route.rules.origin.is_some());
        let mode = if is_gateway { Mode::Hard } else { Mode::Soft };
        shared.isr.count(Reason::Method);
        if parts.method.is_safe() {
            return ResponseFuture::pass(shared.inner().oneshot(Request::from_parts(parts, body)), status);
        }
        let isr = shared.isr.clone();
        let target = edge::Target::of(&isr, F::uri(&parts), &parts.headers);
        let posted = Posted::of(shared, &parts);
        let call = shared.inner().oneshot(Request::from_parts(parts, body));
        ResponseFuture::boxed(async move {
            let mut response = call.await?;
            let made = edge::after_unsafe(&isr, target, mode, &mut response).await;
            let Some(posted) = posted else { return Ok(finish(response.map(IsrBody::origin), status)) };
            // A page that came of it says so itself.
            let response = posted.keep(&isr, response, made).await;
            Ok(response.unwrap_or_else(|answer| finish(answer, status)))
        })
    }
}
