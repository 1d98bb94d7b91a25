//! Times per hit, for orientation: they move by tens of percent between runs, instructions do not.

use crate::apps::{self, Runner};
use crate::clock;
use crate::outcome::{Outcome, float};
use crate::report::{Report, Unit};
use crate::scenario::{App, Ask, Scenario};

const SLICES: usize = 9;
const HITS: usize = 20_000;
const KEYS: u32 = 10_000;

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report
        .title("Times of a hit, harness included, 16 KiB: best of 9 slices of 20,000, the rows taking turns");
    let hot: Vec<u32> = vec![0; HITS];
    let apps =
        [App::Harness, App::Floor, App::Axum, App::Around, App::AroundEdge, App::Route, App::RouteEdge];
    table(report, "hot, Host alone", &apps, Ask::Plain, 1, &hot)?;
    table(report, "hot, 12 headers of a browser", &apps, Ask::Browser, 1, &hot)?;
    // The handler of bare axum has one page for all keys: nothing to look up, nothing to miss in the processor's cache.
    let spread = zipf(KEYS, HITS);
    let apps = [App::Floor, App::Axum, App::Around, App::Route];
    table(report, "10,000 pages, Zipf(1.0), Host alone", &apps, Ask::Plain, KEYS, &spread)
}

fn table(report: &Report, title: &str, apps: &[App], ask: Ask, keys: u32, asked: &[u32]) -> Outcome {
    let mut runners: Vec<(App, Runner, f64)> = Vec::new();
    for &app in apps {
        runners.push((app, apps::runner(Scenario::of(app, ask), keys)?, f64::MAX));
    }
    for _ in 0..SLICES {
        for (_, runner, best) in &mut runners {
            let start = clock::now();
            runner(asked);
            *best = best.min(start.elapsed().as_secs_f64() * 1e9 / float(asked.len() as u64));
        }
    }
    let axum = runners.iter().find(|(app, ..)| *app == App::Axum).map_or(f64::NAN, |(_, _, best)| *best);
    report.note(format!("{title:<58} {:>14} {:>10}", "ns", "x axum"));
    for (app, _, best) in &runners {
        report.note(format!(
            "  {:<56} {:>14} {:>10}",
            app.describe(),
            best.round(),
            Unit::Times.write(best / axum)
        ));
    }
    report.note("");
    Ok(())
}

/// So many draws of `0..keys`, the n-th key as often as 1/n, from a fixed seed.
fn zipf(keys: u32, draws: usize) -> Vec<u32> {
    let mut sum = 0.0;
    let cumulated: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += 1.0 / f64::from(rank);
            sum
        })
        .collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let draw = |_| {
        let at = random.unit() * sum;
        u32::try_from(cumulated.partition_point(|&up_to| up_to < at)).unwrap_or(0).min(keys - 1)
    };
    (0..draws).map(draw).collect()
}

/// xorshift64*: good enough to spread keys and sizes.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// In `0.0..1.0`.
    fn unit(&mut self) -> f64 {
        float(self.next() >> 11) / float(1 << 53)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_drawn_about_as_often_as_all_of_the_last_half() {
        let draws = zipf(10_000, 100_000);
        let first = draws.iter().filter(|&&key| key == 0).count();
        // 1/H(10,000) is 0.102; the last half has ln 2 of that.
        assert!((9_500..11_000).contains(&first), "{first}");
        let half = draws.iter().filter(|&&key| key >= 5_000).count();
        assert!((6_500..7_700).contains(&half), "{half}");
    }
}
