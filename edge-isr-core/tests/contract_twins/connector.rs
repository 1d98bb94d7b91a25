//! Connectors that break their word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use edge_isr_core::testing::RecordingConnector;
use edge_isr_core::testing::contract::connector::{Answer, FarEnd};
use edge_isr_core::{Connector, Error, Purge, PurgeLimits, Result, async_trait};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    SaysNothing,
    PromisesTooMuch,
    KnowsNoEverything,
    IsDeafWhileItSpeaks,
    SaysOkWithoutTelling,
    SaysOkWithoutListening,
    FailsAlike,
}

/// A connector that is right but for one thing.
#[derive(Debug, Clone)]
struct Broken {
    flaw: Flaw,
    cache: RecordingConnector,
    speaks: Arc<AtomicBool>,
}

fn broken(flaw: Flaw) -> Arc<Broken> {
    let (cache, speaks) = Default::default();
    Arc::new(Broken { flaw, cache, speaks })
}

fn rejected(backend: &'static str) -> Error {
    Error::Rejected { backend, source: "it can't be said".into() }
}

#[async_trait]
impl Connector for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn limits(&self) -> PurgeLimits {
        match self.flaw {
            Flaw::SaysNothing => PurgeLimits { bytes: 0, ..PurgeLimits::default() },
            _ => PurgeLimits::default(),
        }
    }

    async fn purge(&self, purge: &Purge) -> Result<()> {
        match self.flaw {
            Flaw::PromisesTooMuch if purge.tags.len() > 30 => return Err(rejected("broken")),
            Flaw::KnowsNoEverything if purge.everything => return Err(rejected("broken")),
            Flaw::SaysOkWithoutTelling => return Ok(()),
            Flaw::IsDeafWhileItSpeaks => {
                if self.speaks.swap(true, SeqCst) {
                    return Err(rejected("broken"));
                }
                tokio::task::yield_now().await;
                self.speaks.store(false, SeqCst);
            }
            _ => {}
        }
        let said = self.cache.purge(purge).await;
        match self.flaw {
            Flaw::SaysOkWithoutListening => Ok(()),
            Flaw::FailsAlike => said.map_err(|_| Error::Unavailable {
                backend: "broken",
                queued: false,
                source: "it failed somehow".into(),
            }),
            _ => said,
        }
    }
}

impl FarEnd for Broken {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(self.clone())
    }

    fn answers(&self, answer: Answer) {
        self.cache.answers(answer);
    }

    fn confirmed(&self) -> usize {
        self.cache.confirmed()
    }
}

crate::must_fail! {
    connector,
    limits_are_possible(broken(Flaw::SaysNothing)): "a call of no bytes",
    what_is_within_the_limits_is_understood(broken(Flaw::PromisesTooMuch)): "within the connector's limits",
    everything_is_understood(broken(Flaw::KnowsNoEverything)): "that is there confirms it",
    purges_repeat_safely(broken(Flaw::IsDeafWhileItSpeaks)): "confirms it twice",
    ok_means_confirmed(broken(Flaw::SaysOkWithoutTelling)): "the cache was told nothing",
    refusals_are_told_from_failures(broken(Flaw::FailsAlike)): "the cache Refuses",
}

#[test]
#[should_panic(expected = "and the cache Fails")]
fn ok_means_confirmed_and_not_merely_told() {
    let clause = edge_isr_core::testing::contract::connector::ok_means_confirmed;
    edge_isr_core::testing::contract::run(clause(broken(Flaw::SaysOkWithoutListening)));
}
