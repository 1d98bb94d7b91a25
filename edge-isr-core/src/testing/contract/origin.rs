//! What every [`Origin`] promises: told by the pages that an engine finds afterwards.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;

use crate::isr::Isr;
use crate::isr::look_up::LookUp;
use crate::model::key::CacheKey;
use crate::model::snapshot::{Mode, Snapshot};
use crate::origin::{Origin, Refill, Refilled};

/// An origin, and what it takes to see what it did. Nothing else renders or invalidates meanwhile.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Where the origin's pages are stored.
    pub isr: Isr,
    /// The origin.
    pub origin: Arc<dyn Origin>,
    /// A page that it can render, and whose answer may be stored.
    pub known: CacheKey,
    /// A page that nothing it asks knows.
    pub unknown: CacheKey,
    /// A page that it can render, and whose answer may not be stored, such as a `private` one; `None` where all may.
    pub private: Option<CacheKey>,
}

/// Makes a test of each clause of [`Origin`](crate::Origin)'s contract.
///
/// ```
/// use edge_isr_core::Isr;
/// use edge_isr_core::testing::contract::origin::Scene;
/// use edge_isr_core::testing::{ScriptedOrigin, sample};
///
/// fn scene() -> Scene {
///     let isr = Isr::builder().build().unwrap();
///     let (known, unknown, private) = (sample::key(), sample::key(), sample::key());
///     let origin = ScriptedOrigin::rendering(&isr).knowing([known.clone()]).knowing_private([private.clone()]);
///     Scene { isr, origin: std::sync::Arc::new(origin), known, unknown, private: Some(private) }
/// }
///
/// edge_isr_core::origin_contract!(scripted, scene());
/// ```
///
/// The second argument makes a [`Scene`](crate::testing::contract::origin::Scene), and may `.await`.
#[macro_export]
macro_rules! origin_contract {
    ($name:ident, $make:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "what makes the backend may need none")]
            use super::*;
            $crate::__contract_clauses!(
                origin,
                (&$make),
                [
                    a_refill_stores_what_it_rendered,
                    a_refill_takes_its_own_snapshot,
                    strangers_are_unreached,
                    refills_of_one_page_meet,
                    a_dropped_refill_harms_nobody,
                ]
            );
        }
    };
}

async fn refill(scene: &Scene, want: u64) -> Refilled {
    let refill = Refill { key: scene.known.clone(), want };
    scene.origin.refill(&refill).await.expect("an origin that is there answers")
}

async fn done(scene: &Scene, want: u64) -> Snapshot {
    match refill(scene, want).await {
        Refilled::Done(snapshot) => snapshot,
        other => panic!("it can render the page, and says {other:?}"),
    }
}

/// The snapshot of the page that a visitor is given, if it is fresh.
fn fresh(scene: &Scene) -> Option<Snapshot> {
    match scene.known.read(|key| scene.isr.look_up(key, || 0)) {
        Some(LookUp::Fresh(hit)) => Some(hit.page().birth().snapshot),
        _ => None,
    }
}

async fn invalidate(scene: &Scene, mode: Mode) -> u64 {
    scene.isr.graph().all(mode).await.expect("nothing is unreachable in memory").seq()
}

/// When it returns `Done`, look-ups find the new page, which is fresh, or none if its answer may not be stored.
pub async fn a_refill_stores_what_it_rendered(scene: &Scene) {
    assert_eq!(fresh(scene), None, "nothing was rendered yet");
    let rendered = done(scene, 0).await;
    assert_eq!(fresh(scene), Some(rendered));
    for mode in [Mode::Soft, Mode::Hard] {
        let want = invalidate(scene, mode).await;
        assert_eq!(fresh(scene), None, "it was invalidated");
        let rendered = done(scene, want).await;
        assert_eq!(fresh(scene), Some(rendered));
    }
    if let Some(private) = &scene.private {
        let scene = Scene { known: private.clone(), ..scene.clone() };
        done(&scene, 0).await;
        let found = scene.known.read(|key| scene.isr.look_up(key, || 0));
        let nothing = matches!(&found, Some(LookUp::Miss(miss)) if miss.spare.is_none());
        assert!(nothing, "its answer may not be stored, and there is {found:?}");
    }
}

/// The render begins after `refill` was called, unless there is a page from the snapshot that is wanted, or a
/// later one: what `Done` names is not below it.
pub async fn a_refill_takes_its_own_snapshot(scene: &Scene) {
    for mode in [Mode::Soft, Mode::Hard, Mode::Soft] {
        let want = invalidate(scene, mode).await;
        let rendered = done(scene, want).await;
        assert!(rendered.seq >= want, "{} is wanted, and it rendered {}", want, rendered.seq);
    }
}

/// A page that nothing knows is `Unreached`, and nothing is stored for it.
pub async fn strangers_are_unreached(scene: &Scene) {
    let stranger = Scene { known: scene.unknown.clone(), ..scene.clone() };
    assert_eq!(refill(&stranger, 0).await, Refilled::Unreached);
    assert_eq!(fresh(&stranger), None);
}

/// Refills of one page that meet are each done, whoever of them renders.
pub async fn refills_of_one_page_meet(scene: &Scene) {
    done(scene, 0).await;
    let want = invalidate(scene, Mode::Soft).await;
    let (one, two, three) = tokio::join!(done(scene, want), done(scene, want), done(scene, want));
    assert!([one, two, three].iter().all(|snapshot| snapshot.seq >= want));
    assert!(fresh(scene).is_some_and(|snapshot| snapshot.seq >= want));
}

/// A refill whose future is dropped may or may not have happened; the next one finds nothing in its way.
pub async fn a_dropped_refill_harms_nobody(scene: &Scene) {
    for _ in 0..3 {
        let want = invalidate(scene, Mode::Soft).await;
        let mut dropped = Box::pin(refill(scene, want));
        // Begun, and no more.
        std::future::poll_fn(|cx| Poll::Ready(dropped.as_mut().poll(cx).is_ready())).await;
        drop(dropped);
        let rendered = done(scene, want).await;
        assert!(rendered.seq >= want && fresh(scene).is_some_and(|snapshot| snapshot.seq >= want));
    }
}
