//! Who reads a clock.

use crate::finding::Finding;
use crate::sources::Source;
use crate::tokens::{Token, find};

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

/// A function that may read one: its file, its name, and why.
pub(crate) type Exempt = (&'static str, &'static str, &'static str);

/// Reads of a clock in what users run, `clock.rs` and some functions apart.
pub(crate) fn elsewhere(sources: &[Source], exempt: &[Exempt]) -> Vec<Finding> {
    let is_bound = |source: &&Source| source.is_library() && source.path != "edge-isr-core/src/clock.rs";
    let mut found = Vec::new();
    let mut idle = exempt.to_vec();
    for source in sources.iter().filter(is_bound) {
        let code = source.code();
        for read in READS {
            let what = format!("`{}` reads a clock: ask the `Clock`, or take a `Moment`", read.concat());
            for at in find(&code, read) {
                let function = function_around(&code, at);
                let is_it = |(path, name, _): &Exempt| *path == source.path && Some(*name) == function;
                idle.retain(|exempt| !is_it(exempt));
                if !exempt.iter().any(is_it) {
                    found.push(Finding::new(&source.path, code[at].line, &*what));
                }
            }
        }
        // A clock under another name would pass unseen.
        for name in ["Instant", "SystemTime"] {
            let what = format!("`{name}` goes by another name here: call it by its own");
            let renamed = find(&code, &[name, "as"]).collect::<Vec<_>>();
            found.extend(renamed.iter().map(|&at| Finding::new(&source.path, code[at].line, &*what)));
        }
    }
    for (path, name, _) in idle {
        found.push(Finding::new(path, 0, format!("`{name}` is exempt but reads no clock: remove it")));
    }
    found
}

/// The name of the function that began last before a token.
fn function_around<'a>(code: &[&'a Token], at: usize) -> Option<&'a str> {
    let begins = code[..at].iter().rposition(|token| token.text == "fn")?;
    Some(&code[begins + 1].text)
}

#[test]
fn a_clock_is_refused_in_any_crate_and_allowed_in_clock_and_tests() {
    let found = |path: &str, text: &str| elsewhere(&[Source::new(path, text)], &[]).len();
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

#[test]
fn a_function_is_exempt_and_not_its_file() {
    let path = "edge-isr-core/src/a.rs";
    let found = |text: &str| {
        let exempt = [(path, "waits", "why"), ("edge-isr-core/src/b.rs", "waits", "why")];
        elsewhere(&[Source::new(path, text), Source::new("edge-isr-core/src/b.rs", text)], &exempt[..]).len()
    };
    assert_eq!(found("fn waits() { let since = Instant::now(); since.elapsed(); }"), 0);
    assert_eq!(found("fn waits() { Instant::now(); } fn decides() { Instant::now(); }"), 2);
    assert_eq!(found("fn waits() {}"), 2, "exempt, and without need");
}
