//! What is to be said, in as few calls as a cache takes it: by count and by bytes, and never less than all of it.

use std::collections::BTreeSet;

use super::listing::ALL;
use crate::connector::{Purge, PurgeLimits};
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;

/// One thing that a cache is told to forget.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Item {
    Everything,
    Tag(Tag),
    Url(String),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Everything => 0,
            Self::Tag(tag) => tag.as_str().len(),
            Self::Url(url) => url.len(),
        }
    }

    /// The most that one call may have of its kind.
    fn most(&self, limits: &PurgeLimits) -> usize {
        match self {
            Self::Everything => 1,
            Self::Tag(_) => limits.tags,
            Self::Url(_) => limits.urls,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Whether a cache understands this tag. Our own mean nothing to it.
pub(super) fn is_told_as_tag(limits: &PurgeLimits, tag: &Tag) -> bool {
    limits.tags > 0 && !tag.as_str().starts_with('~')
}

/// Whether it stands for one URL: no page loses such a tag, and few have it.
pub(super) fn is_url(tag: &Tag) -> bool {
    tag.as_str().starts_with("~url:")
}

/// Whether a cache is told the URLs of this tag.
pub(super) fn is_told_in_urls(limits: &PurgeLimits, tag: &Tag) -> bool {
    limits.urls > 0 && tag.as_str() != ALL && !is_told_as_tag(limits, tag)
}

/// Whether a call has room for it at all.
pub(super) fn fits(limits: &PurgeLimits, item: &Item) -> bool {
    item.most(limits) > 0 && item.bytes() <= limits.bytes
}

/// What a cache is told: these tags and URLs, or everything where the URLs are not all known, or something has no
/// room in a call.
pub(super) fn items(limits: &PurgeLimits, tags: Vec<Tag>, urls: Option<BTreeSet<String>>) -> BTreeSet<Item> {
    let everything = BTreeSet::from([Item::Everything]);
    let Some(urls) = urls else { return everything };
    let items: BTreeSet<Item> =
        tags.into_iter().map(Item::Tag).chain(urls.into_iter().map(Item::Url)).collect();
    if items.iter().all(|item| fits(limits, item)) { items } else { everything }
}

/// One call: what it says, and what hangs on each item.
#[derive(Debug)]
pub(crate) struct Call<T> {
    pub(super) mode: Mode,
    pub(super) items: Vec<(Item, T)>,
}

impl<T> Call<T> {
    /// The call as the connector is given it.
    pub(super) fn purge(&self) -> Purge {
        let mut purge = Purge { mode: self.mode, ..Purge::default() };
        for (item, _) in &self.items {
            match item {
                Item::Everything => purge.everything = true,
                Item::Tag(tag) => purge.tags.push(tag.clone()),
                Item::Url(url) => purge.urls.push(url.clone()),
            }
        }
        purge
    }

    /// A call for each item.
    pub(super) fn split(self) -> impl DoubleEndedIterator<Item = Self> {
        let mode = self.mode;
        self.items.into_iter().map(move |item| Self { mode, items: vec![item] })
    }
}

/// Puts items into calls, in their order. Each of them has room in one: see [`items`].
pub(crate) fn calls<T>(
    limits: &PurgeLimits,
    items: impl IntoIterator<Item = (Item, Mode, T)>,
) -> Vec<Call<T>> {
    let mut done = Vec::new();
    let (mut hard, mut soft) = (None, None);
    for (item, mode, hung) in items {
        let open = if mode == Mode::Hard { &mut hard } else { &mut soft };
        let bytes = item.bytes();
        match open {
            Some((call, used)) if has_room(limits, call, *used, &item) => {
                *used += bytes;
                call.items.push((item, hung));
            }
            _ => {
                let next = (Call { mode, items: vec![(item, hung)] }, bytes);
                done.extend(open.replace(next).map(|(full, _)| full));
            }
        }
    }
    done.extend(hard.into_iter().chain(soft).map(|(call, _)| call));
    done
}

/// Whether a call that has so many bytes can say this, too.
fn has_room<T>(limits: &PurgeLimits, call: &Call<T>, used: usize, item: &Item) -> bool {
    call.items.first().is_some_and(|(first, _)| first.is_like(item))
        && call.items.len() < item.most(limits)
        && used + item.bytes() <= limits.bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(purge: &Purge) -> usize {
        purge.tags.iter().map(|tag| tag.as_str().len()).chain(purge.urls.iter().map(String::len)).sum()
    }

    proptest! {
        #[test]
        fn p22_each_item_is_in_one_call_that_keeps_the_limits_or_everything_is_purged(
            tags in proptest::collection::btree_map("[a-z]{1,20}", any::<bool>(), 0..40),
            urls in proptest::option::weighted(0.9, proptest::collection::btree_set("/[a-z]{0,30}", 0..40)),
            limits in (0usize..8, 0usize..8, 0usize..64)
                .prop_map(|(tags, urls, bytes)| PurgeLimits { tags, urls, bytes, rate: None }),
        ) {
            let named: Vec<Tag> = tags.keys().map(|name| Tag::named(name)).collect();
            let hard = |item: &Item| matches!(item, Item::Tag(tag) if tags[tag.as_str()]);
            let said = items(&limits, named.clone(), urls.clone());
            let modes = said.iter().map(|item| {
                (item.clone(), if hard(item) { Mode::Hard } else { Mode::Soft }, ())
            });
            let purges: Vec<Purge> = calls(&limits, modes).iter().map(Call::purge).collect();
            if said.contains(&Item::Everything) {
                prop_assert_eq!(purges, [Purge { everything: true, ..Purge::default() }]);
                let is_too_long = named.iter().any(|tag| tag.as_str().len() > limits.bytes)
                    || urls.iter().flatten().any(|url| url.len() > limits.bytes);
                let is_unknown = urls.is_none() || (limits.tags == 0 && !named.is_empty())
                    || (limits.urls == 0 && urls.iter().flatten().next().is_some());
                prop_assert!(is_too_long || is_unknown);
                return Ok(());
            }
            for purge in &purges {
                prop_assert!(purge.tags.is_empty() != purge.urls.is_empty() && !purge.everything);
                prop_assert!(purge.tags.len() <= limits.tags && purge.urls.len() <= limits.urls);
                prop_assert!(bytes(purge) <= limits.bytes);
                let is_hard = purge.mode == Mode::Hard;
                prop_assert!(purge.tags.iter().all(|tag| tags[tag.as_str()] == is_hard));
            }
            let mut told: Vec<&Tag> = purges.iter().flat_map(|purge| &purge.tags).collect();
            told.sort();
            prop_assert_eq!(told, named.iter().collect::<Vec<_>>());
            let mut told: Vec<&String> = purges.iter().flat_map(|purge| &purge.urls).collect();
            told.sort();
            prop_assert_eq!(told, urls.iter().flatten().collect::<Vec<_>>());
        }
    }

    #[test]
    fn p22_calls_are_as_full_as_the_limits_let_them_be() {
        let limits = PurgeLimits { tags: 3, urls: 3, bytes: 10, rate: None };
        let said = |names: &[&str]| {
            let items = names.iter().map(|name| (Item::Tag(Tag::named(name)), Mode::Soft, ()));
            calls(&limits, items).iter().map(|call| call.items.len()).collect::<Vec<_>>()
        };
        assert_eq!(said(&["a", "b", "c", "d"]), [3, 1]);
        assert_eq!(said(&["aaaaa", "bbbbb", "c"]), [2, 1]);
        assert_eq!(said(&["aaaaa", "bbbbbb", "c"]), [1, 2]);
        assert_eq!(said(&[]), [0; 0]);
    }
}
