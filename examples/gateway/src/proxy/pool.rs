//! Connections to the origin, and those of them that wait for the next request.
//!
//! Not hyper-util's pool: rule 18 asks which bytes of an answer arrived on which connection, and that one does
//! not tell.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
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
    idle: Mutex<Vec<Idle<B>>>,
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
        Self { target, builder, idle: Mutex::default() }
    }

    /// One that waits, the last one used first, or a new one.
    pub(super) async fn lease(&self) -> Result<Lease<B>, Failure> {
        match self.take() {
            Some(lease) => Ok(lease),
            None => self.connect().await,
        }
    }

    fn take(&self) -> Option<Lease<B>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Idle { lease, since }) = idle.pop() {
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
        Ok(Lease { sender, meter, is_reused: false })
    }

    /// Takes back a connection whose answer was read to its end.
    pub(super) fn give_back(self: &Arc<Self>, mut lease: Lease<B>) {
        lease.is_reused = true;
        if lease.sender.is_ready() {
            return self.keep(lease);
        }
        // The rest of the request may still be on its way, and hyper looks for bytes that nobody asked for.
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            if lease.sender.ready().await.is_ok() {
                pool.keep(lease);
            }
        });
    }

    fn keep(&self, lease: Lease<B>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|other| !other.lease.sender.is_closed() && other.since.elapsed() < IDLE);
        if idle.len() < MAX_IDLE {
            idle.push(Idle { lease, since: Instant::now() });
        }
    }
}
