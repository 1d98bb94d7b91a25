//! Where a render and an invalidation stand in the order of invalidations.

use std::fmt;

/// One life of the graph's counters. Losing any of them starts a new incarnation, so that old numbers are
/// never mistaken for new ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation([u64; 2]);

impl Incarnation {
    /// From 16 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self([u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, m, n, o, p])])
    }

    /// The 16 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (low, high) = bytes.split_at_mut(8);
        low.copy_from_slice(&self.0[0].to_le_bytes());
        high.copy_from_slice(&self.0[1].to_le_bytes());
        bytes
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0[0], self.0[1])
    }
}

/// What a render can have seen: everything committed before the invalidation numbered `seq`, in this
/// incarnation. Taken **before** the handler is first polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The incarnation of the graph.
    pub incarnation: Incarnation,
    /// The number of the last invalidation begun.
    pub seq: u64,
}

/// The numbers of a tag's last soft and last hard invalidation; zero for never. Both only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Carriers rendered before this are stale.
    pub soft: u64,
    /// Carriers rendered before this are dead.
    pub hard: u64,
}

impl Mark {
    /// The later of both, slot by slot.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { soft: self.soft.max(other.soft), hard: self.hard.max(other.hard) }
    }
}

/// What the graph says about one page: its incarnation now, and the latest mark over the floor and the tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The graph's incarnation.
    pub incarnation: Incarnation,
    /// The latest soft and hard marks that concern the page.
    pub latest: Mark,
}

/// Where the graph stood before a page's marks were read: while either number is the same later, so are they.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Moves with each invalidation that is visible in full.
    pub applied: u64,
    /// Moves when one of the page's tags may have been marked.
    pub changes: u64,
}

/// How strong an invalidation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Carriers are stale: they may be served, marked as such, while one render runs.
    #[default]
    Soft,
    /// Carriers are dead: no byte of them is served again.
    Hard,
}
