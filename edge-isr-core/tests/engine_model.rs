//! The engine against a plain model: what becomes of a page is decided by its snapshot, its age and the marks of what
//! it depends on, written down here once more as loops over lists.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edge_isr_core::isr::admit::{Admitted, Sealed};
use edge_isr_core::isr::flight::Permit;
use edge_isr_core::isr::look_up::LookUp;
use edge_isr_core::model::authority::Scheme;
use edge_isr_core::model::key::{CacheKey, KeyRef};
use edge_isr_core::testing::ManualClock;
use edge_isr_core::testing::contract::run;
use edge_isr_core::{Builder, Isr, Mode, Policy, Reason, Tag};
use http::Response;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

const PATHS: &[&str] = &["/", "/a", "/a/b", "/a?q=1", "/c"];
const TAGS: &[&str] = &["post", "post:1", "post:1:text", "post:10", "list"];
const FRESH: u64 = 10;
const WHILE_REVALIDATE: u64 = 5;
const IF_ERROR: u64 = 8;

/// What an invalidation names.
#[derive(Debug, Clone, Copy)]
enum Scope {
    Tag(usize),
    Url(usize),
    Prefix(usize),
    All,
}

#[derive(Debug, Clone)]
enum Move {
    /// A render begins.
    Begin {
        page: usize,
    },
    /// One that began is complete, and carries these tags.
    Complete {
        render: usize,
        tags: Vec<usize>,
    },
    Mark {
        scope: Scope,
        mode: Mode,
    },
    LookUp {
        page: usize,
        owed_back: u64,
    },
    Pass {
        seconds: u64,
    },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let scope = prop_oneof![
        5 => (0..TAGS.len()).prop_map(Scope::Tag),
        2 => (0..PATHS.len()).prop_map(Scope::Url),
        1 => (0..PATHS.len()).prop_map(Scope::Prefix),
        1 => Just(Scope::All),
    ];
    let mode = prop_oneof![3 => Just(Mode::Soft), 1 => Just(Mode::Hard)];
    let one = prop_oneof![
        4 => (0..PATHS.len()).prop_map(|page| Move::Begin { page }),
        4 => (0..4_usize, prop::collection::vec(0..TAGS.len(), 0..3))
            .prop_map(|(render, tags)| Move::Complete { render, tags }),
        2 => (scope, mode).prop_map(|(scope, mode)| Move::Mark { scope, mode }),
        6 => (0..PATHS.len(), 0..4_u64).prop_map(|(page, owed_back)| Move::LookUp { page, owed_back }),
        1 => (0..7_u64).prop_map(|seconds| Move::Pass { seconds }),
    ];
    prop::collection::vec(one, 1..80)
}

/// What a look-up says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Fresh { seq: u64 },
    Stale { seq: u64 },
    Miss { reason: Reason, has_spare: bool },
}

#[derive(Debug, Clone)]
struct ModelPage {
    seq: u64,
    born: u64,
    tags: Vec<usize>,
}

/// Every invalidation there ever was, and the pages.
#[derive(Debug, Default)]
struct Model {
    now: u64,
    marks: Vec<(u64, Scope, Mode)>,
    pages: HashMap<usize, ModelPage>,
}

fn covers(scope: Scope, page: usize, tags: &[usize]) -> bool {
    let split = |page: usize| {
        PATHS[page].split_once('?').map_or((PATHS[page], None), |(path, query)| (path, Some(query)))
    };
    let (path, query) = split(page);
    match scope {
        Scope::All => true,
        Scope::Tag(named) => {
            let named = TAGS[named];
            tags.iter().any(|&tag| TAGS[tag] == named || TAGS[tag].starts_with(&format!("{named}:")))
        }
        // A URL without a query covers every query of its path.
        Scope::Url(named) => split(named).0 == path && (split(named).1.is_none() || split(named).1 == query),
        Scope::Prefix(named) => {
            let prefix = split(named).0.trim_end_matches('/');
            path == prefix || path.starts_with(&format!("{prefix}/"))
        }
    }
}

impl Model {
    fn seq(&self) -> u64 {
        self.marks.len() as u64
    }

    fn latest(&self, page: usize, tags: &[usize], mode: Mode) -> u64 {
        let covering = self.marks.iter().filter(|(_, scope, of)| *of == mode && covers(*scope, page, tags));
        covering.map(|(seq, ..)| *seq).max().unwrap_or(0)
    }

    fn complete(&mut self, page: usize, made: ModelPage) -> Option<Reason> {
        let is_dead = self.latest(page, &made.tags, Mode::Hard) > made.seq;
        if is_dead || self.pages.get(&page).is_some_and(|standing| standing.seq > made.seq) {
            return Some(Reason::Overtaken);
        }
        self.pages.insert(page, made);
        None
    }

    fn look_up(&mut self, page: usize, owed: u64) -> Said {
        let Some(found) = self.pages.get(&page) else {
            return Said::Miss { reason: Reason::Absent, has_spare: false };
        };
        let (seq, age) = (found.seq, self.now - found.born);
        if self.latest(page, &found.tags, Mode::Hard) > seq {
            self.pages.remove(&page);
            return Said::Miss { reason: Reason::Dead, has_spare: false };
        }
        let is_invalidated = self.latest(page, &found.tags, Mode::Soft) > seq;
        if !is_invalidated && age < FRESH {
            return Said::Fresh { seq };
        }
        let owes_newer = is_invalidated && owed > seq;
        if !owes_newer && age < FRESH + WHILE_REVALIDATE {
            return Said::Stale { seq };
        }
        let reason = if owes_newer { Reason::Receipt } else { Reason::Expired };
        Said::Miss { reason, has_spare: age < FRESH + IF_ERROR }
    }
}

/// Both, side by side.
struct Pair {
    isr: Isr,
    clock: ManualClock,
    model: Model,
    policy: Policy,
    renders: Vec<(usize, Permit, u64)>,
}

fn key_of(isr: &Isr, page: usize) -> CacheKey {
    let (path, query) =
        PATHS[page].split_once('?').map_or((PATHS[page], None), |(path, query)| (path, Some(query)));
    isr.own_key(&KeyRef { query, ..KeyRef::new(Scheme::Http, "h.example", "/{*path}", path) })
}

impl Pair {
    fn new(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = ManualClock::default();
        let isr = settings(Isr::builder().clock(Arc::new(clock.clone()))).build().unwrap();
        let seconds = Duration::from_secs;
        let policy = Policy::new()
            .s_maxage(seconds(FRESH))
            .stale_while_revalidate(seconds(WHILE_REVALIDATE))
            .stale_if_error(seconds(IF_ERROR))
            .query(["q"]);
        isr.declare(&policy.check().unwrap());
        Self { isr, clock, model: Model::default(), policy, renders: Vec::new() }
    }

    async fn play(&mut self, step: &Move) -> Result<(), TestCaseError> {
        match step {
            Move::Begin { page } => {
                let permit = self.isr.solo(key_of(&self.isr, *page));
                prop_assert_eq!(permit.snapshot().seq, self.model.seq());
                self.renders.push((*page, permit, self.model.seq()));
            }
            Move::Complete { render, tags } if *render < self.renders.len() => {
                let (page, permit, seq) = self.renders.swap_remove(*render);
                let kept = self.admit(&permit, tags);
                let made = ModelPage { seq, born: self.model.now, tags: tags.clone() };
                prop_assert_eq!(kept, self.model.complete(page, made));
            }
            Move::Complete { .. } => {}
            Move::Mark { scope, mode } => {
                let seq = self.mark(*scope, *mode).await;
                self.model.marks.push((self.model.seq() + 1, *scope, *mode));
                prop_assert_eq!(seq, self.model.seq());
            }
            Move::LookUp { page, owed_back } => {
                let owed = self.model.seq().saturating_sub(*owed_back);
                let said = self.look_up(*page, owed);
                prop_assert_eq!(said, self.model.look_up(*page, owed), "{} owes {}", PATHS[*page], owed);
            }
            Move::Pass { seconds } => {
                self.clock.advance(Duration::from_secs(*seconds));
                self.model.now += seconds;
            }
        }
        Ok(())
    }

    fn admit(&self, permit: &Permit, tags: &[usize]) -> Option<Reason> {
        let (parts, ()) = Response::new(()).into_parts();
        let tags = tags.iter().map(|&tag| Tag::parse(TAGS[tag]).unwrap()).collect();
        let sealed = Sealed { tags, ..Sealed::default() };
        let rules = self.policy.check().unwrap();
        match self.isr.admit(permit, &rules, parts, vec![Bytes::from_static(b"page")], &sealed, |_| {}) {
            Admitted::Page(_, kept) => kept,
            Admitted::Vetoed(reason, ..) => Some(reason),
        }
    }

    async fn mark(&self, scope: Scope, mode: Mode) -> u64 {
        let graph = self.isr.graph();
        let receipt = match scope {
            Scope::Tag(tag) => {
                let tags = [Tag::parse(TAGS[tag]).unwrap()];
                match mode {
                    Mode::Soft => graph.revalidate_by_tags(tags).await,
                    Mode::Hard => graph.expire_by_tags(tags).await,
                }
            }
            Scope::Url(page) => graph.by_url(PATHS[page], mode).await,
            Scope::Prefix(page) => graph.by_prefix(PATHS[page], mode).await,
            Scope::All => graph.all(mode).await,
        };
        receipt.unwrap().seq()
    }

    fn look_up(&self, page: usize, owed: u64) -> Said {
        let key = key_of(&self.isr, page);
        match key.read(|key| self.isr.look_up(key, || owed)).unwrap() {
            LookUp::Fresh(hit) => Said::Fresh { seq: hit.page().birth().snapshot.seq },
            LookUp::Stale(hit) => Said::Stale { seq: hit.page().birth().snapshot.seq },
            LookUp::Miss(miss) => Said::Miss { reason: miss.reason, has_spare: miss.spare.is_some() },
        }
    }
}

fn play(moves: &[Move], settings: impl FnOnce(Builder) -> Builder) -> Result<(), TestCaseError> {
    run(async {
        let mut pair = Pair::new(settings);
        for step in moves {
            pair.play(step).await?;
        }
        for page in 0..PATHS.len() {
            pair.play(&Move::LookUp { page, owed_back: 0 }).await?;
        }
        Ok(())
    })
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn p01_the_engine_decides_as_a_list_of_invalidations_would(moves in moves()) {
        play(&moves, |builder| builder)?;
    }
}

#[cfg(feature = "twins")]
#[test]
fn p01_an_engine_that_takes_its_snapshots_late_is_told_from_the_model() {
    let late = |builder: Builder| builder.twin(edge_isr_core::testing::Twin::LateSnapshot);
    let result = proptest::test_runner::TestRunner::new(config()).run(&moves(), |moves| play(&moves, late));
    assert!(result.is_err(), "five hundred histories have no invalidation while a page is rendered");
}
