//! The gateway's hits beside those of nginx and Varnish in front of the same origin, and beside bare axum.

use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::report::Unit;

use crate::Settings;
use crate::origin::Origin;
use crate::process::Server;
use crate::proxies::{self, Proxy};
use crate::report::Report;
use crate::stack::Stack;
use crate::wire::{self, KIB, Pairs};

/// The page of bare axum.
const AXUM: &str = "/posts/0";
/// It has no bar, but a row.
const NGINX_OPEN: &str = "nginx with `open_file_cache`";

pub fn measure(report: &mut Report, settings: &Settings) -> Outcome {
    let pace = settings.pace;
    let program = settings.gateway()?;
    let origin = Origin::start()?;
    let gateway = proxies::gateway(&program, origin.at, proxies::USUAL)?;
    let nginx = proxies::nginx(origin.at, false)?;
    let nginx_open = proxies::nginx(origin.at, true)?;
    let varnish = proxies::varnish(origin.at)?;
    report.title("Over the wire: the gateway");
    report.note(format!(
        "Proxies in front of the same small origin, every request a hit; otherwise as above, the median of {} pairs, \
         one run of the gateway beside one of the other. nginx: `proxy_cache` with its files in memory, one worker, no \
         log, and once more with `open_file_cache`, so that it opens no file for a hit. Varnish: its malloc \
         store. Bare axum is no proxy: it serves the page from its handler.",
        pace.gateway_pairs,
    ));
    for kib in KIB {
        let axum = wire::start(Stack::Axum, kib)?;
        let page = format!("/page/{kib}/0");
        let mut rows = Vec::new();
        for (name, other, path) in [
            ("nginx `proxy_cache`", &nginx.server, &*page),
            (NGINX_OPEN, &nginx_open.server, &page),
            ("Varnish", &varnish.server, &page),
            ("bare axum", &axum, AXUM),
        ] {
            store(&gateway, other, (&page, path), kib)?;
            let pairs =
                Pairs::run(pace.gateway_pairs, pace.seconds, (&gateway.server, other), (&page, path))?;
            rows.push(line(name, &pairs));
            bar(report, name, kib, &pairs);
        }
        report.table(
            &[
                "gateway beside",
                "requests/s, gateway",
                "other",
                "CPU us, gateway",
                "other",
                "CPU, x other",
                "p50, x other",
            ],
            &rows,
        );
    }
    Ok(())
}

/// What is not stored after this is not cached at all.
fn store(gateway: &Proxy, other: &Server, (page, path): (&str, &str), kib: usize) -> Outcome {
    for (at, path) in [(gateway.server.at, page), (other.at, path)] {
        for _ in 0..3 {
            wire::check_page(at, path, kib)?;
        }
    }
    Ok(())
}

fn bar(report: &mut Report, name: &str, kib: usize, pairs: &Pairs) {
    let cpu = pairs.ratio(|load| load.cpu);
    if name == "bare axum" {
        report.at_most(format!("{kib} KiB, CPU per request against {name}"), cpu, 0.95, Unit::Times);
        return;
    }
    if name == NGINX_OPEN {
        return;
    }
    let least = if name == "Varnish" { 2.0 } else { 1.15 };
    let what = format!("{kib} KiB, hits per second of CPU against {name}");
    report.at_least(what, pairs.requests_for_cpu(), least, Unit::Times);
}

fn line(name: &str, pairs: &Pairs) -> Vec<String> {
    let plain = |number: f64| Unit::Plain.write(number);
    vec![
        name.to_owned(),
        plain(pairs.first(|load| load.rate).round()),
        plain(pairs.second(|load| load.rate).round()),
        plain(pairs.first(|load| load.cpu)),
        plain(pairs.second(|load| load.cpu)),
        Unit::Times.write(pairs.ratio(|load| load.cpu)),
        Unit::Times.write(pairs.ratio(|load| load.p50)),
    ]
}
