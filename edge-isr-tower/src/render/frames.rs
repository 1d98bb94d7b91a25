//! What has come of a body that is collected.

use bytes::{Bytes, BytesMut};
use edge_isr_core::isr::stream::CHUNK_BYTES;

/// So many frames are kept as they come, whatever their size.
const FEW: usize = 64;
/// Of more of them, those with fewer bytes are gathered: each costs some bytes of its own.
const CRUMB_BYTES: usize = 1 << 10;

/// The frames of a body, in order.
#[derive(Debug, Default)]
pub(super) struct Frames {
    all: Vec<Bytes>,
    crumbs: BytesMut,
    len: u64,
}

impl Frames {
    pub(super) fn push(&mut self, frame: Bytes) {
        self.len = self.len.saturating_add(frame.len() as u64);
        if self.all.len() < FEW || frame.len() >= CRUMB_BYTES {
            self.gather();
            self.all.push(frame);
        } else {
            self.crumbs.extend_from_slice(&frame);
            if self.crumbs.len() >= CHUNK_BYTES {
                self.gather();
            }
        }
    }

    /// How many bytes there are.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn into_vec(mut self) -> Vec<Bytes> {
        self.gather();
        self.all
    }

    fn gather(&mut self) {
        if !self.crumbs.is_empty() {
            self.all.push(self.crumbs.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_crumbs_is_kept_in_few_frames_and_in_order() {
        let mut frames = Frames::default();
        let text: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let (crumbs, large) = text.split_at(150_000);
        for crumb in crumbs.chunks(3) {
            frames.push(Bytes::copy_from_slice(crumb));
            frames.push(Bytes::new());
        }
        frames.push(Bytes::copy_from_slice(large));
        assert_eq!(frames.len(), 200_000);
        let all = frames.into_vec();
        assert!(all.len() <= FEW + 150_000 / CHUNK_BYTES + 2, "{} frames", all.len());
        assert_eq!(all.concat(), text);
    }
}
