//! Every interleaving of renders, readers, invalidations and the collector that `loom` can find, and every value
//! that an atomic's ordering lets them see. The ledger and the pages are the engine's own.
//!
//! Run by `cargo xtask test`: `RUSTFLAGS="--cfg loom" cargo test -p edge-isr-core --release --test loom`.
//!
//! Models of three or four threads are bounded by preemptions; the others are exhaustive.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "what can't go on fails its model")]

use std::time::Duration;

use edge_isr_core::clock::Moment;
use edge_isr_core::graph::{Lack, Ledger};
use edge_isr_core::model::authority::Scheme;
use edge_isr_core::model::head::HeadParts;
use edge_isr_core::model::key::KeyRef;
use edge_isr_core::model::lifetime::Lifetime;
use edge_isr_core::model::page::{Birth, Page};
use edge_isr_core::model::snapshot::{Incarnation, Mark, Mode, Seen, Snapshot};
use edge_isr_core::model::tag::{TagId, TagSet};
use edge_isr_core::model::verdict::{Loss, Verdict};
use edge_isr_core::store::Heads;
use http::{HeaderMap, StatusCode};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;

const NOW: Moment = Moment::from_nanos(0);

/// Checks a model with so many preemptions at most: more threads than can be enumerated.
fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn ledger(most_marks: usize, lack: Option<Lack>) -> Arc<Ledger> {
    let incarnation = Incarnation::from_bytes([1; 16]);
    Arc::new(Ledger::new(incarnation, most_marks, Duration::from_secs(60)).lacking(lack))
}

fn id(name: &str) -> TagId {
    TagId::of(name)
}

/// A page that carries these tags and was begun at this snapshot.
fn page(tags: &[&str], snapshot: Snapshot) -> Arc<Page> {
    let key = KeyRef::new(Scheme::Https, "example.com", "/", "/");
    let key = key.to_owned(std::sync::Arc::new(key.scope()));
    let lifetime = Lifetime { fresh: Duration::from_secs(60), ..Lifetime::default() };
    let parts = HeadParts::take(StatusCode::OK, HeaderMap::new(), lifetime, Loss::Miss);
    let (head, _) = Heads::new(1).of(parts);
    let ids: Vec<TagId> = tags.iter().copied().map(id).collect();
    Arc::new(Page::new(&key, Birth { snapshot, at: NOW }, head, &[], &TagSet::default(), &ids, &[]))
}

/// A hit, as `Isr::look_up` treats it.
fn is_fresh(page: &Page, ledger: &Ledger) -> bool {
    judged(page, ledger) == Verdict::Fresh
}

fn judged(page: &Page, ledger: &Ledger) -> Verdict {
    let applied = ledger.applied();
    if page.is_verified(applied) {
        return Verdict::Fresh;
    }
    let seen = Seen { applied, changes: ledger.changes(page.ids()) };
    page.judge_unchanged(NOW, seen).unwrap_or_else(|| page.judge(NOW, &ledger.marks(page.ids()), seen))
}

/// The twin that compares `seq`; above zero, as `applied` is.
fn is_fresh_by_seq(page: &Page, ledger: &Ledger) -> bool {
    let seen = Seen { applied: ledger.naive_counter() + 1, changes: ledger.changes(page.ids()) };
    page.is_verified(seen.applied) || page.judge(NOW, &ledger.marks(page.ids()), seen) == Verdict::Fresh
}

/// The twin that remembers an `applied` that it loaded after the marks.
fn is_fresh_by_late_counter(page: &Page, ledger: &Ledger) -> bool {
    let marks = ledger.marks(page.ids());
    let seen = Seen { applied: ledger.applied(), changes: ledger.changes(page.ids()) };
    page.is_verified(seen.applied) || page.judge(NOW, &marks, seen) == Verdict::Fresh
}

/// An invalidation and a reader at once; after the acknowledgement another reader must not find the page fresh.
fn no_old_page_after_the_acknowledgement(lack: Option<Lack>, is_fresh: fn(&Page, &Ledger) -> bool) {
    loom::model(move || {
        let ledger = ledger(1000, lack);
        let page = page(&["a"], ledger.snapshot());
        let acknowledged = Arc::new(AtomicBool::new(false));
        let writer = {
            let (ledger, acknowledged) = (Arc::clone(&ledger), Arc::clone(&acknowledged));
            thread::spawn(move || {
                ledger.mark(&[id("a")], Mode::Soft, NOW);
                acknowledged.store(true, Ordering::Release);
            })
        };
        let reader = {
            let (ledger, page) = (Arc::clone(&ledger), Arc::clone(&page));
            // The first time it reads the marks, the second time it remembers what it read.
            thread::spawn(move || [is_fresh(&page, &ledger), is_fresh(&page, &ledger)])
        };
        if acknowledged.load(Ordering::Acquire) {
            assert!(!is_fresh(&page, &ledger), "served as fresh after the acknowledgement");
        }
        writer.join().unwrap();
        reader.join().unwrap();
        assert!(!is_fresh(&page, &ledger), "served as fresh for good");
    });
}

#[test]
fn p01_applied_is_the_counter_to_compare() {
    no_old_page_after_the_acknowledgement(None, is_fresh);
}

#[test]
#[should_panic(expected = "served as fresh")]
fn p01_must_fail_twin_comparing_seq_is_not() {
    no_old_page_after_the_acknowledgement(None, is_fresh_by_seq);
}

#[test]
#[should_panic(expected = "served as fresh")]
fn p01_must_fail_twin_a_counter_loaded_after_the_marks_remembers_too_much() {
    no_old_page_after_the_acknowledgement(None, is_fresh_by_late_counter);
}

#[test]
#[should_panic(expected = "served as fresh")]
fn p01_must_fail_twin_a_slot_that_moves_before_its_mark_is_remembered_without_it() {
    no_old_page_after_the_acknowledgement(Some(Lack::ChangeEarly), is_fresh);
}

#[test]
#[should_panic(expected = "served as fresh")]
fn p01_must_fail_twin_a_slot_that_moves_after_the_invalidation_is_applied_is_missed() {
    no_old_page_after_the_acknowledgement(Some(Lack::ChangeLate), is_fresh);
}

#[test]
fn p03_a_page_that_a_late_tag_killed_is_not_revived_by_a_reader() {
    loom::model(|| {
        let ledger = ledger(1000, None);
        let page = page(&["a"], ledger.snapshot());
        let reader = {
            let (ledger, page) = (Arc::clone(&ledger), Arc::clone(&page));
            thread::spawn(move || is_fresh(&page, &ledger))
        };
        page.kill();
        assert_eq!(judged(&page, &ledger), Verdict::Dead);
        reader.join().unwrap();
        assert_eq!(judged(&page, &ledger), Verdict::Dead);
    });
}

#[test]
fn r06_a_render_that_begins_after_the_commit_is_not_harmed() {
    loom::model(|| {
        let ledger = ledger(1000, None);
        let writer = {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || ledger.mark(&[id("a")], Mode::Soft, NOW))
        };
        let snapshot = ledger.snapshot().seq;
        let seq = writer.join().unwrap();
        // Either the render began before the bump and its page is stale, or it saw the bump and is kept.
        let stale = ledger.marks([id("a")]).latest.soft > snapshot;
        assert_eq!(stale, snapshot < seq);
    });
}

fn two_invalidations_of_one_tag(lack: Option<Lack>) {
    loom::model(move || {
        let ledger = ledger(1000, lack);
        let other = Arc::clone(&ledger);
        let thread = thread::spawn(move || other.mark(&[id("a")], Mode::Soft, NOW));
        let one = ledger.mark(&[id("a")], Mode::Soft, NOW);
        let two = thread.join().unwrap();
        assert_eq!(ledger.marks([id("a")]).latest.soft, one.max(two), "the smaller mark was left");
    });
}

#[test]
fn r07_two_invalidations_of_one_tag_leave_the_larger_mark() {
    two_invalidations_of_one_tag(None);
}

#[test]
#[should_panic(expected = "the smaller mark was left")]
fn r07_must_fail_twin_marks_that_are_set_instead_of_raised() {
    two_invalidations_of_one_tag(Some(Lack::Max));
}

/// A soft and a hard invalidation of one tag at once, and a reader.
fn soft_and_hard_at_once(lack: Option<Lack>) {
    bounded(3, move || {
        let ledger = ledger(1000, lack);
        let page = page(&["a"], ledger.snapshot());
        let expired = Arc::new(AtomicBool::new(false));
        let hard = {
            let (ledger, expired) = (Arc::clone(&ledger), Arc::clone(&expired));
            thread::spawn(move || {
                let seq = ledger.mark(&[id("a")], Mode::Hard, NOW);
                expired.store(true, Ordering::Release);
                seq
            })
        };
        let soft = {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || ledger.mark(&[id("a")], Mode::Soft, NOW))
        };
        let was_expired = expired.load(Ordering::Acquire);
        let verdict = judged(&page, &ledger);
        assert!(!was_expired || verdict == Verdict::Dead, "served after it was expired");
        let both = Mark { soft: soft.join().unwrap(), hard: hard.join().unwrap() };
        assert_eq!(ledger.marks([id("a")]).latest, both, "one mark hid the other");
        assert_eq!(judged(&page, &ledger), Verdict::Dead);
    });
}

#[test]
fn p09_a_soft_mark_and_a_hard_one_keep_each_other() {
    soft_and_hard_at_once(None);
}

#[test]
#[should_panic(expected = "one mark hid the other")]
fn p09_must_fail_twin_a_soft_mark_that_takes_the_place_of_a_hard_one() {
    soft_and_hard_at_once(Some(Lack::Max));
}

/// Two tags are invalidated together; readers of a page of each, during and after.
fn a_set_of_tags(invalidate: fn(&Ledger, &AtomicBool)) {
    bounded(3, move || {
        let ledger = ledger(1000, None);
        let pages = [page(&["a"], ledger.snapshot()), page(&["b"], ledger.snapshot())];
        let acknowledged = Arc::new(AtomicBool::new(false));
        let writer = {
            let (ledger, acknowledged) = (Arc::clone(&ledger), Arc::clone(&acknowledged));
            thread::spawn(move || invalidate(&ledger, &acknowledged))
        };
        let reader = {
            let (ledger, pages) = (Arc::clone(&ledger), pages.clone());
            thread::spawn(move || pages.iter().filter(|page| is_fresh(page, &ledger)).count())
        };
        if acknowledged.load(Ordering::Acquire) {
            assert!(!pages.iter().any(|page| is_fresh(page, &ledger)), "old after the acknowledgement");
        }
        writer.join().unwrap();
        reader.join().unwrap();
        assert!(!pages.iter().any(|page| is_fresh(page, &ledger)), "old for good");
    });
}

#[test]
fn r08_after_the_acknowledgement_no_page_of_the_set_is_old() {
    a_set_of_tags(|ledger, acknowledged| {
        ledger.mark(&[id("a"), id("b")], Mode::Soft, NOW);
        acknowledged.store(true, Ordering::Release);
    });
}

#[test]
#[should_panic(expected = "old after the acknowledgement")]
fn r08_must_fail_twin_acknowledged_when_half_applied() {
    a_set_of_tags(|ledger, acknowledged| {
        ledger.mark(&[id("a")], Mode::Soft, NOW);
        acknowledged.store(true, Ordering::Release);
        ledger.mark(&[id("b")], Mode::Soft, NOW);
    });
}

/// One mark more than there is room for drops that of `a`, whose page is being read.
fn read_while_marks_are_dropped(lack: Option<Lack>) {
    loom::model(move || {
        let ledger = ledger(1, lack);
        let page = page(&["a"], ledger.snapshot());
        ledger.mark(&[id("a")], Mode::Soft, NOW);
        let collector = {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || ledger.mark(&[id("b")], Mode::Soft, NOW))
        };
        assert!(!is_fresh(&page, &ledger), "slipped between the mark and the floor");
        collector.join().unwrap();
        assert!(!is_fresh(&page, &ledger));
        assert_ne!(judged(&page, &ledger), Verdict::Dead, "a soft mark that is dropped kills nothing");
    });
}

#[test]
fn r26_a_reader_never_slips_between_the_collector_and_the_floor() {
    read_while_marks_are_dropped(None);
}

#[test]
#[should_panic(expected = "slipped between the mark and the floor")]
fn r26_must_fail_twin_a_floor_that_is_raised_after_the_mark_is_gone() {
    read_while_marks_are_dropped(Some(Lack::FloorFirst));
}

#[test]
#[should_panic(expected = "slipped between the mark and the floor")]
fn r26_must_fail_twin_a_reader_that_looks_at_the_floor_first() {
    read_while_marks_are_dropped(Some(Lack::MarksFirst));
}

/// Begin, invalidate, verdict and collect, each in a thread: a stored page is read while a render, begun at any
/// point, reads the data and ends late.
fn begin_invalidate_verdict_collect(mode: Mode, lack: Option<Lack>) {
    bounded(2, move || {
        let ledger = ledger(1, lack);
        let stored = page(&["a"], ledger.snapshot());
        let (data, acknowledged) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let writer = {
            let (ledger, data, acknowledged) =
                (Arc::clone(&ledger), Arc::clone(&data), Arc::clone(&acknowledged));
            thread::spawn(move || {
                data.store(1, Ordering::Release);
                ledger.mark(&[id("a")], mode, NOW);
                acknowledged.store(true, Ordering::Release);
            })
        };
        let collector = {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || ledger.mark(&[id("b")], Mode::Soft, NOW))
        };
        let render = {
            let (ledger, data) = (Arc::clone(&ledger), Arc::clone(&data));
            thread::spawn(move || {
                let snapshot = ledger.snapshot();
                let seen = data.load(Ordering::Acquire);
                (page(&["a"], snapshot), seen)
            })
        };
        let was_acknowledged = acknowledged.load(Ordering::Acquire);
        let verdict = judged(&stored, &ledger);
        assert!(!was_acknowledged || verdict != Verdict::Fresh, "fresh after the acknowledgement");
        writer.join().unwrap();
        let (rendered, seen) = render.join().unwrap();
        // The collector may still be at it when the render ends.
        assert!(seen == 1 || !is_fresh(&rendered, &ledger), "a late page with old data is fresh");
        collector.join().unwrap();
        assert!(seen == 1 || !is_fresh(&rendered, &ledger), "a late page with old data is fresh for good");
        let last = judged(&stored, &ledger);
        assert!(last != Verdict::Fresh);
        assert_eq!(last == Verdict::Dead, mode == Mode::Hard, "floors keep soft and hard apart");
    });
}

#[test]
fn r01_r26_a_late_page_with_old_data_is_never_fresh_whatever_was_collected() {
    begin_invalidate_verdict_collect(Mode::Soft, None);
}

#[test]
fn p09_r26_after_a_hard_mark_it_is_dead_whatever_was_collected() {
    begin_invalidate_verdict_collect(Mode::Hard, None);
}

#[test]
#[should_panic(expected = "fresh")]
fn r26_must_fail_twin_four_threads_and_a_floor_raised_late() {
    begin_invalidate_verdict_collect(Mode::Soft, Some(Lack::FloorFirst));
}

/// A render that takes its snapshot when it has read the data.
#[test]
#[should_panic(expected = "a page with old data is fresh")]
fn r01_must_fail_twin_a_snapshot_taken_after_the_data_was_read() {
    loom::model(|| {
        let ledger = ledger(1000, None);
        let data = Arc::new(AtomicU64::new(0));
        let writer = {
            let (ledger, data) = (Arc::clone(&ledger), Arc::clone(&data));
            thread::spawn(move || {
                data.store(1, Ordering::Release);
                ledger.mark(&[id("a")], Mode::Soft, NOW);
            })
        };
        let seen = data.load(Ordering::Acquire);
        let rendered = page(&["a"], ledger.snapshot());
        writer.join().unwrap();
        assert!(seen == 1 || !is_fresh(&rendered, &ledger), "a page with old data is fresh");
    });
}
