//! The file: TOML, each key with its line.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::draft::Draft;
use super::error::{BadConfig, Place};
use super::keys::{KEYS, alike};
use super::route::Route;
use super::value::{Given, named, shown};

/// What stands in the table of routes.
const ROUTE: &str = "route";
/// The words that names of secrets end in.
const SECRETS: [&str; 4] = ["token", "secret", "password", "passwd"];

/// Which line a byte of the file is in.
pub(super) struct Lines<'a> {
    file: Arc<str>,
    text: &'a str,
}

impl<'a> Lines<'a> {
    pub(super) fn new(file: &str, text: &'a str) -> Self {
        Self { file: file.into(), text }
    }

    pub(super) fn at(&self, byte: usize) -> Place {
        let before = self.text.as_bytes().iter().take(byte);
        Place::Line { file: Arc::clone(&self.file), line: before.filter(|byte| **byte == b'\n').count() + 1 }
    }
}

impl Draft {
    /// Takes what the file says. Of several things that are wrong the first is told.
    pub(super) fn read_file(&mut self, file: &str, text: &str) -> Result<(), BadConfig> {
        let lines = Lines::new(file, text);
        let document = DeTable::parse(text).map_err(|error| {
            let place = lines.at(error.span().map_or(0, |span| span.start));
            let what = error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ");
            BadConfig::new(place, format!("this is not TOML: {what}"))
        })?;
        self.read_table("", document.get_ref(), &lines)
    }

    fn read_table(&mut self, inside: &str, table: &DeTable<'_>, lines: &Lines<'_>) -> Result<(), BadConfig> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let place = lines.at(name.span().start);
            let name = match inside {
                "" => name.get_ref().to_string(),
                inside => format!("{inside}.{}", name.get_ref()),
            };
            self.read_entry(&name, value, place, lines)?;
        }
        Ok(())
    }

    fn read_entry(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        place: Place,
        lines: &Lines<'_>,
    ) -> Result<(), BadConfig> {
        if let Some(key) = KEYS.iter().find(|key| key.name == name) {
            return self.set(key, Given::Toml(value.get_ref()), place, |at| lines.at(at));
        }
        let is_table = KEYS.iter().any(|key| key.name.starts_with(&format!("{name}.")));
        match value.get_ref() {
            DeValue::Array(routes) if name == ROUTE => {
                for route in routes.iter() {
                    let DeValue::Table(table) = route.get_ref() else {
                        let what = format!("a route must be a table, not {}", named(route.get_ref()));
                        return Err(BadConfig::new(lines.at(route.span().start), what));
                    };
                    self.routes.push(Route::read(table, route.span().start, lines)?);
                }
                Ok(())
            }
            other if name == ROUTE => {
                let what = format!("routes stand in tables named [[route]], not in {}", named(other));
                Err(BadConfig::new(place, what))
            }
            DeValue::Table(table) if is_table => self.read_table(name, table, lines),
            other if is_table => {
                Err(BadConfig::new(place, format!("{name} must be a table, not {}", named(other))))
            }
            _ => Err(unknown(name, place)),
        }
    }
}

/// A key that nothing reads. The value is not shown: it may be a secret.
fn unknown(name: &str, place: Place) -> BadConfig {
    let last = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    if SECRETS.iter().any(|secret| last.ends_with(secret)) {
        let what = format!(
            "{} is a secret, and a file like this is read by many: set EDGE_ISR_ADMIN_TOKEN, or \
             EDGE_ISR_ADMIN_TOKEN_FILE to the name of a file that holds it",
            shown(name)
        );
        return BadConfig::new(place, what);
    }
    let tables = KEYS.iter().filter_map(|key| Some(key.name.split_once('.')?.0));
    let known = KEYS.iter().map(|key| key.name).chain(tables).chain([ROUTE]);
    let meant = alike(name, known).map_or_else(String::new, |meant| format!("; did you mean {meant}"));
    BadConfig::new(place, format!("unknown key {}{meant}", shown(name)))
}
