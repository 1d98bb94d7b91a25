//! Which sites the index has pages of, so that a URL on any host can be looked up on each of them.

use std::collections::HashMap;

use crate::hash::IdentityState;

/// The most sites on which one listing looks a URL up; beyond it, it walks.
const MOST_SITES: usize = 256;

/// How many rows each site has, by host. A site is a host or one tenant of it; both are hashes.
#[derive(Debug, Default)]
pub(super) struct Sites {
    by_host: HashMap<u64, HashMap<u64, u32, IdentityState>, IdentityState>,
    /// How many sites there are.
    count: usize,
}

impl Sites {
    pub(super) fn add(&mut self, host: u64, site: u64) {
        let rows = self.by_host.entry(host).or_default().entry(site).or_default();
        self.count += usize::from(*rows == 0);
        *rows += 1;
    }

    pub(super) fn remove(&mut self, host: u64, site: u64) {
        let Some(sites) = self.by_host.get_mut(&host) else { return };
        let Some(rows) = sites.get_mut(&site) else { return };
        *rows -= 1;
        if *rows > 0 {
            return;
        }
        sites.remove(&site);
        self.count -= 1;
        if sites.is_empty() {
            self.by_host.remove(&host);
        }
    }

    /// The sites of a host, or all; `None` when they are too many to look at each.
    pub(super) fn of(&self, host: Option<u64>) -> Option<Vec<u64>> {
        match host {
            None if self.count > MOST_SITES => None,
            None => Some(self.by_host.values().flat_map(HashMap::keys).copied().collect()),
            Some(host) => {
                let sites = self.by_host.get(&host);
                let count = sites.map_or(0, HashMap::len);
                (count <= MOST_SITES).then(|| sites.into_iter().flat_map(HashMap::keys).copied().collect())
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0 && self.by_host.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_known_for_as_long_as_it_has_a_row() {
        let mut sites = Sites::default();
        for (host, site) in [(1, 10), (1, 10), (1, 11), (2, 20)] {
            sites.add(host, site);
        }
        let of = |sites: &Sites, host| {
            let mut all = sites.of(host).unwrap();
            all.sort_unstable();
            all
        };
        assert_eq!((of(&sites, None), of(&sites, Some(1))), (vec![10, 11, 20], vec![10, 11]));
        sites.remove(1, 10);
        assert_eq!(of(&sites, Some(1)), [10, 11]);
        for (host, site) in [(1, 10), (1, 11), (2, 20), (3, 30)] {
            sites.remove(host, site);
        }
        assert!(sites.is_empty() && of(&sites, None).is_empty());
    }

    #[test]
    fn p15_beyond_the_bound_on_sites_a_host_is_still_looked_up() {
        let mut sites = Sites::default();
        (0..=MOST_SITES as u64).for_each(|n| sites.add(n, n));
        assert_eq!(
            (sites.of(None), sites.of(Some(7)), sites.of(Some(9999))),
            (None, Some(vec![7]), Some(vec![]))
        );
    }
}
