//! What is wrong with a setting, and where it stands.

use std::fmt;
use std::sync::Arc;

use super::value::on_one_line;

/// Where a setting stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the file.
    Line {
        /// The file, as it was named.
        file: Arc<str>,
        /// Counted from 1.
        line: usize,
    },
    /// The file as a whole, or another one that a setting names.
    File(Arc<str>),
    /// In a variable of the environment.
    Variable(String),
    /// In a flag of the command line.
    Flag(&'static str),
    /// Nowhere: it is missing.
    Nowhere,
}

/// A setting that can't be right. One line that says where it stands and what is wrong with it, and shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadConfig {
    /// Where.
    pub place: Place,
    /// What.
    pub what: String,
}

impl BadConfig {
    pub(crate) fn new(place: Place, what: impl Into<String>) -> Self {
        Self { place, what: what.into() }
    }

    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::new(Place::Nowhere, what)
    }
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line { file, line } => write!(f, "{}:{line}: ", on_one_line(file))?,
            Place::File(file) => write!(f, "{}: ", on_one_line(file))?,
            Place::Variable(name) => write!(f, "{}: ", on_one_line(name))?,
            Place::Flag(name) => write!(f, "{name}: ")?,
            Place::Nowhere => {}
        }
        f.write_str(&on_one_line(&self.what))
    }
}

impl std::error::Error for BadConfig {}
