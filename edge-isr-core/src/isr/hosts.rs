//! Which hosts are this application's, and under which scheme.

use std::borrow::Cow;

use crate::error::ConfigError;
use crate::model::authority::{Scheme, normalize};
use crate::sync::{Mutex, lock};

/// The accepted hosts.
#[derive(Debug)]
pub(crate) enum Hosts {
    /// Those listed by `origins`, each with its scheme.
    Listed(Box<[(Box<str>, Scheme)]>),
    /// Any, the least recently used one making place for a further one.
    Any { seen: Mutex<Vec<Box<str>>>, most: usize },
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
        Self::Any { seen: Mutex::default(), most }
    }

    /// The scheme of a host, `stated` by the request where it says; `None` when the host is not accepted.
    #[inline]
    pub(crate) fn scheme(&self, host: &str, stated: Option<Scheme>) -> Option<Scheme> {
        match self {
            Self::Any { .. } => Some(stated.unwrap_or(Scheme::Http)),
            Self::Listed(listed) => {
                listed.binary_search_by(|(known, _)| (**known).cmp(host)).ok().map(|at| listed[at].1)
            }
        }
    }

    /// Whether every origin is known to be https, so that cookies may be `Secure`.
    pub(crate) fn all_https(&self) -> bool {
        matches!(self, Self::Listed(listed) if listed.iter().all(|(_, scheme)| *scheme == Scheme::Https))
    }

    /// Notes that a page of this host is about to be rendered; returns the host that made place for it.
    pub(crate) fn admit(&self, host: &str) -> Option<Box<str>> {
        let Self::Any { seen, most } = self else { return None };
        let mut seen = lock(seen);
        if let Some(at) = seen.iter().position(|known| **known == *host) {
            seen[at..].rotate_left(1);
            return None;
        }
        let evicted = (seen.len() >= *most).then(|| seen.remove(0));
        seen.push(host.into());
        evicted
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
