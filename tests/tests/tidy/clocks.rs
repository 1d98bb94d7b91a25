//! Who reads a clock.

use crate::finding::Finding;
use crate::sources::Source;
use crate::tokens::find;

/// What reads one: the types of std, tokio, jiff, time and chrono, and what they have in common.
const READS: &[&[&str]] = &[
    &["Instant", "::", "now"],
    &["SystemTime", "::", "now"],
    &["Utc", "::", "now"],
    &["Local", "::", "now"],
    &["OffsetDateTime", "::", "now_utc"],
    &["Timestamp", "::", "now"],
    &["Zoned", "::", "now"],
    &[".", "elapsed"],
];

/// Reads of a clock in what users run, `clock.rs` apart.
pub(crate) fn elsewhere(sources: &[Source]) -> Vec<Finding> {
    let is_bound = |source: &&Source| source.is_library() && source.path != "edge-isr-core/src/clock.rs";
    let mut found = Vec::new();
    for source in sources.iter().filter(is_bound) {
        let code = source.code();
        for read in READS {
            let what = format!("`{}` reads a clock: ask the `Clock`, or take a `Moment`", read.concat());
            found.extend(find(&code, read).map(|at| Finding::new(&source.path, code[at].line, &*what)));
        }
        // A clock under another name would pass unseen.
        for name in ["Instant", "SystemTime"] {
            let what = format!("`{name}` goes by another name here: call it by its own");
            let renamed = find(&code, &[name, "as"]).collect::<Vec<_>>();
            found.extend(renamed.iter().map(|&at| Finding::new(&source.path, code[at].line, &*what)));
        }
    }
    found
}

#[test]
fn a_clock_is_refused_in_any_crate_and_allowed_in_clock_and_tests() {
    let found = |path: &str, text: &str| elsewhere(&[Source::new(path, text)]).len();
    for text in [
        "fn f() { std::time::SystemTime::now(); }",
        "fn f() { tokio::time::Instant::now(); }",
        "fn f() { Instant :: now (); }",
        "fn f() { jiff::Timestamp::now(); }",
        "fn f() { let now = SystemTime::now; }",
        "fn f(t: SystemTime) { t.elapsed(); }",
        "use std::time::Instant as Clock;",
    ] {
        assert_eq!(found("edge-isr-core/src/isr/worker.rs", text), 1, "{text}");
        assert_eq!(found("edge-isr-tower/src/miss.rs", text), 1, "{text}");
        assert_eq!(found("edge-isr-core/src/clock.rs", text), 0);
        assert_eq!(found("edge-isr-core/tests/worker.rs", text), 0);
        assert_eq!(found("benches/src/clock.rs", text), 0);
    }
    assert_eq!(
        found("edge-isr-core/src/a.rs", "/// Not `Instant::now()`.\nfn f(now: Moment) {} // Instant::now()"),
        0
    );
}
