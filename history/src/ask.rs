//! One request through the layer: its answer is checked and counted.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;

use http::Response;
use http_body_util::BodyExt;
use tower_service::Service;

use crate::apart::apart;
use crate::app::Planned;
use crate::checker::{Answer, Label, What, check};
use crate::history::{About, Event};
use crate::names::Key;
use crate::reader::{Owed, Site, request};
use crate::rng;
use crate::shown::Shown;
use crate::stage::gate;
use crate::tally::Count;
use crate::world::{Acknowledged, World};

/// How a request ended.
enum End<B> {
    Answered(Box<Acknowledged>, Response<B>),
    HungUp,
    Panicked { is_planned: bool },
}

/// Asks for a page and checks the answer. What was shown, if it was a page.
pub(crate) async fn ask(
    world: &Arc<World>,
    site: &mut Site,
    key: Key,
    owed: Option<&Owed>,
    hangs_up: bool,
) -> Option<Shown> {
    let number = world.number();
    let record = |event| world.history.record(number, event);
    record(Event::Asked { ask: number, key, owed: owed.map_or(0, |owed| owed.seq()) });
    world.tally.add(Count::Reads);
    if owed.is_some() {
        world.tally.add(Count::Owed);
    }
    if key.is_draft {
        world.tally.add(Count::Drafts);
    }
    world.asked(number, key);
    let is_owed = owed.is_some_and(|owed| owed.is_valid(world));
    let before = world.acknowledged(key.page);
    let request = request(key, owed);
    let called = if world.shape.is_split && rng::one_in(8) {
        let mut site = site.clone();
        apart(move || site.call(request)).await
    } else {
        catch_unwind(AssertUnwindSafe(|| site.call(request)))
    };
    let Ok(call) = called else {
        world.violated(What::Panicked, &About::Key(key), format!("a request for {key} panicked"));
        return None;
    };
    let end = drive(world, key, &before, call, hangs_up).await;
    world.answered(number);
    match end {
        End::HungUp => {
            record(Event::HungUp { ask: number, key });
            world.tally.add(Count::HungUp);
            None
        }
        End::Panicked { is_planned } => {
            record(Event::Answered { ask: number, key, label: "the handler's panic".to_owned() });
            world.tally.add(Count::Failed);
            if !is_planned {
                world.violated(What::Panicked, &About::Key(key), format!("a request for {key} panicked"));
            }
            None
        }
        End::Answered(last, response) => {
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let label = Label::of(&parts.headers);
            let text =
                format!("{} [{}] {}", parts.status.as_u16(), String::from_utf8_lossy(&body), label.status);
            record(Event::Answered { ask: number, key, label: text });
            if !parts.status.is_success() {
                world.tally.add(Count::Failed);
                return None;
            }
            let owed = owed.filter(|owed| is_owed && owed.is_valid(world)).map_or(&[][..], Owed::versions);
            examine(world, key, &body, &label, [&before, &last], owed)
        }
    }
}

/// Checks a page against what was acknowledged before the request and before the answer, and counts it.
fn examine(
    world: &Arc<World>,
    key: Key,
    body: &[u8],
    label: &Label,
    [before, last]: [&Acknowledged; 2],
    owed: &[(usize, u64)],
) -> Option<Shown> {
    let Some(shown) = Shown::of(body) else {
        let text = format!("`{}` is no body of this site", String::from_utf8_lossy(body));
        world.violated(What::Mixed, &About::Key(key), text);
        return None;
    };
    let is_exact = world.shape.is_exact;
    let answer = Answer { asked: key, shown: &shown, label, before, last, owed, is_exact };
    if let Some((what, text)) = check(&answer) {
        let items: Vec<usize> = shown.items.iter().map(|&(item, _)| item).collect();
        world.violated(what, &About::Shown(key, &items, shown.render), text);
    }
    count(world, &answer);
    Some(shown)
}

/// Polls an answer until it is there, the visitor hangs up, or the handler's panic comes through.
async fn drive<F, B>(world: &World, key: Key, before: &Acknowledged, call: F, hangs_up: bool) -> End<B>
where
    F: Future<Output = Result<Response<B>, std::convert::Infallible>>,
{
    let (mut call, mut patience) = (pin!(call), hangs_up.then(gate));
    // What is answered at once was looked up before this is polled.
    let mut first = Some(before);
    poll_fn(|cx| {
        let last = first.take().map_or_else(|| world.acknowledged(key.page), Clone::clone);
        match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
            Ok(Poll::Ready(Ok(response))) => return Poll::Ready(End::Answered(Box::new(last), response)),
            Ok(Poll::Pending) => {}
            Err(panic) => return Poll::Ready(End::Panicked { is_planned: panic.is::<Planned>() }),
        }
        match &mut patience {
            Some(patience) => Pin::new(patience).poll(cx).map(|()| End::HungUp),
            None => Poll::Pending,
        }
    })
    .await
}

fn count(world: &World, answer: &Answer<'_>) {
    let Answer { label, shown, last, asked, .. } = answer;
    let add = |count| world.tally.add(count);
    let is_old = shown.items.iter().any(|&(item, version)| version < last.any[item]);
    let was_stored = &world.stored[asked.index()];
    if label.is_fresh_hit {
        add(Count::FreshHits);
        if shown.items.iter().any(|&(item, _)| last.any[item] > 0) {
            add(Count::FreshAfter);
        }
    } else if label.is_hit {
        add(if label.has_detail("invalidated") { Count::StaleInvalidated } else { Count::StaleAged });
    } else if label.has_detail("stale-if-error") {
        add(Count::Spare);
    } else {
        add(if label.status.contains("collapsed") { Count::Collapsed } else { Count::Led });
        if is_old {
            add(Count::Overtaken);
        }
        if !label.status.contains(";stored") {
            add(Count::Unstored);
        } else if was_stored.swap(true, SeqCst) && label.status.contains("fwd=uri-miss") {
            add(Count::Again);
        }
    }
}
