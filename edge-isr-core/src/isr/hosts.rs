//! Which hosts are this application's, and under which scheme.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Moment;
use crate::error::ConfigError;
use crate::model::authority::{HostUse, Scheme, normalize};
use crate::sync::{Mutex, lock};

/// A host that was used keeps its place for so many seconds, whoever else wants it.
const IDLE_SECONDS: u32 = 60;

/// The accepted hosts.
#[derive(Debug)]
pub(crate) enum Hosts {
    /// Those listed by `origins`, each with its scheme.
    Listed(Box<[(Box<str>, Scheme)]>),
    /// Any, one that is not in use making place for a further one.
    Any(Watched),
}

impl Hosts {
    pub(crate) fn listed(origins: &[String]) -> Result<Self, ConfigError> {
        let parse = |origin: &String| {
            let malformed = |reason: &str| ConfigError::Malformed {
                field: "origins",
                value: origin.clone(),
                reason: reason.to_owned(),
            };
            let (scheme, host) = match origin.split_once("://") {
                Some((scheme, host)) => (Scheme::parse(scheme), host.strip_suffix('/').unwrap_or(host)),
                None => (Some(Scheme::Https), &**origin),
            };
            let scheme = scheme.ok_or_else(|| malformed("the scheme is http or https"))?;
            let host = normalize(host, scheme).ok_or_else(|| malformed("write https://www.example.com"))?;
            Ok((Box::from(&*host), scheme))
        };
        let mut all: Vec<(Box<str>, Scheme)> = origins.iter().map(parse).collect::<Result<_, _>>()?;
        all.sort_unstable();
        for pair in all.windows(2) {
            if pair[0].0 == pair[1].0 {
                return Err(ConfigError::Duplicate { field: "origins", value: pair[0].0.to_string() });
            }
        }
        Ok(Self::Listed(all.into()))
    }

    pub(crate) fn any(most: usize) -> Self {
        Self::Any(Watched { seen: Mutex::default(), most, nowhere: Arc::new(HostUse::displaced()) })
    }

    /// The scheme of a host, `stated` by the request where it says; `None` when the host is not accepted.
    #[inline]
    pub(crate) fn scheme(&self, host: &str, stated: Option<Scheme>) -> Option<Scheme> {
        match self {
            Self::Any(_) => Some(stated.unwrap_or(Scheme::Http)),
            Self::Listed(listed) => {
                listed.binary_search_by(|(known, _)| (**known).cmp(host)).ok().map(|at| listed[at].1)
            }
        }
    }

    /// Whether every origin is known to be https, so that cookies may be `Secure`.
    pub(crate) fn all_https(&self) -> bool {
        matches!(self, Self::Listed(listed) if listed.iter().all(|(_, scheme)| *scheme == Scheme::Https))
    }

    /// Notes that a page of this host is about to be rendered.
    pub(crate) fn admit(&self, host: &str, now: Moment) -> Place {
        match self {
            Self::Listed(_) => Place::Unwatched,
            Self::Any(watched) => watched.admit(host, now),
        }
    }
}

/// Hosts that anyone may name, each with its last use.
#[derive(Debug)]
pub(crate) struct Watched {
    seen: Mutex<Seen>,
    most: usize,
    /// The use of every host that has no place.
    nowhere: Arc<HostUse>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Each with its number in the order of arrival.
    hosts: HashMap<Box<str>, (u64, Arc<HostUse>)>,
    arrivals: u64,
}

/// Whether a host has a place among the accepted ones.
#[derive(Debug)]
pub(crate) enum Place {
    /// It is listed, or was not asked for.
    Unwatched,
    /// It has one.
    Known(Arc<HostUse>),
    /// It took another's, whose pages are found no more.
    Taken(Arc<HostUse>),
    /// All others are in use. Its pages are not stored.
    Refused(Arc<HostUse>),
}

impl Watched {
    /// Strangers can name any number of hosts, so one that was asked for again is not displaced by one that is
    /// new: first go those that were asked for once, the oldest first, then the one that is idle longest.
    fn admit(&self, host: &str, now: Moment) -> Place {
        let mut seen = lock(&self.seen);
        if let Some((_, known)) = seen.hosts.get(host) {
            known.touch(now);
            return Place::Known(Arc::clone(known));
        }
        let is_full = seen.hosts.len() >= self.most;
        if is_full {
            let rank = |(arrival, host): &(u64, Arc<HostUse>)| match host.idle(now) {
                None => Some((u32::MAX, u64::MAX - arrival)),
                Some(idle) => (idle >= IDLE_SECONDS).then_some((idle, u64::MAX - arrival)),
            };
            let goes = seen.hosts.iter().filter_map(|(name, host)| Some((rank(host)?, name))).max();
            let Some(name) = goes.map(|(_, name)| name.clone()) else {
                return Place::Refused(Arc::clone(&self.nowhere));
            };
            if let Some((_, gone)) = seen.hosts.remove(&name) {
                gone.displace();
            }
        }
        seen.arrivals += 1;
        let (arrival, new) = (seen.arrivals, Arc::new(HostUse::default()));
        seen.hosts.insert(host.into(), (arrival, Arc::clone(&new)));
        if is_full { Place::Taken(new) } else { Place::Known(new) }
    }
}

/// The authority of an absolute URL, or none for a path.
///
/// A host without a path is its root; a query right after it is kept nowhere, so it covers the root's queries.
pub(crate) fn split_url(url: &str) -> Option<(Option<Cow<'_, str>>, &str)> {
    // First: `://` may stand in the query of a path, too.
    if url.starts_with('/') {
        return Some((None, url));
    }
    let (scheme, rest) = url.split_once("://")?;
    let scheme = Scheme::parse(&scheme.to_ascii_lowercase())?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = normalize(host, scheme)?;
    Some((Some(host), if path.starts_with('/') { path } else { "/" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p15_a_host_in_use_keeps_its_place_among_any_number_of_strangers() {
        let at = |second: u64| Moment::from_nanos(second * 1_000_000_000);
        let hosts = Hosts::any(3);
        let Place::Known(own) = hosts.admit("own", at(0)) else { panic!("there is room") };
        own.touch(at(0));
        for n in 0..1_000 {
            let place = hosts.admit(&format!("h{n}"), at(59));
            assert!(matches!((n, place), (..2, Place::Known(_)) | (2.., Place::Taken(_))), "{n}");
        }
        assert!(!own.is_displaced());
        // Strangers who come back are in use, too; then nobody goes.
        for host in ["h998", "h999"] {
            assert!(matches!(hosts.admit(host, at(59)), Place::Known(_)));
        }
        let Place::Refused(nowhere) = hosts.admit("late", at(59)) else { panic!("all are in use") };
        assert!(nowhere.is_displaced());
        own.touch(at(100));
        assert!(matches!(hosts.admit("late", at(119)), Place::Taken(_)), "two are idle by now");
        assert!(!own.is_displaced());
        own.touch(at(101));
        for (n, second) in (0..5).zip(161..) {
            assert!(matches!(hosts.admit(&format!("later{n}"), at(second)), Place::Taken(_)));
        }
    }

    #[test]
    fn p04_a_path_stays_one_whatever_its_query_holds() {
        for (url, host, target) in [
            ("/a?ref=http://x/", None, "/a?ref=http://x/"),
            ("/a#b?c=http://x", None, "/a#b?c=http://x"),
            ("https://H.example/a?ref=http://x/", Some("h.example"), "/a?ref=http://x/"),
            ("https://h.example:443/a#b?c", Some("h.example"), "/a#b?c"),
            ("http://h.example#b/c", Some("h.example"), "/"),
            ("http://h.example?b=/c", Some("h.example"), "/"),
        ] {
            let (found, rest) = split_url(url).unwrap();
            assert_eq!((found.as_deref(), rest), (host, target), "{url}");
        }
        for url in ["a?ref=http://x/", "ftp://h/", "", "h.example/a", "http:///a"] {
            assert_eq!(split_url(url), None, "{url}");
        }
    }
}
