//! Invalidation by response: what an unsafe request invalidates, and the receipt its visitor gets.

use edge_isr_core::isr::RECEIPT_COOKIE;
use edge_isr_core::model::origin::groups;
use edge_isr_core::{Isr, Mode};
use http::header::{CONTENT_LOCATION, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use http::{Response, Uri};

use super::reference::resolve;
use crate::reading::{host_of, pairs};

/// What an unsafe request is about.
#[derive(Debug)]
pub(crate) struct Target {
    host: Option<String>,
    url: String,
}

impl Target {
    /// `uri` is the whole one, whatever a nested router has cut off.
    pub(crate) fn of(isr: &Isr, uri: &Uri, headers: &HeaderMap) -> Self {
        let host = host_of(isr, uri, headers).map(std::borrow::Cow::into_owned);
        let url = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Self { host, url }
    }
}

/// RFC 9111 §4.4: an unsafe method that succeeded invalidates its URL, and where `Location` and
/// `Content-Location` point on the same host. The visitor gets one receipt, the latest. Says how many invalidations it
/// made.
pub(crate) async fn after_unsafe<B>(
    isr: &Isr,
    target: Target,
    mode: Mode,
    response: &mut Response<B>,
) -> u64 {
    let status = response.status();
    let headers = response.headers_mut();
    let (mut latest, mut made) = (None, 0);
    if let Some(host) = target.host.filter(|_| status.is_success() || status.is_redirection()) {
        let mut urls = vec![target.url.clone()];
        for name in [LOCATION, CONTENT_LOCATION] {
            let reference = headers.get(name).and_then(|value| value.to_str().ok());
            urls.extend(reference.map(|reference| resolve(&target.url, reference)));
        }
        let targets: Vec<&str> = urls.iter().map(String::as_str).collect();
        let receipt = isr.invalidate_urls(&host, &targets, mode).await.ok().flatten();
        // Nobody is owed more than what everyone gets after a hard invalidation.
        latest = receipt.filter(|_| mode == Mode::Soft).map(|receipt| receipt.cookie());
        let groups = groups::invalidated_by(headers);
        isr.invalidate_groups(&host, &groups).await;
        made = 1 + u64::from(!groups.is_empty());
    }
    keep_latest(isr, headers, latest);
    made
}

/// Of several receipts a browser keeps the last one set; it gets the one of the highest sequence only.
fn keep_latest(isr: &Isr, headers: &mut HeaderMap, latest: Option<HeaderValue>) {
    let all: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    let (receipts, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|line| receipt_of(line).is_some());
    if latest.is_none() && receipts.len() < 2 {
        return;
    }
    headers.remove(SET_COOKIE);
    let latest = latest.or_else(|| receipts.into_iter().max_by_key(|line| isr.owed(receipt_of(line))));
    for line in others.into_iter().chain(latest) {
        headers.append(SET_COOKIE, line);
    }
}

/// The receipt that a `Set-Cookie` line sets, if it does.
fn receipt_of(line: &HeaderValue) -> Option<&[u8]> {
    let (name, value) = pairs(line.as_bytes()).next()?;
    (name == RECEIPT_COOKIE.as_bytes()).then_some(value)
}
