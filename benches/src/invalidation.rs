//! What an invalidation costs by the number of pages that carry its tag, and how they are listed.

use std::hint::black_box;
use std::time::Duration;

use edge_isr_axum::{Cursor, Graph, Tag, tag};

use crate::stock::Stock;
use edge_isr_bench::clock;
use edge_isr_bench::harness::at_once;
use edge_isr_bench::outcome::{Outcome, child, float};
use edge_isr_bench::report::{Report, Unit};

const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;
const ROUNDS: usize = 2_000;
/// As many URLs as one call is asked for.
const LIMIT: usize = 256;

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report.title("Invalidating a tag that 1,000,000 pages carry, in memory");
    report.note("The pages (16 bytes each) are stored through the layer around an axum router, then");
    report.note(
        "`graph.revalidate_by_tags` and `expire_by_tags` are called 2,000 times each, receipt included:",
    );
    report.note(format!("  edge-isr-bench invalidate {MANY}, and {FEW}\n"));
    let (few, many) = (child(&["invalidate", &FEW.to_string()])?, child(&["invalidate", &MANY.to_string()])?);
    for (mode, name) in [("soft", "revalidate_by_tags"), ("hard", "expire_by_tags")] {
        let micros = |numbers: &edge_isr_bench::outcome::Numbers, which: &str| {
            Ok::<f64, Box<dyn std::error::Error + Send + Sync>>(
                float(numbers.get(&format!("{mode}_{which}"))?) / 1e3,
            )
        };
        report.at_most(
            &format!("{name}, 1,000,000 pages: median"),
            micros(&many, "median")?,
            20.0,
            Unit::Micros,
        );
        report.row("  99 of 100", Unit::Micros.write(micros(&many, "p99")?));
        report.row("  1,000 pages: median", Unit::Micros.write(micros(&few, "median")?));
    }
    // The bar is wide since times move; what it is about is a factor of 1,000.
    let ratio = float(many.get("soft_median")?) / float(few.get("soft_median")?);
    report.at_most("1,000,000 pages against 1,000", ratio, 3.0, Unit::Times);
    for (listing, name) in [("exact", "the tag itself"), ("below", "a tag above it")] {
        let get = |which: &str| many.get(&format!("{listing}_{which}"));
        report.note(format!("Listing by {name}, asked for {LIMIT} URLs at a time: {} calls", get("calls")?));
        if listing == "exact" {
            report.exactly("  URLs in all", get("urls")?, MANY.into());
        } else {
            report.row("  URLs (the first 400 calls)", get("urls")?);
        }
        report.at_most("  URLs in one answer", float(get("longest")?), float(LIMIT as u64), Unit::Plain);
        report.row("  time of a call: median", Unit::Micros.write(float(get("median")?) / 1e3));
        report.row("  99 of 100", Unit::Micros.write(float(get("p99")?) / 1e3));
    }
    Ok(())
}

/// Stores so many pages with one tag in common, invalidates it and lists them.
pub(crate) fn child_of(pages: u32) -> Outcome {
    let stock = Stock::new(4 << 30)?;
    stock.fill(0..pages, |_| 16, |page| vec![tag("list", "all"), tag("page", page)])?;
    if stock.isr.stats().pages != pages as usize {
        return Err(format!("{} pages are stored", stock.isr.stats().pages).into());
    }
    let graph = stock.isr.graph();
    list(&graph, "exact", &tag("list", "all"), usize::MAX)?;
    list(&graph, "below", &Tag::named("page"), 400)?;
    let all = || [tag("list", "all")];
    time("soft", || drop(black_box(at_once(graph.revalidate_by_tags(all())))));
    time("hard", || drop(black_box(at_once(graph.expire_by_tags(all())))));
    Ok(())
}

fn time(name: &str, mut call: impl FnMut()) {
    let times = (0..ROUNDS).map(|_| {
        let start = clock::now();
        call();
        start.elapsed()
    });
    tell(name, times.collect());
}

fn tell(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    for (which, at) in [("median", times.len() / 2), ("p99", times.len() * 99 / 100)] {
        println!("{name}_{which} {}", times.get(at).map_or(0, Duration::as_nanos));
    }
}

fn list(graph: &Graph, name: &str, tag: &Tag, most_calls: usize) -> Outcome {
    let (mut after, mut times, mut urls, mut longest): (Option<Cursor>, _, _, _) = (None, Vec::new(), 0, 0);
    while times.len() < most_calls {
        let start = clock::now();
        let found = at_once(graph.urls_for(tag, after, LIMIT))?;
        times.push(start.elapsed());
        urls += found.urls.len();
        longest = longest.max(found.urls.len());
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    println!("{name}_calls {}\n{name}_urls {urls}\n{name}_longest {longest}", times.len());
    tell(name, times);
    Ok(())
}
