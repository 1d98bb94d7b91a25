//! How long a client takes, with one timer a connection, which is set once in a long while: bytes that move only
//! leave a note.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How often in a row the timer finds that nothing moved, before that is called idle.
const STILL: u8 = 2;

/// How long clients may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the head of a request, from its first byte or, for the first one, from the connection's beginning.
    pub(crate) head: Duration,
    /// Between requests, and between two parts of a body; up to half of it more.
    pub(crate) idle: Duration,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// The rest of a head that has begun, and nothing else.
    pub(super) for_head: bool,
    /// The client, not the origin.
    pub(super) for_client: bool,
}

/// Watches one client.
#[derive(Debug)]
pub(super) struct Watch {
    patience: Patience,
    /// When a head that has begun must have ended.
    head_until: Option<Instant>,
    /// Whether no head has ended yet.
    is_first: bool,
    timer: Pin<Box<Sleep>>,
    /// Whether the task waits for the timer already.
    is_timed: bool,
    /// Whether bytes moved since the timer was set.
    has_moved: bool,
    /// How often in a row the timer found that none did.
    still: u8,
}

impl Watch {
    /// A client that has said nothing yet.
    pub(super) fn new(patience: Patience) -> Self {
        let until = Instant::now() + patience.head;
        let timer = Box::pin(tokio::time::sleep_until(until));
        let head_until = Some(until);
        // Who has just come is not idle.
        Self { patience, head_until, is_first: true, timer, is_timed: false, has_moved: true, still: 0 }
    }

    #[inline]
    pub(super) const fn note_move(&mut self) {
        self.has_moved = true;
    }

    /// What comes now has the whole time, however long nothing has moved.
    pub(super) const fn begin_again(&mut self) {
        self.still = 0;
    }

    /// The head is there.
    #[inline]
    pub(super) const fn note_head(&mut self) {
        self.head_until = None;
        self.is_first = false;
    }

    /// Whether no head has ended yet.
    pub(super) const fn is_first(&self) -> bool {
        self.is_first
    }

    /// Ready when the client has taken too long for what is waited for.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, waiting: Waiting) -> Poll<()> {
        if waiting.for_head && self.head_until.is_none() {
            let until = Instant::now() + self.patience.head;
            self.head_until = Some(until);
            self.set(until);
        }
        // A timer that this task waits for already need not be told so again.
        while !self.is_timed || self.timer.is_elapsed() {
            self.is_timed = true;
            ready!(self.timer.as_mut().poll(cx));
            if self.is_too_late(waiting) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Waits for so long from now on, whatever happens.
    pub(super) fn only(&mut self, time: Duration) {
        self.set(Instant::now() + time);
    }

    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(cx)
    }

    fn set(&mut self, until: Instant) {
        self.timer.as_mut().reset(until);
        self.is_timed = false;
    }

    /// Looks at what happened since the timer was set, and sets it anew.
    fn is_too_late(&mut self, waiting: Waiting) -> bool {
        let now = Instant::now();
        if self.head_until.is_some_and(|until| until <= now) {
            if waiting.for_head {
                return true;
            }
            // Something else came first.
            self.head_until = None;
        }
        self.still = if std::mem::take(&mut self.has_moved) { 0 } else { self.still.saturating_add(1) };
        let next = now + self.patience.idle / u32::from(STILL);
        self.set(self.head_until.map_or(next, |until| until.min(next)));
        self.still >= STILL && waiting.for_client
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(60) };

    /// After how many seconds the client has taken too long.
    async fn seconds(watch: &mut Watch, for_head: bool, for_client: bool) -> u64 {
        let begin = Instant::now();
        poll_fn(|cx| watch.poll(cx, Waiting { for_head, for_client })).await;
        begin.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn heads_have_their_time_and_idleness_has_its_own() {
        assert_eq!(seconds(&mut Watch::new(PATIENCE), true, true).await, 10);
        let mut watch = Watch::new(PATIENCE);
        watch.note_head();
        // The first look finds that something moved, two more that nothing did.
        assert_eq!(seconds(&mut watch, false, true).await, 10 + 60);
        let mut watch = Watch::new(PATIENCE);
        watch.note_head();
        tokio::time::sleep(Duration::from_secs(25)).await;
        assert_eq!(seconds(&mut watch, true, true).await, 10, "a head's time begins with it");
    }

    #[tokio::test(start_paused = true)]
    async fn an_origins_time_is_not_the_clients() {
        let mut watch = Watch::new(PATIENCE);
        watch.note_head();
        let waiting = seconds(&mut watch, false, false);
        assert!(tokio::time::timeout(Duration::from_secs(3600), waiting).await.is_err());
    }
}
