//! An application is an origin as the contract says, wherever its layer stands, and whatever stands before it.

use std::sync::Arc;

use axum::body::Body;
use edge_isr_axum::Isr;
use edge_isr_core::Origin;
use edge_isr_core::model::authority::Scheme;
use edge_isr_core::model::key::{CacheKey, KeyRef};
use edge_isr_core::testing::contract::origin::Scene;
use edge_isr_core::testing::{Faults, Faulty};
use edge_isr_stories::*;
use edge_isr_tower::AppOrigin;

edge_isr_core::origin_contract!(inside, scene(Position::Inside, |origin| Arc::new(origin)));
edge_isr_core::origin_contract!(around, scene(Position::Around, |origin| Arc::new(origin)));
edge_isr_core::origin_contract!(
    behind_no_faults,
    scene(Position::Inside, |origin| Arc::new(Faulty::new(origin, Faults::none())))
);

fn scene(position: Position, wrap: fn(AppOrigin<Site, Body>) -> Arc<dyn Origin>) -> Scene {
    let story = Story::at(position);
    let (known, unknown) = (key(&story.isr, "/pages/{id}", "/pages/1"), key(&story.isr, "/no/{id}", "/no/1"));
    Scene { isr: story.isr, origin: wrap(AppOrigin::new(story.site)), known, unknown }
}

fn key(isr: &Isr, route: &str, path: &str) -> CacheKey {
    isr.own_key(&KeyRef::new(Scheme::Http, "www.example.com", route, path))
}
