//! A gateway, an origin that does as it is told, and a client that sends what it likes.
#![allow(dead_code, unused_imports, reason = "each test uses its part of it")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "what can't go on fails its test")]

pub(crate) mod client;
pub(crate) mod origin;

use std::net::SocketAddr;

use edge_isr_core::Isr;
use gateway::Gateway;
use gateway::config::Config;
use gateway::front::Settings;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use client::{Answer, Client};
pub(crate) use origin::{Origin, Reply};

/// A gateway that runs.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) isr: Isr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Gate {
    pub(crate) async fn before(origin: SocketAddr) -> Self {
        Self::with(origin, |_, _| {}).await
    }

    /// A gateway with settings changed.
    pub(crate) async fn with(origin: SocketAddr, change: impl Fn(&mut Config, &mut Settings)) -> Self {
        let origin = format!("http://{origin}").parse().unwrap();
        let mut config = Config::new("127.0.0.1:0".parse().unwrap(), origin);
        let mut unused = Settings::of(&config);
        change(&mut config, &mut unused);
        let mut gateway = Gateway::bind(&config).await.unwrap();
        change(&mut config, gateway.front());
        let (stop, told) = oneshot::channel();
        let (address, isr) = (gateway.local_addr().unwrap(), gateway.isr().clone());
        let running = tokio::spawn(gateway.run(async { _ = told.await }));
        Self { address, isr, stop: Some(stop), running }
    }

    /// Tells it to stop.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(mut self) {
        if self.stop.is_some() {
            self.stop();
        }
        self.running.await.unwrap();
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// A `GET` on a connection of its own.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.client().await.get(target).await
    }

    /// What a request of these bytes is answered, on a connection of its own.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        self.client().await.ask(request).await
    }
}
