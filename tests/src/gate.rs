//! Order that is forced: a handler arrives, waits, and goes on when the test says so.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// A gate inside a handler. Clones share it.
#[derive(Debug, Clone)]
pub struct Gate {
    arrived: Arc<Semaphore>,
    opened: Arc<Semaphore>,
}

impl Default for Gate {
    /// Closed.
    fn default() -> Self {
        Self { arrived: Arc::new(Semaphore::new(0)), opened: Arc::new(Semaphore::new(0)) }
    }
}

impl Gate {
    /// In the handler: tells the test that it is here, and waits to be let through.
    pub async fn pass(&self) {
        self.arrived.add_permits(1);
        self.opened.acquire().await.expect("never closed").forget();
    }

    /// In the test: waits until so many more are here.
    pub async fn arrivals(&self, count: u32) {
        within(self.arrived.acquire_many(count)).await.expect("never closed").forget();
    }

    /// In the test: waits until one more is here.
    pub async fn arrival(&self) {
        self.arrivals(1).await;
    }

    /// Lets so many through, now or when they come.
    pub fn open(&self, count: usize) {
        self.opened.add_permits(count);
    }
}

/// Turns a wait without end into a failure.
pub async fn within<F: Future>(future: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(30), future).await {
        Ok(output) => output,
        Err(_) => panic!("still waiting after thirty seconds"),
    }
}
