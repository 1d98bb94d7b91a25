//! The house rules, as a test: it reads the sources of the workspace and says what is out of place, what to do
//! about it, and why the rule is there.
//!
//! Each rule is a function over sources, with a test beside it that shows it refuse a bad one. What a rule does
//! not bind stands here, with the reason; an exception that nothing needs any more fails its test.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod clocks;
mod docs;
mod finding;
mod floors;
mod habits;
mod lengths;
mod ports;
mod reasons;
mod sources;
mod tokens;

use finding::{except, expect_none};
use ports::NoSuite;
use sources::workspace;

#[test]
fn a_room_uses_its_own_floor_and_those_below() {
    expect_none(
        &floors::of_core(workspace()),
        "a room can be read, tested and replaced without those above it, and no two rooms need each other",
    );
}

#[test]
fn the_model_is_pure() {
    expect_none(
        &floors::model_is_pure(workspace()),
        "a rule that waits for nothing and reads nothing is one that a table of cases proves",
    );
}

#[test]
fn adapters_name_no_backend() {
    expect_none(
        &floors::of_adapters(workspace()),
        "who chooses a backend is the application; an adapter that knows one binds everybody to it",
    );
}

#[test]
fn files_can_be_held_in_mind() {
    let exceptions = [
        (
            "edge-isr-core/src/isr/admit.rs",
            "a page is judged, dressed and stored in one sequence, from top to bottom",
        ),
        (
            "edge-isr-tower/src/service.rs",
            "one request from its head to its answer, the rare roads beside the common one",
        ),
    ];
    expect_none(&except(lengths::of_files(workspace()), &exceptions), "a file is about one thing");
}

#[test]
fn functions_fit_a_screen() {
    expect_none(&lengths::of_functions(workspace()), "what is seen at once can be judged at once");
}

#[test]
fn one_file_reads_the_clock() {
    let paces = "paces its looks by the timers; what is due, the `Clock` says";
    let turns = "gives a slow queue pages in turns, as long as the timers that it is waited by say";
    let exempt = [
        (
            "edge-isr-tower/src/miss.rs",
            "answer",
            "how long a visitor has waited is measured on the time line of the timer that ends the wait",
        ),
        ("edge-isr-core/src/isr/foreman.rs", "new", paces),
        ("edge-isr-core/src/isr/foreman.rs", "list", paces),
        ("edge-isr-core/src/isr/foreman.rs", "push_again", paces),
        ("edge-isr-core/src/isr/foreman.rs", "is_turn_over", turns),
        ("edge-isr-core/src/isr/foreman.rs", "feed", turns),
        (
            "edge-isr-core/src/isr/jobs.rs",
            "ask_queue",
            "a queue that hangs is left alone for a while of the timers it is waited by",
        ),
        ("edge-isr-core/src/isr/worker/mod.rs", "next_look", paces),
    ];
    expect_none(
        &clocks::elsewhere(workspace(), &exempt),
        "time is a value: tests move it by hand, and no wall clock decides about freshness (P2)",
    );
}

#[test]
fn no_leftovers_and_no_silence_without_a_reason() {
    expect_none(&habits::never(workspace()), "what is in the tree is meant");
    expect_none(
        &habits::unwraps(workspace()),
        "a cache that panics takes a page down that would have been served",
    );
    expect_none(&habits::lints(workspace()), "these lints hold what no test can");
}

#[test]
fn every_port_has_the_suite_that_its_contract_promises() {
    expect_none(
        &ports::contracts(workspace(), NoSuite::Refused),
        "authors of backends read the contract and run the suite: the two must say the same",
    );
}

#[test]
fn every_reason_has_a_test_and_stands_in_the_docs() {
    expect_none(
        &reasons::untested(workspace()),
        "a reason that no test meets may be one that nobody is ever given",
    );
    expect_none(&reasons::undocumented(workspace()), "an operator looks the word up (P35)");
}

#[test]
fn what_is_promised_is_tested() {
    expect_none(&docs::promises(workspace()), "a promise counts once a test can refute it");
    expect_none(&docs::numbers(workspace()), "a test that proves a promise is found from the promise");
    expect_none(&docs::proofs(workspace()), "whoever doubts a promise reads its stories");
}

#[test]
fn the_docs_name_what_is_there() {
    expect_none(&docs::names(workspace()), "a map that leads nowhere is worse than none");
}
