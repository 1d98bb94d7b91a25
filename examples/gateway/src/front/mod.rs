//! The way in: connections of clients, and what is refused before a cache sees it.
//!
//! | file | what is in it |
//! |---|---|
//! | `connection`, `house` | one connection; all of them, and how they end |
//! | `wire`, `framing`, `frames` | bytes below hyper: time-outs, interim answers, shapes of requests that smuggle |
//! | `shortcut` | what is answered below hyper, since it takes nothing but a look into the cache |
//! | `door`, `form`, `upload`, `refusal` | one request: checked, put into one form, bounded, answered |
//! | `refused` | how many were refused |
//! | `reworded` | refusals from below the door in a site's own words |
//! | `tunnel` | what follows an upgrade |
//! | `line` | what they tell each other |
//! | `site` | what stands behind the front |

mod connection;
mod door;
mod form;
mod frames;
mod framing;
mod house;
mod line;
mod refusal;
mod refused;
mod reworded;
mod shortcut;
mod site;
mod tunnel;
mod upload;
mod wire;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use self::connection::Shared;
pub use self::line::Visitor;
pub use self::refusal::Say;
pub(crate) use self::refusal::made;
pub use self::refused::Refused;
use self::reworded::Reworded;
pub use self::site::Site;
pub use self::upload::{Upload, UploadError};
use self::wire::Patience;
use crate::config::Config;

/// How long clients may do nothing.
const IDLE: Duration = Duration::from_secs(60);
/// How long a tunnel may be silent. What is spoken there need say nothing for long, and a side that vanished is found
/// out by the system; this is what `HAProxy`'s documentation proposes for its `timeout tunnel`.
const TUNNEL: Duration = Duration::from_secs(3600);
/// How long requests in flight may take to finish once the gateway was told to stop.
const DRAIN: Duration = Duration::from_secs(30);
/// How long to wait when the system has no more sockets to give.
const NO_SOCKETS: Duration = Duration::from_millis(50);

/// What clients may do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most bytes of a request's head; above it 431.
    pub head_bytes: usize,
    /// The most bytes of a request's body, above it 413; zero: no bound.
    pub body_bytes: u64,
    /// How long a request's head may take; then 408.
    pub head_timeout: Duration,
    /// How long a client may do nothing: between requests, or in the middle of one.
    pub idle_timeout: Duration,
    /// How long nothing may move, either way, after an upgrade.
    pub tunnel_timeout: Duration,
    /// How long requests in flight may take once the gateway was told to stop.
    pub drain: Duration,
}

impl Settings {
    /// What a configuration says of clients; the rest is as it always is.
    #[must_use]
    pub const fn of(config: &Config) -> Self {
        Self {
            head_bytes: config.limits.head_bytes,
            body_bytes: config.limits.request_body_bytes,
            head_timeout: config.limits.header_timeout,
            idle_timeout: IDLE,
            tunnel_timeout: TUNNEL,
            drain: DRAIN,
        }
    }

    const fn patience(&self) -> Patience {
        Patience { head: self.head_timeout, idle: self.idle_timeout }
    }
}

/// Serves clients until told to stop, then lets the requests in flight finish, for [`Settings::drain`] at most.
pub async fn serve<A: Site>(
    listener: TcpListener,
    app: A,
    settings: Settings,
    stop: impl Future<Output = ()>,
) {
    let shared = Arc::new(Shared::new(app, settings));
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((socket, peer)) => {
                // Without it an answer waits for the client's acknowledgement of the one before.
                let _ = socket.set_nodelay(true);
                let shared = Arc::clone(&shared);
                match A::SAYS {
                    None => drop(tokio::spawn(connection::serve(shared, socket, peer))),
                    Some(say) => {
                        drop(tokio::spawn(connection::serve(shared, Reworded::new(socket, say), peer)));
                    }
                }
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(_) => tokio::time::sleep(NO_SOCKETS).await,
        }
    }
    drop(listener);
    shared.house.close(shared.settings.drain).await;
}

/// Whether an error says that a client left before it was let in.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
