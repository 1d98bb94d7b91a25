//! The lifetime of an answer that names none (RFC 9111 §4.2.2).

use std::time::Duration;

use http::header::LAST_MODIFIED;
use http::response;

use super::directives::Directives;
use super::{Asked, age, date, status};

const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A tenth of the time for which it has not changed, at most a day.
pub(super) fn lifetime(parts: &response::Parts, directives: &Directives, asked: &Asked) -> Duration {
    let may = status::is_heuristic(parts.status) || directives.public;
    if !may || status::is_momentary(parts.status) {
        return Duration::ZERO;
    }
    let modified = date::of(&parts.headers, &LAST_MODIFIED, asked.received);
    let unchanged = modified.and_then(|at| age::date_of(&parts.headers, asked).duration_since(at).ok());
    rounded(unchanged.unwrap_or_default() / 10)
}

/// Down to an eighth of the power of two below: each answer has a `Last-Modified` of its own, and heads are
/// shared by pages with the same lifetime.
fn rounded(lifetime: Duration) -> Duration {
    let seconds = lifetime.min(LONGEST).as_secs();
    let step = seconds.checked_ilog2().map_or(1, |power| 1 << power.saturating_sub(3));
    // A day is a day.
    Duration::from_secs(if lifetime >= LONGEST { seconds } else { seconds - seconds % step })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h02_heuristic_lifetimes_have_few_steps_and_never_grow() {
        for (seconds, expected) in
            [(0, 0), (1, 1), (15, 15), (16, 16), (17, 16), (31, 30), (33, 32), (1023, 960), (86_399, 81_920)]
        {
            assert_eq!(rounded(Duration::from_secs(seconds)).as_secs(), expected, "{seconds}");
        }
        assert_eq!(rounded(LONGEST), LONGEST);
        assert_eq!(rounded(Duration::MAX), LONGEST);
        let distinct: std::collections::BTreeSet<_> =
            (0..=86_400).map(|seconds| rounded(Duration::from_secs(seconds))).collect();
        assert!(distinct.len() < 130, "{}", distinct.len());
    }
}
