//! The table of a layer around a router: which paths are pages, and by which policy.

use std::sync::Arc;

use edge_isr_core::model::policy::Rules;
use edge_isr_core::{ConfigError, Policy};
use percent_encoding::percent_decode_str;

use crate::path_tag::PathTags;

/// The pattern of what no pattern matches, as keys and notes have it.
const OTHERWISE: &str = "*";

/// A route's checked settings.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) rules: Rules,
    pub(crate) tags: PathTags,
    pub(crate) variants: Arc<[String]>,
}

impl Route {
    pub(crate) fn new(policy: &Policy, tags: PathTags) -> Result<Self, ConfigError> {
        for template in tags.iter() {
            template.check()?;
        }
        let rules = policy.check()?;
        let variants = rules.variants.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { rules, tags, variants })
    }
}

/// Patterns and what stands behind them; `None` for paths that pass untouched.
#[derive(Debug, Default)]
pub(crate) struct Table {
    router: matchit::Router<usize>,
    entries: Vec<(Box<str>, Option<Arc<Route>>)>,
    otherwise: Option<Arc<Route>>,
    reads_heads: bool,
    keep_forwarded: bool,
}

impl Table {
    pub(crate) fn insert(&mut self, pattern: &str, route: Option<Route>) -> Result<(), ConfigError> {
        if let Some(route) = &route {
            for template in route.tags.iter() {
                template.check_route(pattern)?;
            }
        }
        let malformed =
            |reason: String| ConfigError::Malformed { field: "route", value: pattern.to_owned(), reason };
        if !pattern.starts_with('/') {
            return Err(malformed("a pattern begins with `/`".to_owned()));
        }
        self.router.insert(pattern, self.entries.len()).map_err(|error| malformed(error.to_string()))?;
        self.reads_heads |= route.as_ref().is_some_and(|route| route.rules.reads_heads());
        self.entries.push((pattern.into(), route.map(Arc::new)));
        Ok(())
    }

    /// What stands behind paths that no pattern matches.
    pub(crate) fn insert_otherwise(&mut self, route: Route) -> Result<(), ConfigError> {
        for template in route.tags.iter() {
            template.check_route(OTHERWISE)?;
        }
        self.reads_heads |= route.rules.reads_heads();
        self.otherwise = Some(Arc::new(route));
        Ok(())
    }

    /// Whether a proxy of the operator's sets the forwarding headers.
    pub(crate) const fn keeps_forwarded(&self) -> bool {
        self.keep_forwarded
    }

    pub(crate) const fn keep_forwarded(&mut self) {
        self.keep_forwarded = true;
    }

    /// Whether the origin decides about what no pattern matches: then all comes from there.
    pub(crate) fn is_before_origin(&self) -> bool {
        self.otherwise.as_ref().is_some_and(|route| route.rules.origin.is_some())
    }

    /// Whether a policy has functions that read request heads.
    pub(crate) const fn reads_heads(&self) -> bool {
        self.reads_heads
    }

    /// The pattern and the settings of a path. The most specific pattern wins.
    pub(crate) fn find(&self, path: &str) -> Option<(&str, &Arc<Route>)> {
        let Ok(matched) = self.router.at(path) else {
            return self.otherwise.as_ref().map(|route| (OTHERWISE, route));
        };
        let (pattern, route) = self.entries.get(*matched.value)?;
        Some((pattern, route.as_ref()?))
    }

    /// The parameters of a path, percent-decoded once; what is not UTF-8 stays encoded.
    pub(crate) fn params(&self, path: &str) -> Vec<(String, String)> {
        params_of(&self.router, path)
    }
}

fn params_of(router: &matchit::Router<usize>, path: &str) -> Vec<(String, String)> {
    let Ok(matched) = router.at(path) else {
        return Vec::new();
    };
    let decode =
        |value: &str| percent_decode_str(value).decode_utf8().map_or_else(|_| value.to_owned(), Into::into);
    matched.params.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect()
}

/// The parameters of a path under one pattern, percent-decoded once; what is not UTF-8 stays encoded. None
/// when the pattern does not match.
///
/// ```
/// let params = edge_isr_tower::path_params("/posts/{id}", "/posts/a%20b");
/// assert_eq!(params, [("id".to_owned(), "a b".to_owned())]);
/// ```
#[must_use]
pub fn path_params(pattern: &str, path: &str) -> Vec<(String, String)> {
    let mut router = matchit::Router::new();
    router.insert(pattern, 0).map_or_else(|_| Vec::new(), |()| params_of(&router, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path_tag;

    #[test]
    fn the_most_specific_pattern_wins_and_passes_are_passed() {
        let mut table = Table::default();
        let route = || Some(Route::new(&Policy::new(), path_tag("post:{id}").into()).unwrap());
        table.insert("/posts/{id}", route()).unwrap();
        table.insert("/posts/new", None).unwrap();
        assert_eq!(table.find("/posts/1").map(|(pattern, _)| pattern), Some("/posts/{id}"));
        assert!(table.find("/posts/new").is_none());
        assert!(table.find("/other").is_none());
        assert_eq!(table.params("/posts/a%20b"), [("id".to_owned(), "a b".to_owned())]);
        assert_eq!(table.params("/posts/%ff"), [("id".to_owned(), "%ff".to_owned())]);
    }

    #[test]
    fn what_no_pattern_matches_is_otherwise() {
        let mut table = Table::default();
        let route = |tag| Route::new(&Policy::new(), path_tag(tag).into()).unwrap();
        table.insert("/{slug}", Some(route("page:{slug}"))).unwrap();
        table.insert("/posts/new", None).unwrap();
        table.insert_otherwise(route("rest")).unwrap();
        for (path, pattern) in [
            ("/a", Some("/{slug}")),
            ("/posts/new", None),
            ("/", Some("*")),
            ("/a/", Some("*")),
            ("/posts/1", Some("*")),
            ("//", Some("*")),
        ] {
            assert_eq!(table.find(path).map(|(pattern, _)| pattern), pattern, "{path}");
        }
        assert!(table.params("/posts/1").is_empty());
        let message = table.insert_otherwise(route("{rest}")).unwrap_err().to_string();
        assert!(message.contains("`*`") && message.contains("{rest}"), "{message}");
    }

    #[test]
    fn b17_patterns_that_cannot_be_right_are_refused_by_name() {
        let mut table = Table::default();
        table.insert("/a/{x}", None).unwrap();
        for pattern in ["", "a", "/a/{y}", "/{", "/{*rest}/x", "/a/{x}"] {
            let message = table.insert(pattern, None).unwrap_err().to_string();
            assert!(message.contains("`route`"), "{message}");
        }
    }
}
