//! What every [`Connector`] promises, as far as the cache it speaks to can be had in a test.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::connector::{Connector, Purge, PurgeLimits};
use crate::error::Error;
use crate::model::snapshot::Mode;
use crate::model::tag::tag;
use crate::testing::sample;

/// What the cache at the far end answers from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// It does what it is told, and says so.
    #[default]
    Confirms,
    /// It is out of order, for a while.
    Fails,
    /// It will never do what it is told.
    Refuses,
    /// It wants to be left alone for so long, whole seconds.
    Throttles(Duration),
}

/// A connector together with the cache it speaks to: a double of yours that listens on a loopback address, say.
pub trait FarEnd: Debug + Send + Sync + 'static {
    /// The connector.
    fn connector(&self) -> Arc<dyn Connector>;

    /// What the cache answers from now on. At first it confirms.
    fn answers(&self, answer: Answer);

    /// How often it did what it was told.
    fn confirmed(&self) -> usize;
}

/// Makes a test of each clause of [`Connector`](crate::Connector)'s contract.
///
/// ```
/// use edge_isr_core::testing::RecordingConnector;
///
/// edge_isr_core::connector_contract!(recording, RecordingConnector::default());
/// ```
///
/// This runs against a connector whose cache confirms what it is told. Whether what fails is told from what is
/// confirmed shows only with a [`FarEnd`](crate::testing::contract::connector::FarEnd) that can be told to fail:
/// `connector_contract!(mine, far_end: MyCache::new())` makes tests of all clauses.
#[macro_export]
macro_rules! connector_contract {
    (@always $make:expr) => {
        $crate::__contract_clauses!(connector, ($make), [
            limits_are_possible,
            what_is_within_the_limits_is_understood,
            everything_is_understood,
            purges_repeat_safely,
        ]);
    };
    ($name:ident, far_end: $make:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "what makes the backend may need none")]
            use super::*;
            $crate::connector_contract!(@always
                $crate::testing::contract::connector::FarEnd::connector(&$make));
            $crate::__contract_clauses!(connector, (::std::sync::Arc::new($make)), [
                ok_means_confirmed,
                refusals_are_told_from_failures,
            ]);
        }
    };
    ($name:ident, $make:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "what makes the backend may need none")]
            use super::*;
            $crate::connector_contract!(@always ::std::sync::Arc::new($make));
        }
    };
}

const MODES: [Mode; 2] = [Mode::Soft, Mode::Hard];

fn everything(mode: Mode) -> Purge {
    Purge { mode, everything: true, ..Purge::default() }
}

/// The largest purges that the limits allow, and the smallest.
fn allowed(limits: &PurgeLimits, mode: Mode) -> Vec<Purge> {
    let most = limits.bytes.min(1 << 20);
    let fill = |count: usize, one: &dyn Fn(usize) -> String| {
        let (mut items, mut bytes) = (Vec::new(), 0);
        for item in (0..count.min(10_000)).map(one) {
            bytes += item.len();
            if bytes > most {
                break;
            }
            items.push(item);
        }
        items
    };
    let mut purges = vec![everything(mode)];
    for count in [1, limits.tags] {
        let tags = fill(limits.tags.min(count), &|n| tag("sample", format!("ö{n}")).as_str().to_owned());
        let tags: Vec<_> = tags.iter().filter_map(|text| text.parse().ok()).collect();
        purges.push(Purge { mode, tags, ..Purge::default() });
    }
    for count in [1, limits.urls] {
        let urls = fill(limits.urls.min(count), &|n| format!("https://www.example.com/a%20b/{n}?q=1,2;3"));
        purges.push(Purge { mode, urls, ..Purge::default() });
    }
    purges.retain(|purge| purge.everything || !purge.tags.is_empty() || !purge.urls.is_empty());
    purges
}

/// They let at least something be said, and stay as they are: a call takes at least one byte. The name stays, too, and
/// is one word of visible ASCII.
pub async fn limits_are_possible(connector: Arc<dyn Connector>) {
    let (limits, name) = (connector.limits(), connector.name());
    assert!(limits.bytes > 0, "a call of no bytes says nothing");
    assert_eq!((connector.limits(), connector.name()), (limits, name), "they change while nobody looks");
    assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "`{name}` is no word");
}

/// Purges of both modes are confirmed: of one tag or URL, and of as many as the limits allow.
pub async fn what_is_within_the_limits_is_understood(connector: Arc<dyn Connector>) {
    for purge in MODES.iter().flat_map(|mode| allowed(&connector.limits(), *mode)) {
        let said = connector.purge(&purge).await;
        said.expect("a cache that is there confirms what is within the connector's limits");
    }
}

/// Whatever its limits are, it can purge everything.
pub async fn everything_is_understood(connector: Arc<dyn Connector>) {
    for mode in MODES {
        connector.purge(&everything(mode)).await.expect("a cache that is there confirms it");
    }
}

/// The same purge may come twice, the second before the first is answered.
pub async fn purges_repeat_safely(connector: Arc<dyn Connector>) {
    for purge in allowed(&connector.limits(), Mode::Hard) {
        let (first, second) = tokio::join!(connector.purge(&purge), connector.purge(&purge));
        first.and(second).expect("a cache that is there confirms it twice");
        connector.purge(&purge).await.expect("and once more");
    }
}

/// `Ok` only when the cache confirmed: what it did not do is an error.
pub async fn ok_means_confirmed(far_end: Arc<dyn FarEnd>) {
    let connector = far_end.connector();
    for purge in MODES.iter().flat_map(|mode| allowed(&connector.limits(), *mode)) {
        far_end.answers(Answer::Confirms);
        let before = far_end.confirmed();
        connector.purge(&purge).await.expect("the cache confirms");
        let told = far_end.confirmed();
        assert!(told > before, "it says `Ok`, and the cache was told nothing");
        for answer in [Answer::Fails, Answer::Refuses, Answer::Throttles(Duration::from_secs(7))] {
            far_end.answers(answer);
            assert!(connector.purge(&purge).await.is_err(), "it says `Ok`, and the cache {answer:?}");
            assert_eq!(far_end.confirmed(), told, "the double at the far end confirmed");
        }
    }
}

/// What the cache can never do is `Rejected`, what it may do later is `Unavailable`, or `Throttled` for as long as
/// the cache says.
pub async fn refusals_are_told_from_failures(far_end: Arc<dyn FarEnd>) {
    let connector = far_end.connector();
    let wait = Duration::from_secs(7);
    for (n, answer) in [Answer::Refuses, Answer::Fails, Answer::Throttles(wait)].into_iter().enumerate() {
        far_end.answers(answer);
        let url = format!("https://www.example.com/{}/{n}", sample::word());
        let purge = if connector.limits().urls == 0 {
            everything(Mode::Hard)
        } else {
            Purge { urls: vec![url], ..Purge::default() }
        };
        let error = connector.purge(&purge).await.expect_err("the cache did not confirm");
        let is_right = match (&error, answer) {
            (Error::Rejected { .. }, Answer::Refuses) | (Error::Unavailable { .. }, Answer::Fails) => true,
            (Error::Throttled { retry_after, .. }, Answer::Throttles(wait)) => *retry_after == wait,
            _ => false,
        };
        assert!(is_right, "the cache {answer:?}, and it says {error:?}");
    }
}
