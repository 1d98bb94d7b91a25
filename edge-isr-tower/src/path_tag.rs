//! Tags made from a route's parameters: `post:{id}`.

use std::fmt;

use edge_isr_core::{ConfigError, Tag, TagSet};

/// A tag with holes for the parameters of its route. Made by [`path_tag`].
#[derive(Clone, PartialEq, Eq)]
pub struct PathTag {
    template: String,
    /// Segments of pieces; an `Err` is what is wrong with the template.
    segments: Result<Vec<Vec<Piece>>, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Param(String),
}

/// A tag whose `{name}` parts are filled in from the route's parameters, percent-decoded and then folded as
/// [`tag`](edge_isr_core::tag) folds an id.
///
/// What is wrong with a template is said when the layer is put on.
///
/// ```
/// use edge_isr_tower::path_tag;
///
/// let tag = path_tag("post:{id}").fill(&[("id".to_owned(), "42".to_owned())]);
/// assert_eq!(tag.unwrap().as_str(), "post:42");
/// ```
#[must_use]
pub fn path_tag(template: &str) -> PathTag {
    PathTag { template: template.to_owned(), segments: parse(template) }
}

impl PathTag {
    /// The tag for these parameters.
    ///
    /// # Errors
    ///
    /// The name of the first parameter that is not among them.
    pub fn fill(&self, params: &[(String, String)]) -> Result<Tag, String> {
        let segments = self.segments.as_ref().map_err(Clone::clone)?;
        let mut filled = Vec::with_capacity(segments.len());
        for pieces in segments {
            let mut text = String::new();
            for piece in pieces {
                match piece {
                    Piece::Text(literal) => text.push_str(literal),
                    Piece::Param(name) => {
                        let (_, value) =
                            params.iter().find(|(param, _)| param == name).ok_or_else(|| name.clone())?;
                        text.push_str(value);
                    }
                }
            }
            filled.push(text);
        }
        Ok(Tag::join(filled.iter().map(String::as_str)))
    }

    /// Says what is wrong with the template itself.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Malformed`] with what is wrong.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.segments {
            Ok(_) => Ok(()),
            Err(reason) => Err(ConfigError::Malformed {
                field: "tags",
                value: self.template.clone(),
                reason: reason.clone(),
            }),
        }
    }

    /// Says whether a route has every parameter the template names.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TagParamMissing`] for the first it lacks.
    pub(crate) fn check_route(&self, route: &str) -> Result<(), ConfigError> {
        self.check()?;
        let has =
            |name: &str| route.contains(&format!("{{{name}}}")) || route.contains(&format!("{{*{name}}}"));
        let names = self.segments.iter().flatten().flatten().filter_map(|piece| match piece {
            Piece::Param(name) => Some(name),
            Piece::Text(_) => None,
        });
        match names.into_iter().find(|name| !has(name)) {
            None => Ok(()),
            Some(param) => Err(ConfigError::TagParamMissing {
                template: self.template.clone(),
                param: param.clone(),
                route: route.to_owned(),
            }),
        }
    }
}

impl fmt::Debug for PathTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path_tag({:?})", self.template)
    }
}

fn parse(template: &str) -> Result<Vec<Vec<Piece>>, String> {
    if template.starts_with('~') {
        return Err("tags that begin with `~` are reserved".to_owned());
    }
    if template.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("a tag can't have control bytes".to_owned());
    }
    template.split(':').map(parse_segment).collect()
}

fn parse_segment(segment: &str) -> Result<Vec<Piece>, String> {
    if segment.is_empty() {
        return Err("a tag and its segments can't be empty".to_owned());
    }
    let mut pieces = Vec::new();
    let mut rest = segment;
    while !rest.is_empty() {
        let Some(open) = rest.find(['{', '}']) else {
            pieces.push(Piece::Text(rest.to_owned()));
            break;
        };
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        let inside = rest[open..].strip_prefix('{').and_then(|inside| inside.split_once('}'));
        match inside {
            Some((name, after)) if !name.is_empty() && !name.contains('{') => {
                pieces.push(Piece::Param(name.to_owned()));
                rest = after;
            }
            _ => return Err("write a parameter as `{name}`".to_owned()),
        }
    }
    Ok(pieces)
}

/// The tags a layer puts on every page: any number of templates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathTags(Vec<PathTag>);

impl PathTags {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, PathTag> {
        self.0.iter()
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// The tags for these parameters; the name of the first that is missing, beside those that could be made.
    pub(crate) fn fill(&self, params: &[(String, String)]) -> (TagSet, Option<String>) {
        let mut missing = None;
        let mut tags = TagSet::default();
        for template in &self.0 {
            match template.fill(params) {
                Ok(tag) => drop(tags.insert(tag)),
                Err(param) => missing = missing.or(Some(param)),
            }
        }
        (tags, missing)
    }
}

impl From<()> for PathTags {
    /// No tags.
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<PathTag> for PathTags {
    fn from(template: PathTag) -> Self {
        Self(vec![template])
    }
}

impl From<Tag> for PathTags {
    /// A tag without holes.
    fn from(tag: Tag) -> Self {
        let segments = tag.as_str().split(':').map(|text| vec![Piece::Text(text.to_owned())]).collect();
        Self(vec![PathTag { template: tag.to_string(), segments: Ok(segments) }])
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for PathTags {
    fn from(templates: [T; N]) -> Self {
        Self(templates.into_iter().flat_map(|template| template.into().0).collect())
    }
}

impl<T: Into<Self>> From<Vec<T>> for PathTags {
    fn from(templates: Vec<T>) -> Self {
        Self(templates.into_iter().flat_map(|template| template.into().0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_and_folded() {
        let params = [("id".to_owned(), "A:b".to_owned()), ("lang".to_owned(), "de".to_owned())];
        assert_eq!(path_tag("post:{id}").fill(&params).unwrap().as_str(), "post:a%3ab");
        assert_eq!(path_tag("x:{lang}-{id}:y").fill(&params).unwrap().as_str(), "x:de-a%3ab:y");
        assert_eq!(path_tag("posts").fill(&params).unwrap().as_str(), "posts");
        assert_eq!(path_tag("post:{no}").fill(&params), Err("no".to_owned()));
    }

    #[test]
    fn b17_templates_that_are_none_are_refused_by_name() {
        for template in ["", "a:", "post:{", "post:}", "post:{}", "~all", "a\nb", "post:{a{b}}"] {
            let message = path_tag(template).check().unwrap_err().to_string();
            assert!(message.starts_with("`tags` can't be"), "{message}");
        }
        assert!(path_tag("post:{id}").check_route("/posts/{id}").is_ok());
        assert!(path_tag("file:{rest}").check_route("/f/{*rest}").is_ok());
        let message = path_tag("post:{id}").check_route("/posts/{slug}").unwrap_err().to_string();
        assert!(message.contains("/posts/{slug}") && message.contains("{id}"), "{message}");
    }
}
