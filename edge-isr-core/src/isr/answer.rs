//! Page → answer, put together or line by line. Judged once more just before the head is written.

use http::{HeaderValue, Response};

use super::Isr;
use super::lines::Lines;
use super::look_up::Hit;
use crate::clock::Moment;
use crate::ladder;
use crate::model::cache_status::CacheStatus;
use crate::model::conditional::Selection;
use crate::model::page::{Content, Page, Shown, keep_private, zero_freshness};
use crate::model::reason::Reason;
use crate::model::verdict::{Staleness, Verdict};

impl Isr {
    /// Answers from a page that was looked up.
    ///
    /// Judged once more just before the head is written: a page that was invalidated in between leaves
    /// without downstream freshness (P10).
    #[must_use]
    #[inline]
    pub fn answer(&self, hit: &Hit, selection: &Selection) -> Response<Content> {
        if !self.is_plain(hit) {
            return self.answer_with_care(hit, selection);
        }
        let (age, status) = self.count_hit(hit);
        hit.shown().answer(selection, age, status)
    }

    /// Whether the page is fresh, and was not invalidated since it was looked up.
    #[inline(always)]
    fn is_plain(&self, hit: &Hit) -> bool {
        hit.staleness.is_none()
            && !self.0.debug
            && (self.applied() == hit.applied || self.is_still_fresh(hit))
    }

    /// Counts a plain hit. Its `Age` and `Cache-Status`.
    #[inline(always)]
    fn count_hit(&self, hit: &Hit) -> (HeaderValue, HeaderValue) {
        self.0.counters.count(Reason::Hit);
        hit.visit();
        let age = hit.age();
        let status = self.0.hits.value(hit.page.lifetime().ttl(age));
        (ladder::age(age.as_secs()), status)
    }

    /// Answers from a page that was looked up as [`answer`](Self::answer) does, which counts the hit, without putting
    /// the answer together: the head is to be written at once, since the page may be invalidated next. `None`, with
    /// nothing counted, where a page's lines are not all: for a part of it, in debug mode, or if it was invalidated
    /// since the look-up.
    #[must_use]
    #[inline]
    pub fn lines<'a>(&self, hit: &'a Hit, selection: &Selection) -> Option<Lines<'a>> {
        let is_304 = matches!(selection, Selection::NotModified);
        if !(is_304 || matches!(selection, Selection::Whole)) || !self.is_plain(hit) {
            return None;
        }
        let (age, status) = self.count_hit(hit);
        Some(Lines::new(hit.shown(), age, status, is_304))
    }

    /// Whether what was applied since the look-up left the page as fresh as it was: most invalidations are of others.
    #[cold]
    fn is_still_fresh(&self, hit: &Hit) -> bool {
        self.verdict_of(&hit.page, hit.now, self.applied()) == Verdict::Fresh
    }

    #[cold]
    fn answer_with_care(&self, hit: &Hit, selection: &Selection) -> Response<Content> {
        let verdict = self.verdict_of(&hit.page, hit.now, self.applied());
        let (reason, overtaken) = match verdict {
            Verdict::Fresh => (Reason::Hit, false),
            Verdict::Stale(Staleness::Aged) => (Reason::Aged, false),
            Verdict::Stale(Staleness::Invalidated) | Verdict::Dead => (Reason::Invalidated, true),
        };
        self.0.counters.count(reason);
        hit.visit();
        let status =
            CacheStatus { detail: (reason != Reason::Hit).then_some(reason), ..CacheStatus::default() };
        self.answer_as(hit.shown(), selection, hit.now, status, overtaken)
    }

    /// Answers from any page, with a `Cache-Status` of the caller's and, where it was overtaken, without
    /// downstream freshness.
    #[must_use]
    pub fn answer_as(
        &self,
        shown: Shown<'_>,
        selection: &Selection,
        now: Moment,
        mut status: CacheStatus<'_>,
        overtaken: bool,
    ) -> Response<Content> {
        #[cfg(feature = "twins")]
        let overtaken = overtaken && !self.lacks(crate::testing::Twin::FreshDownstream);
        let page = shown.page();
        let age = page.age(now);
        let ttl = page.lifetime().ttl(age);
        // RFC 9211 §2.4: a stale answer has no lifetime left, whatever its age says.
        status.ttl = Some(if overtaken { ttl.min(-1) } else { ttl });
        let value = self.status_value(status, Some(page));
        let mut response = shown.answer(selection, ladder::age(age.as_secs()), value);
        if page.is_draft() {
            keep_private(response.headers_mut());
        } else if overtaken {
            zero_freshness(response.headers_mut());
        }
        response
    }

    /// The `Cache-Status` member of this cache, with key, tags and sequence in debug mode.
    #[must_use]
    pub fn status_value(&self, status: CacheStatus<'_>, page: Option<&Page>) -> HeaderValue {
        let Some(page) = page.filter(|_| self.0.debug) else { return status.to_value(&self.0.name) };
        let key = page.key().map(|key| format!("{}{}", key.scope().authority, key.path_and_query()));
        let tags: Vec<&str> = page.tags().collect();
        let tags = tags.join(" ");
        let seq = Some(page.birth().snapshot.seq);
        CacheStatus { key: key.as_deref(), tags: Some(&tags), seq, ..status }.to_value(&self.0.name)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::super::test_engine::{Engine, key, policy};
    use super::*;
    use crate::isr::Builder;
    use crate::model::snapshot::Mode;

    #[test]
    fn p10_a_page_that_was_invalidated_since_it_was_found_is_not_told_by_line() {
        for (mode, is_told) in [(None, true), (Some(Mode::Soft), false), (Some(Mode::Hard), false)] {
            let engine = Engine::new();
            let page = engine.page("/a", &policy());
            let hit = engine.isr.fresh_hit(&key("/a")).unwrap();
            // Those of others leave it as it is.
            engine.mark("other", Mode::Hard);
            if let Some(mode) = mode {
                engine.invalidate(mode);
            }
            let visits = page.visits();
            assert_eq!(engine.isr.lines(&hit, &Selection::Whole).is_some(), is_told, "{mode:?}");
            assert_eq!(engine.isr.stats().hits(), u64::from(is_told));
            assert_eq!(page.visits() - visits, u32::from(is_told));
            assert_eq!(engine.isr.fresh_hit(&key("/a")).is_some(), is_told);
        }
    }

    #[test]
    fn only_what_is_fresh_is_told_by_line_and_as_it_is_answered() {
        let engine = Engine::new();
        engine.page("/a", &policy());
        let hit = engine.isr.fresh_hit(&key("/a")).unwrap();
        for selection in [Selection::Whole, Selection::NotModified] {
            let answer = engine.isr.answer(&hit, &selection);
            let lines = engine.isr.lines(&hit, &selection).unwrap();
            assert_eq!(lines.status(), answer.status());
            assert_eq!(lines.fields().collect::<Vec<_>>(), answer.headers().iter().collect::<Vec<_>>());
            assert_eq!(lines.content().into_bytes(), answer.into_body().into_bytes());
        }
        assert_eq!(engine.isr.stats().hits(), 4);
        for selection in [Selection::HeadOnly, Selection::Part(0..1), Selection::Unsatisfiable] {
            assert!(engine.isr.lines(&hit, &selection).is_none());
        }
        engine.pass_seconds(10);
        assert!(engine.isr.fresh_hit(&key("/a")).is_none() && engine.isr.fresh_hit(&key("/b")).is_none());
        assert_eq!(engine.isr.stats().hits(), 4);
        let debugging = Engine::with(Builder::debug);
        debugging.admit(&debugging.lead("/a"), &policy(), StatusCode::OK);
        let hit = debugging.isr.fresh_hit(&key("/a")).unwrap();
        assert!(debugging.isr.lines(&hit, &Selection::Whole).is_none());
    }
}
