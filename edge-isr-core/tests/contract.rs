//! Every backend of this crate keeps the contract of its port, clause by clause.

use std::sync::Arc;
use std::time::Duration;

use edge_isr_core::Isr;
use edge_isr_core::graph::{Index, Ledger, MemoryGraph};
use edge_isr_core::queue::MemoryQueue;
use edge_isr_core::store::MemoryPages;
use edge_isr_core::testing::contract::origin::Scene;
use edge_isr_core::testing::{ManualClock, RecordingConnector, ScriptedOrigin, sample};

edge_isr_core::page_store_contract!(memory_pages, MemoryPages::new(8 << 20, 2 << 20), most_bytes: 8 << 20);
edge_isr_core::queue_contract!(memory_queue, MemoryQueue::new(32), most_jobs: 32);
edge_isr_core::tag_graph_contract!(memory_graph, graph(1 << 20, 1_000));
edge_isr_core::tag_graph_contract!(memory_graph_with_little_room, graph(1 << 20, 16));
edge_isr_core::connector_contract!(recording_connector, far_end: RecordingConnector::default());
edge_isr_core::connector_contract!(recording_connector_alone, RecordingConnector::default());
edge_isr_core::origin_contract!(scripted_origin, scene());

fn graph(most_marks: usize, most_rows: usize) -> MemoryGraph {
    let ledger = Ledger::new(sample::new_incarnation(), most_marks, Duration::from_secs(3600));
    MemoryGraph::new(ledger, Index::new(most_rows, 1 << 20, None), Arc::new(ManualClock::default()))
}

fn scene() -> Scene {
    let isr = Isr::builder().build().expect("right settings");
    let (known, unknown, private) = (sample::key(), sample::key(), sample::key());
    let origin = ScriptedOrigin::rendering(&isr).knowing([known.clone()]).knowing_private([private.clone()]);
    Scene { isr, origin: Arc::new(origin), known, unknown, private: Some(private) }
}

/// The names that a trait's `# Contract` lists.
fn promised(docs: &str) -> Vec<&str> {
    let list = docs.lines().skip_while(|line| line.trim() != "/// # Contract").skip(1);
    let list = list.take_while(|line| line.starts_with("///") && !line.starts_with("/// #"));
    list.filter_map(|line| line.split_once(". `")?.1.split_once("`: ")).map(|(name, _)| name).collect()
}

/// The clauses of a file, and those of which its macro makes tests.
fn tested(clauses: &str) -> (Vec<&str>, Vec<&str>) {
    let functions = clauses.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next());
    let functions: Vec<_> = functions.collect();
    let (_, rules) = clauses.split_once("macro_rules!").expect("a file of clauses has a macro");
    let rules = rules.split_once("\n}").expect("a macro ends").0;
    let words = rules.split(|c: char| !c.is_alphanumeric() && c != '_');
    let listed = words.filter(|word| functions.contains(word)).collect();
    (functions, listed)
}

#[test]
fn docs_functions_and_macros_name_the_same_clauses_in_the_same_order() {
    macro_rules! rooms {
        ($($docs:literal, $clauses:literal;)+) => {
            [$((include_str!(concat!("../src/", $docs)),
                include_str!(concat!("../src/testing/contract/", $clauses)))),+]
        };
    }
    for (docs, clauses) in rooms! {
        "store/mod.rs", "store.rs";
        "graph/mod.rs", "graph.rs";
        "queue/mod.rs", "queue.rs";
        "connector/mod.rs", "connector.rs";
        "origin.rs", "origin.rs";
    } {
        let (functions, listed) = tested(clauses);
        assert!(functions.len() > 1);
        assert_eq!(functions, promised(docs), "functions and docs");
        assert_eq!(listed, functions, "the macro's list and functions");
    }
}
