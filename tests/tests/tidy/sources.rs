//! The sources of the workspace, as rules look at them.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use crate::tokens::{self, Token, find};

/// A file, and where it stands below the workspace's root.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Comments are no tokens; documentation is.
    pub(crate) tokens: Vec<Token>,
    is_test: bool,
}

impl Source {
    /// `path` as it stands in messages, with `/` on every system.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        // The clauses of contracts are tests, of backends whoever wrote them.
        let folders = ["/tests/", "/testing/contract/"];
        let is_test = is_rust(path)
            && (path.starts_with("tests/") || folders.iter().any(|folder| path.contains(folder)));
        let tokens = if is_rust(path) { tokens::of(path, text, is_test) } else { Vec::new() };
        Self { path: path.to_owned(), text: text.to_owned(), tokens, is_test }
    }

    /// The same, where only tests have the module.
    fn into_test(mut self) -> Self {
        self.tokens.iter_mut().for_each(|token| token.is_test = true);
        self.is_test = true;
        self
    }

    pub(crate) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// Whether all of it is test code.
    pub(crate) fn is_test_file(&self) -> bool {
        self.is_test
    }

    /// Whether it is part of what users depend on, its unit tests included.
    pub(crate) fn is_library(&self) -> bool {
        self.path.starts_with("edge-isr-") && self.path.contains("/src/") && self.is_rust()
    }

    /// Where it stands below a crate's `src`; `None` for other crates and folders.
    pub(crate) fn below_src(&self, krate: &str) -> Option<&str> {
        let inside = self.path.strip_prefix(krate)?.strip_prefix("/src/")?;
        self.is_rust().then_some(inside)
    }

    /// The tokens that users run.
    pub(crate) fn code(&self) -> Vec<&Token> {
        self.tokens.iter().filter(|token| !token.is_test).collect()
    }

    /// The tokens that only tests run.
    pub(crate) fn tests(&self) -> Vec<&Token> {
        self.tokens.iter().filter(|token| token.is_test).collect()
    }
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

/// Marks the modules that only tests have: `#[cfg(test)] mod tests;` stands in another file than its tokens.
pub(crate) fn with_test_modules(sources: Vec<Source>) -> Vec<Source> {
    let mut modules = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let tests = source.tests();
        let folder = source.path.strip_suffix(".rs").unwrap_or_default();
        let ends = ["/mod", "/lib", "/main"];
        let folder = ends.iter().find_map(|end| folder.strip_suffix(end)).unwrap_or(folder);
        let names = find(&tests, &["mod"]).filter(|&at| tests.get(at + 2).is_some_and(|end| end.text == ";"));
        modules.extend(names.map(|at| format!("{folder}/{}", tests[at + 1].text)));
    }
    let is_in = |source: &Source, module: &String| {
        source.path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    let mark = |source: Source| match modules.iter().any(|module| is_in(&source, module)) {
        true => source.into_test(),
        false => source,
    };
    sources.into_iter().map(mark).collect()
}

/// Every source, manifest and page of documentation of the workspace.
pub(crate) fn workspace() -> &'static [Source] {
    static ALL: OnceLock<Vec<Source>> = OnceLock::new();
    ALL.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in the root");
        let mut found = Vec::new();
        read(root, "", &mut found);
        found.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(found.len() > 100, "the workspace has more sources than {}", found.len());
        with_test_modules(found)
    })
}

fn read(folder: &Path, prefix: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the workspace can be read") {
        let entry = entry.expect("the workspace can be read");
        let name = entry.file_name().into_string().expect("our files have plain names");
        // What is hidden, built or fetched is not ours, cargo's settings apart.
        if name.starts_with('.') && name != ".cargo" || name == "target" || name == "node_modules" {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type().expect("the workspace can be read").is_dir() {
            read(&entry.path(), &format!("{path}/"), found);
        } else if [".rs", ".toml", ".md"].iter().any(|kind| name.ends_with(kind)) {
            let text = fs::read_to_string(entry.path()).expect("our files are text");
            found.push(Source::new(&path, &text));
        }
    }
}

/// The source of a path that rules rely on.
pub(crate) fn of<'a>(sources: &'a [Source], path: &str) -> &'a Source {
    sources.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("{path} is gone"))
}

#[test]
fn modules_that_only_tests_have_are_tests() {
    let of = |path: &str, text: &str| Source::new(path, text);
    let sources = with_test_modules(vec![
        of("a/src/b/mod.rs", "#[cfg(test)] mod tests; #[cfg(test)] mod engine; mod c;"),
        of("a/src/b/tests.rs", "fn f() {}"),
        of("a/src/b/engine/mod.rs", "fn f() {}"),
        of("a/src/b/c.rs", "#[cfg(all(test, not(loom)))] mod d; #[cfg(test)] mod tests { fn f() {} }"),
        of("a/src/b/c/d.rs", "fn f() {}"),
        of("a/src/b/c/e.rs", "fn f() {}"),
        of("a/tests/f.rs", "fn f() {}"),
    ]);
    let are_tests: Vec<_> = sources.iter().map(Source::is_test_file).collect();
    assert_eq!(are_tests, [false, true, true, false, true, false, true]);
    assert_eq!((sources[2].code().len(), sources[5].tests().len()), (0, 0));
}
