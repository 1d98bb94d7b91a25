//! Stub.
use super::Isr;
use super::progress::{Round, Watched};
use super::purge::Listed;
use super::runs::Run;
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Telling {
    pub(crate) tags: Arc<[Tag]>,
    pub(crate) mode: Mode,
    pub(crate) listed: Listed,
    pub(crate) watched: Vec<Arc<Watched>>,
    pub(crate) round: Round,
    pub(crate) settle: Duration,
}

impl Telling {
    pub(crate) fn first(run: Run) -> Self {
        Self { round: Round::First, ..Self::last(run, Listed::default(), Duration::ZERO) }
    }

    pub(crate) fn last(run: Run, listed: Listed, settle: Duration) -> Self {
        Self { tags: run.tags, mode: run.mode, listed, watched: run.watched, round: Round::Last, settle }
    }
}

impl Isr {
    pub(crate) fn tell(&self, telling: Telling) -> tokio::task::JoinHandle<()> {
        let (isr, busy) = (self.clone(), self.0.busy.begin());
        tokio::spawn(async move {
            let _busy = busy;
            let all = async {
                tokio::time::sleep(telling.settle).await;
                let t = super::purge::Telling {
                    tags: &telling.tags,
                    mode: telling.mode,
                    listed: &telling.listed,
                    purges: &telling.watched,
                    is_first: telling.round == Round::First,
                };
                isr.purge(&t).await;
            };
            tokio::select! { () = all => {} () = isr.aborted() => {} }
        })
    }
}
