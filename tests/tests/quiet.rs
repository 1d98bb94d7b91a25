//! A burst of edits costs one render, its last edit is what everyone sees, and nobody waits for it forever.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Path;
use axum::routing;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Limits, Mode};
use edge_isr_core::clock::{Clock, Moment};
use edge_isr_stories::*;
use futures_util::FutureExt;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

/// A site with the default window: quiet for 200 ms, at most 5 s.
fn patient(position: Position) -> Story {
    Story::with(position, lasting(), |builder| builder.limits(Limits::default()))
}

#[tokio::test(start_paused = true)]
async fn p06_a_burst_of_a_thousand_edits_costs_each_unvisited_page_one_render_of_the_last() {
    for position in POSITIONS {
        let story = patient(position);
        let _worker = story.worker().await;
        for id in 0..10 {
            story.get(&format!("/pages/{id}")).await;
        }
        for n in 0..1_000 {
            story.page.commit(n + 2);
            story.invalidate(n % 10, Mode::Soft).await;
            story.pass(2 * MS, 2 * MS).await;
        }
        assert_eq!(story.page.renders(), 10, "{position:?}: it is not quiet yet");
        story.pass(300 * MS, 10 * MS).await;
        assert!(story.isr.idle().now_or_never().is_some(), "{position:?}");
        for id in 0..10 {
            let answer = story.get(&format!("/pages/{id}")).await;
            assert!(
                answer.is_fresh_hit() && answer.text() == "v1001",
                "{position:?} {id}: {}",
                answer.text()
            );
        }
        assert_eq!(story.page.renders(), 20, "{position:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p06_edits_that_never_end_hold_a_page_back_for_the_longest_wait_and_no_longer() {
    let story = patient(Position::Inside);
    let _worker = story.worker().await;
    let times: Arc<Mutex<Vec<Moment>>> = Arc::default();
    let (clock, noted) = (story.clock.clone(), Arc::clone(&times));
    story.page.answers(move |version| {
        noted.lock().unwrap().push(clock.now());
        html(format!("v{version}"))
    });
    story.get("/pages/1").await;
    let begin = story.clock.now();
    for version in 2..162 {
        story.page.commit(version);
        story.invalidate(1, Mode::Soft).await;
        story.pass(100 * MS, 10 * MS).await;
    }
    story.pass(S, 10 * MS).await;
    let times: Vec<Duration> = times.lock().unwrap()[1..].iter().map(|time| time.since(begin)).collect();
    assert_eq!(times.len(), 4, "in 16 s, and once at the end: {times:?}");
    for (n, time) in times[..3].iter().enumerate() {
        let due = 5 * S * (u32::try_from(n).unwrap() + 1);
        // Counted from the first edit that its predecessor did not have.
        assert!((due..due + 500 * MS).contains(time), "{times:?}");
    }
    assert!((16 * S..16 * S + 400 * MS).contains(&times[3]), "{times:?}");
    assert_eq!(story.get("/pages/1").await.text(), "v161");
}

#[tokio::test(start_paused = true)]
async fn p06_two_tags_of_one_page_are_one_window_and_one_render() {
    let story = patient(Position::Around);
    let _worker = story.worker().await;
    let (one, two) = (Tag::named("one"), Tag::named("two"));
    story.page.tags([one.clone(), two.clone()]);
    story.get("/pages/1").await;
    let graph = story.isr.graph();
    graph.revalidate_by_tags([one.clone()]).await.unwrap();
    story.pass(150 * MS, 10 * MS).await;
    story.page.commit(2);
    graph.expire_by_tags([two.clone()]).await.unwrap();
    story.pass(150 * MS, 10 * MS).await;
    assert_eq!(story.page.renders(), 1, "the second edit began the wait anew");
    story.pass(150 * MS, 10 * MS).await;
    assert_eq!(story.page.renders(), 2);
    let both = graph.revalidate_by_tags([one, two]).await.unwrap();
    story.pass(400 * MS, 10 * MS).await;
    assert_eq!(story.page.renders(), 3);
    assert_eq!((both.progress().pages, both.progress().rendered), (Some(1), 1), "a page is counted once");
}

#[tokio::test]
async fn p06_without_a_window_a_page_is_rendered_at_once() {
    let story = Story::at(Position::Inside);
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    for version in 2..10 {
        story.page.commit(version);
        story.invalidate(1, Mode::Soft).await;
        within(story.isr.idle()).await;
        assert_eq!(story.page.renders() as u64, version, "and the manual clock stood still");
    }
}

#[tokio::test]
async fn p11_a_worker_does_not_begin_a_second_render_of_a_page_while_a_visitors_is_in_the_air() {
    for position in POSITIONS {
        let story = Story::at(position);
        story.get("/pages/1").await;
        story.invalidate(1, Mode::Soft).await;
        story.page.gated(true);
        assert_eq!(story.get("/pages/1").await.detail(), "invalidated");
        story.page.gate().arrival().await;
        let _worker = story.worker().await;
        story.page.commit(2);
        story.invalidate(1, Mode::Soft).await;
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert_eq!(story.page.renders(), 2, "{position:?}: one at a time");
        story.page.gate().open(1);
        story.page.gate().arrival().await;
        story.page.gate().open(1);
        within(story.isr.idle()).await;
        assert_eq!(story.page.renders(), 3, "{position:?}");
        let answer = story.get("/pages/1").await;
        assert!(answer.is_fresh_hit() && answer.text() == "v2", "{position:?}");
    }
}

/// How often each page is being rendered, and was at most.
#[derive(Debug, Default)]
struct Counts {
    now: HashMap<String, usize>,
    most: usize,
    renders: usize,
}

#[tokio::test(start_paused = true)]
async fn p11_p06_in_a_burst_a_visited_page_is_rendered_one_at_a_time_and_from_its_first_stale_hit_on() {
    let story = patient(Position::Inside);
    let counts: Arc<Mutex<Counts>> = Arc::default();
    let (data, noted) = (story.page.clone(), Arc::clone(&counts));
    let pages = routing::get(move |Path(id): Path<String>| {
        let (version, noted) = (data.version(), Arc::clone(&noted));
        async move {
            {
                let mut counts = noted.lock().unwrap();
                counts.renders += 1;
                let now = counts.now.entry(id.clone()).or_default();
                *now += 1;
                counts.most = (*now).max(counts.most);
            }
            tokio::time::sleep(30 * MS).await;
            *noted.lock().unwrap().now.get_mut(&id).unwrap() -= 1;
            html(format!("v{version}"))
        }
    });
    let tags = path_tag("page:{id}");
    let site = place(Position::Inside, &story.isr, "/pages/{id}", lasting(), tags, pages);
    tokio::spawn(begun(story.isr.worker(site.clone())).await);
    for id in 0..10 {
        get(&site, &format!("/pages/{id}")).await;
    }
    story.page.commit(2);
    story.invalidate(0, Mode::Soft).await;
    assert_eq!(get(&site, "/pages/0").await.text(), "v1");
    story.pass(2 * MS, MS).await;
    assert_eq!(counts.lock().unwrap().renders, 11, "it does not wait for quiet");
    for n in 0..1_000 {
        story.page.commit(n + 3);
        story.invalidate(n % 10, Mode::Soft).await;
        let before = tokio::time::Instant::now();
        let answer = get(&site, &format!("/pages/{}", n % 10)).await;
        assert!(answer.is_hit() && before.elapsed() == Duration::ZERO, "{n}: {}", answer.cache_status());
        story.pass(2 * MS, 2 * MS).await;
    }
    story.pass(500 * MS, 10 * MS).await;
    for id in 0..10 {
        let answer = get(&site, &format!("/pages/{id}")).await;
        assert!(answer.is_fresh_hit(), "{id}: {}", answer.cache_status());
        let last = 1_000 - 10 + id + 2;
        let seen: u64 = answer.text()[1..].parse().unwrap();
        assert!(seen >= last, "{id}: v{seen}, and the last edit of it was {last}");
    }
    let counts = counts.lock().unwrap();
    assert_eq!(counts.most, 1, "of each page one at a time");
    assert!((100..=700).contains(&counts.renders), "{}", counts.renders);
}
