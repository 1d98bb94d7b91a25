//! Which page is rendered first, how many at once, and how often.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Path;
use axum::routing;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Builder, IsrContext, Limits, Mode, Priority, Rate};
use edge_isr_core::queue::MemoryQueue;
use edge_isr_core::testing::{Call, Faults, Faulty};
use edge_isr_stories::*;
use http::HeaderMap;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

/// A site that notes in which order its pages are rendered, and how many at once for each host.
#[derive(Clone, Default)]
struct Renders {
    order: Arc<Mutex<Vec<u64>>>,
    /// How many are rendered now, and were at most.
    by_host: Arc<Mutex<HashMap<String, (usize, usize)>>>,
}

const LARGE: u64 = 1_000;

/// Pages below [`LARGE`] are of the tag `large`, the others of `small`. `takes` is how long a render takes.
async fn site_of(limits: Limits, takes: Duration) -> (Story, Site, Renders) {
    site_with(takes, |builder| builder.limits(limits)).await
}

async fn site_with(takes: Duration, settings: impl FnOnce(Builder) -> Builder) -> (Story, Site, Renders) {
    let story = Story::with(Position::Inside, lasting(), settings);
    let renders = Renders::default();
    let (noted, page) = (renders.clone(), story.page.clone());
    let pages = routing::get(move |Path(id): Path<u64>, headers: HeaderMap, isr: IsrContext| {
        let (noted, page) = (noted.clone(), page.clone());
        async move {
            isr.add_tags([Tag::named(if id < LARGE { "large" } else { "small" })]);
            noted.order.lock().unwrap().push(id);
            let host = headers.get("host").unwrap().to_str().unwrap().to_owned();
            {
                let mut by_host = noted.by_host.lock().unwrap();
                let (now, most) = by_host.entry(host.clone()).or_default();
                *now += 1;
                *most = (*most).max(*now);
            }
            if page.is_gated() {
                page.gate().pass().await;
            }
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            noted.by_host.lock().unwrap().get_mut(&host).unwrap().0 -= 1;
            html(format!("v{}", page.version()))
        }
    });
    let tags = path_tag("page:{id}");
    let site = place(Position::Inside, &story.isr, "/pages/{id}", lasting(), tags, pages);
    tokio::spawn(begun(story.isr.worker(site.clone())).await);
    (story, site, renders)
}

fn one_at_a_time() -> Limits {
    let mut limits = prompt();
    limits.worker_renders = 1;
    limits
}

#[tokio::test(start_paused = true)]
async fn p06_what_is_said_to_be_urgent_overtakes_what_waits() {
    let (story, site, renders) = site_of(one_at_a_time(), Duration::ZERO).await;
    for id in (0..600).chain([LARGE, LARGE + 1]) {
        get(&site, &format!("/pages/{id}")).await;
    }
    story.page.gated(true);
    let graph = story.isr.graph();
    graph.revalidate_by_tags([Tag::named("large")]).await.unwrap();
    story.page.gate().arrival().await;
    graph.at(Priority::Low).revalidate_by_tags([tag("page", LARGE + 1)]).await.unwrap();
    graph.at(Priority::High).revalidate_by_tags([tag("page", LARGE)]).await.unwrap();
    // Runs that come one after the other are let pile up for a moment.
    tokio::time::sleep(100 * MS).await;
    story.page.gated(false);
    story.page.gate().open(1);
    within(story.isr.idle()).await;
    let order = renders.order.lock().unwrap()[602..].to_vec();
    let place = |id| order.iter().position(|rendered| *rendered == id).unwrap();
    // What the queue has is full of others; the first place that is free is its own.
    assert!(place(LARGE) <= 2, "{}", place(LARGE));
    assert_eq!((place(LARGE + 1), order.len()), (601, 602), "and what can wait comes last");
}

#[tokio::test]
async fn p06_the_most_visited_pages_come_first() {
    let (story, site, renders) = site_of(one_at_a_time(), Duration::ZERO).await;
    for id in 0..30 {
        // Each another number of visits, in no order.
        for _ in 0..=(id * 7 % 30) {
            get(&site, &format!("/pages/{id}")).await;
        }
    }
    story.isr.graph().revalidate_by_tags([Tag::named("large")]).await.unwrap();
    within(story.isr.idle()).await;
    let order = renders.order.lock().unwrap()[30..].to_vec();
    let visits: Vec<u64> = order.iter().map(|id| id * 7 % 30).collect();
    assert!(visits.is_sorted_by(|before, after| before > after), "{visits:?}");
    assert_eq!(visits.len(), 30);
}

#[tokio::test(start_paused = true)]
async fn p06_p15_a_small_invalidation_does_not_wait_for_the_end_of_a_large_one() {
    let (story, site, renders) = site_of(one_at_a_time(), MS).await;
    for id in 0..LARGE + 3 {
        get(&site, &format!("/pages/{id}")).await;
    }
    let graph = story.isr.graph();
    graph.revalidate_by_tags([Tag::named("large")]).await.unwrap();
    until(|| renders.order.lock().unwrap().len() as u64 > LARGE + 3).await;
    graph.revalidate_by_tags([Tag::named("small")]).await.unwrap();
    within(story.isr.idle()).await;
    let order = renders.order.lock().unwrap()[LARGE as usize + 3..].to_vec();
    let last = order.iter().rposition(|id| *id >= LARGE).unwrap();
    assert!(last < 400, "the {last}th of {}", order.len());
    assert_eq!(order.len() as u64, LARGE + 3);
}

#[tokio::test(start_paused = true)]
async fn p06_many_pages_that_fail_keep_no_others_out() {
    let story = Story::at(Position::Inside);
    story.page.tags([Tag::named("broken")]);
    for id in 0..600 {
        story.get(&format!("/pages/{id}")).await;
    }
    story.page.tags([Tag::named("whole")]);
    story.get("/pages/whole").await;
    let _worker = story.worker().await;
    story.page.answers(|_| panic!("a bug"));
    story.isr.graph().revalidate_by_tags([Tag::named("broken")]).await.unwrap();
    until(|| story.page.renders() >= 601 + 256).await;
    story.page.answers(|version| html(format!("v{version}")));
    story.page.commit(2);
    // The manual clock stands still: what failed is not tried again.
    let receipt = story.isr.graph().revalidate_by_tags([Tag::named("whole")]).await.unwrap();
    assert_eq!(receipt.wait(edge_isr_axum::Stage::Rendered, 5 * S).await.rendered, 1);
    story.pass(60 * S, S).await;
    within(story.isr.idle()).await;
    assert_eq!(story.get("/pages/1").await.text(), "v2");
}

#[tokio::test(start_paused = true)]
async fn p15_one_host_has_no_more_renders_than_it_may_and_leaves_the_rest_to_others() {
    let mut limits = prompt();
    (limits.worker_renders, limits.renders_per_host) = (4, 2);
    let (story, site, renders) = site_of(limits, 10 * MS).await;
    for host in ["a.example", "b.example", "c.example"] {
        for id in 0..20 {
            get(&site, &format!("http://{host}/pages/{id}")).await;
        }
    }
    renders.by_host.lock().unwrap().clear();
    story.page.commit(2);
    let receipt = story.isr.graph().revalidate_by_tags([Tag::named("large")]).await.unwrap();
    story.pass(5 * S, 5 * MS).await;
    assert_eq!(receipt.progress().rendered, 60);
    let by_host = renders.by_host.lock().unwrap();
    assert_eq!(by_host.len(), 3);
    assert!(by_host.values().all(|(now, most)| (*now, *most) == (0, 2)), "{by_host:?}");
}

#[tokio::test(start_paused = true)]
async fn p06_p15_a_host_with_more_pages_than_it_may_render_takes_no_other_hosts_turn() {
    const PAGES: u64 = 900;
    let mut limits = prompt();
    (limits.worker_renders, limits.renders_per_host) = (4, 2);
    let queue = Faulty::new(MemoryQueue::new(10_000), Faults::none());
    let given = queue.clone();
    let (story, site, renders) = site_with(10 * MS, |builder| builder.limits(limits).queue(given)).await;
    for _ in 0..2 {
        for id in 0..PAGES {
            get(&site, &format!("http://large.example/pages/{id}")).await;
        }
    }
    get(&site, "http://small.example/pages/1").await;
    renders.by_host.lock().unwrap().clear();
    story.page.commit(2);
    story.page.gated(true);
    let receipt = story.isr.graph().revalidate_by_tags([Tag::named("large")]).await.unwrap();
    story.pass(20 * S, 20 * MS).await;
    let running: HashMap<String, usize> =
        renders.by_host.lock().unwrap().iter().map(|(host, (now, _))| (host.clone(), *now)).collect();
    let expected = [("large.example".to_owned(), 2), ("small.example".to_owned(), 1)];
    assert_eq!(running, HashMap::from(expected), "though it is visited least");
    let looked_at = queue.calls(Call::Release);
    assert!(looked_at <= 20_000, "{looked_at}: not each of them twenty times a second");
    story.page.gated(false);
    story.page.gate().open(3);
    // Two at once, of ten milliseconds each.
    story.pass(10 * S, 5 * MS).await;
    assert_eq!(receipt.progress().rendered as u64, PAGES + 1, "and the slots are not left idle");
}

#[tokio::test(start_paused = true)]
async fn p15_a_worker_keeps_its_rate_and_saves_up_nothing_while_there_is_nothing_to_do() {
    let mut limits = prompt();
    limits.worker_rate = Some(Rate::per_second(10));
    let (story, site, renders) = site_of(limits, Duration::ZERO).await;
    for id in 0..60 {
        get(&site, &format!("/pages/{id}")).await;
    }
    get(&site, &format!("/pages/{LARGE}")).await;
    let begun = |seen: usize| renders.order.lock().unwrap().len() - 61 - seen;
    // A job that waits to be tried again keeps the worker looking for as long.
    story.page.gated(true);
    story.invalidate(LARGE, Mode::Soft).await;
    story.page.gate().arrival().await;
    story.pass(10 * S, 10 * MS).await;
    story.isr.graph().revalidate_by_tags([Tag::named("large")]).await.unwrap();
    story.page.gated(false);
    story.page.gate().open(1);
    for second in 1..=5 {
        story.pass(S, 10 * MS).await;
        let (begun, most) = (begun(1), second * 10 + 2);
        assert!((second * 9..=most).contains(&begun), "{begun} in {second} s");
    }
    story.pass(2 * S, 10 * MS).await;
    assert_eq!(begun(1), 60);
}
