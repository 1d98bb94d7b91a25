//! Connections to the origin, and those of them that wait for the next request.
//!
//! Not hyper-util's pool: rule 18 asks which bytes of an answer arrived on which connection, and that one does
//! not tell.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use edge_isr_core::BoxError;
use http_body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::failure::Failure;
use super::meter::{Meter, Metered};
use super::outgoing::Outgoing;
use crate::keep_alive::keep_alive;

/// The most connections that wait for a request.
const MAX_IDLE: usize = 256;
/// The longest that one waits. Many origins close theirs sooner.
const IDLE: Duration = Duration::from_secs(30);

/// Where the site is.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) connect_timeout: Duration,
}

/// Connections to the origin.
#[derive(Debug)]
pub(super) struct Pool<B> {
    target: Target,
    builder: http1::Builder,
    waiting: Mutex<Waiting<B>>,
}

/// Connections that wait, the longest first.
#[derive(Debug)]
struct Waiting<B> {
    idle: Vec<Idle<B>>,
    /// Whether somebody will close those that wait for too long.
    is_swept: bool,
}

#[derive(Debug)]
struct Idle<B> {
    lease: Lease<B>,
    since: Instant,
}

/// A connection for one request and its answer. Dropped before the answer's end, the connection ends with it.
#[derive(Debug)]
pub(super) struct Lease<B> {
    pub(super) sender: SendRequest<Outgoing<B>>,
    pub(super) meter: Arc<Meter>,
    /// Whether it carried a request before: then the origin may be about to close it.
    pub(super) is_reused: bool,
    /// Whether it carries no further request: the origin may take what it has not read of this one for that.
    pub(super) is_last: bool,
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    pub(super) fn new(target: Target) -> Self {
        let mut builder = http1::Builder::new();
        // What old origins still send; a proxy removes both (RFC 9112 §5.1, §5.2).
        builder.allow_spaces_after_header_name_in_responses(true);
        builder.allow_obsolete_multiline_headers_in_responses(true);
        let waiting = Waiting { idle: Vec::new(), is_swept: false };
        Self { target, builder, waiting: Mutex::new(waiting) }
    }

    /// One that waits, the last one used first, or a new one.
    pub(super) async fn lease(&self) -> Result<Lease<B>, Failure> {
        match self.take() {
            Some(lease) => Ok(lease),
            None => self.connect().await,
        }
    }

    fn take(&self) -> Option<Lease<B>> {
        let mut waiting = self.lock();
        while let Some(Idle { lease, since }) = waiting.idle.pop() {
            if lease.sender.is_ready() && since.elapsed() < IDLE {
                return Some(lease);
            }
        }
        None
    }

    /// A connection that no request was sent on.
    pub(super) async fn connect(&self) -> Result<Lease<B>, Failure> {
        let Target { host, port, connect_timeout } = &self.target;
        let connecting = TcpStream::connect((host.as_str(), *port));
        let socket = tokio::time::timeout(*connect_timeout, connecting).await;
        let socket =
            socket.map_err(|_| Failure::ConnectTimeout)?.map_err(|error| Failure::connect(&error))?;
        socket.set_nodelay(true).map_err(|error| Failure::connect(&error))?;
        keep_alive(&socket);
        let (socket, meter) = Metered::new(socket);
        let shaken = self.builder.handshake(TokioIo::new(socket)).await;
        let (sender, connection) = shaken.map_err(|_| Failure::connect(&io::ErrorKind::Other.into()))?;
        // Whoever waits on the connection is told what goes wrong with it.
        tokio::spawn(async { _ = connection.with_upgrades().await });
        Ok(Lease { sender, meter, is_reused: false, is_last: false })
    }

    /// Takes back a connection whose answer was read to its end.
    pub(super) fn give_back(self: &Arc<Self>, mut lease: Lease<B>) {
        if lease.is_last {
            return;
        }
        lease.is_reused = true;
        if lease.sender.is_ready() {
            return self.keep(lease);
        }
        // hyper looks for bytes that nobody asked for.
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            if lease.sender.ready().await.is_ok() {
                pool.keep(lease);
            }
        });
    }

    fn keep(self: &Arc<Self>, lease: Lease<B>) {
        let mut waiting = self.lock();
        waiting.forget_old();
        if waiting.idle.len() < MAX_IDLE {
            waiting.idle.push(Idle { lease, since: Instant::now() });
        }
        if !std::mem::replace(&mut waiting.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<B>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Waiting<B> {
    fn forget_old(&mut self) {
        self.idle.retain(|other| !other.lease.sender.is_closed() && other.since.elapsed() < IDLE);
    }
}

/// Closes connections that wait for too long, until none waits or the pool is gone.
async fn sweep<B>(pool: Weak<Pool<B>>) {
    let mut until = Instant::now() + IDLE;
    loop {
        tokio::time::sleep_until(until).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut waiting = pool.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.forget_old();
        let Some(longest) = waiting.idle.first() else {
            waiting.is_swept = false;
            return;
        };
        until = longest.since + IDLE;
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::{BodyExt as _, Empty};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_too_long_is_let_go_though_nobody_asks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Target { host: "127.0.0.1".to_owned(), port, connect_timeout: IDLE };
        let pool = Arc::new(Pool::<Empty<Bytes>>::new(target));
        for _ in 0..2 {
            let (lease, accepted) = tokio::join!(pool.connect(), listener.accept());
            let (mut lease, mut socket) = (lease.unwrap(), accepted.unwrap().0);
            let request = Request::new(Outgoing::empty());
            let (answer, _) = tokio::join!(
                lease.sender.send_request(request),
                socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            );
            answer.unwrap().collect().await.unwrap();
            pool.give_back(lease);
            let begun = Instant::now();
            // The request, then the end.
            let mut rest = Vec::new();
            let ended = tokio::time::timeout(IDLE * 100, socket.read_to_end(&mut rest)).await;
            assert!(ended.is_ok() && begun.elapsed() < IDLE * 2, "{:?}", begun.elapsed());
            assert!(pool.lock().idle.is_empty());
        }
    }
}
