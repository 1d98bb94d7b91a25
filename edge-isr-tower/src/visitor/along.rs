//! A visitor who reads an answer along while it is collected.

use std::sync::Arc;

use edge_isr_core::Reason;
use edge_isr_core::isr::fill::HandOut;
use edge_isr_core::isr::flight::{AtHead, Follower, News, Streaming};
use edge_isr_core::model::cache_status::CacheStatus;
use edge_isr_core::model::conditional::Selection;
use edge_isr_core::model::page::Page;
use http::Response;
use http::header::{IF_NONE_MATCH, RANGE};

use super::{Declined, Landed, Visitor};
use crate::body::{IsrBody, Rest};
use crate::render::{Along, Leading, Led};

impl<S, F> Visitor<S, F> {
    /// What came of the visitor's own render: all of it, or its head where that is enough for them.
    pub(super) async fn led<B, E>(&self, mut leading: Leading<B, E>) -> Result<Led<B, E>, Along<B>> {
        let along = match leading.first().await {
            Ok(led) => return Ok(led),
            Err(along) => along,
        };
        if !self.needs_all_of(along.streaming.page()) {
            return Err(along);
        }
        match leading.end().await {
            led @ Led::Page(..) => Ok(led),
            // There is no page to answer from, but there is an answer.
            _ => Err(along),
        }
    }

    /// What somebody else's render has to say to this visitor first.
    pub(crate) async fn hear(&self, mut follower: Follower) -> News {
        match follower.news().await {
            News::AtHead(AtHead::Shared(streaming)) if self.needs_all_of(streaming.page()) => {
                News::Landed(follower.outcome().await)
            }
            news => news,
        }
    }

    /// What the head of somebody else's answer means for the visitor.
    pub(crate) fn at_head<B>(&self, at_head: &AtHead) -> Landed<B> {
        match at_head {
            AtHead::Shared(streaming) => self.read_along(streaming, Rest::Nothing, true),
            AtHead::Undecided => Landed::Alone(Reason::Undecided),
        }
    }

    /// Whether a request can't be answered before the body is there: a part of it is asked for, or a condition has to be
    /// compared with an entity tag that is made of it.
    fn needs_all_of(&self, page: &Page) -> bool {
        let headers = &self.asked.parts.headers;
        headers.contains_key(RANGE) || headers.contains_key(IF_NONE_MATCH) && page.validators().etag.is_none()
    }

    /// Judges the page that it will be once more, and answers with what is there of it and what comes.
    pub(super) fn read_along<B>(
        &self,
        streaming: &Arc<Streaming>,
        rest: Rest<B>,
        collapsed: bool,
    ) -> Landed<B> {
        match self.given(streaming.page(), collapsed) {
            Ok(given) => Landed::Answer(self.answer_along(
                &given,
                streaming,
                rest,
                collapsed,
                self.asked.missed.reason,
            )),
            Err(Declined::Again(reason)) => Landed::Again(reason),
            // There is no page to ask about before its body is there.
            Err(Declined::Validate) => Landed::Alone(Reason::NoCache),
        }
    }

    /// The same for one whose render is for nobody else.
    pub(super) fn read_alone<B>(&self, along: Along<B>, why: Reason) -> Response<IsrBody<B>> {
        let Along { streaming, rest } = along;
        let given = self.given_alone(Arc::clone(streaming.page()));
        self.answer_along(&given, &streaming, rest, false, why)
    }

    /// However often it is overtaken: rendered for this request alone, it is what the handler says.
    pub(super) fn given_alone(&self, page: Arc<Page>) -> HandOut {
        let isr = &self.shared.isr;
        let given = isr.hand_out(&page, self.owed, self.arrived);
        given.unwrap_or_else(|_| HandOut { page, now: isr.now(), overtaken: true })
    }

    fn answer_along<B>(
        &self,
        given: &HandOut,
        streaming: &Streaming,
        rest: Rest<B>,
        collapsed: bool,
        why: Reason,
    ) -> Response<IsrBody<B>> {
        // Whether it is stored is known at its end.
        let status = CacheStatus { detail: Some(why), ..self.status_of(&given.page, collapsed) };
        // As it is: its coded forms are made of all of it.
        let shown = given.page.shown(None);
        let mut selection = self.select(shown);
        if matches!(selection, Selection::Part(_) | Selection::Unsatisfiable) {
            // There will be no page to take a part of; a range is a wish (RFC 9110 §14.2).
            selection = Selection::Whole;
        }
        let answer = self.shared.isr.answer_as(shown, &selection, given.now, status, given.overtaken);
        match selection {
            Selection::Whole => answer.map(|_| IsrBody::growing(streaming.body().reader(), rest)),
            _ => answer.map(IsrBody::stored),
        }
    }
}
