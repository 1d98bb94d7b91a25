//! Ways of naming pages, so that one invalidation can hold several.

use super::Isr;
use super::hosts::split_url;
use super::invalidate::no_url;
use crate::error::Result;
use crate::model::implicit::{self, At};
use crate::model::tag::Tag;

/// Names pages: those of a tag, a URL, a prefix, or all. For [`Graph::by_selectors`](crate::Graph::by_selectors).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(Named);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Tag(Tag),
    /// Which tags it has depends on the parameters that policies declare, so it is read last.
    Url(String),
}

impl Selector {
    /// The pages that carry a tag, or one below it.
    #[must_use]
    pub const fn tag(tag: Tag) -> Self {
        Self(Named::Tag(tag))
    }

    /// The pages of a URL, as in [`Graph::by_url`](crate::Graph::by_url).
    ///
    /// # Errors
    ///
    /// When it is neither an absolute `http` or `https` URL nor a path.
    pub fn url(url: &str) -> Result<Self> {
        split_url(url).map(|_| Self(Named::Url(url.to_owned()))).ok_or_else(|| no_url(url))
    }

    /// The pages below a path, as in [`Graph::by_prefix`](crate::Graph::by_prefix).
    ///
    /// # Errors
    ///
    /// When it is neither an absolute `http` or `https` URL nor a path.
    pub fn prefix(prefix: &str) -> Result<Self> {
        let (host, path) = split_url(prefix).ok_or_else(|| no_url(prefix))?;
        let path = path.split(['?', '#']).next().unwrap_or("/");
        Ok(Self::tag(implicit::prefix(host.as_deref().map_or(At::Anywhere, At::Host), path)))
    }

    /// Every page.
    #[must_use]
    pub fn all() -> Self {
        Self::tag(implicit::all())
    }
}

impl Isr {
    /// The tags of what is selected.
    pub(super) fn selector_tags(&self, selectors: impl IntoIterator<Item = Selector>) -> Result<Vec<Tag>> {
        let mut tags = Vec::new();
        for Selector(named) in selectors {
            match named {
                Named::Tag(tag) => tags.push(tag),
                Named::Url(url) => tags.extend(self.url_tags(&url)?),
            }
        }
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Mode;
    use crate::model::tag::tag;

    #[tokio::test]
    async fn p07_several_selectors_are_one_step_and_one_receipt() {
        let isr = Isr::builder().build().unwrap();
        let all = || {
            let url = Selector::url("https://H.example:443/a?b=c").unwrap();
            [Selector::tag(tag("post", 1)), url, Selector::prefix("/blog?x#y").unwrap(), Selector::all()]
        };
        let receipt = isr.graph().by_selectors(all(), Mode::Hard).await.unwrap();
        assert_eq!((receipt.seq(), receipt.mode()), (1, Mode::Hard));
        let at = At::Host("h.example");
        let expected = [
            tag("post", 1),
            implicit::url(at, "/a", None),
            implicit::prefix(At::Anywhere, "/blog"),
            implicit::all(),
        ];
        assert_eq!(receipt.tags(), expected);
    }

    #[test]
    fn what_names_no_page_is_refused_before_anything_is_applied() {
        for text in ["", "a", "a.example/b", "ftp://a.example/", "http://", "http://user@a.example/"] {
            assert!(Selector::url(text).is_err(), "{text}");
            assert!(Selector::prefix(text).is_err(), "{text}");
        }
    }
}
