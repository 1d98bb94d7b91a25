//! From what a source says to what the gateway works with.

use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use toml::de::DeValue;

/// The most characters of a value that a message repeats.
const SHOWN: usize = 60;
/// The longest of all times that something is waited for: several of them together stay below the library's day.
const MOST_TIME: Duration = Duration::from_secs(3600);

/// A value as its source has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given<'a> {
    Toml(&'a DeValue<'a>),
    /// Of a variable or a flag.
    Text(&'a str),
}

/// What is wrong with a value: goes on where the key's name ends.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) what: String,
    /// Where in the file, if it is not the key's line.
    pub(super) at: Option<usize>,
}

pub(super) type Read<T> = Result<T, Fault>;

/// A text of a list, and where it begins in the file.
pub(super) type Item<'a> = (Option<usize>, &'a str);

pub(super) fn fault(what: impl Into<String>) -> Fault {
    Fault { what: what.into(), at: None }
}

/// Puts what was read in its place.
pub(super) fn put<T>(place: &mut T, read: Read<T>) -> Read<()> {
    *place = read?;
    Ok(())
}

/// A value as messages repeat it: on one line, and not for ever.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect::<String>().escape_debug().to_string();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// A text on one line: what would move a terminal's cursor is written out.
#[must_use]
pub fn on_one_line(text: &str) -> String {
    let is_told = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_told(c) { line.push(c) } else { line.extend(c.escape_debug()) }
    }
    line
}

impl<'a> Given<'a> {
    pub(super) fn text(self) -> Read<&'a str> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Toml(DeValue::String(text)) => Ok(text),
            Self::Toml(other) => Err(wanted("a text in quotes", other)),
        }
    }

    pub(super) fn truth(self) -> Read<bool> {
        match self {
            Self::Toml(DeValue::Boolean(truth)) => Ok(*truth),
            Self::Toml(other) => Err(wanted("true or false", other)),
            Self::Text("true") => Ok(true),
            Self::Text("false") => Ok(false),
            Self::Text(other) => Err(fault(format!("must be true or false, not `{}`", shown(other)))),
        }
    }

    pub(super) fn number(self, bounds: RangeInclusive<u64>) -> Read<u64> {
        let (number, said) = match self {
            Self::Toml(DeValue::Integer(number)) => {
                (i128::from_str_radix(number.as_str(), number.radix()).ok(), number.as_str())
            }
            Self::Toml(other) => return Err(wanted("a whole number", other)),
            Self::Text(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                (text.parse().ok(), text)
            }
            Self::Text(text) => {
                return Err(fault(format!("must be a whole number, not `{}`", shown(text))));
            }
        };
        let number = number.and_then(|number| u64::try_from(number).ok()).filter(|n| bounds.contains(n));
        number.ok_or_else(|| {
            let bound = match (*bounds.start(), *bounds.end()) {
                (least, u64::MAX) => format!("at least {least}"),
                (least, most) => format!("at least {least} and at most {most}"),
            };
            fault(format!("must be {bound}, not {}", shown(said)))
        })
    }

    /// A list of texts; in variables they stand between commas.
    pub(super) fn list(self) -> Read<Vec<Item<'a>>> {
        match self {
            Self::Text(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                let items: Vec<Item<'a>> = items.map(|item| (None, item)).collect();
                // More likely than somebody who means none is somebody who meant to fill it in.
                if items.is_empty() {
                    return Err(fault("names nothing: leave it out for the default"));
                }
                Ok(items)
            }
            Self::Toml(DeValue::Array(items)) => {
                let item = |item: &'a toml::Spanned<DeValue<'a>>| {
                    let at = Some(item.span().start);
                    let text = Self::Toml(item.get_ref()).text();
                    text.map(|text| (at, text)).map_err(|_| Fault {
                        what: format!("must hold texts in quotes, not {}", named(item.get_ref())),
                        at,
                    })
                };
                items.iter().map(item).collect()
            }
            Self::Toml(other) => Err(wanted("a list of texts, such as [\"a\", \"b\"]", other)),
        }
    }

    /// Each item of a list read, none of them twice.
    pub(super) fn list_of<T: PartialEq>(self, read: impl Fn(&str) -> Result<T, String>) -> Read<Vec<T>> {
        let mut all = Vec::new();
        for (at, text) in self.list()? {
            let refused = |why: String| Fault { what: format!("can't hold `{}`: {why}", shown(text)), at };
            let item = read(text).map_err(refused)?;
            if all.contains(&item) {
                return Err(Fault { what: format!("holds `{}` twice", shown(text)), at });
            }
            all.push(item);
        }
        Ok(all)
    }

    /// One of a few words.
    pub(super) fn word<T: Clone>(self, words: &[(&str, T)]) -> Read<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meant)| meant.clone()).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            fault(format!("must be {}, not `{}`", words.join(" or "), shown(text)))
        })
    }

    /// `5m`, `1h 30m`, `7d`. A day has 24 hours.
    pub(super) fn duration(self) -> Read<Duration> {
        if let Self::Toml(DeValue::Integer(_) | DeValue::Float(_)) = self {
            return Err(fault("needs a unit and quotes, such as \"5m\", \"10s\" or \"500ms\""));
        }
        let text = self.text()?;
        let read = || -> Result<Duration, jiff::Error> {
            let span: Span = text.parse()?;
            Duration::try_from(span.to_duration(SpanRelativeTo::days_are_24_hours())?)
        };
        read().map_err(|_| {
            fault(format!("must be a time such as \"5m\", \"10s\" or \"500ms\", not `{}`", shown(text)))
        })
    }

    /// How long something is waited for.
    pub(super) fn timeout(self) -> Read<Duration> {
        let time = self.duration()?;
        if time.is_zero() || time > MOST_TIME {
            return Err(fault("must be more than zero and at most an hour"));
        }
        Ok(time)
    }

    /// Where to listen: an address, or a name that this machine knows.
    pub(super) fn address(self) -> Read<SocketAddr> {
        let text = self.text()?;
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        let wrong =
            || fault(format!("must be an address and a port, such as 127.0.0.1:8080, not `{}`", shown(text)));
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(wrong());
        }
        let found: Vec<SocketAddr> = text.to_socket_addrs().map_err(|_| wrong())?.collect();
        // Every machine has the older kind, and `localhost` is that to most.
        found.iter().find(|address| address.is_ipv4()).or(found.first()).copied().ok_or_else(wrong)
    }
}

fn wanted(what: &str, got: &DeValue<'_>) -> Fault {
    fault(format!("must be {what}, not {}", named(got)))
}

/// The kind of a value, in a sentence. Not the value itself, which may be a secret in the wrong place.
pub(super) fn named(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
