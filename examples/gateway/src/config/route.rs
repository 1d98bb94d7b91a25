//! One `[[route]]`: what is named for the paths of a pattern.

use std::collections::BTreeMap;
use std::time::Duration;

use edge_isr_core::Cookies;
use toml::de::DeTable;

use super::error::{BadConfig, Place};
use super::file::Lines;
use super::keys::{COOKIES, alike};
use super::names::dimension;
use super::value::{Given, Read, fault, put, shown};

/// The paths of a pattern. With `s_maxage` a policy route; without it a gateway route with the named settings changed.
#[derive(Debug, Clone)]
pub struct Route {
    /// The pattern, `/posts/{id}`.
    pub path: String,
    /// How long a page is fresh, whatever the origin says of it.
    pub s_maxage: Option<Duration>,
    /// How long after that it is served while it is asked for anew.
    pub stale_while_revalidate: Option<Duration>,
    /// Templates of tags, `post:{id}`.
    pub tags: Vec<String>,
    /// The query parameters that tell pages apart, if they are named.
    pub query: Option<Vec<String>>,
    /// What cookies mean, if it is named.
    pub cookies: Option<Cookies>,
    /// The request headers that tell pages apart.
    pub vary: Vec<String>,
    /// Where its table begins.
    pub(super) place: Place,
    /// Where each of its keys stands.
    pub(super) places: BTreeMap<&'static str, Place>,
}

impl Route {
    /// Whether the gateway decides, and not the origin.
    #[must_use]
    pub const fn is_policy(&self) -> bool {
        self.s_maxage.is_some()
    }

    /// The place of a key, or of the table where it is not named.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.places.get(key).unwrap_or(&self.place).clone()
    }

    pub(super) fn read(table: &DeTable<'_>, at: usize, lines: &Lines<'_>) -> Result<Self, BadConfig> {
        let mut route = Self::new(lines.at(at));
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let place = lines.at(name.span().start);
            let Some((name, set)) = KEYS.iter().find(|(known, _)| *known == name.get_ref()) else {
                return Err(unknown(name.get_ref(), place));
            };
            set(&mut route, Given::Toml(value.get_ref())).map_err(|fault| {
                let place = fault.at.map_or_else(|| place.clone(), |at| lines.at(at));
                BadConfig::new(place, format!("route.{name} {}", fault.what))
            })?;
            route.places.insert(name, place);
        }
        if route.path.is_empty() {
            return Err(BadConfig::new(route.place, "a [[route]] needs a path, such as \"/posts/{id}\""));
        }
        Ok(route)
    }

    fn new(place: Place) -> Self {
        Self {
            path: String::new(),
            s_maxage: None,
            stale_while_revalidate: None,
            tags: Vec::new(),
            query: None,
            cookies: None,
            vary: Vec::new(),
            place,
            places: BTreeMap::new(),
        }
    }
}

type Set = fn(&mut Route, Given<'_>) -> Read<()>;

const KEYS: &[(&str, Set)] = &[
    ("path", |route, given| put(&mut route.path, path(given))),
    ("s_maxage", |route, given| put(&mut route.s_maxage, given.duration().map(Some))),
    ("stale_while_revalidate", |route, given| {
        put(&mut route.stale_while_revalidate, given.duration().map(Some))
    }),
    ("tags", |route, given| put(&mut route.tags, given.list_of(as_it_is))),
    ("query", |route, given| put(&mut route.query, given.list_of(parameter).map(Some))),
    ("cookies", |route, given| put(&mut route.cookies, given.word(COOKIES).map(Some))),
    ("vary", |route, given| put(&mut route.vary, given.list_of(dimension))),
];

/// What the policy checks.
fn as_it_is(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn parameter(text: &str) -> Result<String, String> {
    if text == "*" {
        return Err("it is no name; leave query out if all parameters tell pages apart".to_owned());
    }
    Ok(text.to_owned())
}

fn path(given: Given<'_>) -> Read<String> {
    let text = given.text()?;
    if !text.starts_with('/') {
        return Err(fault(format!(
            "must begin with a slash, as \"/posts/{{id}}\" does, not `{}`",
            shown(text)
        )));
    }
    let is_foreign = |c: char| c.is_whitespace() || c.is_control() || "?#<>\\`".contains(c);
    if let Some(foreign) = text.chars().find(|c| is_foreign(*c)) {
        let foreign = foreign.escape_debug();
        return Err(fault(format!("can't have `{foreign}`, which no path has, in `{}`", shown(text))));
    }
    Ok(text.to_owned())
}

fn unknown(name: &str, place: Place) -> BadConfig {
    let mut what = format!("unknown key route.{}", shown(name));
    if let Some(meant) = alike(name, KEYS.iter().map(|(name, _)| *name)) {
        what.push_str(&format!("; did you mean route.{meant}"));
    }
    BadConfig::new(place, what)
}
