//! The bytes of a body: in one piece, or a long one's parts.
//!
//! A short body is copied into its page's buffer. A long one would be copied for as long as it takes to read it, and
//! need twice its room meanwhile; it stays in the parts it came in, which readers share.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// A body of more bytes is kept in parts.
const MOST_IN_ONE_BYTES: usize = 1 << 20;
/// The most bytes of a part, so that a slow reader holds up little.
const PART_BYTES: usize = 256 << 10;
/// Frames of fewer bytes are gathered: each part costs some bytes of its own, and a body may come in crumbs.
const CRUMB_BYTES: usize = 16 << 10;

/// A body in parts. Clones share them.
#[derive(Debug, Clone)]
pub struct Rope {
    parts: Arc<[Bytes]>,
    len: usize,
}

impl Rope {
    /// The frames of a body, if it is too long to be copied into one piece. Frames of some length are shared, not
    /// copied.
    #[must_use]
    pub fn of(frames: &[Bytes]) -> Option<Self> {
        let len: usize = frames.iter().map(Bytes::len).sum();
        (len > MOST_IN_ONE_BYTES).then(|| Self { parts: parts(frames).into(), len })
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none, which no rope is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parts, in order.
    pub fn parts(&self) -> impl Iterator<Item = &Bytes> {
        self.parts.iter()
    }

    /// All of it, to be sent.
    #[must_use]
    #[cold]
    pub fn content(&self) -> Content {
        self.slice(0..self.len)
    }

    fn slice(&self, range: Range<usize>) -> Content {
        Content::Parts(Box::new(Parts { parts: Arc::clone(&self.parts), next: 0, range }))
    }

    /// How many bytes of memory it takes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.len + size_of_val(&*self.parts)
    }
}

/// Cuts what is long and gathers what is short.
fn parts(frames: &[Bytes]) -> Vec<Bytes> {
    let mut parts = Vec::new();
    let mut crumbs: Vec<u8> = Vec::new();
    for frame in frames.iter().filter(|frame| !frame.is_empty()) {
        let is_crumb = frame.len() < CRUMB_BYTES;
        if !crumbs.is_empty() && (!is_crumb || crumbs.len() + frame.len() > PART_BYTES) {
            parts.push(Bytes::from(std::mem::take(&mut crumbs).into_boxed_slice()));
        }
        if is_crumb {
            crumbs.extend_from_slice(frame);
        } else {
            let starts = (0..frame.len()).step_by(PART_BYTES);
            parts.extend(starts.map(|start| frame.slice(start..frame.len().min(start + PART_BYTES))));
        }
    }
    if !crumbs.is_empty() {
        parts.push(Bytes::from(crumbs.into_boxed_slice()));
    }
    parts
}

/// The bytes of an answer, to be sent piece by piece. No larger than one piece is.
#[derive(Debug, Clone)]
pub enum Content {
    /// One piece, which may be empty.
    One(Bytes),
    /// Some of a body's parts.
    Parts(Box<Parts>),
}

/// What is still to be sent of a body in parts.
#[derive(Debug, Clone)]
pub struct Parts {
    parts: Arc<[Bytes]>,
    next: usize,
    /// What is wanted, counted from the beginning of the next part.
    range: Range<usize>,
}

impl Parts {
    #[cold]
    fn take(&mut self) -> Option<Bytes> {
        while !self.range.is_empty() {
            let part = self.parts.get(self.next)?;
            self.next += 1;
            let wanted = self.range.start.min(part.len())..self.range.end.min(part.len());
            self.range =
                self.range.start.saturating_sub(part.len())..self.range.end.saturating_sub(part.len());
            if !wanted.is_empty() {
                return Some(part.slice(wanted));
            }
        }
        None
    }
}

impl Content {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self::One(Bytes::new())
    }

    /// How many bytes are still to be sent.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.len(),
            Self::Parts(parts) => parts.range.len(),
        }
    }

    /// Whether all was sent.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next piece, if there is one.
    pub fn take(&mut self) -> Option<Bytes> {
        match self {
            Self::One(bytes) if bytes.is_empty() => None,
            Self::One(bytes) => Some(std::mem::take(bytes)),
            Self::Parts(parts) => parts.take(),
        }
    }

    /// Some of what is still to be sent.
    #[must_use]
    pub fn slice(self, range: Range<usize>) -> Self {
        match self {
            Self::One(bytes) => Self::One(bytes.slice(range)),
            Self::Parts(mut parts) => {
                let start = parts.range.start;
                parts.range = start + range.start..parts.range.end.min(start + range.end);
                Self::Parts(parts)
            }
        }
    }

    /// All that is still to be sent, piece by piece.
    #[must_use]
    pub fn into_pieces(mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.take()).collect()
    }

    /// All that is still to be sent, in one piece: a copy if it was in several.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if let Self::One(bytes) = self {
            return bytes;
        }
        let mut all = Vec::with_capacity(self.len());
        while let Some(piece) = self.take() {
            all.extend_from_slice(&piece);
        }
        all.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(lens: &[usize]) -> Vec<Bytes> {
        let mut byte = 0_u8;
        let mut frame = |len: &usize| {
            let next = |_| {
                byte = byte.wrapping_mul(5).wrapping_add(17);
                byte
            };
            (0..*len).map(next).collect::<Vec<_>>().into()
        };
        lens.iter().map(&mut frame).collect()
    }

    #[test]
    fn a_content_is_no_larger_than_one_piece() {
        assert_eq!(size_of::<Content>(), size_of::<Bytes>());
    }

    #[test]
    fn only_a_long_body_is_a_rope() {
        assert!(Rope::of(&frames(&[MOST_IN_ONE_BYTES])).is_none());
        assert!(Rope::of(&frames(&[MOST_IN_ONE_BYTES, 1])).is_some());
        assert!(Rope::of(&[]).is_none());
    }

    #[test]
    fn long_frames_are_cut_and_shared_and_short_ones_gathered() {
        let (long, kib) = (600 << 10, 1 << 10);
        let frames = frames(&[kib, 0, kib, long, long, CRUMB_BYTES, kib]);
        let rope = Rope::of(&frames).unwrap();
        let lens: Vec<usize> = rope.parts().map(Bytes::len).collect();
        let cut = [PART_BYTES, PART_BYTES, long - 2 * PART_BYTES];
        assert_eq!(lens, [&[2 * kib][..], &cut, &cut, &[CRUMB_BYTES, kib]].concat());
        assert_eq!(rope.parts.get(1).unwrap().as_ptr(), frames[3].as_ptr(), "it is no copy");
        assert_eq!(rope.content().into_bytes(), frames.concat());
    }

    #[test]
    fn p15_a_body_that_came_in_crumbs_costs_little_more_than_its_bytes() {
        let rope = Rope::of(&frames(&vec![7; 200_000])).unwrap();
        assert!(rope.parts().all(|part| part.len() <= PART_BYTES));
        assert!(rope.weight_bytes() - rope.len() < rope.len() / 100, "{}", rope.weight_bytes());
    }

    #[test]
    fn what_is_sent_is_told_as_it_is_sent() {
        let rope = Rope::of(&frames(&[PART_BYTES; 5])).unwrap();
        let mut content = rope.content();
        for sent in 0..5 {
            assert_eq!(content.len(), (5 - sent) * PART_BYTES);
            assert_eq!(content.take().map(|piece| piece.len()), Some(PART_BYTES));
        }
        assert!(content.is_empty() && content.take().is_none());
        let mut one = Content::One(Bytes::from_static(b"abc"));
        assert_eq!((one.len(), one.take()), (3, Some(Bytes::from_static(b"abc"))));
        assert!(one.is_empty() && one.take().is_none() && Content::empty().take().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn d15_any_part_is_what_a_slice_of_the_whole_is(
            lens in proptest::collection::vec(1_usize..400_000, 8..12), at in 0.0..1.0, to in 0.0..1.0
        ) {
            let frames = frames(&lens);
            let whole = Bytes::from(frames.concat());
            prop_assume!(whole.len() > MOST_IN_ONE_BYTES);
            let place = |share: f64| (share * whole.len() as f64) as usize;
            let (start, end) = (place(at).min(place(to)), place(at).max(place(to)) + 1);
            let part = Rope::of(&frames).unwrap().content().slice(start..end);
            prop_assert_eq!(part.len(), end - start);
            let pieces = part.into_pieces();
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= PART_BYTES));
            prop_assert_eq!(Bytes::from(pieces.concat()), whole.slice(start..end));
        }
    }
}
