//! What the gateway is told: the file, then the environment, then the flags, each beating those before it.
//!
//! Read `keys` first: every key of the three is in one table there. `file`, `environment` and `flags` find out what is
//! said where, `value` reads it, `draft` gathers it.

use std::ffi::OsString;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use edge_isr_core::Cookies;
use edge_isr_core::model::origin::{RequestDirectives, SetCookie};
use http::Uri;
use http::header::HeaderName;
use tracing_subscriber::filter::{LevelFilter, Targets};

mod draft;
mod environment;
mod error;
mod file;
mod flags;
mod keys;
mod names;
mod policies;
mod route;
mod routes;
mod secret;
#[cfg(test)]
mod tests;
mod value;

pub use error::{BadConfig, Place};
pub use route::Route;
pub use secret::Token;

pub use value::on_one_line;

use draft::Draft;
use environment::Variables;
use flags::{Flags, NotRun};

/// The most bytes of the file.
const MOST_FILE: u64 = 1 << 20;
/// What is logged unless told otherwise.
const LOG: &str = "error";

/// Everything that can be set. Its defaults are those of `gateway.toml`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Scheme and authority of the origin.
    pub origin: Uri,
    /// Accepted hosts; empty: up to 64 distinct ones.
    pub origins: Vec<String>,
    /// Where the origin's answers say their tags.
    pub tag_headers: Vec<HeaderName>,
    /// Whether clients get those headers, too.
    pub pass_tag_headers: bool,
    /// What is kept.
    pub cache: Cache,
    /// What the origin's answers mean on routes that no `[[route]]` names.
    pub http: Http,
    /// The routes that are named. No two of them match the same path equally well.
    pub routes: Vec<Route>,
    /// What a request may cost.
    pub limits: Limits,
    /// The listener for those who run it.
    pub admin: Option<Admin>,
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Bytes of all pages together.
    pub max_bytes: u64,
    /// Bytes of one page's body.
    pub max_body_bytes: u64,
    /// Whether pages are compressed, once.
    pub compress: bool,
}

impl Default for Cache {
    /// As the library's own limits.
    fn default() -> Self {
        Self { max_bytes: 256 << 20, max_body_bytes: 8 << 20, compress: true }
    }
}

/// What the origin's answers mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Requests with cookies: `Explicit`, `Ignore` or `Rfc`.
    pub cookies: Cookies,
    /// Answers that set one.
    pub set_cookie: SetCookie,
    /// Requests with `Cache-Control`.
    pub request_directives: RequestDirectives,
    /// Whether an answer that says nothing of its lifetime but when it was changed has one (RFC 9111 §4.2.2).
    pub heuristics: bool,
}

impl Default for Http {
    /// What shares the least.
    fn default() -> Self {
        Self {
            cookies: Cookies::Explicit,
            set_cookie: SetCookie::Veto,
            request_directives: RequestDirectives::Ignore,
            heuristics: true,
        }
    }
}

/// What a request may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Bytes of a request's body; 0: no bound.
    pub request_body_bytes: u64,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How long connecting to the origin may take.
    pub origin_connect_timeout: Duration,
    /// How long the origin may take to begin its answer, and between two parts of it.
    pub origin_timeout: Duration,
}

impl Default for Limits {
    /// As patient as the library is with renders.
    fn default() -> Self {
        Self {
            head_bytes: 64 << 10,
            request_body_bytes: 0,
            header_timeout: Duration::from_secs(10),
            origin_connect_timeout: Duration::from_secs(5),
            origin_timeout: Duration::from_secs(60),
        }
    }
}

/// The listener for those who run it.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where they connect.
    pub listen: SocketAddr,
    /// What they show.
    pub token: Token,
}

/// What the command line, the environment and the file ask for together.
#[derive(Debug)]
pub enum Asked {
    /// To serve. (Boxed: it is the largest of them by far.)
    Serve(Box<Config>, Targets),
    /// To say whether all of it could begin.
    Check(Box<Config>),
    /// To say this and end well: the help, the version.
    Say(String),
}

impl Config {
    /// The defaults, in front of an origin.
    #[must_use]
    pub fn new(listen: SocketAddr, origin: Uri) -> Self {
        Draft { listen, ..Draft::default() }.into_config(origin, None)
    }
}

/// Reads the command line (the program's name at its head), the environment and the file that one of them names.
///
/// # Errors
///
/// The first setting that can't be right, with its place.
pub fn read(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Asked, BadConfig> {
    let flags = match Flags::read(arguments) {
        Ok(flags) => flags,
        Err(NotRun::Told(text)) => return Ok(Asked::Say(text)),
        Err(NotRun::Bad(bad)) => return Err(bad),
    };
    let variables = Variables::read(variables)?;
    let mut draft = Draft::default();
    if let Some((file, place)) = file_named(&flags, &variables) {
        if file.is_empty() {
            return Err(BadConfig::new(place, "names no file"));
        }
        draft.read_file(file, &text_of(file)?)?;
    }
    variables.set(&mut draft)?;
    flags.set(&mut draft)?;
    let config = draft.finish()?;
    let log = log_filter(&flags, &variables)?;
    if flags.check {
        return Ok(Asked::Check(Box::new(config)));
    }
    Ok(Asked::Serve(Box::new(config), log))
}

/// The file, and who names it.
fn file_named<'a>(flags: &'a Flags, variables: &'a Variables) -> Option<(&'a str, Place)> {
    let flag = flags.config.as_deref().map(|file| (file, Place::Flag("--config")));
    let variable =
        || Some((variables.get(environment::CONFIG)?, Place::Variable(environment::CONFIG.into())));
    flag.or_else(variable)
}

fn log_filter(flags: &Flags, variables: &Variables) -> Result<Targets, BadConfig> {
    let flag = flags.log.as_deref().map(|text| (text, Place::Flag("--log")));
    let variable = || Some((variables.get(environment::LOG)?, Place::Variable(environment::LOG.to_owned())));
    let (text, place) = flag.or_else(variable).unwrap_or((LOG, Place::Nowhere));
    // A word alone would be a target; one that is no level is a slip.
    let is_level = |word: &str| word.contains('=') || word.trim().parse::<LevelFilter>().is_ok();
    let filter = text.parse().ok().filter(|_| text.split(',').all(is_level));
    filter.ok_or_else(|| {
        let what = format!("can't filter by `{}`: write error, warn, info or debug", value::shown(text));
        BadConfig::new(place, what)
    })
}

fn text_of(file: &str) -> Result<String, BadConfig> {
    let bad = |what: String| BadConfig::new(Place::File(file.into()), what);
    let opened =
        std::fs::File::open(file).map_err(|error| bad(format!("can't be read: {}", told(&error))))?;
    let mut bytes = Vec::new();
    let read = opened.take(MOST_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| bad(format!("can't be read: {}", told(&error))))?;
    if bytes.len() as u64 > MOST_FILE {
        return Err(bad(format!("has more than {MOST_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        BadConfig::new(Place::Line { file: file.into(), line }, "this is not UTF-8")
    })
}

/// What the system says, without the number it says it by.
pub(crate) fn told(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
