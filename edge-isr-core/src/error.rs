//! What can go wrong, named after what the caller does next.
//!
//! The request path adds no error of its own: a page is served whatever fails here. [`Error`] comes from the
//! verbs an application calls; [`ConfigError`] only from `build()` and its kin.

/// The error a backend or a body gave us, whatever its type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The result of a verb or a port.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation that did not happen, or may not have.
///
/// `Display` is one line without secrets and does not repeat its [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The backend can't be reached now. Repeating later is safe.
    #[error("{backend} is unavailable, retry later")]
    Unavailable {
        /// Which backend, for example `redis`.
        backend: &'static str,
        /// Whether the operation was applied on this node and written down to be repeated.
        queued: bool,
        /// What the backend said.
        #[source]
        source: BoxError,
    },
    /// The backend asks to be left alone for a while (429, or 503 with `Retry-After`). Repeating after it is safe.
    #[error("{backend} asks to be called again in {} s", .retry_after.as_secs_f32())]
    Throttled {
        /// Which backend.
        backend: &'static str,
        /// How long it asks to be left alone (RFC 9110 §10.2.3).
        retry_after: std::time::Duration,
    },
    /// The backend or the rules refuse this, today and tomorrow: a person has to change something.
    #[error("{backend} rejected the operation")]
    Rejected {
        /// Which backend, or `edge-isr` for our own rules.
        backend: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The backend answered with something that can't be what we stored. Treat it as absent.
    #[error("{backend} returned a corrupt {what}")]
    Corrupt {
        /// Which backend.
        backend: &'static str,
        /// What was being read.
        what: &'static str,
        /// How it was noticed.
        #[source]
        source: BoxError,
    },
}

impl Error {
    /// A refusal by the rules of this library.
    pub(crate) fn rejected(source: impl Into<BoxError>) -> Self {
        Self::Rejected { backend: "edge-isr", source: source.into() }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Throttled { .. })
    }

    /// Whether the operation was applied on this node and journalled for the others, so that an
    /// application may log the error and go on.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        matches!(self, Self::Unavailable { queued: true, .. })
    }
}

/// A setting that can't be right. Names the field and the bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number or a duration outside its bounds.
    #[error("`{field}` is {value}, but must be {bound}")]
    OutOfBounds {
        /// The setting.
        field: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        bound: &'static str,
    },
    /// The same dimension, pattern or name given twice.
    #[error("`{field}` names `{}` twice; remove one of them", .value.escape_debug())]
    Duplicate {
        /// The setting.
        field: &'static str,
        /// The value that stands there twice.
        value: String,
    },
    /// A setting that can't be parsed.
    #[error("`{field}` can't be `{}`: {reason}", .value.escape_debug())]
    Malformed {
        /// The setting.
        field: &'static str,
        /// What it was set to.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tag template names a parameter that its route does not have.
    #[error("tags template `{template}` names `{{{param}}}`, but route `{route}` has no such parameter")]
    TagParamMissing {
        /// The template, as given to `path_tag`.
        template: String,
        /// The parameter it names.
        param: String,
        /// The route it was put on.
        route: String,
    },
    /// A secret that is empty or too short.
    #[error("`{field}` is empty or too short; give it at least {at_least} bytes")]
    EmptySecret {
        /// The setting.
        field: &'static str,
        /// How many bytes it must have.
        at_least: usize,
    },
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for Error {
    /// Answers 503 with one line, so that `?` on an invalidation is safe in a handler.
    fn into_response(self) -> axum_core::response::Response {
        let line = match &self {
            Self::Unavailable { queued: true, .. } => {
                "The change is saved; some pages may show it a little later."
            }
            Self::Unavailable { .. } | Self::Throttled { .. } => {
                "The page cache can't be reached; please try again."
            }
            Self::Rejected { .. } | Self::Corrupt { .. } => "The page cache refused the change.",
        };
        (http::StatusCode::SERVICE_UNAVAILABLE, line).into_response()
    }
}
