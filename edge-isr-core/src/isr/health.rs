//! What an operator should know: each thing once, with what to do about it.

use std::collections::BTreeMap;

use crate::model::reason::Reason;
use crate::sync::{Mutex, lock};

/// The most notes that are kept; they are about settings and routes, of which there are few.
const MOST_NOTES: usize = 256;

/// One thing an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its stable name.
    pub reason: Reason,
    /// What it is about: a route's pattern, a connector's name, a host.
    pub subject: String,
    /// What to do.
    pub advice: &'static str,
    /// How often it came up.
    pub count: u64,
}

/// The state of things.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// What came up since the start, if anything.
    pub notes: Vec<Note>,
}

impl Health {
    /// Whether there is nothing to note.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.notes.is_empty()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<BTreeMap<(&'static str, String), Note>>);

impl Notes {
    pub(crate) fn note(&self, reason: Reason, subject: &str, advice: &'static str) {
        let mut notes = lock(&self.0);
        if let Some(note) = notes.get_mut(&(reason.as_str(), subject.to_owned())) {
            note.count += 1;
        } else if notes.len() < MOST_NOTES {
            let note = Note { reason, subject: subject.to_owned(), advice, count: 1 };
            notes.insert((reason.as_str(), subject.to_owned()), note);
        }
    }

    pub(crate) fn health(&self) -> Health {
        Health { notes: lock(&self.0).values().cloned().collect() }
    }
}
