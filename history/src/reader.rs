//! Visitors: they ask for one page after the other, and hang up at times.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use edge_isr_core::Receipt;
use edge_isr_core::clock::Clock;
use edge_isr_tower::{IsrService, NoFacts};
use http::header::{COOKIE, HOST, HeaderName, HeaderValue};
use http::{Request, Uri};
use http_body_util::Empty;

use crate::app::App;
use crate::ask::ask;
use crate::names::{self, Key, TENANTS, class_of};
use crate::rng;
use crate::stage::gate;
use crate::world::World;

/// The layer around the application.
pub(crate) type Site = IsrService<App, NoFacts>;

pub(crate) const TENANT: HeaderName = HeaderName::from_static("x-tenant");
pub(crate) const DRAFT: HeaderName = HeaderName::from_static("x-draft");

/// What an author is owed who has a receipt.
#[derive(Debug)]
pub(crate) struct Owed {
    receipt: Receipt,
    versions: Vec<(usize, u64)>,
    since: SystemTime,
}

impl Owed {
    pub(crate) fn new(world: &World, receipt: Receipt, versions: Vec<(usize, u64)>) -> Self {
        Self { receipt, versions, since: world.clock.wall() }
    }

    /// The number of the invalidation.
    pub(crate) fn seq(&self) -> u64 {
        self.receipt.seq()
    }

    /// What its author is to see at least.
    pub(crate) fn versions(&self) -> &[(usize, u64)] {
        &self.versions
    }

    fn cookie(&self) -> Option<HeaderValue> {
        let cookie = self.receipt.cookie();
        HeaderValue::from_bytes(cookie.as_bytes().split(|&byte| byte == b';').next()?).ok()
    }

    /// Receipts are for a minute of the time of day.
    pub(crate) fn is_valid(&self, world: &World) -> bool {
        world.clock.wall().duration_since(self.since).is_ok_and(|since| since < Duration::from_secs(59))
    }
}

/// A visitor who asks for one page after the other.
pub(crate) async fn read_on(world: Arc<World>, mut site: Site) {
    loop {
        gate().await;
        if !world.takes_move() {
            return;
        }
        let key = any_key(&world);
        ask(&world, &mut site, key, None, rng::one_in(12)).await;
    }
}

pub(crate) fn any_key(world: &World) -> Key {
    // Some pages are asked for more often.
    let page = rng::below(world.shape.pages).min(rng::below(world.shape.pages));
    let class = class_of(page);
    let tenant = if class.has_tenants { rng::below(TENANTS) } else { 0 };
    Key { page, tenant, is_draft: class.has_drafts && rng::one_in(16) }
}

pub(crate) fn request(key: Key, owed: Option<&Owed>) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = Uri::from_static(names::path(key.page));
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static(names::HOST));
    if class_of(key.page).has_tenants {
        headers.insert(TENANT, HeaderValue::from(key.tenant));
    }
    if key.is_draft {
        headers.insert(DRAFT, HeaderValue::from_static("1"));
    }
    if let Some(cookie) = owed.and_then(Owed::cookie) {
        headers.insert(COOKIE, cookie);
    }
    request
}
