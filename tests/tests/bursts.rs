//! A burst of edits costs a page one render, and those who are asked for most come first.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Path;
use axum::routing;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Limits, Mode};
use edge_isr_stories::*;

/// More than a queue is given at once.
const MANY: u64 = 600;
const QUIET: Duration = Duration::from_millis(200);

/// A site whose worker waits for quiet.
fn patient() -> Story {
    Story::with(Position::Around, lasting(), |builder| builder.limits(Limits::default()))
}

/// Lets so much time pass, by both clocks, and the worker look at it.
async fn pass(story: &Story, millis: u64) {
    story.clock.advance(Duration::from_millis(millis));
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test(start_paused = true)]
async fn p06_a_burst_renders_each_page_once_however_many_there_are() {
    let story = patient();
    story.page.tags([tag("list", 1)]);
    for id in 0..MANY {
        story.get(&format!("/pages/{id}")).await;
    }
    let _worker = story.worker().await;
    for version in 2..52 {
        story.page.commit(version);
        story.isr.graph().revalidate_by_tags([tag("list", 1)]).await.unwrap();
        pass(&story, 20).await;
    }
    assert_eq!(story.page.renders() as u64, MANY, "the burst goes on");
    story.clock.advance(QUIET);
    within(story.isr.idle()).await;
    assert_eq!(story.page.renders() as u64, 2 * MANY);
    for id in 0..MANY {
        let answer = story.get(&format!("/pages/{id}")).await;
        assert!(answer.is_fresh_hit() && answer.text() == "v51", "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn p06_a_page_waits_until_the_last_of_its_tags_is_quiet_and_at_most_for_the_longest_wait() {
    let story = patient();
    story.page.tags([tag("list", 1)]);
    story.get("/pages/1").await;
    let _worker = story.worker().await;
    // Each tag alone would be quiet for long enough.
    for step in 1..33 {
        match step % 2 {
            0 => story.invalidate(1, Mode::Soft).await,
            _ => story.isr.graph().revalidate_by_tags([tag("list", 1)]).await.unwrap(),
        };
        pass(&story, 150).await;
        assert_eq!(story.page.renders(), 1, "after {} ms", step * 150);
    }
    for step in 33..36 {
        story.invalidate(1, Mode::Soft).await;
        pass(&story, 150).await;
        let expected = if step * 150 < 5_000 { 1 } else { 2 };
        assert_eq!(story.page.renders(), expected, "after {} ms", step * 150);
    }
    story.clock.advance(QUIET);
    within(story.isr.idle()).await;
    assert_eq!(story.page.renders(), 3, "the edits since then make a window of their own");
}

#[tokio::test]
async fn p06_the_most_visited_come_first_of_all_pages_and_not_only_of_those_that_are_listed_first() {
    let mut limits = prompt();
    limits.worker_renders = 1;
    let isr = Isr::builder().limits(limits).build().unwrap();
    let rendered = Arc::new(Mutex::new(Vec::new()));
    let known = Arc::clone(&rendered);
    let render = async move |Path(page): Path<u64>, context: IsrContext| {
        known.lock().unwrap().push(page);
        context.add_tags([tag("list", 1)]);
        "a page"
    };
    let site = place(Position::Around, &isr, "/pages/{id}", lasting(), (), routing::get(render));
    for page in 0..MANY {
        get(&site, &format!("/pages/{page}")).await;
    }
    let visited = [MANY - 1, 3, 300, MANY - 2];
    for (visits, page) in visited.into_iter().rev().enumerate() {
        for _ in 0..=visits {
            get(&site, &format!("/pages/{page}")).await;
        }
    }
    rendered.lock().unwrap().clear();
    let _worker = tokio::spawn(begun(isr.worker(site.clone())).await);
    isr.graph().revalidate_by_tags([tag("list", 1)]).await.unwrap();
    within(isr.idle()).await;
    let rendered = rendered.lock().unwrap();
    assert_eq!((&rendered[..4], rendered.len() as u64), (&visited[..], MANY));
}
