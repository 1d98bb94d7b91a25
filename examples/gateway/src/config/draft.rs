//! Settings while they are being read, each with the place where it was set last.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http::Uri;
use http::header::HeaderName;

use super::error::{BadConfig, Place};
use super::keys::{KEYS, Key};
use super::policies;
use super::route::Route;
use super::routes;
use super::secret::Token;
use super::value::Given;
use super::{Admin, Cache, Config, Http, Limits};

/// Where clients connect unless told otherwise.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);
/// What the origin's tags are read from unless told otherwise.
const TAG_HEADERS: [&str; 3] = ["surrogate-key", "cache-tag", "cache-groups"];

/// What has been read so far. A later source overrides an earlier one.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) listen: SocketAddr,
    pub(super) origin: Option<Uri>,
    pub(super) origins: Vec<String>,
    pub(super) tag_headers: Vec<HeaderName>,
    pub(super) pass_tag_headers: bool,
    pub(super) cache: Cache,
    pub(super) http: Http,
    pub(super) routes: Vec<Route>,
    pub(super) limits: Limits,
    pub(super) admin_listen: Option<SocketAddr>,
    pub(super) token: Option<Token>,
    pub(super) places: BTreeMap<&'static str, Place>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            listen: LISTEN.into(),
            origin: None,
            origins: Vec::new(),
            tag_headers: TAG_HEADERS.map(HeaderName::from_static).to_vec(),
            pass_tag_headers: false,
            cache: Cache::default(),
            http: Http::default(),
            routes: Vec::new(),
            limits: Limits::default(),
            admin_listen: None,
            token: None,
            places: BTreeMap::new(),
        }
    }
}

impl Draft {
    /// Sets a key. `line` says where a byte of the file is.
    pub(super) fn set(
        &mut self,
        key: &Key,
        given: Given<'_>,
        place: Place,
        line: impl Fn(usize) -> Place,
    ) -> Result<(), BadConfig> {
        (key.set)(self, given).map_err(|fault| {
            let place = fault.at.map_or_else(|| place.clone(), line);
            BadConfig::new(place, format!("{} {}", key.name, fault.what))
        })?;
        self.places.insert(key.name, place);
        Ok(())
    }

    /// Sets a key that stands in one piece somewhere else than in the file.
    pub(super) fn set_text(&mut self, name: &str, text: &str, place: &Place) -> Result<(), BadConfig> {
        match KEYS.iter().find(|key| key.name == name) {
            Some(key) => self.set(key, Given::Text(text), place.clone(), |_| place.clone()),
            None => Err(BadConfig::new(place.clone(), format!("unknown key {name}"))),
        }
    }

    /// What all sources together say.
    pub(super) fn finish(self) -> Result<Config, BadConfig> {
        let origin = self.origin.clone().ok_or_else(|| {
            BadConfig::missing(
                "no origin: say where the site is, with --origin http://127.0.0.1:8000, EDGE_ISR_ORIGIN \
                 or `origin` in the file",
            )
        })?;
        let of_origin = policies::of_origin(&self.http, &self.tag_headers, self.pass_tag_headers);
        routes::check(&self.routes, &of_origin)?;
        let admin = match (self.admin_listen, &self.token) {
            (None, _) => None,
            (Some(listen), Some(token)) => Some(Admin { listen, token: token.clone() }),
            (Some(_), None) => {
                let place = self.places.get("admin.listen").cloned().unwrap_or(Place::Nowhere);
                let what = "admin.listen needs a token: set EDGE_ISR_ADMIN_TOKEN, or EDGE_ISR_ADMIN_TOKEN_FILE \
                            to the name of a file that holds it";
                return Err(BadConfig::new(place, what));
            }
        };
        Ok(self.into_config(origin, admin))
    }

    pub(super) fn into_config(self, origin: Uri, admin: Option<Admin>) -> Config {
        Config {
            listen: self.listen,
            origin,
            origins: self.origins,
            tag_headers: self.tag_headers,
            pass_tag_headers: self.pass_tag_headers,
            cache: self.cache,
            http: self.http,
            routes: self.routes,
            limits: self.limits,
            admin,
        }
    }
}
