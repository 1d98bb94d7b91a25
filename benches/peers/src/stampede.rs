//! A thousand clients that ask for one cold page at once.

use std::net::SocketAddr;
use std::time::Duration;

use edge_isr_bench::clock;
use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::report::Unit;
use tokio::task::JoinSet;

use crate::Settings;
use crate::client::Connection;
use crate::origin::{Origin, SLOW_KIB};
use crate::process::micros;
use crate::proxies::{self, Proxy};
use crate::report::Report;

const CLIENTS: u64 = 1_000;

pub fn measure(report: &mut Report, settings: &Settings) -> Outcome {
    report.title("A stampede, through the gateway");
    report.note(
        "1,000 connections ask for one cold page at once; the origin takes 100 ms for it. nginx has `proxy_cache_lock`.",
    );
    let origin = Origin::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let proxies: [(&str, Proxy); 3] = [
        ("gateway", proxies::gateway(&settings.gateway()?, origin.at, proxies::USUAL)?),
        ("nginx `proxy_cache`", proxies::nginx(origin.at, false)?),
        ("Varnish", proxies::varnish(origin.at)?),
    ];
    let mut rows = Vec::new();
    for (name, proxy) in &proxies {
        let before = origin.slow();
        let (answered, took) = runtime.block_on(stampede(proxy.server.at))?;
        let asked = origin.slow() - before;
        let millis = Unit::Millis.write(micros(took) / 1e3);
        rows.push(vec![(*name).to_owned(), asked.to_string(), answered.to_string(), millis]);
        if *name == "gateway" {
            report.exactly("requests to the origin", asked, 1);
            report.exactly("clients that got the page", answered, CLIENTS);
        }
    }
    report.table(&["proxy", "requests to the origin", "answered", "until the last answer"], &rows);
    Ok(())
}

/// How many got the page, and how long it took from the first request to the last answer.
async fn stampede(at: SocketAddr) -> Outcome<(u64, Duration)> {
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        connections.push(Connection::open(at).await?);
    }
    let start = clock::now();
    let mut clients = JoinSet::new();
    for mut connection in connections {
        clients.spawn(async move {
            let answer = connection.get("/slow/0").await?;
            Outcome::Ok((answer.status, answer.body.len()) == (200, SLOW_KIB * 1024))
        });
    }
    let mut answered = 0;
    while let Some(is_page) = clients.join_next().await {
        answered += u64::from(is_page??);
    }
    Ok((answered, start.elapsed()))
}
