//! The promises, as rules about one answer: what it shows, how it is labelled, what was acknowledged before.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;

use crate::names::{Key, class_of};
use crate::shown::Shown;
use crate::world::Acknowledged;

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Fresh,
    Downstream,
    Hard,
    Window,
    Receipt,
    Collapse,
    Mixed,
    Trailing,
    Wedged,
    Panicked,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fresh => "P1: older than what was acknowledged, and served as fresh",
            Self::Downstream => "P10: older than what was acknowledged, and caches downstream may keep it",
            Self::Hard => "P9: older than an acknowledged hard invalidation",
            Self::Window => "P9: served beyond its stale window",
            Self::Receipt => "a receipt's bearer does not see their own write",
            Self::Collapse => "P11: more than one render of a key at once",
            Self::Mixed => "P27: the page of another key",
            Self::Trailing => "P6: after a quiet end, not the last version",
            Self::Wedged => "P12: somebody waits for what never comes",
            Self::Panicked => "a panic that is not the handler's",
        })
    }
}

/// A promise that was broken, and how it came to that.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) what: What,
    pub(crate) text: String,
    pub(crate) story: Vec<String>,
}

/// How an answer is labelled: `Cache-Status`, and what `Cache-Control` tells caches downstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) status: String,
    pub(crate) is_fresh_hit: bool,
    pub(crate) is_hit: bool,
    /// A cache downstream may serve it without asking.
    pub(crate) is_kept: bool,
}

impl Label {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (status, control) = (text("cache-status"), text("cache-control"));
        let is_hit = status.contains(";hit");
        let seconds = |name: &str| {
            let argument = control.split(',').find_map(|one| one.trim().strip_prefix(name));
            argument.and_then(|digits| digits.parse::<u64>().ok())
        };
        let is_private = control.contains("private") || control.contains("no-store");
        let lifetime = seconds("s-maxage=").or_else(|| seconds("max-age=")).unwrap_or(0);
        let age = text("age").parse().unwrap_or(0);
        Self {
            is_fresh_hit: is_hit && !status.contains("detail="),
            is_hit,
            is_kept: !is_private && lifetime > age,
            status,
        }
    }

    pub(crate) fn has_detail(&self, detail: &str) -> bool {
        self.status.split(';').any(|part| part.trim().strip_prefix("detail=") == Some(detail))
    }
}

/// An answer and what was known of its page.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) asked: Key,
    pub(crate) shown: &'a Shown,
    pub(crate) label: &'a Label,
    /// What was acknowledged before the request was made.
    pub(crate) before: &'a Acknowledged,
    /// What was acknowledged before the answer was made out.
    pub(crate) last: &'a Acknowledged,
    /// What the visitor's receipt is for.
    pub(crate) owed: &'a [(usize, u64)],
    /// Whether the order of events is exact, so that ages can be told.
    pub(crate) is_exact: bool,
}

/// The promise that an answer breaks, if it breaks one, and by what.
pub(crate) fn check(answer: &Answer<'_>) -> Option<(What, String)> {
    let Answer { asked, shown, label, before, last, .. } = answer;
    if shown.key != *asked {
        return Some((What::Mixed, format!("asked for {asked}, got {}", shown.key)));
    }
    let older = |than: &[u64]| shown.items.iter().copied().find(|&(item, version)| version < than[item]);
    let says = |(item, version): (usize, u64), than: &[u64]| {
        Some(format!("item {item} is shown in version {version}, version {} was acknowledged", than[item]))
    };
    let broken = |what, text: Option<String>| text.map(|text| (what, text));
    if let Some(old) = older(&before.hard) {
        return broken(What::Hard, says(old, &before.hard));
    }
    let stands_in = label.has_detail("stale-if-error");
    let unseen = |&&(item, version): &&(usize, u64)| {
        shown.items.iter().any(|&(own, seen)| own == item && seen < version)
    };
    if let Some((item, version)) = answer.owed.iter().find(unseen).filter(|_| !stands_in) {
        return Some((
            What::Receipt,
            format!("item {item} is older than version {version}, which is theirs"),
        ));
    }
    if let Some(old) = older(&last.any) {
        if label.is_fresh_hit {
            return broken(What::Fresh, says(old, &last.any));
        }
        if label.is_kept {
            return broken(What::Downstream, says(old, &last.any));
        }
        if label.is_hit && class_of(asked.page).while_revalidate == 0 {
            return broken(What::Window, says(old, &last.any));
        }
    }
    let class = class_of(asked.page);
    let window = match (label.is_fresh_hit, label.is_hit, stands_in) {
        (true, ..) => class.fresh,
        (_, true, _) => class.fresh + class.while_revalidate,
        (.., true) => class.fresh + class.if_error,
        _ => return None,
    };
    let age = last.at.since(edge_isr_core::clock::Moment::from_nanos(shown.at));
    let is_beyond = answer.is_exact && age >= Duration::from_secs(window);
    is_beyond.then(|| (What::Window, format!("{age:?} old, may be served for {window} s")))
}

#[cfg(test)]
mod tests {
    use edge_isr_core::clock::Moment;
    use http::HeaderValue;

    use super::*;
    use crate::names::ITEMS;

    const KEY: Key = Key { page: 0, tenant: 0, is_draft: false };
    const HIT: (&str, &str) = ("edge-isr;hit;ttl=9", "public, max-age=0, s-maxage=10");
    const STALE: (&str, &str) = ("edge-isr;hit;ttl=-1;detail=invalidated", "max-age=0, s-maxage=0");

    fn label((status, control): (&'static str, &'static str)) -> Label {
        let mut headers = HeaderMap::new();
        headers.insert("cache-status", HeaderValue::from_static(status));
        headers.insert("cache-control", HeaderValue::from_static(control));
        Label::of(&headers)
    }

    fn acknowledged(any: u64, hard: u64, seconds: u64) -> Acknowledged {
        let at = Moment::from_nanos(seconds * 1_000_000_000);
        Acknowledged { any: [any; ITEMS], hard: [hard; ITEMS], at }
    }

    fn broken(asked: Key, answer: (&'static str, &'static str), was: &Acknowledged) -> Option<What> {
        let shown = Shown { key: KEY, render: 1, at: 0, items: vec![(3, 5)] };
        let owed: &[_] = if was.any == [99; ITEMS] { &[(3, 6)] } else { &[] };
        let label = label(answer);
        let answer =
            Answer { asked, shown: &shown, label: &label, before: was, last: was, owed, is_exact: true };
        check(&answer).map(|(what, _)| what)
    }

    #[test]
    fn each_promise_is_seen_to_be_broken_and_to_be_kept() {
        let good = acknowledged(5, 5, 1);
        assert_eq!(broken(KEY, HIT, &good), None);
        assert_eq!(broken(Key { page: 3, ..KEY }, HIT, &good), Some(What::Mixed));
        assert_eq!(broken(Key { is_draft: true, ..KEY }, HIT, &good), Some(What::Mixed));
        let soft = acknowledged(6, 5, 1);
        assert_eq!(broken(KEY, HIT, &soft), Some(What::Fresh));
        assert_eq!(broken(KEY, STALE, &soft), None);
        assert_eq!(broken(KEY, (STALE.0, HIT.1), &soft), Some(What::Downstream));
        assert_eq!(broken(KEY, ("edge-isr;fwd=miss", HIT.1), &soft), Some(What::Downstream));
        assert_eq!(broken(KEY, STALE, &acknowledged(6, 6, 1)), Some(What::Hard));
        assert_eq!(broken(KEY, STALE, &acknowledged(99, 5, 1)), Some(What::Receipt));
        assert_eq!(broken(KEY, HIT, &acknowledged(5, 5, 10)), Some(What::Window));
        assert_eq!(broken(KEY, STALE, &acknowledged(6, 5, 39)), None);
        assert_eq!(broken(KEY, STALE, &acknowledged(6, 5, 40)), Some(What::Window));
    }
}
