//! The way to the origin.
//!
//! | file | what is in it |
//! |---|---|
//! | `request`, `fields` | a head as the origin gets it; header fields on their way through |
//! | `pool`, `meter` | connections to the origin, and what arrived on them |
//! | `outgoing`, `answer` | bodies, both ways |
//! | `interim` | answers before the answer |
//! | `failure` | what can go wrong, and the answer then |

mod answer;
mod failure;
mod fields;
mod interim;
mod meter;
mod outgoing;
mod pool;
mod request;

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use edge_isr_core::BoxError;
use edge_isr_tower::IsrRequestBody;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, Uri, Version, request as http_request};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;
use tower_service::Service;

pub use self::answer::Answer;
use self::failure::Failure;
pub(crate) use self::fields::{is_claim, strip_named};
use self::outgoing::{Outgoing, Progress};
use self::pool::{Lease, Pool, Target};
use self::request::{Carries, Hosts};
use crate::front::Visitor;

/// How often a request that was never sent is given to another connection.
const MAX_UNSENT: u32 = 3;

/// Where the origin is, and how long it may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Scheme and authority.
    pub origin: Uri,
    /// The hosts that requests may be for; empty: any.
    pub hosts: Vec<String>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the origin may take to begin its answer, and between two parts of it.
    pub timeout: Duration,
}

/// Sends requests to the origin. A clone shares the connections.
///
/// It has an answer to every request: where the origin has none, it is one of the gateway's own, 502 or 504.
#[derive(Debug)]
pub struct Proxy<B> {
    shared: Arc<Shared<B>>,
}

#[derive(Debug)]
struct Shared<B> {
    pool: Arc<Pool<B>>,
    hosts: Hosts,
    timeout: Duration,
}

impl<B> Clone for Proxy<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<B> Proxy<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    /// A way to the origin; nothing is connected yet. `None` when the origin's URL is not `http://` and a host.
    #[must_use]
    pub fn new(settings: &Settings) -> Option<Self> {
        let authority =
            settings.origin.authority().filter(|_| settings.origin.scheme_str() == Some("http"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let target = Target {
            host,
            port: authority.port_u16().unwrap_or(80),
            connect_timeout: settings.connect_timeout,
        };
        let hosts = Hosts::new(&settings.hosts, authority.as_str().to_owned());
        let shared = Shared { pool: Arc::new(Pool::new(target)), hosts, timeout: settings.timeout };
        Some(Self { shared: Arc::new(shared) })
    }
}

impl<B> Service<Request<IsrRequestBody<B>>> for Proxy<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    type Response = Response<Answer<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<IsrRequestBody<B>>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            Ok(shared.ask(request).await.unwrap_or_else(|failure| failure.answer().map(Answer::made)))
        })
    }
}

impl<B> Shared<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    async fn ask(&self, mut request: Request<IsrRequestBody<B>>) -> Result<Response<Answer<B>>, Failure> {
        let client = hyper::upgrade::on(&mut request);
        let (mut head, body) = request.into_parts();
        let visitor = head.extensions.get::<Visitor>().cloned();
        let body = Outgoing::new(body);
        let peer = visitor.as_ref().map(Visitor::peer);
        let carries = Carries::of(&head.method, &body);
        let upgrade = request::prepare(&mut head, &self.hosts, carries, peer)?;
        let visitor = visitor.filter(Visitor::takes_interim);
        let (mut response, lease) = self.send(&head, body, carries, visitor.clone()).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let offered = upgrade.ok_or(Failure::Malformed)?;
            let protocol = fields::chosen(response.headers(), &offered).ok_or(Failure::Malformed)?;
            let visitor = visitor.ok_or(Failure::Malformed)?;
            visitor.tunnel(client, hyper::upgrade::on(&mut response));
            return Ok(switched(response, protocol));
        }
        // What HTTP has no such numbers for (RFC 9110 §15).
        if response.status().as_u16() > 599 {
            return Err(Failure::Malformed);
        }
        fields::settle_length(response.headers_mut())?;
        let received = std::mem::replace(response.version_mut(), Version::HTTP_11);
        fields::strip_connection(response.headers_mut());
        fields::add_via(response.headers_mut(), received);
        let pool = Arc::clone(&self.pool);
        Ok(response.map(|body| Answer::coming(body, pool, lease, self.timeout)))
    }

    /// Sends a request once. Twice only if it may be repeated, nothing of an answer arrived, and the connection
    /// had waited, which the origin may have closed meanwhile.
    async fn send(
        &self,
        head: &http_request::Parts,
        body: Outgoing<B>,
        carries: Carries,
        visitor: Option<Visitor>,
    ) -> Result<(Response<Incoming>, Lease<B>), Failure> {
        let progress = body.progress();
        let may_repeat = progress.is_none() && request::is_idempotent(&head.method);
        let mut lease = match carries {
            // One that an answer still came on could be out of step already.
            Carries::Meaningless => self.pool.connect().await?,
            Carries::Nothing | Carries::Content => self.pool.lease().await?,
        };
        let (mut body, mut unsent) = (Some(body), 0);
        loop {
            let mut request = Request::from_parts(head.clone(), body.take().unwrap_or_else(Outgoing::empty));
            if let Some(visitor) = visitor.clone() {
                interim::forward(&mut request, visitor);
            }
            let before = lease.meter.reading();
            let sending = pin!(lease.sender.try_send_request(request));
            let sent = patiently(sending, self.timeout, progress.as_deref());
            let mut error = match sent.await.ok_or(Failure::AnswerTimeout)? {
                Ok(response) => {
                    // Who answers before all was heard, or does not do as asked, may not read the rest as a body.
                    let is_early = progress.as_ref().is_some_and(|progress| !progress.is_whole());
                    let is_unread = carries == Carries::Content && !tells_of_content(response.status());
                    lease.is_last = is_early || is_unread || carries == Carries::Meaningless;
                    return Ok((response, lease));
                }
                Err(error) => error,
            };
            if let Some(request) = error.take_message() {
                unsent += 1;
                body = Some(request.into_body());
                if unsent > MAX_UNSENT {
                    return Err(Failure::Closed);
                }
                lease = self.pool.connect().await?;
                continue;
            }
            let is_silent = lease.meter.reading() == before;
            if may_repeat && is_silent && lease.is_reused {
                lease = self.pool.connect().await?;
                continue;
            }
            let failed = progress.as_ref().and_then(|progress| progress.failure());
            return Err(failed.unwrap_or_else(|| of(&error.into_error())));
        }
    }
}

/// Waits for an answer while the origin has what it needs for it. `None`: that took too long.
async fn patiently<F: Future>(
    mut future: Pin<&mut F>,
    patience: Duration,
    progress: Option<&Progress>,
) -> Option<F::Output> {
    let begun = Instant::now();
    let is_origins_turn_since =
        || progress.map_or(Some(begun), |progress| progress.is_origins_turn_since().map(|at| at.max(begun)));
    loop {
        let until = is_origins_turn_since().unwrap_or_else(Instant::now) + patience;
        if let Ok(output) = tokio::time::timeout_at(until, future.as_mut()).await {
            return Some(output);
        }
        // How long a client may take is its front's to say.
        if is_origins_turn_since().is_some_and(|since| since + patience <= Instant::now()) {
            return None;
        }
    }
}

/// Whether an answer to a request with content is one that programs give which have seen to that: success, where to go
/// on after a form, who must log in, what is wrong with what was sent. Other answers (405, 301 to the path with a slash,
/// 404, 500) are given by what looked at the head alone, too, and may leave the body unread.
const fn tells_of_content(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200..=299 | 302 | 303 | 401 | 403 | 409 | 422)
}

fn of(error: &hyper::Error) -> Failure {
    if error.is_parse() { Failure::Malformed } else { Failure::Closed }
}

/// The answer that says that both sides speak something else from now on.
fn switched<B>(response: Response<Incoming>, protocol: HeaderValue) -> Response<Answer<B>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    let mut response = response.map(|_| Answer::made(Bytes::new()));
    let headers = response.headers_mut();
    fields::strip_connection(headers);
    fields::add_via(headers, Version::HTTP_11);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
    *response.version_mut() = Version::HTTP_11;
    response
}
