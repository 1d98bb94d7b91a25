//! An application is an origin as the contract says, wherever its layer stands, and whatever stands before it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use edge_isr_axum::BuildId;
use edge_isr_axum::prelude::*;
use edge_isr_core::Origin;
use edge_isr_core::model::authority::Scheme;
use edge_isr_core::model::key::{CacheKey, KeyRef};
use edge_isr_core::testing::contract::origin::Scene;
use edge_isr_core::testing::{Faults, Faulty};
use edge_isr_stories::{Position, Site, lasting, place};
use edge_isr_tower::AppOrigin;

edge_isr_core::origin_contract!(inside, scene(Position::Inside, |origin| Arc::new(origin)));
edge_isr_core::origin_contract!(around, scene(Position::Around, |origin| Arc::new(origin)));
edge_isr_core::origin_contract!(
    behind_no_faults,
    scene(Position::Inside, |origin| Arc::new(Faulty::new(origin, Faults::none())))
);

fn scene(position: Position, wrap: fn(AppOrigin<Site, Body>) -> Arc<dyn Origin>) -> Scene {
    const PAGES: &str = "/pages/{id}";
    let isr = Isr::builder().build_id(BuildId::Ignore).build().expect("right settings");
    let site = place(position, &isr, PAGES, lasting(), path_tag("page:{id}"), get(page));
    let (known, private) = (key(&isr, PAGES, "/pages/1"), key(&isr, PAGES, "/pages/private"));
    let unknown = key(&isr, "/no/{id}", "/no/1");
    Scene { isr, origin: wrap(AppOrigin::new(site)), known, unknown, private: Some(private) }
}

async fn page(Path(id): Path<String>) -> impl IntoResponse {
    let is_private = id == "private";
    ([(CACHE_CONTROL, if is_private { "private" } else { "max-age=60" })], id)
}

fn key(isr: &Isr, route: &str, path: &str) -> CacheKey {
    isr.own_key(&KeyRef::new(Scheme::Http, "www.example.com", route, path))
}
