//! What is never written, and the lints that see to the rest.

use crate::finding::Finding;
use crate::sources::{self, Source};
use crate::tokens::{closing, find};

/// Never anywhere.
const NEVER: &[(&[&str], &str)] = &[
    (&["#", "[", "ignore"], "a test that does not run proves nothing: mend it or remove it"),
    (&["todo", "!"], "write it, or leave it out"),
    (&["unimplemented", "!"], "write it, or leave it out"),
    (&["dbg", "!"], "remove it"),
];

/// What clippy and rustc must be told to refuse.
const LINTS: &[&str] = &[
    "unsafe_code",
    "missing_docs",
    "missing_debug_implementations",
    "unreachable_pub",
    "await_holding_lock",
    "dbg_macro",
    "disallowed_methods",
    "future_not_send",
    "missing_errors_doc",
    "missing_panics_doc",
    "todo",
    "too_many_lines",
    "unwrap_used",
];

/// What the lints are set to, in `clippy.toml`.
const SETTINGS: &[&str] =
    &["too-many-lines-threshold = 70", "\"std::time::Instant::now\"", "\"std::time::SystemTime::now\""];

/// Tests that don't run, leftovers, and lints silenced without a reason.
pub(crate) fn never(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let tokens: Vec<_> = source.tokens.iter().collect();
        for (sought, what) in NEVER {
            let what = format!("`{}`: {what}", sought.concat());
            found.extend(find(&tokens, sought).map(|at| Finding::new(&source.path, tokens[at].line, &*what)));
        }
        for level in ["allow", "expect"] {
            for at in find(&tokens, &["[", level, "("]) {
                let said = &tokens[at..closing(&tokens, at)];
                if !said.iter().any(|token| token.text == "reason") {
                    let what = format!("`{level}` without a reason: add `reason = \"…\"`");
                    found.push(Finding::new(&source.path, tokens[at].line, what));
                }
                if said.iter().any(|token| token.text == "too_many_lines") {
                    let what = "silences `too_many_lines`: take the function apart";
                    found.push(Finding::new(&source.path, tokens[at].line, what));
                }
            }
        }
    }
    found
}

/// `unwrap` in what users run.
pub(crate) fn unwraps(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_library()) {
        let code = source.code();
        for at in find(&code, &[".", "unwrap", "("]) {
            let what = "`unwrap`: handle it, or `expect` with the invariant in words";
            found.push(Finding::new(&source.path, code[at].line, what));
        }
    }
    found
}

/// Lints that are off.
pub(crate) fn lints(sources: &[Source]) -> Vec<Finding> {
    let manifest = sources::of(sources, "Cargo.toml");
    let is_on = |lint: &str| {
        let levels = ["warn", "deny", "forbid"];
        levels.iter().any(|level| manifest.text.lines().any(|line| line == format!("{lint} = \"{level}\"")))
    };
    let off = LINTS.iter().filter(|lint| !is_on(lint));
    let off = off.map(|lint| Finding::new(&manifest.path, 0, format!("the lint `{lint}` is off")));
    let clippy = sources::of(sources, "clippy.toml");
    let unset = SETTINGS.iter().filter(|setting| !clippy.text.contains(**setting));
    off.chain(unset.map(|setting| Finding::new(&clippy.path, 0, format!("lacks {setting}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_written_is_refused() {
        let found = |text: &str| never(&[Source::new("tests/tests/a.rs", text)]).len();
        for text in [
            "#[test] #[ignore] fn f() {}",
            "#[ignore = \"slow\"] fn f() {}",
            "fn f() { todo!() }",
            "fn f() { unimplemented!(\"later\") }",
            "fn f() { dbg!(1); }",
            "#![allow(dead_code)]",
            "#[expect(dead_code)] fn f() {}",
            "#[expect(clippy::too_many_lines, reason = \"it is long\")] fn f() {}",
        ] {
            assert_eq!(found(text), 1, "{text}");
        }
        assert_eq!(
            found("#[expect(dead_code, reason = \"why\")] fn f() { option.expect(\"why\") } // todo!()"),
            0
        );
    }

    #[test]
    fn an_unwrap_is_refused_outside_of_tests() {
        let found = |path: &str, text: &str| unwraps(&[Source::new(path, text)]).len();
        let text = "fn f() { g().unwrap(); h().unwrap_or_default(); }";
        assert_eq!(found("edge-isr-core/src/a.rs", text), 1);
        assert_eq!(found("edge-isr-core/src/a.rs", &format!("#[cfg(test)] mod tests {{ {text} }}")), 0);
        assert_eq!(found("edge-isr-core/src/a.rs", "/// ```\n/// f().unwrap();\n/// ```\nfn f() {}"), 0);
        assert_eq!(found("edge-isr-core/tests/a.rs", text), 0);
    }

    #[test]
    fn a_lint_that_is_off_is_refused() {
        let manifest: String = LINTS.iter().map(|lint| format!("{lint} = \"warn\"\n")).collect();
        let found = |manifest: &str, clippy: &str| {
            lints(&[Source::new("Cargo.toml", manifest), Source::new("clippy.toml", clippy)]).len()
        };
        assert_eq!(found(&manifest, &SETTINGS.join("\n")), 0);
        assert_eq!(
            found(
                &manifest.replace("unwrap_used = \"warn\"", "unwrap_used = \"allow\""),
                &SETTINGS.join("\n")
            ),
            1
        );
        assert_eq!(found(&manifest, &SETTINGS[1..].join("\n")), 1);
    }
}
