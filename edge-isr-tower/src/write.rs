//! Requests that read nothing: handed on, and what they change is invalidated.

use std::sync::Arc;

use edge_isr_core::Reason;
use edge_isr_core::model::cache_status::Forward;
use http::{Request, StatusCode, request};
use tower::ServiceExt;

use crate::body::IsrBody;
use crate::edge;
use crate::facts::RouteFacts;
use crate::future::{ResponseFuture, finish};
use crate::gateway::Posted;
use crate::inner::{Inner, PageBody, RequestBody};
use crate::layer::Plan;
use crate::service::IsrService;
use crate::visitor::made;

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
        let route = shared.route(&parts);
        let obeys = route.ok().and_then(|(_, route)| route.rules.origin.clone());
        if matches!(*shared.plan, Plan::Inside(_)) && obeys.is_none() {
            return self.bypass(parts, body, Forward::Method, Reason::Method);
        }
        // A path that is no page of ours passes untouched, but what it changes is still invalidated.
        let status = route.is_ok().then(|| self.status(Forward::Method, Reason::Method));
        let obeyed = route.ok().map(|(_, route)| Arc::clone(route));
        shared.strip(&mut parts.headers);
        shared.isr.count(Reason::Method);
        if parts.method.is_safe() {
            let call = shared.inner().oneshot(Request::from_parts(parts, body));
            return ResponseFuture::pass(call, status).obeyed(obeyed);
        }
        let target = edge::Target::of(&shared.isr, F::uri(&parts), &parts.headers);
        let posted = Posted::of(shared, &parts);
        let context = posted.as_ref().map(Posted::context).unwrap_or_default();
        if context.is_active() {
            parts.extensions.insert(context.clone());
        }
        let call = context.scope(shared.inner().oneshot(Request::from_parts(parts, body)));
        let shared = Arc::clone(shared);
        let isr = shared.isr.clone();
        let is_gateway = obeys.is_some();
        let ask = async move {
            let mut response = call.await?;
            let made =
                edge::after_unsafe(&shared.isr, target, |path| shared.mode_of(path), &mut response).await;
            obeys.iter().for_each(|obeys| obeys.withhold_tags(response.headers_mut()));
            let Some(posted) = posted else { return Ok(finish(response.map(IsrBody::origin), status)) };
            // A page that came of it says so itself.
            let response = posted.keep(&shared.isr, response, made).await;
            Ok(response.unwrap_or_else(|answer| finish(answer, status)))
        };
        if !is_gateway {
            return ResponseFuture::boxed(ask);
        }
        ResponseFuture::boxed(async move {
            // Where too many have left theirs behind, a request ends with its visitor.
            let Some(write) = isr.begin_write() else { return ask.await };
            // In a task of its own: a client that hangs up must not keep what was changed from being invalidated.
            let asked = tokio::spawn(async move {
                let _write = write;
                tokio::select! {
                    answer = ask => Some(answer),
                    () = isr.aborted() => None,
                }
            });
            match asked.await.map_err(tokio::task::JoinError::try_into_panic) {
                Ok(Some(answer)) => answer,
                Err(Ok(panic)) => std::panic::resume_unwind(panic),
                // Shut down, or the runtime ends.
                Ok(None) | Err(Err(_)) => Ok(made(StatusCode::SERVICE_UNAVAILABLE)),
            }
        })
    }
}
