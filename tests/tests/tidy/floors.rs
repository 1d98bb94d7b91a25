//! Which room uses which.

use std::collections::HashMap;

use crate::finding::Finding;
use crate::sources::{self, Source};
use crate::tokens::{Token, closing, find};

const CORE: &str = "edge-isr-core";

/// The rooms of core, from the ground up.
const FLOORS: &[&[&str]] = &[
    &["chance", "clock", "error", "hash", "ladder", "sync"],
    &["model"],
    &["redis"],
    &["store", "graph", "queue", "connector", "origin"],
    &["isr"],
    &["testing"],
];

/// What adapter crates see of core: the handle, the words, how pages are rendered again.
const SEEN_BY_ADAPTERS: &[&str] = &["error", "clock", "model", "origin", "isr"];

/// Rooms that know no time, no waiting and no outside.
const NEVER_IN_MODEL: &[&str] = &["async", "await", "tokio", "fs", "net", "env", "thread", "Mutex", "RwLock"];

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// In core a room uses its own floor and those below it, and no room beside it but on the ground.
pub(crate) fn of_core(sources: &[Source]) -> Vec<Finding> {
    let mut exported = exported(sources::of(sources, "edge-isr-core/src/lib.rs"));
    exported.extend(macros(sources));
    let mut found = Vec::new();
    for source in sources {
        let Some(module) = source.below_src(CORE).and_then(module) else { continue };
        let Some(own) = floor_of(&module[0]) else {
            found.push(Finding::new(
                &source.path,
                0,
                "stands on no floor: give its room one in tidy/floors.rs",
            ));
            continue;
        };
        let tokens: Vec<&Token> = source.tokens.iter().collect();
        for (used, at) in uses(&tokens, &module) {
            let room = exported.get(&used).unwrap_or(&used);
            let is_testing = room == "testing" && (at.is_test || at.is_gated);
            if *room == module[0] || is_testing {
                continue;
            }
            let what = match floor_of(room) {
                None => format!("uses `crate::{used}`, which is no room: name the room it comes from"),
                Some(floor) if floor > own => {
                    format!("uses `{used}`, which stands above: move one of the two")
                }
                Some(floor) if floor == own && own > 0 => {
                    format!("uses `{used}`, which stands beside it: let `isr` bring the two together")
                }
                Some(_) => continue,
            };
            found.push(Finding::new(&source.path, at.line, what));
        }
    }
    found
}

/// The names that the crate's root has from its rooms.
fn exported(root: &Source) -> HashMap<String, String> {
    let tokens = root.code();
    let mut exported = HashMap::new();
    for at in find(&tokens, &["pub", "use"]) {
        let end = (at..tokens.len()).find(|&n| tokens[n].text == ";").unwrap_or(tokens.len());
        // A room that is called as a crate is has `self` before it.
        let first = if tokens[at + 2].text == "self" { at + 4 } else { at + 2 };
        let room = &tokens[first].text;
        exported.extend(tokens[first + 1..end].iter().map(|token| (token.text.clone(), room.clone())));
    }
    exported
}

/// Macros of rooms stand in the crate's root.
fn macros(sources: &[Source]) -> HashMap<String, String> {
    let mut macros = HashMap::new();
    for source in sources {
        let Some(module) = source.below_src(CORE).and_then(module) else { continue };
        let tokens: Vec<&Token> = source.tokens.iter().collect();
        let names = find(&tokens, &["macro_rules", "!"]).filter_map(|at| tokens.get(at + 2));
        macros.extend(names.map(|name| (name.text.clone(), module[0].clone())));
    }
    macros
}

/// The module of a file, from the crate's root; `None` for the root itself.
fn module(below_src: &str) -> Option<Vec<String>> {
    let names = below_src.strip_suffix(".rs")?.split('/').filter(|name| *name != "mod");
    let names: Vec<String> = names.map(str::to_owned).collect();
    (names != ["lib"]).then_some(names)
}

/// What stands behind `crate::`, or behind as many `super::` as lead to the root.
fn uses<'a>(tokens: &[&'a Token], module: &[String]) -> Vec<(String, &'a Token)> {
    let mut used = Vec::new();
    for (n, token) in tokens.iter().enumerate() {
        let is_first = n == 0 || tokens[n - 1].text != "::";
        let next = match token.text.as_str() {
            "crate" if tokens.get(n + 1).is_some_and(|next| next.text == "::") => n + 2,
            "super" if is_first => {
                let mut steps = 0;
                while tokens.get(n + 2 * steps).is_some_and(|step| step.text == "super") {
                    steps += 1;
                }
                if steps < module.len() + token.depth || tokens[n + 2 * steps - 1].text != "::" {
                    continue;
                }
                n + 2 * steps
            }
            _ => continue,
        };
        used.extend(heads(tokens, next).into_iter().map(|name| (name, *token)));
    }
    used
}

/// The first names of a path, or of each path of a group.
fn heads(tokens: &[&Token], at: usize) -> Vec<String> {
    let Some(first) = tokens.get(at) else { return Vec::new() };
    if first.text != "{" {
        return vec![first.text.clone()];
    }
    let end = closing(tokens, at);
    let mut names = Vec::new();
    let mut depth = 0;
    for n in at..end {
        let is_head = depth == 1 && matches!(tokens[n - 1].text.as_str(), "{" | ",");
        match tokens[n].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if is_head => names.push(name.to_owned()),
            _ => {}
        }
    }
    names
}

/// What the words mean depends on nothing that moves.
pub(crate) fn model_is_pure(sources: &[Source]) -> Vec<Finding> {
    let is_model = |source: &&Source| source.below_src(CORE).is_some_and(|path| path.starts_with("model/"));
    let mut found = Vec::new();
    for source in sources.iter().filter(is_model) {
        for token in source.code().iter().filter(|token| NEVER_IN_MODEL.contains(&&*token.text)) {
            let what =
                format!("`{}` in `model`: let the caller do it, and give `model` the value", token.text);
            found.push(Finding::new(&source.path, token.line, what));
        }
    }
    found
}

/// Adapter crates name no port's room and no backend.
pub(crate) fn of_adapters(sources: &[Source]) -> Vec<Finding> {
    let is_adapter = |source: &&Source| source.is_library() && !source.path.starts_with("edge-isr-core/");
    let mut found = Vec::new();
    for source in sources.iter().filter(is_adapter) {
        let tokens = source.code();
        for at in find(&tokens, &["edge_isr_core", "::"]) {
            for name in heads(&tokens, at + 2) {
                let is_room = name.starts_with(char::is_lowercase) && floor_of(&name).is_some();
                if is_room && !SEEN_BY_ADAPTERS.contains(&&*name) {
                    let what = format!("uses core's `{name}`: an adapter sees {SEEN_BY_ADAPTERS:?}");
                    found.push(Finding::new(&source.path, tokens[at].line, what));
                }
            }
        }
        for token in tokens.iter().filter(|token| is_backend(&token.text)) {
            let what = format!("names the backend `{}`: the application gives it to the builder", token.text);
            found.push(Finding::new(&source.path, token.line, what));
        }
    }
    found
}

/// Backends are named after what keeps things: `MemoryGraph`, `FilePages`, `RedisQueue`.
fn is_backend(name: &str) -> bool {
    let kept_by = ["Memory", "File", "Redis"].iter().find_map(|kind| name.strip_prefix(kind));
    kept_by.is_some_and(|port| ["Graph", "Pages", "Store", "Queue"].iter().any(|end| port.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let root = "pub use isr::{Isr, admit::TagHeader};\npub use model::tag::tag;\n";
        let sources = [Source::new("edge-isr-core/src/lib.rs", root), Source::new(path, text)];
        let all = [of_core(&sources), model_is_pure(&sources), of_adapters(&sources)].concat();
        all.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_room_above_is_refused_however_it_is_written() {
        for text in [
            "use crate::isr::Isr;",
            "use crate::{error::Error, isr::{look_up, fill}};",
            "fn f() { crate::isr::f() }",
            "use super::super::isr::Isr;",
            "mod a { use super::super::super::isr; }",
            "use crate::Isr;",
            "use crate::TagHeader;",
        ] {
            let all = found("edge-isr-core/src/model/page.rs", text);
            assert!(all.len() == 1 && all[0].contains("above"), "{text}: {all:?}");
        }
        assert!(found("edge-isr-core/src/hash.rs", "use super::model;")[0].contains("above"));
    }

    #[test]
    fn rooms_below_and_ones_own_are_free() {
        for text in [
            "use crate::clock::Moment; use crate::{error::{Error, Result}, hash};",
            "use super::tag::Tag; use super::super::model::key; use crate::model::key; use crate::tag;",
            "mod tests { use super::*; use super::super::key; }",
            "/// See [`crate::isr::Isr`].\npub(crate) fn f() {}",
        ] {
            assert_eq!(found("edge-isr-core/src/model/page.rs", text), [""; 0], "{text}");
        }
        assert_eq!(found("edge-isr-core/src/isr/mod.rs", "use crate::{graph, store, queue};"), [""; 0]);
        assert_eq!(found("edge-isr-core/src/ladder.rs", "use crate::sync;"), [""; 0]);
    }

    #[test]
    fn a_port_beside_is_refused() {
        assert!(
            found("edge-isr-core/src/queue/memory.rs", "use crate::graph::Cursor;")[0].contains("beside")
        );
        assert!(found("edge-isr-core/src/origin.rs", "use crate::store::Put;")[0].contains("beside"));
    }

    #[test]
    fn a_room_without_a_floor_is_refused() {
        assert!(found("edge-isr-core/src/cellar.rs", "").len() == 1);
        assert!(found("edge-isr-core/src/isr/mod.rs", "use crate::cellar::f;")[0].contains("no room"));
    }

    #[test]
    fn a_macro_belongs_to_its_room() {
        let text = "macro_rules! clauses { () => { $crate::clauses!() } } use crate::clauses;";
        assert_eq!(found("edge-isr-core/src/testing/contract/mod.rs", text), [""; 0]);
        assert_eq!(found("edge-isr-core/src/store/mod.rs", "use crate::clauses;").len(), 1);
    }

    #[test]
    fn doubles_are_for_tests_and_twins() {
        let path = "edge-isr-core/src/isr/fill.rs";
        assert_eq!(found(path, "#[cfg(test)] mod tests { use crate::testing::ManualClock; }"), [""; 0]);
        let twin = "fn f() { #[cfg(feature = \"twins\")] if g(crate::testing::Twin::A) { return; } }";
        assert_eq!(found(path, twin), [""; 0]);
        assert_eq!(found(path, "use crate::testing::ManualClock;").len(), 1);
    }

    #[test]
    fn adapters_that_look_behind_the_counter_are_refused() {
        let path = "edge-isr-tower/src/service.rs";
        assert_eq!(found(path, "use edge_isr_core::{Isr, isr::look_up, model::key, origin};"), [""; 0]);
        assert_eq!(found(path, "use edge_isr_core::{Isr, graph::Ledger};").len(), 1);
        assert_eq!(found(path, "fn f() { edge_isr_core::store::f() }").len(), 1);
        assert_eq!(found(path, "use other::MemoryGraph; fn f(_: FilePages) {}").len(), 2);
    }

    #[test]
    fn a_model_that_waits_or_reads_is_refused() {
        let path = "edge-isr-core/src/model/tag/mod.rs";
        for text in ["async fn f() {}", "use std::fs::read;", "use std::sync::Mutex;"] {
            assert_eq!(found(path, text).len(), 1, "{text}");
        }
        assert_eq!(found(path, "#[cfg(test)] mod tests { use std::fs; }"), [""; 0]);
    }
}
