//! An origin that does what a test says.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::error::{Error, Result};
use crate::isr::Isr;
use crate::isr::admit::{Admitted, Sealed};
use crate::isr::flight::{Boarding, Outcome};
use crate::model::key::CacheKey;
use crate::model::policy::Policy;
use crate::model::reason::Reason;
use crate::model::snapshot::Snapshot;
use crate::model::tag::TagSet;
use crate::origin::{Origin, Refill, Refilled};
use crate::sync::{Mutex, lock};

/// What a [`ScriptedOrigin`] does with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Renders a page and stores it, as an application would; see [`ScriptedOrigin::rendering`]. Without an engine it
    /// says `Done` and stores nothing.
    Render,
    /// Says this and does nothing.
    Say(Refilled),
    /// Can't be reached.
    Unavailable,
    /// Goes on with the next step after a while, of tokio's time.
    After(Duration, Box<Self>),
    /// Never answers.
    Hang,
    /// Panics.
    Panic,
}

#[derive(Debug, Default)]
struct Script {
    steps: VecDeque<Step>,
    calls: Vec<Refill>,
}

/// An origin that follows a script and writes down its calls. Beyond the script's end it renders. Clones share
/// everything.
///
/// ```
/// use edge_isr_core::origin::{Origin, Refill, Refilled};
/// use edge_isr_core::testing::{ScriptedOrigin, Step, sample};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> edge_isr_core::Result<()> {
/// let origin = ScriptedOrigin::default();
/// origin.then([Step::Unavailable, Step::Say(Refilled::Unreached)]);
/// let refill = Refill { key: sample::key(), want: 1 };
/// assert!(origin.refill(&refill).await.is_err());
/// assert_eq!(origin.refill(&refill).await?, Refilled::Unreached);
/// assert!(matches!(origin.refill(&refill).await?, Refilled::Done(_)));
/// assert_eq!(origin.calls(), [refill.clone(), refill.clone(), refill]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ScriptedOrigin {
    script: Arc<Mutex<Script>>,
    isr: Option<Isr>,
    known: Option<Arc<HashSet<CacheKey>>>,
    private: Arc<HashSet<CacheKey>>,
    policy: Policy,
}

impl ScriptedOrigin {
    /// One whose renders are stored in this engine, whose text is the snapshot they began with.
    #[must_use]
    pub fn rendering(isr: &Isr) -> Self {
        Self { isr: Some(isr.clone()), ..Self::default() }
    }

    /// One that renders under this policy.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// One that knows only these pages; without this it knows all.
    #[must_use]
    pub fn knowing(self, keys: impl IntoIterator<Item = CacheKey>) -> Self {
        Self { known: Some(Arc::new(keys.into_iter().collect())), ..self }
    }

    /// One that knows these pages, too, and answers them with `Cache-Control: private`.
    #[must_use]
    pub fn knowing_private(self, keys: impl IntoIterator<Item = CacheKey>) -> Self {
        Self { private: Arc::new(keys.into_iter().collect()), ..self }
    }

    /// Adds to the script's end.
    pub fn then(&self, steps: impl IntoIterator<Item = Step>) {
        lock(&self.script).steps.extend(steps);
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Refill> {
        lock(&self.script).calls.clone()
    }

    async fn render(&self, refill: &Refill) -> Refilled {
        let Some(isr) = &self.isr else {
            let incarnation = super::sample::incarnation();
            return Refilled::Done(Snapshot { incarnation, seq: refill.want });
        };
        match isr.board(&refill.key, refill.want, TagSet::default) {
            Boarding::Full => Refilled::Failed(Reason::Busy),
            Boarding::Follow(follower) => {
                let snapshot = follower.snapshot();
                match follower.outcome().await {
                    Outcome::Page(_) | Outcome::Unshareable(_) => Refilled::Done(snapshot),
                    _ => Refilled::Failed(Reason::RenderFailed),
                }
            }
            Boarding::Lead(permit) => {
                let snapshot = permit.snapshot();
                // As a handler would: others run while it does.
                tokio::task::yield_now().await;
                let text = Bytes::from(format!("rendered at {}", snapshot.seq));
                let mut head = Response::builder().header(CONTENT_TYPE, "text/plain");
                if self.private.contains(&refill.key) {
                    head = head.header(CACHE_CONTROL, "private");
                }
                let head = head.body(());
                let (Ok(head), Ok(rules)) = (head, self.policy.check()) else {
                    return Refilled::Failed(Reason::RenderFailed);
                };
                let (parts, ()) = head.into_parts();
                let outcome = match isr.admit(&permit, &rules, parts, vec![text], &Sealed::default(), |_| {})
                {
                    Admitted::Page(page, _) => Outcome::Page(page),
                    Admitted::Vetoed(reason, ..) => Outcome::Unshareable(reason),
                };
                permit.finish(outcome);
                Refilled::Done(snapshot)
            }
        }
    }
}

#[async_trait]
impl Origin for ScriptedOrigin {
    async fn refill(&self, refill: &Refill) -> Result<Refilled> {
        let mut step = {
            let mut script = lock(&self.script);
            script.calls.push(refill.clone());
            script.steps.pop_front().unwrap_or(Step::Render)
        };
        while let Step::After(wait, next) = step {
            tokio::time::sleep(wait).await;
            step = *next;
        }
        match step {
            Step::Say(refilled) => Ok(refilled),
            Step::Unavailable => {
                let source = "the script says so".into();
                Err(Error::Unavailable { backend: "scripted", queued: false, source })
            }
            Step::Hang => std::future::pending().await,
            Step::Panic => panic!("the script says so"),
            Step::Render | Step::After(..) => {
                let known = self.known.as_ref();
                if known
                    .is_some_and(|known| !known.contains(&refill.key) && !self.private.contains(&refill.key))
                {
                    return Ok(Refilled::Unreached);
                }
                Ok(self.render(refill).await)
            }
        }
    }
}
