//! A visitor who waits for a page: what each outcome means for them.

use std::sync::Arc;

use edge_isr_core::Reason;
use edge_isr_core::isr::fill::HandOut;
use edge_isr_core::isr::flight::{Outcome, Permit};
use edge_isr_core::isr::look_up::LookUp;
use edge_isr_core::model::cache_status::Forward;
use edge_isr_core::model::page::Page;
use http::{Response, StatusCode};

use crate::body::IsrBody;
use crate::facts::RouteFacts;
use crate::inner::{Inner, PageBody, RequestBody};
use crate::miss::Asked;
use crate::render::{self, Led, Order};
use crate::service::Shared;

mod along;
mod answer;

pub(crate) use answer::{is_unlisted, made};

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
    /// Go alone, and ask whether this page is still right.
    Validate(Arc<Page>),
}

/// What a visitor does who may not be given a page.
enum Declined {
    Again(Reason),
    /// Each use of the page is to be validated.
    Validate,
}

impl<S, F> Visitor<S, F> {
    /// What to render for them. Made only by those who render.
    pub(crate) fn order(&self) -> Order
    where
        F: RouteFacts,
    {
        let Asked { key, route, parts, missed, .. } = &self.asked;
        Order::new(&self.shared, key.clone(), route, parts).about(missed.prior.clone())
    }

    /// Notes what the URL's answers are known to vary on by now.
    pub(crate) fn reselect(&mut self) {
        let Asked { key, parts, .. } = &self.asked;
        if self.is_at_the_gateway()
            && let Some(key) = self.shared.isr.reselected(key, &parts.headers)
        {
            if key != self.asked.key {
                // They are of another variant.
                (self.asked.missed.prior, self.asked.missed.spare) = (None, None);
            }
            self.asked.key = key;
        }
    }

    fn is_at_the_gateway(&self) -> bool {
        self.asked.route.rules.origin.is_some()
    }

    /// Whether a page is what this visitor's request selects: an answer may have turned out to vary.
    fn is_selected(&self, page: &Page) -> bool {
        let Asked { key, parts, .. } = &self.asked;
        self.shared.isr.selects(page, key, &parts.headers)
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
        // Who asked for a newer answer than the stored one is not given that.
        let may_be_stored = self.asked.missed.forward != Forward::Request;
        if may_be_stored && let Some(page) = self.stored_meanwhile().await {
            permit.finish(Outcome::Page(Arc::clone(&page)));
            return Ok(self.hand_out(&page, false, None));
        }
        let order = order.unwrap_or_else(|| self.order());
        let leading = render::spawn(Arc::clone(&self.shared), permit, order, true);
        let led = match self.led(leading).await {
            Ok(led) => led,
            Err(along) => return Ok(self.read_along(&along.streaming, along.rest, false)),
        };
        match led {
            Led::Page(page, kept) => Ok(self.hand_out(&page, false, kept)),
            Led::Own(response, reason) => Ok(Landed::Answer(self.own_or_spare(response, reason))),
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
        match self.given(page, collapsed) {
            Ok(given) => Landed::Answer(self.answer_from(&given, collapsed, kept, self.asked.missed.reason)),
            Err(Declined::Again(reason)) => Landed::Again(reason),
            Err(Declined::Validate) => Landed::Validate(Arc::clone(page)),
        }
    }

    /// A page, or one whose body is still to come, as it is given to this visitor; or why it is not.
    fn given(&self, page: &Arc<Page>, collapsed: bool) -> Result<HandOut, Declined> {
        if collapsed && self.is_at_the_gateway() && !self.is_selected(page) {
            return Err(Declined::Again(Reason::Overtaken));
        }
        if collapsed && self.is_at_the_gateway() && !page.is_unstored_failure() {
            let (lifetime, age) = (page.lifetime(), page.age(self.shared.isr.now()));
            if !lifetime.is_fresh(age) && !lifetime.may_serve_while_revalidating(age) {
                // RFC 9111 §4.2.4, §5.2.2.4: each use is to be validated.
                return Err(Declined::Validate);
            }
        }
        let given = self.shared.isr.hand_out(page, self.owed, self.arrived);
        let given = given.map_err(|missed| Declined::Again(missed.reason))?;
        if collapsed {
            self.shared.isr.count_collapsed();
        }
        Ok(given)
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
        let mut permit = isr.solo(self.asked.key.clone());
        if self.asked.alone.is_some() {
            permit.keep_to_one();
        }
        // What is not shared need not be whole.
        let order = match reason {
            Reason::Pass => self.order().narrowed(&self.asked.parts).passed(),
            Reason::Undecided => self.order().passed(),
            _ => self.order(),
        };
        let leading = render::spawn(Arc::clone(&self.shared), permit, order, true);
        let led = match self.led(leading).await {
            Ok(led) => led,
            Err(along) => return Ok(self.read_alone(along, reason)),
        };
        let landed = match led {
            Led::Page(page, kept) => {
                if page.status().is_server_error()
                    && let Some(response) = self.spare(Reason::Status)
                {
                    return Ok(response);
                }
                return Ok(self.answer_from(&self.given_alone(page), false, kept, reason));
            }
            Led::Own(response, reason) => return Ok(self.own_or_spare(response, reason)),
            Led::Failed(error) => return self.spare(Reason::RenderFailed).ok_or(error),
            Led::Panicked(panic) => self.panicked(panic),
            Led::TimedOut => self.failed(StatusCode::GATEWAY_TIMEOUT, Reason::RenderTimeout),
            Led::Refused => self.failed(StatusCode::SERVICE_UNAVAILABLE, Reason::Busy),
            Led::Abandoned => self.failed(StatusCode::SERVICE_UNAVAILABLE, Reason::ShuttingDown),
        };
        match landed {
            Landed::Answer(response) => Ok(response),
            Landed::Again(_) | Landed::Alone(_) | Landed::Validate(_) => {
                Ok(made(StatusCode::SERVICE_UNAVAILABLE))
            }
        }
    }
}
