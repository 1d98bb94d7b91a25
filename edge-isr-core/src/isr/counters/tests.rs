//! What an operator reads: the counters, and their names in the `metrics` facade.

use super::super::look_up::LookUp;
use super::super::test_engine::{Engine, key, policy};
use super::*;
use crate::model::conditional::Selection;

/// An engine that rendered one page, answered from it twice and was asked for another.
fn used() -> Engine {
    let engine = Engine::new();
    engine.isr.count_render();
    engine.page("/a", &policy());
    for _ in 0..2 {
        let LookUp::Fresh(hit) = engine.isr.look_up(&key("/a"), || 0) else { panic!("it is fresh") };
        let _ = engine.isr.answer(&hit, &Selection::Whole);
    }
    engine.isr.count(Reason::Absent);
    engine.isr.count_collapsed();
    engine
}

#[test]
fn p35_every_outcome_is_counted_under_its_reason() {
    let stats = used().isr.stats();
    assert_eq!((stats.hits(), stats.count(Reason::Absent), stats.count(Reason::Busy)), (2, 1, 0));
    assert_eq!(stats.iter().collect::<Vec<_>>(), [(Reason::Hit, 2), (Reason::Absent, 1)]);
    assert_eq!((stats.renders, stats.stored, stats.collapsed, stats.pages), (1, 1, 1, 1));
}

#[test]
fn counts_of_all_threads_are_added_up() {
    let counters = Counters::new();
    std::thread::scope(|scope| {
        for _ in 0..SHARDS + 2 {
            scope.spawn(|| (0..1_000).for_each(|_| counters.count(Reason::Hit)));
        }
    });
    assert_eq!(counters.read(0, 0).hits(), (SHARDS as u64 + 2) * 1_000);
}

#[cfg(feature = "metrics")]
mod published {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    use super::*;

    /// What an exporter would show: each line with its value.
    #[derive(Debug, Default)]
    struct Exporter(Arc<Mutex<BTreeMap<String, f64>>>);

    /// One line of it.
    struct Line(Arc<Mutex<BTreeMap<String, f64>>>, String);

    impl Line {
        fn change(&self, change: impl FnOnce(f64) -> f64) {
            let mut lines = self.0.lock().unwrap();
            let value = lines.entry(self.1.clone()).or_default();
            *value = change(*value);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    impl CounterFn for Line {
        fn increment(&self, by: u64) {
            self.change(|value| value + by as f64);
        }

        fn absolute(&self, to: u64) {
            self.change(|_| to as f64);
        }
    }

    impl GaugeFn for Line {
        fn increment(&self, by: f64) {
            self.change(|value| value + by);
        }

        fn decrement(&self, by: f64) {
            self.change(|value| value - by);
        }

        fn set(&self, to: f64) {
            self.change(|_| to);
        }
    }

    impl Exporter {
        fn line(&self, key: &Key) -> Arc<Line> {
            let labels: String =
                key.labels().map(|label| format!("{{{}={}}}", label.key(), label.value())).collect();
            Arc::new(Line(Arc::clone(&self.0), key.name().to_owned() + &labels))
        }
    }

    impl Recorder for Exporter {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.line(key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.line(key))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn p35_the_facade_gets_every_counter_under_its_name_and_publishing_again_adds_nothing() {
        let (stats, exporter) = (used().isr.stats(), Exporter::default());
        for _ in 0..2 {
            metrics::with_local_recorder(&exporter, || stats.publish());
        }
        let mut lines = exporter.0.lock().unwrap().clone();
        assert!(lines.remove("edge_isr_bytes").is_some_and(|bytes| bytes > 0.0));
        let expected = [
            ("edge_isr_coded_total", 0.0),
            ("edge_isr_collapsed_total", 1.0),
            ("edge_isr_pages", 1.0),
            ("edge_isr_renders_total", 1.0),
            ("edge_isr_requests_total{reason=absent}", 1.0),
            ("edge_isr_requests_total{reason=hit}", 2.0),
            ("edge_isr_stored_total", 1.0),
        ];
        assert_eq!(lines, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }
}
