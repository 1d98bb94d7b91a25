//! The real engine and the real layer, put together for one run.

use std::sync::Arc;
use std::time::Duration;

use edge_isr_core::testing::Twin;
use edge_isr_core::{BuildId, ConfigError, Isr, Limits, Policy};
use edge_isr_tower::{IsrExt, IsrLayer, NoFacts, path_tag};
use tower_layer::Layer;

use crate::app::App;
use crate::names::{CLASSES, Class};
use crate::reader::{DRAFT, Site, TENANT};
use crate::tier::Tier;
use crate::world::World;

/// Room for so few bytes that pages are evicted.
const TINY: u64 = 6 << 10;

pub(crate) fn build(world: &Arc<World>, twin: Option<Twin>) -> Result<(Isr, Site), ConfigError> {
    let shape = world.shape;
    let mut limits = Limits::default();
    (limits.body_bytes, limits.head_bytes) = (512, 512);
    // Every run makes its own: what is never used needs no room.
    (limits.store_bytes, limits.index_bytes, limits.index_rows) = (256 << 10, 128 << 10, 10_000);
    if shape.is_tiny {
        limits.store_bytes = TINY;
    }
    if shape.few_marks {
        limits.marks = 1;
    }
    limits.render_timeout = Duration::from_secs(10);
    let mut builder = Isr::builder()
        .clock(Arc::new(world.clock.clone()))
        .limits(limits)
        .build_id(BuildId::Ignore)
        .receipt_key([7; 16]);
    if shape.has_tier {
        builder = builder.store(Tier::default());
    }
    if let Some(twin) = twin {
        builder = builder.twin(twin);
    }
    let isr = builder.build()?;
    let table = CLASSES.iter().fold(IsrLayer::<NoFacts>::around(&isr), |table, class| {
        table.route(class.pattern, policy(class), path_tag("page:{page}"))
    });
    let site = table.build()?.layer(App(Arc::clone(world)));
    Ok((isr, site))
}

fn policy(class: &Class) -> Policy {
    let mut policy = Policy::new().s_maxage(Duration::from_secs(class.fresh));
    if class.while_revalidate > 0 {
        policy = policy.stale_while_revalidate(Duration::from_secs(class.while_revalidate));
    }
    if class.if_error > 0 {
        policy = policy.stale_if_error(Duration::from_secs(class.if_error));
    }
    if class.has_tenants {
        policy = policy.tenant(|head| Some(head.headers.get(TENANT)?.to_str().ok()?.to_owned()));
    }
    if class.has_drafts {
        policy = policy.draft(|head| head.headers.contains_key(DRAFT));
    }
    policy
}

/// The worker, as an application spawns it.
pub(crate) fn spawn_worker(isr: &Isr, site: &Site) {
    tokio::spawn(isr.worker_for::<_, http_body_util::Empty<bytes::Bytes>>(site.clone()));
}
