//! What is written to the log: a line for each request, if somebody asked for them, and what the other parts say.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use edge_isr_core::isr::lines::Lines;
use edge_isr_tower::IsrRequestBody;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::front::{Refused, Say, Site, Upload};

/// What requests are logged under: `--log gateway::access=info`.
const ACCESS: &str = "gateway::access";

/// Writes what passes the filter to standard error, a line for each event, its fields as `name=value`.
///
/// # Errors
///
/// When this process has a log already.
pub fn begin(filter: Targets) -> Result<(), TryInitError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    // It would be told where nothing can be told, and that panics.
    let lines = lines.log_internal_errors(false);
    tracing_subscriber::registry().with(lines).with(filter).try_init()
}

/// Logs the requests of a service. Whether it does is settled when it is made: if nobody reads them, they cost nothing.
#[derive(Debug, Clone)]
pub struct Logged<S> {
    inner: S,
    refused: Arc<Refused>,
    is_on: bool,
}

impl<S> Logged<S> {
    pub(crate) fn new(inner: S, refused: Arc<Refused>) -> Self {
        Self { inner, refused, is_on: tracing::enabled!(target: ACCESS, Level::INFO) }
    }
}

impl<S: Site> Site for Logged<S> {
    type Body = S::Body;
    type Answer = Logging<S::Answer>;

    const SAYS: Option<Say> = S::SAYS;

    #[inline]
    fn answer(
        &self,
        request: Request<IsrRequestBody<Upload>>,
        tell: impl FnOnce(&mut Extensions),
    ) -> Self::Answer {
        let asked =
            self.is_on.then(|| Asked::of(request.method(), request.headers(), request.uri())).map(Box::new);
        Logging { answer: self.inner.answer(request, tell), asked }
    }

    #[inline]
    fn answer_at_once<R>(&self, asked: &Parts, write: impl FnOnce(&Lines<'_>) -> R) -> Option<R> {
        let told = self.is_on.then(|| Asked::of(&asked.method, &asked.headers, &asked.uri));
        self.inner.answer_at_once(asked, |lines| {
            if let Some(told) = told {
                told.write(lines.status(), lines.cache_status().to_str().unwrap_or_default());
            }
            write(lines)
        })
    }

    fn refused(&self, status: StatusCode, asked: Option<&Parts>) {
        self.refused.count(status);
        if self.is_on {
            match asked {
                Some(parts) => {
                    line(&parts.method, host(&parts.headers, &parts.uri), parts.uri.path(), status, "", 0)
                }
                None => line("", "", "", status, "", 0),
            }
        }
    }
}

/// What is told of a request. Not its query, its cookies or its body: they may be secrets.
#[derive(Debug)]
struct Asked {
    method: Method,
    host: String,
    path: String,
    since: Instant,
}

impl Asked {
    fn of(method: &Method, headers: &HeaderMap, uri: &Uri) -> Self {
        let (host, path) = (host(headers, uri).to_owned(), uri.path().to_owned());
        Self { method: method.clone(), host, path, since: Instant::now() }
    }

    fn write(&self, status: StatusCode, cache: &str) {
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        line(&self.method, &self.host, &self.path, status, cache, micros);
    }
}

/// One line for one request.
fn line(method: impl Display, host: &str, path: &str, status: StatusCode, cache: &str, micros: u64) {
    let status = status.as_u16();
    tracing::info!(target: ACCESS, %method, host, path, status, cache, micros);
}

/// The host that a request names.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    let told = headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    told.or_else(|| uri.host()).unwrap_or_default()
}

/// What the cache says of an answer.
fn said(headers: &HeaderMap) -> &str {
    let mut all = headers.get_all("cache-status").iter();
    all.next_back().and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pin_project! {
    /// The future of [`Logged`].
    #[derive(Debug)]
    pub struct Logging<F> {
        #[pin]
        answer: F,
        asked: Option<Box<Asked>>,
    }
}

impl<F, R, E> Future for Logging<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx));
        if let (Some(asked), Ok(answer)) = (this.asked, &answer) {
            asked.write(answer.status(), said(answer.headers()));
        }
        Poll::Ready(answer)
    }
}
