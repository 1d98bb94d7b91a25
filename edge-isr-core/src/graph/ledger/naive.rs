//! The ledger with a protection removed: for the must-fail twins, and for nothing else.

use std::sync::atomic::Ordering::{AcqRel, SeqCst};
use std::time::Duration;

use super::{Entry, Ledger};
use crate::clock::Moment;
use crate::model::snapshot::{Mark, Mode};
use crate::model::tag::TagId;
use crate::sync::between_steps;
use crate::sync::modelled::lock;
#[cfg(feature = "twins")]
use crate::testing::Twin;

/// For how long [`Twin::SkipRecent`] skips.
const RECENT: Duration = Duration::from_secs(30);

impl Ledger {
    /// Removes one protection.
    #[must_use]
    pub(crate) fn with_twin(mut self, twin: Option<Twin>) -> Self {
        self.twin = twin;
        self
    }

    pub(super) fn lacks(&self, twin: Twin) -> bool {
        self.twin == Some(twin)
    }

    /// Marks as a twin does; `None` where it does so as it should.
    pub(super) fn mark_naively(&self, ids: &[TagId], mode: Mode, now: Moment) -> Option<u64> {
        match self.twin? {
            Twin::AppliedFirst => {
                let bump = self.bump();
                self.applied.fetch_add(1, AcqRel);
                self.write(&bump, ids, mode, now);
                Some(bump.seq)
            }
            Twin::SlotsLate => {
                let bump = self.bump();
                let mark = bump.mark(mode);
                for id in ids {
                    let mut shard = lock(self.shard(*id));
                    let entry = shard.entry(id.0).or_insert(Entry { mark, at: now });
                    *entry = Entry { mark: entry.mark.max(mark), at: now.max(entry.at) };
                }
                let seq = self.apply(bump);
                for id in ids {
                    between_steps();
                    self.change(*id);
                }
                Some(seq)
            }
            Twin::MarkSet => {
                let bump = self.bump();
                for id in ids {
                    between_steps();
                    let mut shard = lock(self.shard(*id));
                    let standing = shard.get(&id.0).map(|entry| entry.mark).unwrap_or_default();
                    let mark = match mode {
                        Mode::Soft => Mark { soft: bump.seq, ..standing },
                        Mode::Hard => Mark { hard: bump.seq, ..standing },
                    };
                    shard.insert(id.0, Entry { mark, at: now });
                    drop(shard);
                    self.change(*id);
                }
                Some(self.apply(bump))
            }
            Twin::SkipRecent => {
                let is_due = |id: &TagId| {
                    let at = lock(self.shard(*id)).get(&id.0).map(|entry| entry.at);
                    at.is_none_or(|at| now.since(at) > RECENT)
                };
                let due: Vec<TagId> = ids.iter().copied().filter(is_due).collect();
                if due.is_empty() {
                    return Some(self.seq.load(SeqCst));
                }
                let bump = self.bump();
                self.write(&bump, &due, mode, now);
                Some(self.apply(bump))
            }
            _ => None,
        }
    }
}
