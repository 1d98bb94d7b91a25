//! A body that is read while it arrives: one writer, many readers.
//!
//! Chunks are stored once and shared; whoever comes late gets them from the first. The writer waits for nobody: what it
//! may write is bounded by whoever feeds it, and a reader who is slow or leaves holds nobody up. An answer that breaks
//! off reaches every reader as an error, never as an end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;

use crate::error::BoxError;
use crate::sync::{Mutex, lock};

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

/// The most bytes of a chunk.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Chunks below it are put together, two at a time: a body that drips in would cost more than its bytes, and a page
/// copies what is shorter.
const SMALL_BYTES: usize = 16 << 10;

/// A body that is on its way, to be read by any number. Clones are of the same body.
#[derive(Debug, Clone)]
pub struct Growing(Arc<Shared>);

impl Growing {
    /// A body of which nothing has arrived, and the right to write it. `promised` is its length, if that is known.
    pub fn new(promised: Option<u64>) -> (Writer, Self) {
        let shared = Arc::new(Shared { promised, state: Mutex::new(State::default()) });
        (Writer::new(Arc::clone(&shared)), Self(shared))
    }

    /// One who reads all of it, from the first byte.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.0))
    }

    /// The length it is to have, if that is known.
    #[must_use]
    pub fn promised(&self) -> Option<u64> {
        self.0.promised
    }
}

/// The answer did not come to the end that it promised.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the answer broke off before its end")]
pub struct Broken(#[source] Option<Arc<dyn std::error::Error + Send + Sync>>);

impl Broken {
    /// Broken off by this.
    #[must_use]
    pub fn by(error: BoxError) -> Self {
        Self(Some(error.into()))
    }

    /// It merely ended, or whoever wrote it left.
    #[must_use]
    pub const fn early() -> Self {
        Self(None)
    }
}

#[derive(Debug)]
struct Shared {
    promised: Option<u64>,
    /// Held for a look and a clone; a wake is called without it.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    chunks: Vec<Bytes>,
    len: u64,
    end: Option<Result<(), Broken>>,
    /// Readers who have all that is there, by their number.
    waiting: BTreeMap<u64, Waker>,
    readers: u64,
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }
}

impl State {
    fn push(&mut self, chunk: Bytes) {
        self.len = self.len.saturating_add(chunk.len() as u64);
        match self.chunks.last_mut() {
            Some(last) if last.len() < SMALL_BYTES && chunk.len() < SMALL_BYTES => {
                *last = Bytes::from([&**last, &*chunk].concat());
            }
            _ => self.chunks.push(chunk),
        }
    }

    /// What follows the first `read` bytes of the chunk at `place`, or the next chunk.
    fn after(&self, place: usize, read: usize) -> Option<(usize, Bytes)> {
        let chunk = self.chunks.get(place)?;
        if read < chunk.len() {
            return Some((place, chunk.slice(read..)));
        }
        self.chunks.get(place + 1).map(|next| (place + 1, next.clone()))
    }
}
