//! The counters in the text form of Prometheus, under the names that `Stats::publish` gives them.

use std::fmt::Write as _;

use edge_isr_core::Isr;

use super::answer::Answer;
use crate::front::Refused;

const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is counted.
pub(super) fn text(isr: &Isr, refused: &Refused) -> Answer {
    let stats = isr.stats();
    let mut text = String::with_capacity(4 << 10);
    family(&mut text, "edge_isr_requests_total", "counter", "Outcomes by their reason; see docs/reasons.md.");
    for (reason, count) in stats.iter() {
        line(&mut text, &format!("edge_isr_requests_total{{reason=\"{}\"}}", reason.as_str()), count);
    }
    let name = "edge_isr_gateway_refused_total";
    family(&mut text, name, "counter", "Requests that went no further than the way in, by status.");
    for (status, count) in refused.iter() {
        line(&mut text, &format!("{name}{{status=\"{status}\"}}"), count);
    }
    let numbers = [
        ("edge_isr_renders_total", "counter", "Requests to the origin that fill pages.", stats.renders),
        ("edge_isr_stored_total", "counter", "Pages stored.", stats.stored),
        ("edge_isr_collapsed_total", "counter", "Requests answered by another's render.", stats.collapsed),
        ("edge_isr_coded_total", "counter", "Compressed forms of pages made.", stats.coded),
        ("edge_isr_pages", "gauge", "Pages in memory.", stats.pages as u64),
        ("edge_isr_bytes", "gauge", "Bytes they hold, as accounted.", stats.bytes),
        ("edge_isr_health_notes", "gauge", "What /health has to say.", isr.health().notes.len() as u64),
    ];
    for (name, kind, help, number) in numbers {
        family(&mut text, name, kind, help);
        line(&mut text, name, number);
    }
    Answer::text(KIND, text)
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a `String` can't fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, number: u64) {
    let _ = writeln!(text, "{name} {number}");
}
