//! The whole of it, put together: the front, the cache, the way to the origin.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge_isr_core::isr::Limits;
use edge_isr_core::{Compression, ConfigError, Isr};
use edge_isr_tower::{IsrExt as _, IsrRequestBody, IsrService, NoFacts};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::admin::Admin;
use crate::config::Config;
use crate::front::{self, Refused, Upload};
use crate::keep_alive::keep_alive;
use crate::log::Logged;
use crate::proxy::{self, Proxy};

/// How long what nobody waits for any more (pages being rendered, writes) may take to finish once the last client left:
/// what clients did not need of their own time, within these bounds.
const LEAST_DRAIN: Duration = Duration::from_secs(1);
const MOST_DRAIN: Duration = Duration::from_secs(10);
/// What a render may take beyond what its origin may.
const RENDER_GRACE: Duration = Duration::from_secs(1);

/// What a request goes through behind the front.
type App = IsrService<Proxy<Upload>, NoFacts>;

/// Why the gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not of this machine.
    #[error("cannot listen on {address} ({key}): {told}", told = crate::config::told(.source))]
    Listen {
        /// The key that says so.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The origin's URL leads nowhere.
    #[error("`origin` is `{0}`: write `http://` and a host")]
    Origin(http::Uri),
    /// A setting that the cache refuses.
    #[error("{0}")]
    Setting(#[from] ConfigError),
}

/// A gateway that listens and does not answer yet.
#[derive(Debug)]
pub struct Gateway {
    listener: TcpListener,
    isr: Isr,
    app: App,
    settings: front::Settings,
    refused: Arc<Refused>,
    admin: Option<(TcpListener, Admin)>,
}

impl Gateway {
    /// Puts everything together that a start would, but the listeners.
    ///
    /// # Errors
    ///
    /// A setting that can't be right.
    pub fn check(config: &Config) -> Result<(), StartError> {
        behind(config).map(drop)
    }

    /// Listens for clients.
    ///
    /// # Errors
    ///
    /// A setting that can't be right, or an address that can't be had.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let (isr, app) = behind(config)?;
        let settings = front::Settings::of(config);
        let listener = listen("listen", config.listen).await?;
        let refused = Arc::default();
        let admin = match &config.admin {
            Some(admin) => {
                let listener = listen("admin.listen", admin.listen).await?;
                Some((listener, Admin::new(&isr, admin.token.clone()).with_refused(&refused)))
            }
            None => None,
        };
        Ok(Self { listener, isr, app, settings, refused, admin })
    }

    /// Where clients connect, with the port that the system chose for port 0.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where those who run it connect, if they can.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// The cache.
    #[must_use]
    pub const fn isr(&self) -> &Isr {
        &self.isr
    }

    /// What clients may do, to be changed before it runs.
    pub const fn front(&mut self) -> &mut front::Settings {
        &mut self.settings
    }

    /// Serves clients until told to stop. Requests in flight finish, but not for ever.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let worker = self.isr.worker_for::<App, IsrRequestBody<Upload>>(self.app.clone());
        let worker = tokio::spawn(worker);
        // Whoever runs it can ask how it is until the end.
        let (ended, end) = oneshot::channel::<()>();
        let settings = front::Settings { body_bytes: 0, ..self.settings.clone() };
        let (admin, asked) = match self.admin {
            Some((listener, admin)) => {
                let serving = front::serve(listener, admin.clone(), settings, async { _ = end.await });
                (Some(admin), Some(tokio::spawn(serving)))
            }
            None => (None, None),
        };
        let (patience, mut told) = (self.settings.drain, None);
        let stop = async {
            stop.await;
            told = Some(Instant::now());
            if let Some(admin) = &admin {
                admin.stop();
            }
        };
        front::serve(self.listener, Logged::new(self.app, self.refused), self.settings, stop).await;
        let taken = told.map_or(Duration::ZERO, |told| told.elapsed());
        self.isr.shutdown(drain_left(patience, taken)).await;
        let _ = worker.await;
        drop(ended);
        if let Some(asked) = asked {
            let _ = asked.await;
        }
    }
}

/// How long the cache may take to end, of all the time for a stop.
fn drain_left(patience: Duration, taken: Duration) -> Duration {
    patience.saturating_sub(taken).clamp(LEAST_DRAIN, MOST_DRAIN)
}

/// What stands behind the front: the cache, and the way to the origin behind that.
fn behind(config: &Config) -> Result<(Isr, App), StartError> {
    let limits = &config.limits;
    let proxy = Proxy::new(&proxy::Settings {
        origin: config.origin.clone(),
        hosts: config.origins.clone(),
        connect_timeout: limits.origin_connect_timeout,
        timeout: limits.origin_timeout,
    });
    let proxy = proxy.ok_or_else(|| StartError::Origin(config.origin.clone()))?;
    let isr = isr(config)?;
    let layer = config.layer(&isr).build()?;
    Ok((isr, tower_layer::Layer::layer(&layer, proxy)))
}

/// Takes an address.
async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).await;
    listener.inspect(|listener| keep_alive(listener)).map_err(|source| StartError::Listen {
        key,
        address,
        source,
    })
}

fn isr(config: &Config) -> Result<Isr, ConfigError> {
    let mut limits = Limits::default();
    limits.store_bytes = config.cache.max_bytes;
    limits.body_bytes = usize::try_from(config.cache.max_body_bytes).unwrap_or(usize::MAX);
    limits.render_timeout =
        config.limits.origin_connect_timeout + config.limits.origin_timeout + RENDER_GRACE;
    let compression = if config.cache.compress { Compression::new() } else { Compression::off() };
    Isr::builder().limits(limits).compression(compression).origins(&config.origins).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_has_what_clients_left_of_the_time() {
        let left = |taken| drain_left(Duration::from_secs(30), Duration::from_secs(taken)).as_secs();
        assert_eq!([0, 20, 25, 30, 31].map(left), [10, 10, 5, 1, 1]);
    }
}
