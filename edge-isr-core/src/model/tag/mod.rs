//! What pages depend on: tags, their ancestors, and the sets they come in.

use std::fmt::{self, Display};
use std::sync::Arc;

use crate::hash;
use crate::model::fold::{
    fold_encoded, fold_segment, fold_segments, shorten, shorten_segment, shorten_segments,
};

mod set;
#[cfg(test)]
mod tests;

pub use set::TagSet;

/// The most bytes a tag may have.
pub const MAX_TAG_BYTES: usize = 256;

/// The name of something pages depend on: `post:42`, `author:7`, `posts`.
///
/// Segments are separated by `:`, and a tag covers everything below it: invalidating `post` invalidates every
/// page that carries `post:42`. A tag is lower case and consists of `[a-z0-9._~%:-]`, so it is inert in
/// headers, keys and pages. Tags that begin with `~` are the library's own.
///
/// Tags follow the idea of cache groups (RFC 9875), which CDNs call surrogate keys or cache tags.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

/// Names a thing in a namespace. Never fails.
///
/// Both parts are lower-cased; bytes outside `[a-z0-9._~-]` are percent-encoded (in the id `:` too, in the
/// namespace it separates segments); an over-long segment ends in a hash of itself. Segments beyond
/// [`MAX_TAG_BYTES`], which takes a namespace of about 200 bytes, are left out: then the tag is the one that covers it.
///
/// ```
/// use edge_isr_core::tag;
///
/// assert_eq!(tag("post", 42).as_str(), "post:42");
/// assert_eq!(tag("Author", "Zoë B:1").as_str(), "author:zo%c3%ab%20b%3a1");
/// ```
#[must_use]
pub fn tag(namespace: &str, id: impl Display) -> Tag {
    let mut text = String::with_capacity(namespace.len() + 12);
    fold_segments(&mut text, namespace);
    text.push(':');
    fold_segment(&mut text, id.to_string().as_bytes(), false);
    Tag(shorten_segments(text).into())
}

impl Tag {
    /// The tag of a thing there is one of: `posts`, `front-page`. Never fails; folded as [`tag`] does, with `:`
    /// separating segments.
    ///
    /// ```
    /// assert_eq!(edge_isr_core::Tag::named("posts").as_str(), "posts");
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::join(name.split(':'))
    }

    /// The tag of these segments, each folded on its own. Never fails.
    #[must_use]
    pub fn join<'a>(segments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        for (n, segment) in segments.into_iter().enumerate() {
            if n > 0 {
                text.push(':');
            }
            fold_segment(&mut text, segment.as_bytes(), n == 0);
        }
        if text.is_empty() {
            text.push('%');
        }
        Self(shorten_segments(text).into())
    }

    /// Reads a tag from text: a header, a configuration, an admin call. Folded as [`tag`] does, with `:`
    /// separating segments and `%xx` kept as it is.
    ///
    /// ```
    /// use edge_isr_core::{Tag, TagError};
    ///
    /// assert_eq!(Tag::parse("Post:42").unwrap().as_str(), "post:42");
    /// assert_eq!(Tag::parse("~all"), Err(TagError::Reserved));
    /// ```
    ///
    /// # Errors
    ///
    /// When the text is empty, has an empty segment, control bytes or more than [`MAX_TAG_BYTES`] bytes once
    /// folded, or begins with `~`.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        if text.starts_with('~') {
            return Err(TagError::Reserved);
        }
        // Folding never makes a text shorter.
        if text.len() > MAX_TAG_BYTES {
            return Err(TagError::TooLong);
        }
        let mut folded = String::with_capacity(text.len());
        let mut bytes = 0;
        for (n, part) in text.split(':').enumerate() {
            if part.is_empty() {
                return Err(TagError::Empty);
            }
            if part.bytes().any(|byte| byte.is_ascii_control()) {
                return Err(TagError::Control);
            }
            if n > 0 {
                folded.push(':');
            }
            let start = folded.len();
            fold_encoded(&mut folded, part.as_bytes());
            bytes += folded.len() - start + usize::from(n > 0);
            if bytes > MAX_TAG_BYTES {
                return Err(TagError::TooLong);
            }
            shorten_segment(&mut folded, start);
        }
        Ok(Self(folded.into()))
    }

    /// One of the library's own tags, whose text the caller has already made canonical.
    pub(crate) fn reserved(text: String) -> Self {
        debug_assert!(text.starts_with('~'), "reserved tags begin with a tilde");
        Self(shorten(text).into())
    }

    /// A tag as a page keeps it: canonical already.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tags that cover this one, nearest last: `a` and `a:b` for `a:b:c`.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        ancestors(&self.0)
    }
}

/// The proper prefixes of a tag's text that are tags themselves. A reserved tag's family name (`~path`) and
/// its origin alone are never invalidated as such, except as written by [`crate::model::key`].
pub(crate) fn ancestors(text: &str) -> impl Iterator<Item = &str> {
    let skip = usize::from(text.starts_with('~'));
    text.match_indices(':').skip(skip).map(|(at, _)| &text[..at])
}

impl Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        Self::parse(text)
    }
}

/// Why a text is not a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// The text or one of its segments is empty.
    #[error("a tag and its segments can't be empty")]
    Empty,
    /// The text has control bytes.
    #[error("a tag can't have control bytes")]
    Control,
    /// The folded text has more than [`MAX_TAG_BYTES`] bytes.
    #[error("a tag can't have more than {MAX_TAG_BYTES} bytes")]
    TooLong,
    /// The text begins with `~`.
    #[error("tags that begin with `~` are reserved")]
    Reserved,
}

/// A tag inside the process: a keyed hash of its text. Two tags that share one are invalidated together,
/// which is safe and, at 64 bits, does not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagId(pub(crate) u64);

impl TagId {
    /// The id of a tag's canonical text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(hash::of(text.as_bytes()))
    }
}
