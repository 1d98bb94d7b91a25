//! Origins that break their word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::snapshot::Snapshot;
use edge_isr_core::origin::{Origin, Refill, Refilled};
use edge_isr_core::testing::contract::origin::Scene;
use edge_isr_core::testing::{ScriptedOrigin, sample};
use edge_isr_core::{Isr, Reason, Result, async_trait};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    SaysDoneAndRendersNothing,
    SaysDoneWithTheLastSnapshot,
    RendersAnything,
    RefusesTheSecond,
    NeverRecovers,
}

/// An origin that is right but for one thing.
#[derive(Debug)]
struct Broken {
    flaw: Flaw,
    origin: ScriptedOrigin,
    known: CacheKey,
    renders: AtomicBool,
}

fn broken(flaw: Flaw) -> Scene {
    let isr = Isr::builder().build().unwrap();
    let (known, unknown) = (sample::key(), sample::key());
    let origin = ScriptedOrigin::rendering(&isr);
    let origin = Broken { flaw, origin, known: known.clone(), renders: AtomicBool::default() };
    Scene { isr, origin: Arc::new(origin), known, unknown }
}

#[async_trait]
impl Origin for Broken {
    async fn refill(&self, refill: &Refill) -> Result<Refilled> {
        if refill.key != self.known && self.flaw != Flaw::RendersAnything {
            return Ok(Refilled::Unreached);
        }
        match self.flaw {
            Flaw::SaysDoneAndRendersNothing => {
                let snapshot = Snapshot { incarnation: sample::incarnation(), seq: refill.want };
                Ok(Refilled::Done(snapshot))
            }
            Flaw::SaysDoneWithTheLastSnapshot => match self.origin.refill(refill).await? {
                Refilled::Done(snapshot) => {
                    Ok(Refilled::Done(Snapshot { seq: snapshot.seq.saturating_sub(1), ..snapshot }))
                }
                other => Ok(other),
            },
            Flaw::RefusesTheSecond | Flaw::NeverRecovers => {
                if self.renders.swap(true, SeqCst) {
                    return Ok(Refilled::Failed(Reason::Busy));
                }
                let refilled = self.origin.refill(refill).await;
                self.renders.store(false, SeqCst);
                refilled
            }
            Flaw::RendersAnything => self.origin.refill(refill).await,
        }
    }
}

crate::must_fail! {
    origin,
    a_refill_stores_what_it_rendered(&broken(Flaw::SaysDoneAndRendersNothing)): "left: None",
    a_refill_takes_its_own_snapshot(&broken(Flaw::SaysDoneWithTheLastSnapshot)): "1 is wanted, and it rendered 0",
    strangers_are_unreached(&broken(Flaw::RendersAnything)): "right: Unreached",
    refills_of_one_page_meet(&broken(Flaw::RefusesTheSecond)): "it can render the page",
    a_dropped_refill_harms_nobody(&broken(Flaw::NeverRecovers)): "it can render the page",
}
