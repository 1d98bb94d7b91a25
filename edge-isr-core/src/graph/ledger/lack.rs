//! Must-fail twins for the models of the ledger.

use super::Ledger;
use crate::model::tag::TagId;

/// A protection that a model removes, on which it has to turn red.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// A mark takes the place of what stood there, whichever is larger.
    Max,
    /// The collector raises the floor when readers can already miss the mark.
    FloorFirst,
    /// Readers look at the floors before the marks.
    MarksFirst,
    /// A slot moves before the mark is written: a reader in between remembers the change without the mark.
    ChangeEarly,
    /// A slot moves when the invalidation is applied already: a reader in between takes the page for untouched.
    ChangeLate,
}

impl Ledger {
    /// The same without one protection.
    #[must_use]
    pub fn lacking(self, lack: Option<Lack>) -> Self {
        Self { lack, ..self }
    }

    pub(super) fn changes_elsewhere(&self) -> bool {
        matches!(self.lack, Some(Lack::ChangeEarly | Lack::ChangeLate))
    }

    pub(super) fn change_early(&self, id: TagId) {
        if self.lack == Some(Lack::ChangeEarly) {
            self.slots.advance(id);
        }
    }

    pub(super) fn change_late(&self, ids: &[TagId]) {
        for id in ids.iter().filter(|_| self.lack == Some(Lack::ChangeLate)) {
            self.slots.advance(*id);
        }
    }
}
