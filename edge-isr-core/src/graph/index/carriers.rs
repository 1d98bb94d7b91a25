//! The pages of each tag, as row numbers. Most tags have one page, so that case is the one that is small.

use std::collections::{BTreeSet, HashMap};

use crate::hash::IdentityState;
use crate::model::tag::TagId;

/// Eight bytes: every tag of every page pays for it.
#[derive(Debug, Clone, Copy)]
enum Pages {
    One(u32),
    /// A place among the sets.
    Many(u32),
}

/// Which rows carry exactly a tag.
#[derive(Debug, Default)]
pub(super) struct Carriers {
    by_tag: HashMap<u64, Pages, IdentityState>,
    sets: Vec<BTreeSet<u32>>,
    /// Places of sets that are empty.
    free: Vec<u32>,
}

impl Carriers {
    pub(super) fn add(&mut self, id: TagId, row: u32) {
        match self.by_tag.get(&id.0) {
            None => drop(self.by_tag.insert(id.0, Pages::One(row))),
            Some(&Pages::Many(at)) => drop(self.sets[at as usize].insert(row)),
            Some(&Pages::One(first)) => {
                let set = BTreeSet::from([first, row]);
                let at = match self.free.pop() {
                    Some(at) => {
                        self.sets[at as usize] = set;
                        at
                    }
                    None => {
                        self.sets.push(set);
                        u32::try_from(self.sets.len() - 1).unwrap_or(u32::MAX)
                    }
                };
                self.by_tag.insert(id.0, Pages::Many(at));
            }
        }
    }

    pub(super) fn remove(&mut self, id: TagId, row: u32) {
        let is_empty = match self.by_tag.get(&id.0) {
            None => false,
            Some(&Pages::One(only)) => only == row,
            Some(&Pages::Many(at)) => {
                let set = &mut self.sets[at as usize];
                set.remove(&row);
                if set.is_empty() {
                    self.free.push(at);
                }
                set.is_empty()
            }
        };
        if is_empty {
            self.by_tag.remove(&id.0);
        }
    }

    pub(super) fn count(&self, id: TagId) -> usize {
        match self.by_tag.get(&id.0) {
            None => 0,
            Some(Pages::One(_)) => 1,
            Some(&Pages::Many(at)) => self.sets[at as usize].len(),
        }
    }

    /// At most `limit` rows from `from` on, in order, and the row that comes next.
    pub(super) fn list(&self, id: TagId, from: u32, limit: usize) -> (Vec<u32>, Option<u32>) {
        match self.by_tag.get(&id.0) {
            None => (Vec::new(), None),
            Some(&Pages::One(row)) => ((row >= from).then_some(row).into_iter().collect(), None),
            Some(&Pages::Many(at)) => {
                let mut rest = self.sets[at as usize].range(from..).copied();
                let found: Vec<u32> = rest.by_ref().take(limit).collect();
                (found, rest.next())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_grows_from_one_page_to_many_and_back_to_none() {
        let (mut carriers, a, b) = (Carriers::default(), TagId::of("a"), TagId::of("b"));
        for row in [7, 3, 5] {
            carriers.add(a, row);
        }
        carriers.add(b, 9);
        assert_eq!((carriers.count(a), carriers.count(b)), (3, 1));
        assert_eq!(carriers.list(a, 0, 2), (vec![3, 5], Some(7)));
        assert_eq!(carriers.list(a, 6, 2), (vec![7], None));
        assert_eq!(carriers.list(b, 10, 2), (vec![], None));
        for row in [3, 5, 7] {
            carriers.remove(a, row);
        }
        assert_eq!((carriers.count(a), carriers.list(a, 0, 2)), (0, (vec![], None)));
        for row in [1, 2] {
            carriers.add(b, row);
        }
        assert_eq!(carriers.list(b, 0, 9), (vec![1, 2, 9], None), "the place of an empty set is used again");
        assert_eq!(carriers.sets.len(), 1);
    }
}
