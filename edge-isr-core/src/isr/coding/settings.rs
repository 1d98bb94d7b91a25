//! What one may want of compression.

use std::thread::available_parallelism;

use crate::error::ConfigError;
use crate::model::coding::Coding;

/// How pages are compressed: once each, in the background, when a request first asks for it. That request is answered
/// with the page as it is, later ones from the compressed bytes.
///
/// Text of all kinds is compressed, with `br`, `zstd` and `gzip` as requests prefer, and in that order where they
/// prefer none. Left alone are short bodies, what comes compressed or with a digest, `no-transform`, and what does not get
/// smaller by a twentieth. Compressed bytes count as the page's own in [`Limits::store_bytes`](crate::Limits), and
/// are dropped with it.
///
/// ```
/// use edge_isr_core::{Coding, Compression, Isr};
///
/// let small = Compression::new().codings([Coding::Br, Coding::Gzip]).least_bytes(2_000);
/// let isr = Isr::builder().compression(small).build()?;
/// assert!(isr.compresses());
/// let isr = Isr::builder().compression(Compression::off()).build()?;
/// assert!(!isr.compresses());
/// # Ok::<(), edge_isr_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Compression {
    pub(super) codings: Vec<Coding>,
    pub(super) least_bytes: usize,
    pub(super) at_once: usize,
}

/// Shorter bodies fit into a packet as they are: head and body together have room for about so much.
const LEAST_BYTES: usize = 860;

impl Default for Compression {
    /// All codings, for bodies from 860 bytes on, on a quarter of the processors at once, and on one at least.
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self { codings: Coding::ALL.into(), least_bytes: LEAST_BYTES, at_once: (processors / 4).max(1) }
    }
}

impl crate::isr::Builder {
    /// How pages are compressed. With the feature `compression` they are unless this says otherwise.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }
}

impl Compression {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// None: pages are sent as they were rendered.
    pub fn off() -> Self {
        Self::default().codings([])
    }

    /// With these codings and no others.
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Self {
        self.codings = codings.into_iter().collect();
        self
    }

    /// For bodies of at least so many bytes; 860 by default.
    pub fn least_bytes(mut self, bytes: usize) -> Self {
        self.least_bytes = bytes;
        self
    }

    /// So many bodies at once, each by a thread of its own. While all are busy pages are sent as they are; who asks
    /// for one again has it compressed then. By default one for four processors.
    pub fn at_once(mut self, bodies: usize) -> Self {
        self.at_once = bodies;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // What a semaphore counts, and more than any machine has.
        const MOST: usize = 1 << 16;
        if (1..=MOST).contains(&self.at_once) {
            return Ok(());
        }
        let (field, value) = ("compression.at_once", self.at_once.to_string());
        Err(ConfigError::OutOfBounds { field, value, bound: "from 1 to 65,536" })
    }
}
