//! Invalidation by response: what an unsafe request invalidates, and the receipt its visitor gets.

use edge_isr_core::isr::RECEIPT_COOKIE;
use edge_isr_core::model::origin::groups;
use edge_isr_core::{Isr, Mode};
use http::header::{CONTENT_LOCATION, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use http::{Response, Uri};

use super::reference::{resolve, text_of};
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
    mode_of: impl Fn(&str) -> Mode,
    response: &mut Response<B>,
) -> u64 {
    let status = response.status();
    if response.extensions().get::<Invalidated>().is_some() {
        // By a layer further in, which knew more about it.
        keep_latest(isr, response.headers_mut(), None);
        return 0;
    }
    let mut headers = response.headers_mut();
    let (mut latest, mut made) = (None, 0);
    if let Some(host) = target.host.filter(|_| status.is_success() || status.is_redirection()) {
        let mut urls = vec![target.url.clone()];
        for name in [LOCATION, CONTENT_LOCATION] {
            urls.extend(headers.get(name).map(|value| resolve(&target.url, &text_of(value))));
        }
        let is_hard = |url: &&str| mode_of(path_of(url)) == Mode::Hard;
        let (hard, soft): (Vec<&str>, Vec<&str>) = urls.iter().map(String::as_str).partition(is_hard);
        if !hard.is_empty() {
            // Nobody is owed more than what everyone gets after it, so there is no receipt.
            let _ = isr.invalidate_urls(&host, &hard, Mode::Hard).await;
            made += 1;
        }
        if !soft.is_empty() {
            let receipt = isr.invalidate_urls(&host, &soft, Mode::Soft).await.ok().flatten();
            latest = receipt.map(|receipt| receipt.cookie());
            made += 1;
        }
        let groups = groups::invalidated_by(headers);
        isr.invalidate_groups(&host, &groups).await;
        made += u64::from(!groups.is_empty());
        response.extensions_mut().insert(Invalidated);
        headers = response.headers_mut();
    }
    keep_latest(isr, headers, latest);
    made
}

/// What an answer to an unsafe request changes was invalidated.
#[derive(Debug, Clone, Copy)]
struct Invalidated;

/// The path of a URL, absolute or not.
fn path_of(url: &str) -> &str {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    path.split(['?', '#']).next().unwrap_or(path)
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
