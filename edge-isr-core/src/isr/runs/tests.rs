//! Whatever the foreman, the queue and the workers do, and wherever they are killed: every page of every run ends done,
//! and nothing is left behind.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::fed::Why;
use super::*;
use crate::graph::Cursor;
use crate::isr::tell::Listed;
use crate::isr::test_engine::Engine;
use crate::model::key::CacheKey;
use crate::model::snapshot::Mode;
use crate::queue::{Job, Priority};

const PAGES: usize = 6;
const TAGS: usize = 3;
const NOW: Moment = Moment::from_nanos(1);

/// What may happen, in any order.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// One tag, or two at once.
    Invalidate(usize, Option<usize>),
    List,
    Feed(Fate),
    /// What was fed long ago is pushed again.
    PushAgain,
    /// The nth job of the queue, and what becomes of it.
    Work(usize, Fate),
    Evict(usize),
    /// The worker that lists and feeds is killed, and another comes.
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// No room; a render that fails for good.
    Refused,
    /// Whoever does it is killed before they say so.
    Killed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = prop_oneof![4 => Just(Fate::Done), 1 => Just(Fate::Refused), 1 => Just(Fate::Killed)];
    let step = prop_oneof![
        3 => (0..TAGS, proptest::option::of(0..TAGS)).prop_map(|(one, two)| Step::Invalidate(one, two)),
        4 => Just(Step::List),
        6 => fate.clone().prop_map(Step::Feed),
        1 => Just(Step::PushAgain),
        5 => (0..PAGES, fate).prop_map(|(nth, fate)| Step::Work(nth, fate)),
        1 => (0..PAGES).prop_map(Step::Evict),
        1 => Just(Step::Kill),
    ];
    proptest::collection::vec(step, 0..200)
}

/// A page that carries these tags. `None` once it is evicted.
struct Page {
    key: CacheKey,
    tags: BTreeSet<usize>,
    rendered: Option<u64>,
    /// The render that was to reach this failed for good.
    given_up: u64,
}

struct Model {
    runs: Runs,
    busy: Arc<Busy>,
    seq: u64,
    /// How often each page was visited: once more before each listing.
    visits: u32,
    was_evicted: bool,
    marks: [u64; TAGS],
    pages: Vec<Page>,
    /// What each page must reach.
    queue: BTreeMap<usize, u64>,
    watched: Vec<Arc<Watched>>,
    /// How many pages carry a tag of each.
    carriers: Vec<usize>,
}

impl Model {
    fn new() -> Self {
        let engine = Engine::new();
        let page = |n: usize| Page {
            key: engine.key(&format!("/{n}")),
            // Each set of tags once, and the first page twice.
            tags: (0..TAGS).filter(|tag| (n + 1) >> tag & 1 == 1).collect(),
            rendered: Some(0),
            given_up: 0,
        };
        let busy = Arc::<Busy>::default();
        let model = Self {
            runs: Runs::new(Window::default(), Arc::clone(&busy)),
            busy,
            seq: 0,
            visits: 0,
            was_evicted: false,
            marks: [0; TAGS],
            pages: (0..PAGES).map(page).collect(),
            queue: BTreeMap::new(),
            watched: Vec::new(),
            carriers: Vec::new(),
        };
        model.runs.attach();
        assert!(model.runs.become_foreman());
        model
    }

    fn mark_of(&self, page: &Page) -> u64 {
        page.tags.iter().map(|tag| self.marks[*tag]).max().unwrap_or(0)
    }

    /// As the foreman looks at a page: whether it has to be rendered for this.
    fn needs(&self, page: &Page, want: u64) -> bool {
        page.rendered.is_some_and(|seq| seq < want && seq < self.mark_of(page))
    }

    fn number(&self, key: &CacheKey) -> usize {
        self.pages.iter().position(|page| page.key == *key).unwrap()
    }

    fn push(&mut self, job: &Job) {
        let want = self.queue.entry(self.number(&job.key)).or_default();
        *want = job.want.max(*want);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Invalidate(one, two) => {
                self.seq += 1;
                let tags: BTreeSet<usize> = [one].into_iter().chain(two).collect();
                tags.iter().for_each(|tag| self.marks[*tag] = self.seq);
                self.carriers.push(self.pages.iter().filter(|page| !page.tags.is_disjoint(&tags)).count());
                let tags: Vec<Tag> = tags.iter().map(|tag| Tag::named(&tag.to_string())).collect();
                let watched: Arc<Watched> = Arc::default();
                let run = Run {
                    tags: tags.into(),
                    seq: self.seq,
                    mode: Mode::Soft,
                    priority: Priority::Normal,
                    first: NOW,
                    last: NOW,
                    watched: vec![watched],
                    listed: Default::default(),
                };
                self.watched.push(self.runs.push(run).unwrap());
            }
            Step::List => self.list(),
            Step::Feed(fate) => self.feed(fate),
            Step::PushAgain => self.push_again(),
            Step::Work(nth, fate) => self.work(nth, fate),
            Step::Evict(n) => {
                self.pages[n].rendered = None;
                self.was_evicted = true;
            }
            Step::Kill => {
                self.runs.attach();
                assert!(!self.runs.detach(true) && self.runs.become_foreman());
            }
        }
        while self.runs.take_over().is_some() {}
        self.runs.rest();
    }

    fn list(&mut self) {
        let Some(listing) = self.runs.next_listing(true, NOW) else { return };
        self.visits += 1;
        let visits = self.visits;
        let tag: usize = listing.tag.as_str().parse().unwrap();
        // Two at a time, so that a listing takes several steps.
        let from = listing.place.after.map_or(0, |cursor| cursor.0 as usize);
        let all: Vec<&Page> = self.pages.iter().filter(|page| page.tags.contains(&tag)).collect();
        let batch = || all.iter().skip(from).take(2);
        let found = batch().filter(|page| self.needs(page, listing.want));
        let found =
            Found { in_memory: found.map(|page| (visits, page.key.hash())).collect(), elsewhere: Vec::new() };
        let next = (from + 2 < all.len()).then(|| Cursor(from as u64 + 2));
        let keys = batch().map(|page| page.key.clone()).collect();
        self.runs.list(&listing, &Members { keys, next, is_complete: true }, found, true, false);
    }

    fn feed(&mut self, fate: Fate) {
        let pages = &self.pages;
        let key_of = |hash| {
            let page = pages.iter().find(|page| page.key.hash() == hash && page.rendered.is_some());
            page.map(|page| page.key.clone())
        };
        let Next::Page(feed) = self.runs.next_page(NOW, key_of) else { return };
        if !self.needs(&self.pages[self.number(&feed.job.key)], feed.job.want) {
            return self.runs.take_off(&feed);
        }
        match fate {
            Fate::Done => self.push(&feed.job),
            Fate::Refused => self.runs.take_back(feed),
            Fate::Killed => {}
        }
    }

    fn push_again(&mut self) {
        for key in self.runs.fed() {
            let Some((job, _)) = self.runs.fed_job(&key) else { continue };
            let page = &self.pages[self.number(&job.key)];
            if page.rendered.is_none() {
                self.runs.done(&job.key, Ending::GivenUp(job.want), NOW);
            } else if self.needs(page, job.want) {
                self.push(&job);
            } else {
                self.runs.done(&job.key, Ending::Reached(job.want), NOW);
            }
        }
    }

    fn work(&mut self, nth: usize, fate: Fate) {
        let Some((&n, &want)) = self.queue.iter().nth(nth) else { return };
        let key = self.pages[n].key.clone();
        let ending = match (self.pages[n].rendered, fate) {
            (None, _) => Ending::GivenUp(want),
            (Some(_), Fate::Refused) => {
                self.pages[n].given_up = want;
                Ending::GivenUp(want)
            }
            (Some(_), Fate::Done | Fate::Killed) => {
                self.pages[n].rendered = Some(self.seq);
                Ending::Reached(self.seq)
            }
        };
        if fate == Fate::Killed {
            // It is rendered, and the queue may know it or not.
            if n.is_multiple_of(2) {
                self.queue.remove(&n);
            }
            return;
        }
        self.queue.remove(&n);
        self.runs.done(&key, ending, NOW);
    }

    /// The books agree.
    fn check(&self) {
        let state = lock(&self.runs.state);
        let backlog: usize = state.underway.values().map(|run| run.backlog.len()).sum();
        assert_eq!(state.backlog, backlog);
        for (id, run) in &state.underway {
            let fed = state.fed.owners().filter(|owners| owners.contains(id)).count();
            assert_eq!(run.left, run.backlog.len() + run.elsewhere.len() + fed, "{run:?}");
            assert!(!run.is_over(), "one that is over is told: {run:?}");
            assert_eq!(state.at_work.contains(id), run.is_at_work(), "{run:?}");
        }
        assert!(state.fed.owners().all(|owners| !owners.is_empty()));
        assert!(state.over.is_empty() && state.at_work.iter().all(|id| state.underway.contains_key(id)));
        assert_eq!(self.busy.is_busy(), !state.is_empty());
    }

    /// Lets everybody work until nothing is left.
    fn end(&mut self) {
        for _ in 0..10_000 {
            if self.runs.is_empty() {
                break;
            }
            for step in [Step::List, Step::Feed(Fate::Done), Step::PushAgain, Step::Work(0, Fate::Done)] {
                self.step(step);
                self.check();
            }
        }
        assert!(self.runs.is_empty() && !self.runs.has_fed() && !self.busy.is_busy());
        for page in &self.pages {
            let is_left = page.given_up >= self.mark_of(page);
            assert!(is_left || !self.needs(page, u64::MAX), "{:?} was lost", page.key);
        }
        for (watched, carriers) in self.watched.iter().zip(&self.carriers) {
            let now = watched.now();
            // Of a page that is gone nobody knows whether it was rendered before.
            assert!(
                self.was_evicted || now.pages <= Some(*carriers),
                "{now:?} of {carriers}: none counts twice"
            );
            assert_eq!(now.pages, Some(now.rendered + now.left), "{now:?}");
        }
    }
}

proptest! {
    #[test]
    fn p20_p06_nothing_is_lost_and_nothing_is_left_behind_wherever_who_works_is_killed(steps in steps()) {
        let mut model = Model::new();
        for step in steps {
            model.step(step);
            model.check();
        }
        model.end();
    }
}

#[test]
fn p06_a_page_that_is_listed_twice_is_given_to_the_queue_once_and_counted_once_however_its_render_ends() {
    for (fate, ended) in [(Fate::Done, (5, 0)), (Fate::Refused, (0, 5))] {
        let mut model = Model::new();
        // Of the five pages the third carries both; it is visited between the two listings.
        model.step(Step::Invalidate(0, Some(1)));
        (0..4).for_each(|_| model.step(Step::List));
        assert_eq!(model.watched[0].now().pages, Some(6), "{fate:?}: so far as is known");
        let mut jobs = 0;
        for _ in 0..6 {
            model.step(Step::Feed(Fate::Done));
            jobs += model.queue.len();
            model.step(Step::Work(0, fate));
            model.check();
        }
        let now = model.watched[0].now();
        assert_eq!((jobs, now.pages, (now.rendered, now.left)), (5, Some(5), ended), "{fate:?}");
        assert!(model.runs.is_empty());
    }
}

#[test]
fn p06_a_page_whose_job_ends_before_the_queue_has_answered_is_counted_once() {
    for is_refused in [false, true] {
        let mut model = Model::new();
        model.step(Step::Invalidate(0, None));
        (0..4).for_each(|_| model.step(Step::List));
        let found = |hash| model.pages.iter().find(|page| page.key.hash() == hash);
        let key_of = |hash| found(hash).map(|page| page.key.clone());
        let Next::Page(feed) = model.runs.next_page(NOW, key_of) else { panic!("there are pages") };
        let later = Moment::from_nanos(2);
        model.runs.puts_off_for_its_host(&feed.job.key, later);
        let (_, heard) = model.runs.fed_job(&feed.job.key).unwrap();
        assert_eq!(heard, later, "its turn may be long in coming, and the queue did not lose it");
        model.runs.done(&feed.job.key, Ending::Reached(feed.job.want), NOW);
        if is_refused {
            model.runs.take_back(feed);
        } else {
            model.runs.take_off(&feed);
        }
        model.check();
        assert_eq!(model.watched[0].now().rendered, 1);
    }
}

#[test]
fn p15_pages_that_are_put_off_take_no_others_place_and_are_counted_once() {
    let engine = Engine::new();
    let mut fed = fed::Fed::default();
    let keys: Vec<CacheKey> = (0..300).map(|n| engine.key(&format!("/{n}"))).collect();
    for key in &keys[..256] {
        assert!(!fed.is_full() && fed.add(key, 1, NOW) && !fed.add(key, 1, NOW));
    }
    assert!(fed.is_full());
    for (why, of_host) in [(Why::Host, 1), (Why::ItsOwn, 0), (Why::ItsOwn, 0), (Why::Host, 1), (Why::Host, 1)]
    {
        fed.put_off(&keys[0], why);
        assert_eq!(fed.waiting_for_host(&keys[0]), of_host);
    }
    assert!(!fed.is_full() && fed.add(&keys[256], 1, NOW) && fed.is_full());
    fed.retain(&keys[0], NOW, |_| true);
    assert!(fed.is_full() && fed.waiting_for_host(&keys[0]) == 0, "something was heard of it");
    fed.put_off(&keys[1], Why::Host);
    fed.remove(&keys[1], 1);
    assert!(fed.is_full() && fed.waiting_for_host(&keys[1]) == 0, "and gone it counts for nothing");
    keys.iter().for_each(|key| fed.retain(key, NOW, |_| false));
    assert!(fed.is_empty() && !fed.is_full());
}

#[test]
fn p20_p15_runs_that_only_wait_for_a_page_keep_no_others_out_and_have_a_bound_of_their_own() {
    let mut model = Model::new();
    let counted = |model: &Model| model.watched.iter().filter(|run| run.now().pages.is_some()).count();
    let all = 5_000;
    for _ in 0..all {
        model.step(Step::Invalidate(2, None));
        (0..2).for_each(|_| model.step(Step::List));
        (0..3).for_each(|_| model.step(Step::Feed(Fate::Done)));
    }
    assert_eq!((counted(&model), lock(&model.runs.state).underway.len()), (MOST_UNDERWAY, MOST_UNDERWAY));
    model.check();
    model.end();
    assert_eq!(counted(&model), all);
}

#[test]
fn p15_of_runs_that_list_many_urls_for_the_caches_in_front_there_are_few_at_once() {
    for (urls, told, most) in
        [(65, true, MOST_AT_WORK), (64, true, MOST_UNDERWAY), (65, false, MOST_UNDERWAY)]
    {
        let mut model = Model::new();
        let key = model.pages[0].key.clone();
        let mut taken = 0;
        for _ in 0..=MOST_AT_WORK {
            model.step(Step::Invalidate(0, None));
            let Some(listing) = model.runs.next_listing(true, NOW) else { break };
            taken += 1;
            let found = Found { in_memory: vec![(0, key.hash())], elsewhere: Vec::new() };
            let members = Members { keys: vec![key.clone(); urls], next: None, is_complete: true };
            model.runs.list(&listing, &members, found, told, false);
            model.step(Step::Feed(Fate::Done));
        }
        assert_eq!(taken, most.min(MOST_AT_WORK + 1), "{urls} {told}");
    }
}

#[test]
fn p21_what_is_given_up_at_a_shutdown_is_counted_as_left() {
    let mut model = Model::new();
    for step in [Step::Invalidate(0, None), Step::List, Step::Feed(Fate::Done), Step::Invalidate(1, None)] {
        model.step(step);
    }
    let mut all = model.runs.take_all();
    all.sort_by_key(|run| Reverse(run.run.seq));
    assert_eq!(all.len(), 2);
    assert!(model.runs.is_empty() && !model.runs.has_fed());
    let now: Vec<_> = model.watched.iter().map(|watched| watched.now()).collect();
    assert_eq!((now[0].pages, now[0].rendered, now[0].left), (Some(2), 0, 2));
    assert_eq!((now[1].pages, now[1].left), (Some(0), 0));
}

#[test]
fn p15_p22_runs_share_a_bound_on_urls_and_beyond_it_are_told_as_everything() {
    let (engine, runs) = (Engine::new(), Runs::new(Window::default(), Arc::default()));
    runs.attach();
    let long = "x".repeat(8_000);
    for n in 0..400_u64 {
        let watched = vec![Arc::new(Watched::new(std::iter::empty()))];
        let tags: Arc<[Tag]> = [Tag::named(&format!("t{n}"))].into();
        runs.push(Run {
            tags: Arc::clone(&tags),
            seq: n + 1,
            mode: Mode::Soft,
            priority: Priority::Normal,
            first: NOW,
            last: NOW,
            watched,
            listed: Listed::default(),
        });
        let keys = (0..10).map(|m| engine.key(&format!("/{n}/{m}/{long}"))).collect();
        let members = Members { keys, next: Some(Cursor(7)), is_complete: true };
        let listing = runs.next_listing(true, NOW).unwrap();
        runs.list(&listing, &members, Found::default(), true, false);
        assert!(runs.lost(|tag| *tag == tags[0], &format!("/lost/{n}/{long}")));
    }
    let listed: usize = runs.untold().iter().map(|run| run.listed.bytes()).sum();
    assert!(listed > MOST_LISTED / 2 && listed < MOST_LISTED + (1 << 20), "{listed}");
}
