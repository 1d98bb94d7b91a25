//! Every interleaving of readers, invalidations and the collector that `loom` can find.
//!
//! Run by `cargo xtask test`: `RUSTFLAGS="--cfg loom" cargo test -p edge-isr-core --release --test loom`.
#![cfg(loom)]

use std::time::Duration;

use edge_isr_core::clock::Moment;
use edge_isr_core::graph::Ledger;
use edge_isr_core::model::snapshot::{Incarnation, Mode};
use edge_isr_core::model::tag::TagId;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;

const NOW: Moment = Moment::from_nanos(0);

fn ledger(most_marks: usize) -> Arc<Ledger> {
    Arc::new(Ledger::new(Incarnation::from_bytes([1; 16]), most_marks, Duration::from_secs(60)))
}

fn id(name: &str) -> TagId {
    TagId::of(name)
}

/// What a page remembers, and how a hit judges it.
struct Page {
    s0: u64,
    verified: AtomicU64,
}

impl Page {
    fn is_fresh(&self, ledger: &Ledger, counter: fn(&Ledger) -> u64) -> bool {
        let before = counter(ledger) + 1;
        if self.verified.load(Ordering::Acquire) == before {
            return true;
        }
        let fresh = ledger.marks([id("a")]).latest.soft <= self.s0;
        if fresh {
            self.verified.fetch_max(before, Ordering::Release);
        }
        fresh
    }
}

/// An invalidation and a reader at once; after the acknowledgement another reader must not find the page fresh.
fn no_old_page_after_the_acknowledgement(counter: fn(&Ledger) -> u64) {
    loom::model(move || {
        let ledger = ledger(1000);
        let page = Arc::new(Page { s0: ledger.snapshot().seq, verified: AtomicU64::new(0) });
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
            thread::spawn(move || page.is_fresh(&ledger, counter))
        };
        if acknowledged.load(Ordering::Acquire) {
            assert!(!page.is_fresh(&ledger, counter), "served as fresh after the acknowledgement");
        }
        writer.join().unwrap();
        reader.join().unwrap();
        assert!(!page.is_fresh(&ledger, counter), "served as fresh for good");
    });
}

#[test]
fn p01_applied_is_the_counter_to_compare() {
    no_old_page_after_the_acknowledgement(Ledger::applied);
}

#[test]
#[should_panic(expected = "served as fresh")]
fn p01_must_fail_twin_comparing_seq_is_not() {
    no_old_page_after_the_acknowledgement(Ledger::naive_counter);
}

#[test]
fn r06_a_render_that_begins_after_the_commit_is_not_harmed() {
    loom::model(|| {
        let ledger = ledger(1000);
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

#[test]
fn r07_two_invalidations_of_one_tag_leave_the_larger_mark() {
    loom::model(|| {
        let ledger = ledger(1000);
        let other = Arc::clone(&ledger);
        let thread = thread::spawn(move || other.mark(&[id("a")], Mode::Soft, NOW));
        let one = ledger.mark(&[id("a")], Mode::Soft, NOW);
        let two = thread.join().unwrap();
        assert_eq!(ledger.marks([id("a")]).latest.soft, one.max(two));
    });
}

#[test]
fn r26_a_reader_never_slips_between_the_collector_and_the_floor() {
    loom::model(|| {
        let ledger = ledger(1);
        let page = Page { s0: ledger.snapshot().seq, verified: AtomicU64::new(0) };
        ledger.mark(&[id("a")], Mode::Soft, NOW);
        let collector = {
            let ledger = Arc::clone(&ledger);
            // One more mark than there is room for: the first is dropped.
            thread::spawn(move || ledger.mark(&[id("b")], Mode::Soft, NOW))
        };
        assert!(!page.is_fresh(&ledger, Ledger::applied));
        collector.join().unwrap();
        assert!(!page.is_fresh(&ledger, Ledger::applied));
    });
}
