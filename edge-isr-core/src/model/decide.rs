//! The one table: a verdict and what this visitor is owed, in; what to do, out.

use std::time::Duration;

use super::lifetime::Lifetime;
use super::verdict::{Staleness, Verdict};

/// What to do with a page that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Answer from it.
    Serve,
    /// Answer from it and see to it that one render runs.
    ServeStale(Staleness),
    /// Render; the page may stand in should the render fail.
    Render {
        /// Whether the page may be served if the render fails (RFC 5861 §4).
        spare: bool,
    },
}

/// Decides. `owed` is the sequence of the visitor's own receipt, zero without one: the bearer of a receipt
/// does not get a softly invalidated page that is older than it.
#[must_use]
pub fn decide(
    verdict: Verdict,
    lifetime: &Lifetime,
    age: Duration,
    snapshot_seq: u64,
    owed: u64,
) -> Decision {
    let staleness = match verdict {
        Verdict::Fresh => return Decision::Serve,
        // A hard invalidation is never answered with what it invalidated.
        Verdict::Dead => return Decision::Render { spare: false },
        Verdict::Stale(staleness) => staleness,
    };
    let owes_newer = staleness == Staleness::Invalidated && snapshot_seq < owed;
    if !owes_newer && lifetime.may_serve_while_revalidating(age) {
        return Decision::ServeStale(staleness);
    }
    Decision::Render { spare: lifetime.may_serve_on_error(age) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn life(swr: u64, sie: u64) -> Lifetime {
        Lifetime {
            fresh: 10 * S,
            while_revalidate: Duration::from_secs(swr),
            if_error: Duration::from_secs(sie),
        }
    }

    #[test]
    fn p09_soft_serves_within_its_window_and_hard_never() {
        let soft = Verdict::Stale(Staleness::Invalidated);
        assert_eq!(decide(soft, &life(5, 0), S, 1, 0), Decision::ServeStale(Staleness::Invalidated));
        assert_eq!(decide(soft, &life(5, 0), 15 * S, 1, 0), Decision::Render { spare: false });
        assert_eq!(decide(soft, &life(0, 0), S, 1, 0), Decision::Render { spare: false });
        assert_eq!(decide(Verdict::Dead, &life(5, 50), S, 1, 0), Decision::Render { spare: false });
    }

    #[test]
    fn p19_the_spare_page_is_bounded() {
        let aged = Verdict::Stale(Staleness::Aged);
        assert_eq!(decide(aged, &life(0, 5), 14 * S, 1, 0), Decision::Render { spare: true });
        assert_eq!(decide(aged, &life(0, 5), 15 * S, 1, 0), Decision::Render { spare: false });
    }

    #[test]
    fn a_receipt_makes_soft_count_as_hard_and_leaves_fresh_and_aged_pages_alone() {
        let soft = Verdict::Stale(Staleness::Invalidated);
        assert_eq!(decide(soft, &life(5, 0), S, 1, 2), Decision::Render { spare: false });
        assert_eq!(decide(soft, &life(5, 0), S, 2, 2), Decision::ServeStale(Staleness::Invalidated));
        assert_eq!(decide(Verdict::Fresh, &life(5, 0), S, 1, 2), Decision::Serve);
        let aged = Verdict::Stale(Staleness::Aged);
        assert_eq!(decide(aged, &life(5, 0), 11 * S, 1, 2), Decision::ServeStale(Staleness::Aged));
    }
}
