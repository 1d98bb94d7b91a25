//! One connection, from its first byte to its last.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use http::StatusCode;
use hyper::rt::Write;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Settings;
use super::door::Door;
use super::house::House;
use super::line::Line;
use super::shortcut::Shortcut;
use super::site::Site;
use super::tunnel;
use super::wire::{Protocol, Wire};

/// What hyper's read buffer holds at least.
const MIN_BUFFER_BYTES: usize = 8 << 10;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared<A> {
    pub(super) app: A,
    pub(super) settings: Settings,
    pub(super) house: Arc<House>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl<A> Shared<A> {
    pub(super) fn new(app: A, settings: Settings) -> Self {
        let mut http1 = http1::Builder::new();
        // The wire has one timer for everything.
        http1.header_read_timeout(None).max_header_size(settings.head_bytes);
        http1.max_buf_size(settings.head_bytes.saturating_mul(2).max(MIN_BUFFER_BYTES * 32));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.max_header_list_size(u32::try_from(settings.head_bytes).unwrap_or(u32::MAX));
        Self { app, settings, house: Arc::default(), http1, http2 }
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve<A, T>(shared: Arc<Shared<A>>, io: T, peer: SocketAddr)
where
    A: Site,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let line = Arc::new(Line::new(peer));
    let _guest = shared.house.enter(&line);
    let mut wire = Wire::new(io, Arc::clone(&line), shared.settings.patience());
    let head_bytes = shared.settings.head_bytes;
    let said = poll_fn(|cx| {
        line.register(cx.waker());
        if shared.house.is_closing() {
            return Poll::Ready(Ok(None));
        }
        wire.poll_protocol(cx, head_bytes)
    });
    let Ok(Some(protocol)) = said.await else {
        return tell_refused(&shared.app, &line, None);
    };
    let door = Door::new(shared.app.clone(), Arc::clone(&line), shared.settings.body_bytes);
    match protocol {
        Protocol::Http1 => {
            let house = Arc::clone(&shared.house);
            let io = Shortcut::new(wire, shared.app.clone(), Arc::clone(&line), house);
            let mut connection = shared.http1.serve_connection(io, door).with_upgrades();
            let ended =
                hold(&shared.house, &line, Pin::new(&mut connection), |held| held.graceful_shutdown());
            tell_refused(&shared.app, &line, ended.await.as_ref());
            // After an error hyper leaves the rest to us.
            if let Some(parts) = connection.into_parts() {
                let mut io = parts.io;
                let _ = poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await;
            }
            if let Some(ends) = line.take_tunnel() {
                tunnel::hold(ends, &shared.house, &line, shared.settings.tunnel_timeout).await;
            }
        }
        Protocol::Http2 => {
            let connection = pin!(shared.http2.serve_connection(wire, door));
            // What went wrong with its frames is the client's business.
            let _ = hold(&shared.house, &line, connection, |held| held.graceful_shutdown()).await;
        }
    }
}

/// Tells of what was refused below the door, which ends a connection of HTTP/1: by hyper, or as too slow.
fn tell_refused<A: Site>(app: &A, line: &Line, error: Option<&hyper::Error>) {
    let status = match error {
        Some(error) if error.is_parse_too_large() => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Some(error) if error.is_parse() => StatusCode::BAD_REQUEST,
        _ if line.is_too_slow() => StatusCode::REQUEST_TIMEOUT,
        _ => return,
    };
    app.refused(status, None);
}

/// Polls a connection until it ends, and tells it when it is to end, or all are. What was wrong with it.
async fn hold<C, E>(
    house: &House,
    line: &Line,
    mut connection: Pin<&mut C>,
    tell: fn(Pin<&mut C>),
) -> Option<E>
where
    C: Future<Output = Result<(), E>> + Send,
{
    let mut is_told = false;
    poll_fn(|cx| {
        // Before the look, and each time: a waker wakes once.
        line.register(cx.waker());
        if (house.is_closing() || line.is_over()) && !std::mem::replace(&mut is_told, true) {
            tell(connection.as_mut());
        }
        match connection.as_mut().poll(cx) {
            Poll::Pending if !house.is_closed() => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Some(error)),
            _ => Poll::Ready(None),
        }
    })
    .await
}
