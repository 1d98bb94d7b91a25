//! What a body says: for which key it was rendered, by which render, when, and which version of each item it shows.

use std::fmt::Write as _;

use crate::names::{ITEMS, Key, PAGES, TENANTS};

/// A page as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) key: Key,
    pub(crate) render: u64,
    /// The time at the end of the render, in nanoseconds.
    pub(crate) at: u64,
    /// Items and the versions that were read.
    pub(crate) items: Vec<(usize, u64)>,
}

impl Shown {
    pub(crate) fn to_body(&self) -> String {
        let Self { key: Key { page, tenant, is_draft }, render, at, items } = self;
        let mut text = format!("{page} {tenant} {} {render} {at}", u8::from(*is_draft));
        for (item, version) in items {
            let _ = write!(text, " {item}:{version}");
        }
        text
    }

    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(body).ok()?.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let mut small = |bound: usize| usize::try_from(number()?).ok().filter(|&number| number < bound);
        let key = Key { page: small(PAGES)?, tenant: small(TENANTS)?, is_draft: small(2)? == 1 };
        let (render, at) = (number()?, number()?);
        let item = |word: &str| {
            let (item, version) = word.split_once(':')?;
            Some((item.parse().ok().filter(|&item| item < ITEMS)?, version.parse().ok()?))
        };
        let items = words.map(item).collect::<Option<_>>()?;
        Some(Self { key, render, at, items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_body_says_is_read_back_and_nothing_else_is_a_body() {
        let key = Key { page: 5, tenant: 1, is_draft: true };
        let shown = Shown { key, render: 7, at: 1_000_000_000, items: vec![(3, 12), (23, 0)] };
        assert_eq!(shown.to_body(), "5 1 1 7 1000000000 3:12 23:0");
        assert_eq!(Shown::of(shown.to_body().as_bytes()), Some(shown));
        for body in ["", "5 1 1 7", "99 1 1 7 8", "5 1 1 7 8 24:1", "5 1 1 7 8 3:"] {
            assert_eq!(Shown::of(body.as_bytes()), None, "{body}");
        }
    }
}
