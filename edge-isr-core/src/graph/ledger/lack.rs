//! Must-fail twins for the models of the ledger.

use super::Ledger;

/// A protection that a model removes, on which it has to turn red.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// A mark takes the place of what stood there, whichever is larger.
    Max,
    /// The collector raises the floor when readers can already miss the mark.
    FloorFirst,
    /// Readers look at the floors before the marks.
    MarksFirst,
}

impl Ledger {
    /// The same without one protection.
    #[must_use]
    pub fn lacking(self, lack: Option<Lack>) -> Self {
        Self { lack, ..self }
    }
}
