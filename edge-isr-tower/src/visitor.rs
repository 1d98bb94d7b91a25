//! A visitor who waits for a page: what each outcome means for them, and the answer they leave with.

use std::sync::Arc;

use bytes::Bytes;
use edge_isr_core::isr::fill::HandOut;
use edge_isr_core::isr::flight::{Outcome, Permit};
use edge_isr_core::isr::look_up::LookUp;
use edge_isr_core::model::cache_status::{CACHE_STATUS, CacheStatus};
use edge_isr_core::model::conditional::{Selection, select};
use edge_isr_core::model::key::Audience;
use edge_isr_core::model::page::{Page, keep_private};
use edge_isr_core::{BoxError, Reason};
use http::header::{CONTENT_LENGTH, HeaderValue, RETRY_AFTER};
use http::{Method, Response, StatusCode};
use http_body::Body;

use crate::body::IsrBody;
use crate::facts::RouteFacts;
use crate::inner::{Inner, PageBody, RequestBody};
use crate::miss::Asked;
use crate::render::{self, Led, Order, forbid_caching};
use crate::service::Shared;

/// A visitor who waits.
pub(crate) struct Visitor<S, F> {
    pub(crate) shared: Arc<Shared<S, F>>,
    pub(crate) asked: Asked,
    /// The sequence of their receipt.
    pub(crate) owed: u64,
    /// The sequence when they came.
    pub(crate) arrived: u64,
    /// Whether they waited for somebody else's render before.
    pub(crate) has_followed: bool,
}

/// What one flight meant for the visitor.
pub(crate) enum Landed<B> {
    Answer(Response<IsrBody<B>>),
    /// Begin or join the next one.
    Again(Reason),
    /// Go alone.
    Alone(Reason),
}

impl<S, F> Visitor<S, F> {
    /// What to render for them. Made only by those who render.
    pub(crate) fn order(&self) -> Order
    where
        F: RouteFacts,
    {
        Order::new(&self.shared, self.asked.key.clone(), &self.asked.route, &self.asked.parts)
    }

    /// Renders for everyone who waits.
    pub(crate) async fn lead<ReqBody, ResBody>(
        &self,
        permit: Permit,
        order: Option<Order>,
    ) -> Result<Landed<ResBody>, S::Error>
    where
        S: Inner<ReqBody, ResBody>,
        F: RouteFacts,
        ReqBody: RequestBody,
        ResBody: PageBody,
    {
        if let Some(page) = self.stored_meanwhile().await {
            permit.finish(Outcome::Page(Arc::clone(&page)));
            return Ok(self.hand_out(&page, false, None));
        }
        let order = order.unwrap_or_else(|| self.order());
        let led = render::spawn(Arc::clone(&self.shared), permit, order, true).await;
        match led.unwrap_or(Led::Abandoned) {
            Led::Page(page, kept) => Ok(self.hand_out(&page, false, kept)),
            Led::Own(response, reason) => Ok(Landed::Answer(self.own(response, reason))),
            Led::Failed(error) => self.spare(Reason::RenderFailed).map(Landed::Answer).ok_or(error),
            Led::Panicked(panic) => Ok(self.panicked(panic)),
            Led::TimedOut => Ok(self.failed(StatusCode::GATEWAY_TIMEOUT, Reason::RenderTimeout)),
            Led::Refused => Ok(self.failed(StatusCode::SERVICE_UNAVAILABLE, Reason::Busy)),
            Led::Abandoned => Ok(Landed::Alone(Reason::ShuttingDown)),
        }
    }

    /// A page that was stored between the look-up and the boarding, here or in the second tier.
    ///
    /// Judged as whoever waits is given it: an invalidation whose mark is written and not yet applied is not seen by
    /// the look-up, but by them, and they would come back for the same page until they went alone.
    async fn stored_meanwhile(&self) -> Option<Arc<Page>> {
        let isr = &self.shared.isr;
        let fresh = || {
            let found = self.asked.key.read(|key| isr.look_up(key, || self.owed))?;
            let LookUp::Fresh(hit) = found else { return None };
            isr.hand_out(hit.page(), self.owed, self.arrived).ok().map(|given| given.page)
        };
        if let Some(page) = fresh() {
            return Some(page);
        }
        isr.fetch(&self.asked.key).await.ok().flatten()?;
        fresh()
    }

    /// What a flight's outcome means for one who waited for it.
    pub(crate) fn follow<B>(&self, outcome: Outcome, panicked: bool) -> Landed<B> {
        match outcome {
            Outcome::Page(page) => self.hand_out(&page, true, None),
            Outcome::Unshareable(_) => Landed::Alone(Reason::Pass),
            Outcome::Failed => {
                self.spare(Reason::RenderFailed).map_or(Landed::Alone(Reason::RenderFailed), Landed::Answer)
            }
            // One more render is tried for all; its panic is the answer.
            Outcome::Panicked if panicked => {
                self.failed(StatusCode::INTERNAL_SERVER_ERROR, Reason::RenderPanicked)
            }
            Outcome::Panicked => Landed::Again(Reason::RenderPanicked),
            Outcome::TimedOut => self.failed(StatusCode::GATEWAY_TIMEOUT, Reason::RenderTimeout),
            Outcome::Abandoned => Landed::Again(Reason::ShuttingDown),
        }
    }

    /// Judges a page once more and answers from it, or says that it is too old for this visitor.
    fn hand_out<B>(&self, page: &Arc<Page>, collapsed: bool, kept: Option<Reason>) -> Landed<B> {
        if page.status().is_server_error()
            && let Some(response) = self.spare(Reason::Status)
        {
            return Landed::Answer(response);
        }
        match self.shared.isr.hand_out(page, self.owed, self.arrived) {
            Ok(given) => {
                if collapsed {
                    self.shared.isr.count_collapsed();
                }
                Landed::Answer(self.answer_from(&given, collapsed, kept, self.asked.missed.reason))
            }
            Err(missed) => Landed::Again(missed.reason),
        }
    }

    /// The handler's panic. It goes on in the request that caused the render, as if the layer were not there,
    /// so that the application's own guard catches it; whoever only waited is answered.
    fn panicked<B>(&self, panic: Box<dyn std::any::Any + Send>) -> Landed<B> {
        match self.spare(Reason::RenderPanicked) {
            Some(response) => Landed::Answer(response),
            None if self.has_followed => {
                self.failed(StatusCode::INTERNAL_SERVER_ERROR, Reason::RenderPanicked)
            }
            None => std::panic::resume_unwind(panic),
        }
    }

    /// Renders for this visitor only; what comes of it is still stored if it may be.
    pub(crate) async fn alone<ReqBody, ResBody>(
        self,
        reason: Reason,
    ) -> Result<Response<IsrBody<ResBody>>, S::Error>
    where
        S: Inner<ReqBody, ResBody>,
        F: RouteFacts,
        ReqBody: RequestBody,
        ResBody: PageBody,
    {
        let isr = &self.shared.isr;
        isr.count(reason);
        let permit = isr.solo(self.asked.key.clone());
        let led = render::spawn(Arc::clone(&self.shared), permit, self.order(), true).await;
        let landed = match led.unwrap_or(Led::Abandoned) {
            Led::Page(page, kept) => {
                if page.status().is_server_error()
                    && let Some(response) = self.spare(Reason::Status)
                {
                    return Ok(response);
                }
                // However often it is overtaken: rendered for this request alone, it is what the handler says.
                let given = isr.hand_out(&page, self.owed, self.arrived);
                let given = given.unwrap_or_else(|_| HandOut { page, now: isr.now(), overtaken: true });
                return Ok(self.answer_from(&given, false, kept, reason));
            }
            Led::Own(response, reason) => return Ok(self.own(response, reason)),
            Led::Failed(error) => return self.spare(Reason::RenderFailed).ok_or(error),
            Led::Panicked(panic) => self.panicked(panic),
            Led::TimedOut => self.failed(StatusCode::GATEWAY_TIMEOUT, Reason::RenderTimeout),
            Led::Refused => self.failed(StatusCode::SERVICE_UNAVAILABLE, Reason::Busy),
            Led::Abandoned => self.failed(StatusCode::SERVICE_UNAVAILABLE, Reason::ShuttingDown),
        };
        match landed {
            Landed::Answer(response) => Ok(response),
            Landed::Again(_) | Landed::Alone(_) => Ok(made(StatusCode::SERVICE_UNAVAILABLE)),
        }
    }

    /// An answer from a page that was rendered for this request or for one it waited with.
    fn answer_from<B>(
        &self,
        given: &HandOut,
        collapsed: bool,
        unstored: Option<Reason>,
        why: Reason,
    ) -> Response<IsrBody<B>> {
        let isr = &self.shared.isr;
        let status = CacheStatus {
            forward: Some(self.asked.missed.forward),
            status: Some(given.page.status().as_u16()),
            stored: unstored.is_none() && !given.page.status().is_server_error(),
            collapsed,
            detail: Some(unstored.unwrap_or(why)),
            ..CacheStatus::default()
        };
        let selection = self.select(&given.page);
        // What is not stored can't be listed, so nobody could tell a cache downstream to forget it.
        let unlisted =
            matches!(unstored, Some(Reason::StoreRefused | Reason::VariantLimit | Reason::Overtaken));
        let zero = given.overtaken || unlisted;
        isr.answer_as(&given.page, &selection, given.now, status, zero).map(IsrBody::stored)
    }

    fn select(&self, page: &Page) -> Selection {
        select(&self.asked.parts.headers, self.is_head(), &page.validators())
    }

    fn is_head(&self) -> bool {
        self.asked.parts.method == Method::HEAD
    }

    /// The stale page that stands in for a render that failed, if there is one and it may.
    pub(crate) fn spare<B>(&self, because: Reason) -> Option<Response<IsrBody<B>>> {
        let given = self.shared.isr.stand_in(self.asked.missed.spare.as_ref()?)?;
        self.shared.isr.count(because);
        self.shared.isr.count(Reason::StaleIfError);
        let status = CacheStatus {
            forward: Some(self.asked.missed.forward),
            detail: Some(Reason::StaleIfError),
            ..CacheStatus::default()
        };
        let selection = self.select(&given.page);
        let response = self.shared.isr.answer_as(&given.page, &selection, given.now, status, given.overtaken);
        Some(response.map(IsrBody::stored))
    }

    /// The handler's own answer, for this visitor only.
    fn own<B>(&self, mut response: Response<IsrBody<B>>, reason: Reason) -> Response<IsrBody<B>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let status = CacheStatus {
            forward: Some(self.asked.missed.forward),
            status: Some(response.status().as_u16()),
            detail: Some(reason),
            ..CacheStatus::default()
        };
        if self.asked.key.scope().audience == Audience::Draft {
            keep_private(response.headers_mut());
        } else if reason != Reason::Status {
            forbid_caching(response.headers_mut());
        }
        if self.is_head() {
            if let Some(len) = response.body().size_hint().exact()
                && !response.headers().contains_key(CONTENT_LENGTH)
            {
                response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(len));
            }
            *response.body_mut() = IsrBody::empty();
        }
        response.headers_mut().append(CACHE_STATUS, status.to_value(self.shared.isr.name()));
        response
    }

    /// An answer of ours, where there is nothing to answer with.
    fn failed<B>(&self, code: StatusCode, reason: Reason) -> Landed<B> {
        if let Some(response) = self.spare(reason) {
            return Landed::Answer(response);
        }
        let mut response = made(code);
        let status = CacheStatus {
            forward: Some(self.asked.missed.forward),
            detail: Some(reason),
            ..CacheStatus::default()
        };
        let headers = response.headers_mut();
        headers.append(CACHE_STATUS, status.to_value(self.shared.isr.name()));
        forbid_caching(headers);
        if code == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Landed::Answer(response)
    }
}

pub(crate) fn made<B>(code: StatusCode) -> Response<IsrBody<B>> {
    let mut response = Response::new(IsrBody::empty());
    *response.status_mut() = code;
    response
}
