//! What an answer tells the caches on its way when its page is not to be kept there.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, EXPIRES, HeaderName, HeaderValue};

use crate::model::cache_control::{NO_FRESHNESS, PRIVATE};
use crate::model::storable::is_targeted;

/// Takes all downstream freshness from an answer that was invalidated or overtaken (P10).
pub fn zero_freshness(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, NO_FRESHNESS);
    headers.remove(EXPIRES);
    let targeted: Vec<HeaderName> = headers.keys().filter(|name| is_targeted(name)).cloned().collect();
    for name in targeted {
        // None of them knows `s-maxage` or needs it.
        headers.insert(name, HeaderValue::from_static("max-age=0, must-revalidate"));
    }
}

/// Keeps an answer that is for one visitor, or for those who know a secret, out of every cache on its way.
pub fn keep_private(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, PRIVATE);
    headers.remove(EXPIRES);
    let targeted: Vec<HeaderName> = headers.keys().filter(|name| is_targeted(name)).cloned().collect();
    for name in targeted {
        headers.remove(name);
    }
}
