//! What statuses mean to a cache.

use http::StatusCode;

/// Statuses whose rules of caching we know and follow (RFC 9111 §3, `must-understand`): those that RFC 9110
/// and 6585 define, but for 206 and 304, which we don't store.
pub(super) const fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=205
            | 300..=303
            | 307
            | 308
            | 400..=417
            | 421
            | 422
            | 426
            | 428
            | 429
            | 431
            | 451
            | 500..=505
            | 511
    )
}

/// Statuses that need no word of the origin to be stored (RFC 9110 §15.1, "heuristically cacheable").
pub(super) const fn is_storable_unasked(status: StatusCode) -> bool {
    is_heuristic(status) || matches!(status.as_u16(), 300 | 301 | 308)
}

/// Those among them that we give a heuristic lifetime. Redirects get none: their `Last-Modified` says nothing
/// about where they lead.
pub(super) const fn is_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 404 | 405 | 410 | 414 | 501)
}

/// Statuses that speak of the moment: `public` gives them no heuristic lifetime either.
pub(super) const fn is_momentary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 201 | 202 | 403 | 502..=504)
}

/// Whether an answer with this status is a page: not an interim one, and not the news that there is none. `narrowed`:
/// whether it may be about what one visitor demanded of the page, or wanted of it.
pub(super) fn is_page(status: StatusCode, narrowed: bool) -> bool {
    !status.is_informational()
        && match status {
            StatusCode::NOT_MODIFIED => false,
            StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => !narrowed,
            _ => true,
        }
}
