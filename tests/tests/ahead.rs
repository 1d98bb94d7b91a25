//! Renders that begin ahead of a page's end, and lifetimes that end apart.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::collections::BTreeSet;
use std::time::Duration;

use axum::response::IntoResponse;
use edge_isr_axum::Reason;
use edge_isr_axum::prelude::*;
use edge_isr_core::Mode;
use edge_isr_core::testing::Twin;
use edge_isr_stories::*;
use http::StatusCode;

const S: Duration = Duration::from_secs(1);
const LIFE: Duration = Duration::from_secs(300);
/// How long a render takes by the story's clock.
const RENDER: Duration = Duration::from_secs(2);
/// No hit draws a longer lead: see `Lead`.
const LONGEST_LEAD: Duration = Duration::from_secs(16 * 2);

/// A site whose renders take two seconds.
fn slow(position: Position, policy: Policy) -> Story {
    let story = Story::with(position, policy, |builder| builder.seed(5));
    takes(&story, RENDER);
    story
}

fn takes(story: &Story, time: Duration) {
    let clock = story.clock.clone();
    story.page.answers(move |version| {
        clock.advance(time);
        html(format!("v{version}"))
    });
}

/// Visits until one more render was begun; every visitor gets the fresh page meanwhile.
async fn until_renewed(story: &Story, step: Duration) {
    let begun = story.isr.stats().renders;
    while story.isr.stats().renders == begun {
        story.clock.advance(step);
        assert!(story.get("/pages/1").await.is_fresh_hit(), "nobody meets it aged");
        // The render's task gets its turn, if there is one; at a gate it stays.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_page_is_rendered_before_it_ages_and_every_visitor_gets_a_fresh_hit() {
    for position in POSITIONS {
        let story = slow(position, lasting().refresh_ahead(1.0));
        story.get("/pages/1").await;
        let begin = now(&story);
        for life in 2..=5 {
            story.clock.advance(LIFE - LONGEST_LEAD - S);
            assert!(story.get("/pages/1").await.is_fresh_hit());
            story.isr.idle().await;
            assert_eq!(story.page.renders(), life - 1, "{position:?}: too early");
            while story.page.renders() < life {
                story.clock.advance(S / 4);
                let hit = story.get("/pages/1").await;
                assert!(hit.is_fresh_hit() && !hit.is_zero_downstream(), "{position:?} {hit:?}");
                assert!(hit.header("age").parse::<u64>().unwrap() < LIFE.as_secs());
                story.isr.idle().await;
            }
            let young = story.get("/pages/1").await;
            assert_eq!(young.header("age"), "0", "{position:?}");
        }
        let stats = story.isr.stats();
        assert_eq!((stats.renders, stats.count(Reason::Ahead), stats.count(Reason::Aged)), (5, 4, 0));
        assert!(now(&story) - begin >= 4 * (LIFE - LONGEST_LEAD), "about one render a lifetime");
    }
}

fn now(story: &Story) -> Duration {
    Duration::from_nanos(story.isr.now().as_nanos())
}

#[tokio::test]
async fn p11_many_readers_begin_one_render_ahead_and_none_waits_for_it() {
    let story = slow(Position::Around, lasting().refresh_ahead(1.0));
    story.get("/pages/1").await;
    story.page.gated(true);
    story.clock.advance(LIFE - S);
    for _ in 0..1_000 {
        assert!(story.get("/pages/1").await.is_fresh_hit());
    }
    story.page.gate().arrival().await;
    // It has aged meanwhile: the render in the air is the one that a stale page needs.
    story.clock.advance(S);
    for _ in 0..100 {
        assert_eq!(story.get("/pages/1").await.detail(), "aged");
    }
    assert_eq!(story.page.renders(), 1 + 1);
    assert_eq!(story.isr.stats().count(Reason::Ahead), 1);
    story.page.gate().open(1);
    story.isr.idle().await;
    assert!(story.get("/pages/1").await.is_fresh_hit());
    assert_eq!(story.page.renders(), 1 + 1);
}

#[tokio::test]
async fn nothing_is_rendered_ahead_unless_the_policy_asks_for_it_and_rendering_takes_time() {
    for (policy, time) in [(lasting(), RENDER), (lasting().refresh_ahead(100.0), Duration::ZERO)] {
        let story = slow(Position::Inside, policy);
        takes(&story, time);
        story.get("/pages/1").await;
        story.clock.advance(LIFE - Duration::from_nanos(1));
        for _ in 0..1_000 {
            assert!(story.get("/pages/1").await.is_fresh_hit());
        }
        story.isr.idle().await;
        assert_eq!(story.page.renders(), 1);
        assert_eq!(story.isr.stats().count(Reason::Ahead), 0);
    }
}

#[tokio::test]
async fn a_page_that_takes_longer_to_render_than_it_lives_rests_for_half_its_life() {
    let story = slow(Position::Around, lasting().refresh_ahead(100.0));
    takes(&story, 2 * LIFE);
    story.get("/pages/1").await;
    story.clock.advance(LIFE / 2 - Duration::from_nanos(1));
    for _ in 0..1_000 {
        assert!(story.get("/pages/1").await.is_fresh_hit());
    }
    story.isr.idle().await;
    assert_eq!(story.page.renders(), 1);
    until_renewed(&story, S).await;
}

#[tokio::test]
async fn a_render_ahead_that_fails_costs_nobody_the_page() {
    let story = slow(Position::Around, lasting().refresh_ahead(1.0));
    story.get("/pages/1").await;
    story.page.answers(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
    story.clock.advance(LIFE - LONGEST_LEAD);
    until_renewed(&story, S / 4).await;
    story.isr.idle().await;
    let kept = story.get("/pages/1").await;
    assert!(kept.is_fresh_hit() && kept.text() == "v1");
}

/// The render that races the invalidation was begun ahead of the page's end. Was v1 given out as fresh?
async fn r18_ahead(story: &Story, mode: Mode) -> bool {
    story.get("/pages/1").await;
    story.clock.advance(LIFE - LONGEST_LEAD);
    story.page.gated(true);
    until_renewed(story, S / 4).await;
    story.page.gate().arrival().await;
    story.page.gated(false);
    story.page.commit(2);
    story.invalidate(1, mode).await;
    story.page.gate().open(1);
    story.isr.idle().await;
    let answer = story.get("/pages/1").await;
    answer.text() == "v1" && (answer.is_fresh_hit() || !answer.is_zero_downstream())
}

#[tokio::test]
async fn p01_r18_a_render_ahead_that_an_invalidation_overtakes_is_not_served_as_fresh() {
    for position in POSITIONS {
        for mode in [Mode::Soft, Mode::Hard] {
            let story = slow(position, lasting().refresh_ahead(1.0));
            assert!(!r18_ahead(&story, mode).await, "{position:?} {mode:?}");
            story.isr.idle().await;
            assert_eq!(story.get("/pages/1").await.text(), "v2", "{position:?} {mode:?}");
        }
    }
    let late = |builder: edge_isr_axum::Builder| builder.seed(5).twin(Twin::LateSnapshot);
    let story = Story::with(Position::Around, lasting().refresh_ahead(1.0), late);
    takes(&story, RENDER);
    assert!(r18_ahead(&story, Mode::Soft).await, "the test can't tell");
}

/// The lifetime that a page tells caches downstream, and the one in `Cache-Status`.
fn told(answer: &Answer) -> (u64, u64) {
    let number = |line: &str, name: &str| -> u64 {
        let part = line.split([',', ';']).find_map(|part| part.trim().strip_prefix(name));
        part.unwrap_or_else(|| panic!("{name} in {line}")).parse().unwrap()
    };
    (number(&answer.header("cache-control"), "s-maxage="), number(&answer.cache_status(), "ttl="))
}

#[tokio::test]
async fn jitter_lets_pages_end_apart_each_when_it_said_and_none_too_late() {
    for position in POSITIONS {
        let story = Story::with(position, lasting().lifetime_jitter(0.1), |builder| builder.seed(5));
        let mut lives = Vec::new();
        for page in 0..200 {
            let path = format!("/pages/{page}");
            let (fresh, ttl) = told(&story.get(&path).await);
            assert_eq!(fresh, ttl, "{position:?}");
            assert!((270..=300).contains(&fresh), "{position:?}: {fresh}");
            lives.push((path, fresh));
        }
        let ends: BTreeSet<u64> = lives.iter().map(|(_, fresh)| *fresh).collect();
        assert!(ends.len() > 20 && ends.contains(&300), "{position:?}: they end at {ends:?}");
        story.clock.advance(Duration::from_secs(269));
        for age in 269..=300 {
            for (path, fresh) in &lives {
                // They leave in whole seconds and may end within the one they named.
                if age < *fresh {
                    let hit = story.get(path).await;
                    assert!(hit.is_fresh_hit(), "{position:?}: {path} lives {fresh} s, {hit:?}");
                    assert_eq!(told(&hit), (*fresh, fresh - age), "{position:?} {path}");
                } else if age == fresh + 1 || age == 300 {
                    assert_eq!(story.get(path).await.detail(), "aged", "{position:?}: {path} {fresh}");
                }
            }
            lives.retain(|(_, fresh)| age <= *fresh);
            story.clock.advance(S);
        }
    }
}

#[tokio::test]
async fn jitter_holds_for_a_status_of_its_own_and_leaves_a_second_at_least() {
    let policy = lasting().status(StatusCode::NOT_FOUND, Duration::from_secs(100)).lifetime_jitter(0.9);
    let story = Story::with(Position::Around, policy, |builder| builder.seed(5));
    story.page.answers(|_| (StatusCode::NOT_FOUND, "none").into_response());
    let mut ends = BTreeSet::new();
    for page in 0..100 {
        ends.insert(told(&story.get(&format!("/pages/{page}")).await).0);
    }
    assert!(ends.len() > 10 && ends.iter().all(|end| (10..=100).contains(end)), "{ends:?}");

    let brief = Policy::new().s_maxage(S).lifetime_jitter(0.9);
    let story = Story::with(Position::Around, brief, |builder| builder.seed(5));
    for page in 0..100 {
        assert_eq!(told(&story.get(&format!("/pages/{page}")).await), (1, 1));
    }
}

#[tokio::test]
async fn nodes_draw_lifetimes_of_their_own() {
    let node = || Story::with(Position::Around, lasting().lifetime_jitter(0.5), |builder| builder);
    let (one, other) = (node(), node());
    let mut differ = 0;
    for page in 0..50 {
        let path = format!("/pages/{page}");
        differ += usize::from(told(&one.get(&path).await) != told(&other.get(&path).await));
    }
    assert!(differ > 0, "their chance begins alike");
}
