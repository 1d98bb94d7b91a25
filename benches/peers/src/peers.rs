//! The peers, put together as their documentation does it, with room for every page and an hour to live.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use edge_isr_bench::outcome::Outcome;
use hitbox_backend::format::BincodeFormat;
use hitbox_http::extractors::Method;
use hitbox_http::extractors::path::PathExtractor;
use hitbox_http::predicates::{NeutralRequestPredicate, NeutralResponsePredicate};
use hitbox_moka::MokaBackend;
use http::Request;
use http_cache::{MokaCache, MokaManager};
use http_cache_tags_axum::prelude::{AxumCacheRuntime, CacheConfig, CacheRuntime};
use http_cache_tower::HttpCacheLayer;
use http_cache_tower_server::ServerCacheLayer;
use tower_http_cache::prelude::{CacheLayer, CachePolicy, InMemoryBackend, TagPolicy};
use tower_http_cache_plus::CachingLayer;
use tower_http_cache_plus::cache::CommonCacheKey;
use tower_http_cache_plus::cache::implementation::moka::{ForHttpResponse, MokaCacheImplementation};
use tower_layer::{Layer, layer_fn};
use tower_resilience_cache::CacheLayer as ResilienceLayer;

use crate::adapt::{Collected, sure};
use crate::stack::Use;

const HOUR: Duration = Duration::from_secs(3600);
/// What a page's tags are besides its own.
const TAGS: [&str; 9] =
    ["author:7", "category:3", "theme:2", "posts", "front-page", "menu", "footer", "layout", "site"];

/// tower-http-cache with ten tags a page.
fn thc_layer(keys: u32) -> CacheLayer<InMemoryBackend> {
    let policy = CachePolicy::default()
        .with_ttl(HOUR)
        .with_tag_policy(TagPolicy::new().with_enabled(true))
        .with_tag_extractor(|_, uri| {
            let own = uri.path().replace("/posts/", "post:");
            std::iter::once(own).chain(TAGS.map(str::to_owned)).collect()
        });
    CacheLayer::builder(InMemoryBackend::new(room(keys))).policy(policy).build()
}

pub fn thc<U: Use>(app: Router, keys: u32, then: U) -> Outcome<U::Output> {
    then.with(sure(thc_layer(keys).layer(Collected(app))))
}

pub fn thc_in<U: Use>(app: Router, keys: u32, then: U) -> Outcome<U::Output> {
    let cache = thc_layer(keys);
    then.with(app.layer(layer_fn(move |route| sure(cache.layer(Collected(route))))).with_state(()))
}

pub fn thcp<U: Use>(app: Router, keys: u32, then: U) -> Outcome<U::Output> {
    // It weighs pages by their bytes.
    let bytes = room(keys) * 256 * 1024;
    let cache = moka::future::Cache::<CommonCacheKey, _>::builder()
        .for_http_response()
        .max_capacity(bytes)
        .time_to_live(HOUR)
        .build();
    let layer = CachingLayer::<Body, _, _>::default().cache(MokaCacheImplementation::new(cache));
    then.with(layer.layer(app))
}

pub fn arc<U: Use>(app: Router, then: U) -> Outcome<U::Output> {
    then.with(axum_response_cache::CacheLayer::with_lifespan(HOUR).layer(app))
}

pub fn arc_in<U: Use>(app: Router, then: U) -> Outcome<U::Output> {
    then.with(app.layer(axum_response_cache::CacheLayer::with_lifespan(HOUR)).with_state(()))
}

/// It remembers answers to requests, whatever HTTP says of them.
pub fn trc<U: Use>(app: Router, keys: u32, then: U) -> Outcome<U::Output> {
    let layer = ResilienceLayer::<Request<Body>, String>::builder()
        .max_size(usize::try_from(room(keys))?)
        .ttl(HOUR)
        .key_extractor(|request: &Request<Body>| request.uri().path().to_owned())
        .build()
        .map_err(|error| format!("tower-resilience-cache: {error:?}"))?;
    then.with(sure(layer.layer(Collected(app))))
}

/// Its key is a method and the parts of a path that a pattern names.
macro_rules! hitbox {
    ($app:expr, $backend:expr, $then:expr) => {{
        let config = hitbox::Config::builder()
            .request_predicate(NeutralRequestPredicate::new())
            .response_predicate(NeutralResponsePredicate::new())
            .extractor(Method::new().path("/posts/{id}"))
            .policy(hitbox::policy::PolicyConfig::builder().ttl(HOUR).build())
            .build();
        $then.with(hitbox_tower::Cache::builder().backend($backend).config(config).build().layer($app))
    }};
}

pub fn hitbox_bincode<U: Use>(app: Router, keys: u32, then: U) -> Outcome<U::Output> {
    let backend = MokaBackend::builder().max_entries(room(keys)).value_format(BincodeFormat).build();
    hitbox!(app, backend, then)
}

pub fn hitbox_json<U: Use>(app: Router, keys: u32, then: U) -> Outcome<U::Output> {
    let backend = MokaBackend::builder().max_entries(room(keys)).build();
    hitbox!(app, backend, then)
}

pub fn server_cache<U: Use>(app: Router, keys: u32, then: U) -> Outcome<U::Output> {
    then.with(sure(ServerCacheLayer::new(MokaManager::new(MokaCache::new(room(keys)))).layer(app)))
}

pub fn client_cache<U: Use>(app: Router, keys: u32, then: U) -> Outcome<U::Output> {
    then.with(sure(HttpCacheLayer::new(MokaManager::new(MokaCache::new(room(keys)))).layer(app)))
}

/// It knows entity tags of tags, and no pages.
pub fn tags<U: Use>(app: Router, then: U) -> Outcome<U::Output> {
    let config =
        CacheConfig::builder().add_route_mapping("/posts/*", TAGS.into_iter().chain(["post"])).build();
    let runtime = CacheRuntime::builder().config(config).build();
    for tag in TAGS.into_iter().chain(["post"]) {
        runtime.store().set_etag(tag, tag);
    }
    then.with(runtime.attach_to(app).with_state(()))
}

/// Caches bound their shards or only estimate: with room for twice the pages they keep them all.
fn room(keys: u32) -> u64 {
    2 * u64::from(keys) + 64
}
