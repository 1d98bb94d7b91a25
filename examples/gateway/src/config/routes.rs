//! The routes together: no two may match the same path equally well, and each must be one that a policy can hold.

use edge_isr_core::{ConfigError, Cookies, Policy};
use edge_isr_tower::path_tag;
use matchit::InsertError;

use super::error::{BadConfig, Place};
use super::route::Route;
use super::value::shown;

/// Checks the patterns against each other, then each route by itself.
pub(super) fn check(routes: &[Route], of_origin: &Policy) -> Result<(), BadConfig> {
    let mut known = matchit::Router::new();
    for route in routes {
        known.insert(&route.path, ()).map_err(|error| conflict(route, routes, &error))?;
        route.check(of_origin)?;
    }
    Ok(())
}

fn conflict(route: &Route, routes: &[Route], error: &InsertError) -> BadConfig {
    let what = match error {
        InsertError::Conflict { with } => {
            let line = routes.iter().find(|other| other.path == *with).map(|other| other.place_of("path"));
            let line = match line {
                Some(Place::Line { line, .. }) => format!(" in line {line}"),
                _ => String::new(),
            };
            format!("route.path `{}` conflicts with `{}`{line}", shown(&route.path), shown(with))
        }
        other => {
            format!("route.path `{}` is no pattern: {}", shown(&route.path), other.to_string().to_lowercase())
        }
    };
    BadConfig::new(route.place_of("path"), what)
}

impl Route {
    fn check(&self, of_origin: &Policy) -> Result<(), BadConfig> {
        let bad = |key: &str, what: String| BadConfig::new(self.place_of(key), what);
        let names = names_in(&self.path);
        if let Some(twice) = (1..names.len()).find(|&nth| names[..nth].contains(&names[nth])) {
            let (path, name) = (shown(&self.path), shown(&names[twice]));
            return Err(bad("path", format!("route.path `{path}` has two parameters named `{name}`")));
        }
        self.tags.iter().try_for_each(|template| {
            self.check_tag(template).map_err(|why| {
                bad("tags", format!("route.tags can't hold `{}`: {}", shown(template), cut(&why)))
            })
        })?;
        if self.is_policy() && self.cookies == Some(Cookies::Rfc) {
            let what = "route.cookies can't be \"rfc\" beside s_maxage: such a page is rendered without cookies; \
                        say \"ignore\", or leave s_maxage to the origin";
            return Err(bad("cookies", what.to_owned()));
        }
        let of_policies = [
            ("vary", !self.vary.is_empty()),
            ("stale_while_revalidate", self.stale_while_revalidate.is_some()),
        ];
        if let Some((key, _)) = of_policies.into_iter().find(|(_, is_set)| *is_set && !self.is_policy()) {
            let what = format!("route.{key} needs s_maxage: without it the origin's answers say it");
            return Err(bad(key, what));
        }
        self.policy(of_origin).check().map_err(|error| {
            let field = field_of(&error).and_then(|field| field.strip_prefix("policy.")).unwrap_or("path");
            let what = error.to_string().replace("`policy.", "`route.");
            bad(field, cut(&what))
        })?;
        Ok(())
    }

    /// Whether a template can be filled in on every path of the route.
    fn check_tag(&self, template: &str) -> Result<(), String> {
        let params: Vec<_> = names_in(&self.path).into_iter().map(|name| (name, "x".to_owned())).collect();
        path_tag(template).fill(&params).map(drop).map_err(|why| {
            if template.contains(&format!("{{{why}}}")) {
                format!("the path has no `{{{why}}}`")
            } else {
                why
            }
        })
    }
}

/// What another part says of a value that it repeats whole.
fn cut(text: &str) -> String {
    const MOST: usize = 300;
    let mut cut: String = text.chars().take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        cut.push('…');
    }
    cut
}

/// The names of a pattern's parameters. Doubled braces stand for themselves.
fn names_in(pattern: &str) -> Vec<String> {
    let pattern = pattern.replace("{{", "").replace("}}", "");
    let inside = pattern.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    inside.map(|name| name.trim_start_matches('*').to_owned()).collect()
}

fn field_of(error: &ConfigError) -> Option<&'static str> {
    match error {
        ConfigError::OutOfBounds { field, .. }
        | ConfigError::Duplicate { field, .. }
        | ConfigError::Malformed { field, .. } => Some(field),
        _ => None,
    }
}
