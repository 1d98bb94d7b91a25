//! Numbers, durations and texts as they stand in a written page: little end first, lengths before texts.

use std::time::Duration;

use bytes::Bytes;

/// Reads from the front. What is not there is `None`, and so is a length beyond the end.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    whole: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(whole: &'a Bytes, at: usize) -> Self {
        Self { whole, at }
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.whole.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        self.chunk().map(u16::from_le_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.chunk()?)).ok()
    }

    pub(super) fn duration(&mut self) -> Option<Duration> {
        let seconds = u64::from_le_bytes(self.chunk()?);
        let nanos = u32::from_le_bytes(self.chunk()?);
        (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// All that follows, shared.
    pub(super) fn rest(self) -> Bytes {
        self.whole.slice(self.at..)
    }
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A head is bounded far below: what is longer does not become a page.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

pub(super) fn put_duration(out: &mut Vec<u8>, duration: Duration) {
    out.extend_from_slice(&duration.as_secs().to_le_bytes());
    out.extend_from_slice(&duration.subsec_nanos().to_le_bytes());
}
