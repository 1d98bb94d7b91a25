//! The tags of a page.

use std::fmt;

use super::Tag;

/// Sorted tags, each once.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TagSet(Vec<Tag>);

impl TagSet {
    /// Adds a tag; says whether it was new.
    pub fn insert(&mut self, tag: Tag) -> bool {
        match self.0.binary_search(&tag) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, tag);
                true
            }
        }
    }

    /// How many tags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tag> {
        self.0.iter()
    }

    /// The tags and everything that covers them, each once, in no particular order: what a page that
    /// carries this set is invalidated by, and what its tag header lists.
    #[must_use]
    pub fn with_ancestors(&self) -> Vec<&str> {
        let mut all: Vec<&str> =
            self.0.iter().flat_map(|tag| tag.ancestors().chain([tag.as_str()])).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl fmt::Debug for TagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}

impl FromIterator<Tag> for TagSet {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        let mut tags: Vec<Tag> = tags.into_iter().collect();
        tags.sort_unstable();
        tags.dedup();
        Self(tags)
    }
}

impl Extend<Tag> for TagSet {
    fn extend<I: IntoIterator<Item = Tag>>(&mut self, tags: I) {
        for tag in tags {
            self.insert(tag);
        }
    }
}

impl<'a> IntoIterator for &'a TagSet {
    type Item = &'a Tag;
    type IntoIter = std::slice::Iter<'a, Tag>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
