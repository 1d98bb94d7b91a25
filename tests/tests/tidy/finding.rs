//! What a rule found, and what is exempt from it.

use std::fmt::{self, Display};

/// Something that a rule refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// Zero where the whole file is meant.
    pub(crate) line: usize,
    /// What is wrong and what to do.
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// A file that a rule does not bind, and why.
pub(crate) type Exception = (&'static str, &'static str);

/// Leaves out what is exempt. An exception that nothing needs is a finding itself.
pub(crate) fn except(found: Vec<Finding>, exceptions: &[Exception]) -> Vec<Finding> {
    let is_exempt = |finding: &Finding| exceptions.iter().any(|(path, _)| *path == finding.path);
    let idle = exceptions.iter().filter(|(path, _)| !found.iter().any(|finding| finding.path == *path));
    let idle = idle.map(|(path, _)| Finding::new(path, 0, "is exempt but needs no exception: remove it"));
    let idle: Vec<Finding> = idle.collect();
    found.into_iter().filter(|finding| !is_exempt(finding)).chain(idle).collect()
}

/// Fails with all that a rule found, and says why the rule is there.
#[track_caller]
pub(crate) fn expect_none(found: &[Finding], why: &str) {
    let lines: Vec<String> = found.iter().map(|finding| format!("  {finding}")).collect();
    assert!(found.is_empty(), "\n{}\nWhy: {why}\n", lines.join("\n"));
}

#[test]
fn an_exception_that_nothing_needs_is_refused() {
    let found = || vec![Finding::new("a.rs", 3, "is wrong"), Finding::new("b.rs", 0, "is wrong")];
    assert_eq!(except(found(), &[("a.rs", "why")]), [Finding::new("b.rs", 0, "is wrong")]);
    let left = except(found(), &[("a.rs", "why"), ("b.rs", "why"), ("c.rs", "why")]);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].path, "c.rs");
}
