//! Origins that break their word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::snapshot::Snapshot;
use edge_isr_core::origin::{Origin, Refill, Refilled};
use edge_isr_core::testing::contract::{self, origin::Scene};
use edge_isr_core::testing::{ScriptedOrigin, sample};
use edge_isr_core::{Isr, Reason, Result, async_trait};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    SaysDoneAndRendersNothing,
    StoresWhatIsPrivate,
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
    knows: [CacheKey; 2],
    renders: AtomicBool,
}

fn broken(flaw: Flaw) -> Scene {
    let isr = Isr::builder().build().unwrap();
    let (known, unknown, private) = (sample::key(), sample::key(), sample::key());
    // It knows nothing of private pages.
    let origin = ScriptedOrigin::rendering(&isr);
    let knows = [known.clone(), private.clone()];
    let origin = Broken { flaw, origin, knows, renders: AtomicBool::default() };
    Scene { isr, origin: Arc::new(origin), known, unknown, private: Some(private) }
}

#[async_trait]
impl Origin for Broken {
    async fn refill(&self, refill: &Refill) -> Result<Refilled> {
        if !self.knows.contains(&refill.key) && self.flaw != Flaw::RendersAnything {
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
            Flaw::RendersAnything | Flaw::StoresWhatIsPrivate => self.origin.refill(refill).await,
        }
    }
}

#[test]
#[should_panic(expected = "its answer may not be stored")]
fn a_refill_stores_only_what_may_be_stored() {
    contract::run(contract::origin::a_refill_stores_what_it_rendered(&broken(Flaw::StoresWhatIsPrivate)));
}

crate::must_fail! {
    origin,
    a_refill_stores_what_it_rendered(&broken(Flaw::SaysDoneAndRendersNothing)): "left: None",
    a_refill_takes_its_own_snapshot(&broken(Flaw::SaysDoneWithTheLastSnapshot)): "1 is wanted, and it rendered 0",
    strangers_are_unreached(&broken(Flaw::RendersAnything)): "right: Unreached",
    refills_of_one_page_meet(&broken(Flaw::RefusesTheSecond)): "it can render the page",
    a_dropped_refill_harms_nobody(&broken(Flaw::NeverRecovers)): "it can render the page",
}
