use super::*;

fn ledger(most: usize) -> Ledger {
    Ledger::new(Incarnation::from_bytes([7; 16]), most, Duration::from_secs(60))
}

const A: TagId = TagId(1 << 60 | 1);
const B: TagId = TagId(2 << 60 | 2);
const NOW: Moment = Moment::from_nanos(0);

/// A page as the hit path sees it: fresh without look-ups while its counter has not moved.
struct Remembering {
    s0: u64,
    seen: Option<u64>,
}

impl Remembering {
    fn is_fresh(&mut self, ledger: &Ledger, counter: impl Fn(&Ledger) -> u64) -> bool {
        let before = counter(ledger);
        if self.seen == Some(before) {
            return true;
        }
        let fresh = ledger.marks([A]).latest.soft <= self.s0;
        if fresh {
            self.seen = Some(before);
        }
        fresh
    }
}

/// A reader between bump and mark, then the acknowledgement, then another read.
fn read_between_bump_and_mark(counter: impl Fn(&Ledger) -> u64) -> bool {
    let ledger = ledger(1000);
    let mut page = Remembering { s0: ledger.snapshot().seq, seen: None };
    let bump = ledger.bump();
    page.is_fresh(&ledger, &counter);
    ledger.write(&bump, &[A], Mode::Soft, NOW);
    ledger.apply(bump);
    page.is_fresh(&ledger, &counter)
}

#[test]
fn p01_r06_a_reader_between_bump_and_mark_does_not_remember_too_much() {
    assert!(!read_between_bump_and_mark(Ledger::applied));
}

#[test]
fn p01_must_fail_twin_comparing_seq_serves_the_old_page_for_good() {
    assert!(read_between_bump_and_mark(Ledger::naive_counter), "the twin has to show the violation");
}

#[test]
fn r06_a_render_that_began_after_the_bump_is_kept_and_the_earlier_one_dies() {
    let ledger = ledger(1000);
    let old = ledger.snapshot();
    let bump = ledger.bump();
    let new = ledger.snapshot();
    ledger.write(&bump, &[A], Mode::Hard, NOW);
    ledger.apply(bump);
    let marks = ledger.marks([A]).latest;
    assert!(marks.hard > old.seq);
    assert!(marks.hard <= new.seq);
}

#[test]
fn r07_invalidations_that_finish_out_of_order_leave_the_larger_mark() {
    let ledger = ledger(1000);
    let (first, second) = (ledger.bump(), ledger.bump());
    ledger.write(&second, &[A], Mode::Soft, NOW);
    ledger.apply(second);
    ledger.write(&first, &[A], Mode::Soft, NOW);
    ledger.apply(first);
    assert_eq!(ledger.marks([A]).latest.soft, 2);
}

#[test]
fn r08_after_the_acknowledgement_no_tag_of_the_set_is_still_old() {
    let ledger = ledger(1000);
    let s0 = ledger.snapshot().seq;
    let bump = ledger.bump();
    ledger.write(&bump, &[A], Mode::Soft, NOW);
    assert_eq!(ledger.marks([B]).latest.soft, 0, "half applied");
    ledger.write(&bump, &[B], Mode::Soft, NOW);
    ledger.apply(bump);
    assert!([A, B].into_iter().all(|id| ledger.marks([id]).latest.soft > s0));
}

#[test]
fn soft_and_hard_are_kept_apart() {
    let ledger = ledger(1000);
    ledger.mark(&[A], Mode::Hard, NOW);
    ledger.mark(&[A], Mode::Soft, NOW);
    assert_eq!(ledger.marks([A]).latest, Mark { soft: 2, hard: 1 });
}

#[test]
fn x04_p15_marks_are_bounded_and_forgetting_invalidates_more_never_less() {
    let ledger = ledger(SHARDS * 4);
    let s0 = ledger.snapshot().seq;
    for n in 0..100_000_u64 {
        ledger.mark(&[TagId::of(&n.to_string())], Mode::Soft, Moment::from_nanos(n));
    }
    assert!(ledger.len() <= SHARDS * 5, "{}", ledger.len());
    for n in 0..100_000_u64 {
        assert!(ledger.marks([TagId::of(&n.to_string())]).latest.soft > s0);
    }
    assert_eq!(ledger.marks([A]).latest.hard, 0, "soft marks raise the soft floor only");
}

#[test]
fn r26_a_render_that_outlives_the_marks_is_caught_by_the_floor() {
    let ledger = ledger(1000);
    let s0 = ledger.snapshot().seq;
    ledger.mark(&[A], Mode::Hard, NOW);
    ledger.forget_everything(Moment::from_nanos(u64::MAX));
    assert!(ledger.is_empty());
    assert!(ledger.marks([B]).latest.hard > s0);
    let later = ledger.snapshot().seq;
    assert!(ledger.marks([A]).latest.hard <= later, "what begins now is not harmed");
}

#[test]
fn p01_changes_move_with_the_marks_of_the_tags_and_with_nothing_else() {
    const ELSEWHERE: TagId = TagId(3 << 32);
    let ledger = ledger(1000);
    let before = ledger.changes([A, B]);
    assert!(before > 0, "what a page says that was never judged");
    let bump = ledger.bump();
    ledger.write(&bump, &[ELSEWHERE], Mode::Hard, NOW);
    assert_eq!(ledger.changes([A, B]), before, "another's mark");
    ledger.write(&bump, &[A], Mode::Soft, NOW);
    let after = ledger.changes([A, B]);
    assert!(after > before, "before it is applied");
    ledger.apply(bump);
    assert_eq!(ledger.changes([A, B]), after);
}

#[test]
fn p04_in_another_life_what_pages_remember_counts_from_elsewhere() {
    let of = |life| Ledger::new(Incarnation::from_bytes([life; 16]), 1000, Duration::from_secs(60));
    let (one, other) = (of(7), of(8));
    assert_ne!(one.changes([A]), other.changes([A]));
    assert_ne!(one.applied(), other.applied());
}

#[test]
fn r26_changes_move_for_everyone_when_marks_are_forgotten() {
    let ledger = ledger(1000);
    ledger.mark(&[A], Mode::Soft, NOW);
    let unmarked = TagId(3 << 32);
    let before = ledger.changes([unmarked]);
    ledger.forget_everything(Moment::from_nanos(u64::MAX));
    assert!(ledger.changes([unmarked]) > before, "the floor speaks for every tag");
}
