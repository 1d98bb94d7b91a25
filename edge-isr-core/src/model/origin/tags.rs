//! The tags that an origin gives a page in headers.

use http::header::{HeaderMap, HeaderName};

use super::{Obeys, groups};
use crate::model::head::SURROGATE_KEY;
use crate::model::reason::Reason;
use crate::model::tag::{Tag, TagSet};

/// The tags in the headers that the route reads.
///
/// Cache groups may be any text, so they are folded as [`Tag::named`] does; the others are tags as they stand.
///
/// # Errors
///
/// [`Reason::BadTag`] when one is no tag: a page that lacks it would miss its invalidation.
pub fn tags_of(headers: &HeaderMap, obeys: &Obeys) -> Result<TagSet, Reason> {
    let mut tags = Vec::new();
    for name in &obeys.tag_headers {
        if *name == groups::CACHE_GROUPS {
            tags.extend(groups::groups_of(headers).iter().map(|group| Tag::named(group)));
            continue;
        }
        for line in headers.get_all(name) {
            let text = std::str::from_utf8(line.as_bytes()).map_err(|_| Reason::BadTag)?;
            for tag in text.split(|c| separates(name, c)).filter(|tag| !tag.is_empty()) {
                tags.push(Tag::parse(tag).map_err(|_| Reason::BadTag)?);
            }
        }
    }
    Ok(tags.into_iter().collect())
}

/// A comma may be part of a surrogate key.
fn separates(name: &HeaderName, c: char) -> bool {
    matches!(c, ' ' | '\t') || (c == ',' && *name != SURROGATE_KEY)
}
