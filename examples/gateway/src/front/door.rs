//! One request of a client: checked, put into one form, and given to the application.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use edge_isr_core::BoxError;
use edge_isr_tower::IsrRequestBody;
use http::header::{EXPECT, HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use super::form;
use super::line::{AtWork, Held, InService, Line, Visitor};
use super::refusal::Refusal;
use super::site::Site;
use super::upload::Upload;
use crate::proxy::strip_named;

/// What hyper calls for each request of a connection.
#[derive(Debug)]
pub(crate) struct Door<A> {
    app: A,
    line: Arc<Line>,
    body_bytes: u64,
}

impl<A> Door<A> {
    pub(crate) const fn new(app: A, line: Arc<Line>, body_bytes: u64) -> Self {
        Self { app, line, body_bytes }
    }

    fn admit(&self, parts: &mut Parts, body: Incoming) -> Result<Upload, Refusal> {
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return Err(Refusal::Method);
        }
        form::settle(parts)?;
        // Before a cache sees them, and so before others wait for the answer to this one.
        strip_named(&mut parts.headers);
        check_expectation(&mut parts.headers)?;
        Upload::new(body, self.body_bytes).ok_or(Refusal::BodyTooLarge)
    }
}

/// Takes off what the request expects; hyper says 100 where that is all.
fn check_expectation(headers: &mut HeaderMap) -> Result<(), Refusal> {
    if !headers.contains_key(EXPECT) {
        return Ok(());
    }
    let is_known = |expected: &HeaderValue| expected.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !headers.get_all(EXPECT).iter().all(is_known) {
        return Err(Refusal::Expectation);
    }
    headers.remove(EXPECT);
    Ok(())
}

impl<A: Site> hyper::service::Service<Request<Incoming>> for Door<A> {
    type Response = Response<Served<A::Body>>;
    type Error = Infallible;
    type Future = Serving<A>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let at_work = Some(AtWork::new(&self.line));
        if form::is_open(&request) {
            let door = Self::new(self.app.clone(), Arc::clone(&self.line), self.body_bytes);
            return Serving { state: State::Open { asked: Some(Box::new((door, request))) }, at_work };
        }
        Serving { state: self.ask(request), at_work }
    }
}

impl<A: Site> Door<A> {
    fn ask(&self, request: Request<Incoming>) -> State<A> {
        let version = request.version();
        // No look at the fields where the wire has seen none that says so.
        let is_upgrade = self.line.is_held() && request.headers().contains_key(UPGRADE);
        let held = is_upgrade.then(|| Held::new(&self.line));
        let (mut parts, body) = request.into_parts();
        let request = match self.admit(&mut parts, body) {
            Ok(body) => Request::from_parts(parts, IsrRequestBody::from(body)),
            Err(refusal) => return self.refuse(&parts, refusal),
        };
        let mut visitor = None;
        let future = self.app.answer(request, |extensions| {
            let who = visitor.insert(Visitor::new(&self.line, version == Version::HTTP_11));
            extensions.insert(who.clone());
        });
        State::Asked { future, visitor, guard: None, held }
    }

    fn refuse(&self, parts: &Parts, refusal: Refusal) -> State<A> {
        self.app.refused(refusal.status(), Some(parts));
        let is_http2 = parts.version == Version::HTTP_2;
        let mut answer = refusal.answer(A::SAYS, !is_http2);
        // hyper would send a body, which is an error there.
        if is_http2 && parts.method == Method::HEAD {
            answer.body_mut().clear();
        }
        State::Refused { answer: Some(answer) }
    }
}

pin_project! {
    /// The future of [`Door`].
    pub(crate) struct Serving<A: Site> {
        #[pin]
        state: State<A>,
        at_work: Option<AtWork>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<A: Site> {
        // Whether it has a body is to be seen.
        Open { asked: Option<Box<(Door<A>, Request<Incoming>)>> },
        Refused { answer: Option<Response<Bytes>> },
        // A visitor who waits is known.
        Asked { #[pin] future: A::Answer, visitor: Option<Visitor>, guard: Option<InService>, held: Option<Held> },
    }
}

impl<A: Site> Future for Serving<A> {
    type Output = Result<Response<Served<A::Body>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut state, at_work) = (this.state, this.at_work);
        if let StateProj::Open { asked } = state.as_mut().project() {
            let mut waiting = asked.take().expect("polled after it was asked");
            let Poll::Ready(has_body) = form::poll_has_body(waiting.1.body_mut(), cx) else {
                *asked = Some(waiting);
                return Poll::Pending;
            };
            let (door, request) = *waiting;
            state.set(if has_body {
                door.refuse(&request.into_parts().0, Refusal::Body)
            } else {
                door.ask(request)
            });
        }
        match state.project() {
            StateProj::Open { .. } => Poll::Pending,
            StateProj::Refused { answer } => {
                let answer = answer.take().expect("polled after it was ready");
                Poll::Ready(Ok(answer.map(|text| Served::made(text, at_work.take()))))
            }
            StateProj::Asked { future, visitor, guard, held } => {
                let Poll::Ready(answer) = future.poll(cx) else {
                    if let Some(visitor) = visitor {
                        guard.get_or_insert_with(|| InService::begin(visitor));
                    }
                    return Poll::Pending;
                };
                let line = match guard.take() {
                    Some(guard) => Some(guard.answered()),
                    None => visitor.as_ref().map(Visitor::line),
                };
                let answer = answer?;
                if let Some(visitor) = visitor
                    && answer.status() == StatusCode::SWITCHING_PROTOCOLS
                {
                    visitor.become_tunnel();
                }
                *held = None;
                Poll::Ready(Ok(answer.map(|body| Served::new(body, line, at_work.take()))))
            }
        }
    }
}

pin_project! {
    /// The body of an answer. While more of it is to come, its connection waits for nobody else. A client that
    /// takes none of what is there, as HTTP/2 lets it, is waited for: then nobody asks for more.
    pub(crate) struct Served<B> {
        #[pin]
        kind: Kind<B>,
        // `None` where all of it was there when it was asked for.
        line: Option<Arc<Line>>,
        guard: Option<InService>,
        at_work: Option<AtWork>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Made { text: Option<Bytes> },
        App { #[pin] body: B },
    }
}

impl<B> Served<B> {
    fn made(text: Bytes, at_work: Option<AtWork>) -> Self {
        let text = Some(text).filter(|text| !text.is_empty());
        Self { kind: Kind::Made { text }, line: None, guard: None, at_work }
    }

    const fn new(body: B, line: Option<Arc<Line>>, at_work: Option<AtWork>) -> Self {
        Self { kind: Kind::App { body }, line, guard: None, at_work }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>>> Body for Served<B> {
    type Data = Bytes;
    type Error = BoxError;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let body = match this.kind.project() {
            KindProj::Made { text } => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            KindProj::App { body } => body,
        };
        let frame = body.poll_frame(cx);
        if let Some(line) = this.line {
            match frame {
                Poll::Pending => _ = this.guard.get_or_insert_with(|| InService::go_on(line)),
                Poll::Ready(_) => *this.guard = None,
            }
        }
        Poll::Ready(ready!(frame).map(|frame| frame.map_err(Into::into)))
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Made { text } => text.is_none(),
            Kind::App { body } => body.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Made { text } => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Kind::App { body } => body.size_hint(),
        }
    }
}

impl<B> fmt::Debug for Served<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("guard", &self.guard).finish_non_exhaustive()
    }
}
