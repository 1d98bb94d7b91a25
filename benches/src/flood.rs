//! Distinct keys far beyond the bound: what the store accounts for, and what the process holds.

use std::ops::RangeInclusive;

use edge_isr_axum::tag;

use crate::stock::Stock;
use edge_isr_bench::outcome::{Outcome, child, float};
use edge_isr_bench::report::{Report, Unit};
use edge_isr_bench::resident;
use edge_isr_bench::zipf::Random;

const BOUND: u64 = 64 << 20;

/// Floods: name, pages, and the bytes of their bodies.
const FLOODS: [(&str, u32, RangeInclusive<u64>); 2] =
    [("mixed", 40_000, (1 << 10)..=(64 << 10)), ("small", 1_000_000, (1 << 10)..=(1 << 10))];

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report.title("A flood of distinct keys, the store bounded at 64 MiB");
    report.note("Each page is asked for once, through the layer around an axum router, and has 3 tags; every 100 pages");
    report.note(
        "the accounted bytes and VmRSS are read. The index has its own bound, half of the store's here.",
    );
    for (name, pages, bodies) in FLOODS {
        report.note(format!("  edge-isr-bench drown {name}"));
        let numbers = child(&["drown", name])?;
        report.note(format!(
            "{pages} pages of {}, {} in all; {} are left",
            if bodies.start() == bodies.end() { "1 KiB" } else { "1 to 64 KiB" },
            Unit::Mebibytes.write(float(numbers.get("sent")?)),
            numbers.get("pages")?
        ));
        let (accounted, resident) = (float(numbers.get("accounted")?), float(numbers.get("resident")?));
        report.at_most(&format!("{name} flood: accounted, most"), accounted, float(BOUND), Unit::Mebibytes);
        let bar = 1.5 * float(BOUND) + float(40 << 20);
        report.at_most(&format!("{name} flood: resident, most"), resident, bar, Unit::Mebibytes);
    }
    Ok(())
}

/// Runs one flood.
pub(crate) fn child_of(name: &str) -> Outcome {
    let (_, pages, bodies) = FLOODS.into_iter().find(|(known, ..)| *known == name).ok_or("no such flood")?;
    let stock = Stock::new(BOUND)?;
    // A size that depends on the page alone.
    let len = move |page: u32| {
        let mut random = Random((u64::from(page) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        usize::try_from(bodies.start() + random.number() % (bodies.end() - bodies.start() + 1)).unwrap_or(0)
    };
    let (mut accounted, mut resident, mut sent) = (0, 0, 0);
    for start in (0..pages).step_by(100) {
        let size = len.clone();
        stock.fill(start..start + 100, size, |page| {
            vec![tag("post", page), tag("author", page % 1000), tag("list", page % 10)]
        })?;
        sent += (start..start + 100).map(|page| len(page) as u64).sum::<u64>();
        accounted = accounted.max(stock.isr.stats().bytes);
        resident = resident.max(resident::bytes()?);
    }
    println!("accounted {accounted}\nresident {resident}\nsent {sent}\npages {}", stock.isr.stats().pages);
    Ok(())
}
