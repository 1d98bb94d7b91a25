//! May this page be used? Decided at read time from its age, its snapshot and the marks, and from nothing else.

use std::time::Duration;

use super::lifetime::Lifetime;
use super::snapshot::{Marks, Snapshot};

/// What becomes of pages when the graph's marks are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// They are dead: a lost hard mark must not let old bytes out.
    #[default]
    Miss,
    /// They are stale: for routes that only use soft invalidation.
    Revalidate,
}

/// Whether a page is usable now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Usable as it is.
    Fresh,
    /// Usable only under the stale rules.
    Stale(Staleness),
    /// Never usable again.
    Dead,
}

/// Why a page is stale. It decides what caches downstream may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// It is past its lifetime; it leaves with a truthful age.
    Aged,
    /// It was invalidated softly; it leaves with no freshness at all.
    Invalidated,
}

/// Judges a page.
///
/// Snapshot, then data read, then commit, then mark: a render that read data from before a commit has a
/// snapshot below the mark that announced it.
#[must_use]
pub fn verdict(snapshot: Snapshot, lifetime: &Lifetime, loss: Loss, age: Duration, marks: &Marks) -> Verdict {
    let lost = marks.incarnation != snapshot.incarnation;
    if lost && loss == Loss::Miss || !lost && marks.latest.hard > snapshot.seq {
        return Verdict::Dead;
    }
    if lost || marks.latest.soft > snapshot.seq {
        return Verdict::Stale(Staleness::Invalidated);
    }
    if !lifetime.is_fresh(age) {
        return Verdict::Stale(Staleness::Aged);
    }
    Verdict::Fresh
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::{Incarnation, Mark};
    use super::*;

    const LIFE: Lifetime = Lifetime {
        fresh: Duration::from_secs(10),
        while_revalidate: Duration::ZERO,
        if_error: Duration::ZERO,
    };

    fn judge(seq: u64, soft: u64, hard: u64, age: u64, same: bool, loss: Loss) -> Verdict {
        let (one, two) = (Incarnation::from_bytes([1; 16]), Incarnation::from_bytes([2; 16]));
        let snapshot = Snapshot { incarnation: one, seq };
        let marks = Marks { incarnation: if same { one } else { two }, latest: Mark { soft, hard } };
        verdict(snapshot, &LIFE, loss, Duration::from_secs(age), &marks)
    }

    #[test]
    fn p01_a_mark_above_the_snapshot_decides_and_one_at_it_does_not() {
        assert_eq!(judge(5, 5, 5, 0, true, Loss::Miss), Verdict::Fresh);
        assert_eq!(judge(5, 6, 5, 0, true, Loss::Miss), Verdict::Stale(Staleness::Invalidated));
        assert_eq!(judge(5, 6, 6, 0, true, Loss::Miss), Verdict::Dead);
        assert_eq!(judge(5, 0, 6, 0, true, Loss::Miss), Verdict::Dead);
    }

    #[test]
    fn age_makes_stale_and_an_invalidation_outranks_it() {
        assert_eq!(judge(5, 0, 0, 10, true, Loss::Miss), Verdict::Stale(Staleness::Aged));
        assert_eq!(judge(5, 6, 0, 10, true, Loss::Miss), Verdict::Stale(Staleness::Invalidated));
        assert_eq!(judge(5, 0, 6, 10, true, Loss::Miss), Verdict::Dead);
    }

    #[test]
    fn p04_another_incarnation_is_never_fresh() {
        assert_eq!(judge(5, 0, 0, 0, false, Loss::Miss), Verdict::Dead);
        assert_eq!(judge(5, 0, 9, 0, false, Loss::Revalidate), Verdict::Stale(Staleness::Invalidated));
    }
}
