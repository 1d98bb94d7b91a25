//! Names of headers: which may say tags, and which may tell pages apart.

use edge_isr_core::model::storable::{is_targeted, strip_hop_by_hop};
use http::header::{
    ACCEPT_RANGES, AGE, ALLOW, CACHE_CONTROL, CACHE_STATUS, DATE, ETAG, EXPIRES, HOST, HeaderMap, HeaderName,
    HeaderValue, LAST_MODIFIED, LINK, LOCATION, PRAGMA, REFRESH, RETRY_AFTER, SERVER, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, VARY, VIA, WARNING, WWW_AUTHENTICATE,
};

use crate::proxy::is_claim;

fn header(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| "it is not the name of a header".to_owned())
}

/// A header that an origin says tags in. Of those that say something else already none is one.
pub(super) fn tag_header(text: &str) -> Result<HeaderName, String> {
    const OTHERS: [HeaderName; 22] = [
        ACCEPT_RANGES,
        AGE,
        ALLOW,
        CACHE_CONTROL,
        CACHE_STATUS,
        DATE,
        ETAG,
        EXPIRES,
        HOST,
        LAST_MODIFIED,
        LINK,
        LOCATION,
        PRAGMA,
        REFRESH,
        RETRY_AFTER,
        SERVER,
        SET_COOKIE,
        STRICT_TRANSPORT_SECURITY,
        VARY,
        VIA,
        WARNING,
        WWW_AUTHENTICATE,
    ];
    let name = header(text)?;
    let is_other = OTHERS.contains(&name)
        || name.as_str().starts_with("content-")
        || is_targeted(&name)
        || is_of_connection(&name);
    if is_other { Err("that header means something else".to_owned()) } else { Ok(name) }
}

/// Whether a header goes no further than the connection it came on.
fn is_of_connection(name: &HeaderName) -> bool {
    let mut headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(""))]);
    strip_hop_by_hop(&mut headers);
    headers.is_empty()
}

/// A request header that tells pages apart. What is no header at all is the policy's to refuse.
pub(super) fn dimension(text: &str) -> Result<String, String> {
    if text == "*" {
        return Err("no two requests would have the same page".to_owned());
    }
    if let Ok(name) = header(text)
        && (is_claim(&name) || is_of_connection(&name))
    {
        return Err("the origin is never told what a client says there".to_owned());
    }
    Ok(text.to_owned())
}
