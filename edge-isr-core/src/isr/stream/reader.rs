//! One who reads.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::{Broken, Shared};
use crate::sync::lock;

/// One who reads a body while it arrives. Dropping it harms nobody.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    /// The number it waits under.
    number: u64,
    /// The chunk that was given last, and how much of it: it may have grown since.
    place: usize,
    read: usize,
    given: u64,
    /// Whether the end was told, good or bad.
    is_over: bool,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mut state = lock(&shared.state);
        let number = state.readers;
        state.readers += 1;
        drop(state);
        Self { shared, number, place: 0, read: 0, given: 0, is_over: false }
    }

    /// The next bytes; `None` after the last, once the body is known to be whole.
    ///
    /// # Errors
    ///
    /// Ready with an error when the body broke off, once, after all of it that had arrived.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if self.is_at_end() {
            return Poll::Ready(None);
        }
        let mut state = lock(&self.shared.state);
        if let Some((place, bytes)) = state.after(self.place, self.read) {
            self.read = if place == self.place { self.read + bytes.len() } else { bytes.len() };
            self.place = place;
            self.given = self.given.saturating_add(bytes.len() as u64);
            return Poll::Ready(Some(Ok(bytes)));
        }
        let Some(end) = &state.end else {
            // Under the lock, so that what is written next finds it.
            let before = state.waiting.insert(self.number, cx.waker().clone());
            // A waker's drop is somebody else's code.
            drop(state);
            drop(before);
            return Poll::Pending;
        };
        self.is_over = true;
        Poll::Ready(end.clone().err().map(Err))
    }

    /// Whether nothing more will come. A body of known length is at its end with its last byte.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.is_over || self.remaining() == Some(0)
    }

    /// How many bytes are still to be given, if the length is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.shared.promised.map(|promised| promised.saturating_sub(self.given))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let waker = lock(&self.shared.state).waiting.remove(&self.number);
        drop(waker);
    }
}
