//! The variables of the environment that begin with `EDGE_ISR_`, and the secrets, which stand nowhere else.

use std::ffi::OsString;
use std::io::Read as _;

use super::draft::Draft;
use super::error::{BadConfig, Place};
use super::keys::{KEYS, alike};
use super::secret::Token;
use super::value::shown;

const PREFIX: &str = "EDGE_ISR_";
const TOKEN: &str = "EDGE_ISR_ADMIN_TOKEN";
const TOKEN_FILE: &str = "EDGE_ISR_ADMIN_TOKEN_FILE";
/// Stand for flags that are no keys of the file.
pub(super) const CONFIG: &str = "EDGE_ISR_CONFIG";
pub(super) const LOG: &str = "EDGE_ISR_LOG";
/// The most bytes of a file that holds a secret.
const MOST_SECRET: u64 = 4 << 10;

/// The variables that are ours. `EDGE_ISR` itself, which turns caching off, is the library's.
#[derive(Debug, Default)]
pub(super) struct Variables(Vec<(String, String)>);

impl Variables {
    pub(super) fn read(all: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, BadConfig> {
        let mut ours = Vec::new();
        for (name, value) in all {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            if is_injected(name) {
                continue;
            }
            let place = || Place::Variable(name.to_owned());
            let value = value.into_string().map_err(|_| BadConfig::new(place(), "is not UTF-8"))?;
            if !is_known(name) {
                return Err(unknown(name));
            }
            ours.push((name.to_owned(), value));
        }
        Ok(Self(ours))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub(super) fn set(&self, draft: &mut Draft) -> Result<(), BadConfig> {
        for key in KEYS {
            let variable = key.variable();
            if let Some(value) = self.get(&variable) {
                draft.set_text(key.name, value, &Place::Variable(variable))?;
            }
        }
        draft.token = self.token()?;
        Ok(())
    }

    fn token(&self) -> Result<Option<Token>, BadConfig> {
        let bad = |name: &str, what: String| BadConfig::new(Place::Variable(name.to_owned()), what);
        let new = |name, text: &str| Token::new(text).map_err(|why| bad(name, format!("the token {why}")));
        match (self.get(TOKEN), self.get(TOKEN_FILE)) {
            (Some(_), Some(_)) => Err(bad(TOKEN_FILE, format!("{TOKEN} is set, too: keep one of the two"))),
            (Some(token), None) => new(TOKEN, token).map(Some),
            (None, Some(file)) => {
                let text = secret(file).map_err(|why| {
                    bad(TOKEN_FILE, format!("the file `{}` can't be read: {why}", shown(file)))
                })?;
                new(TOKEN_FILE, text.trim_ascii()).map(Some)
            }
            (None, None) => Ok(None),
        }
    }
}

/// What orchestrators put there for a service that is named `edge-isr`: `EDGE_ISR_SERVICE_HOST`,
/// `EDGE_ISR_PORT_8080_TCP`. Nobody meant us.
fn is_injected(name: &str) -> bool {
    let rest = &name[PREFIX.len()..];
    rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_")
}

fn is_known(name: &str) -> bool {
    [TOKEN, TOKEN_FILE, CONFIG, LOG].contains(&name) || KEYS.iter().any(|key| key.variable() == name)
}

/// A variable that nothing reads: a slip that would go unseen.
fn unknown(name: &str) -> BadConfig {
    let place = Place::Variable(name.to_owned());
    if name.starts_with("EDGE_ISR_ROUTE") {
        return BadConfig::new(place, "routes can stand in the file alone");
    }
    let variables: Vec<String> = KEYS.iter().map(super::keys::Key::variable).collect();
    let known = variables.iter().map(String::as_str).chain([TOKEN, TOKEN_FILE, CONFIG, LOG]);
    let meant = alike(name, known).map_or_else(String::new, |meant| format!("; did you mean {meant}"));
    BadConfig::new(place, format!("unknown variable{meant}"))
}

/// A secret out of a file of its own.
fn secret(file: &str) -> Result<String, String> {
    let opened = std::fs::File::open(file).map_err(|error| super::told(&error))?;
    let mut text = String::new();
    let bytes =
        opened.take(MOST_SECRET + 1).read_to_string(&mut text).map_err(|error| super::told(&error))?;
    if bytes as u64 > MOST_SECRET {
        return Err(format!("it has more than {MOST_SECRET} bytes"));
    }
    Ok(text)
}
