//! What a stored page costs: resident memory of a fresh process before and after 100,000 pages.

use std::sync::Arc;

use edge_isr_axum::{Limits, Tag, TagSet, tag};
use edge_isr_core::clock::{Clock, Moment, SystemClock};
use edge_isr_core::graph::Index;
use edge_isr_core::model::authority::Scheme;
use edge_isr_core::model::key::{KeyRef, Scope};

use crate::stock::{HOST_NAME, ROUTE, Stock};
use edge_isr_bench::outcome::{Outcome, child, float};
use edge_isr_bench::report::{Report, Unit};
use edge_isr_bench::resident;

const PAGES: u32 = 100_000;

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report.title(
        "Memory: 100,000 pages of 1 KiB, 3 headers and 3 tags each (post:{i}, author:{i%1000}, list:{i%10})",
    );
    report.note(
        "VmRSS of a fresh process, after less before. The pages go through the layer around an axum router:",
    );
    report.note("  edge-isr-bench resident everything     pages, index and engine");
    report.note("  edge-isr-bench resident index          an index alone, of the same keys and tags\n");
    let everything = child(&["resident", "everything"])?;
    let index = child(&["resident", "index"])?.get("bytes")?;
    let pages = float(PAGES.into());
    let (all, index) = (float(everything.get("bytes")?), float(index));
    report.row("everything, a page", Unit::Bytes.write(all / pages));
    report.row("the index, a page", Unit::Bytes.write(index / pages));
    report.at_most("the page itself: everything less the index", (all - index) / pages, 1600.0, Unit::Bytes);
    report.at_most("the index, an edge (300,000)", index / pages / 3.0, 60.0, Unit::Bytes);
    report.row(
        "what the store accounts for a page",
        Unit::Bytes.write(float(everything.get("accounted")?) / pages),
    );
    Ok(())
}

/// Prints how many bytes became resident.
pub(crate) fn child_of(what: &str) -> Outcome {
    match what {
        "everything" => everything(),
        "index" => index(),
        _ => Err(format!("`resident {what}`: everything or index").into()),
    }
}

fn tags_of(post: u32) -> [Tag; 3] {
    [tag("post", post), tag("author", post % 1000), tag("list", post % 10)]
}

fn everything() -> Outcome {
    // The default bound has room for all of them.
    let stock = Stock::new(Limits::default().store_bytes)?;
    // What the first page brings along (a router, a runtime's tables) is not a page's.
    stock.fill([PAGES], |_| 1024, |page| tags_of(page).into())?;
    let before = resident::bytes()?;
    stock.fill(0..PAGES, |_| 1024, |page| tags_of(page).into())?;
    let after = resident::bytes()?;
    let stats = stock.isr.stats();
    if stats.pages != PAGES as usize + 1 {
        return Err(format!("{} pages are stored", stats.pages).into());
    }
    println!("bytes {}", after - before);
    println!("accounted {}", stats.bytes);
    Ok(())
}

fn index() -> Outcome {
    let before = resident::bytes()?;
    let mut index = Index::new(2_000_000, usize::MAX, None);
    let clock = SystemClock::default();
    let mut shared: Option<Arc<Scope>> = None;
    for post in 0..PAGES {
        let path = format!("/posts/{post}");
        let key = KeyRef::new(Scheme::Http, HOST_NAME, ROUTE, &path);
        let scope = shared.get_or_insert_with(|| Arc::new(key.scope()));
        let tags: TagSet = tags_of(post).into_iter().collect();
        index.bind(&key.to_owned(Arc::clone(scope)), &tags, clock.now(), Moment::from_nanos(u64::MAX));
    }
    println!("bytes {}", resident::bytes()? - before);
    if index.len() != PAGES as usize {
        return Err(format!("the index knows {} pages", index.len()).into());
    }
    Ok(())
}
