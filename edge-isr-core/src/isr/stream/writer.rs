//! The one who writes.

use std::sync::Arc;

use bytes::Bytes;

use super::{Broken, CHUNK_BYTES, Shared};
use crate::sync::lock;

/// The right to write a body. Dropped before [`finish`](Self::finish), it breaks the body off for every reader.
#[derive(Debug)]
#[must_use = "a writer that is dropped breaks its body off"]
pub struct Writer {
    shared: Arc<Shared>,
    /// What is not shown yet: less than a chunk.
    gathered: Vec<u8>,
    len: u64,
    has_ended: bool,
}

impl Writer {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, gathered: Vec::new(), len: 0, has_ended: false }
    }

    /// Copies bytes, so that they don't keep the buffer alive which they were received in. They are shown as a chunk is
    /// full, and at the next [`show`](Self::show).
    pub fn write(&mut self, bytes: &[u8]) {
        let all = bytes.len();
        // What is more than was promised is counted, and shown to nobody.
        let mut bytes = &bytes[..all.min(self.to_come().unwrap_or(usize::MAX))];
        self.len = self.len.saturating_add(all as u64);
        while !bytes.is_empty() {
            if self.gathered.capacity() == 0 {
                // No more than is to come.
                let to_come = self.to_come().map_or(CHUNK_BYTES, |later| later.saturating_add(bytes.len()));
                self.gathered.reserve_exact(to_come.min(CHUNK_BYTES));
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.gathered.len()));
            self.gathered.extend_from_slice(now);
            bytes = later;
            if self.gathered.len() == CHUNK_BYTES {
                let chunk = std::mem::take(&mut self.gathered);
                self.shared.change(|state| state.push(chunk.into()));
            }
        }
    }

    /// Shows the readers all that was written: nothing more is there to be written at once.
    pub fn show(&mut self) {
        if !self.gathered.is_empty() {
            // As long as it is and no longer: it lives as long as the page.
            let chunk = Bytes::copy_from_slice(&self.gathered);
            self.gathered.clear();
            self.shared.change(|state| state.push(chunk));
        }
    }

    /// How many bytes were written.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Ends the body, and gives its chunks for the page.
    ///
    /// # Errors
    ///
    /// When it is not as long as it was promised. Every reader gets that error.
    pub fn finish(mut self) -> Result<Vec<Bytes>, Broken> {
        self.show();
        if self.shared.promised.is_some_and(|promised| promised != self.len) {
            let broken = Broken::early();
            self.end(Err(broken.clone()));
            return Err(broken);
        }
        self.end(Ok(()));
        Ok(lock(&self.shared.state).chunks.clone())
    }

    /// Breaks the body off. Readers get what was written, then the error.
    pub fn break_off(mut self, broken: Broken) {
        self.show();
        self.end(Err(broken));
    }

    fn end(&mut self, end: Result<(), Broken>) {
        self.has_ended = true;
        self.shared.change(|state| state.end = Some(end));
    }

    /// How many bytes are promised and not written.
    fn to_come(&self) -> Option<usize> {
        let to_come = self.shared.promised?.saturating_sub(self.len);
        Some(usize::try_from(to_come).unwrap_or(usize::MAX))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end(Err(Broken::early()));
        }
    }
}
