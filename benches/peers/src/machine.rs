//! What the numbers were taken on and with.

use std::fs;

use edge_isr_bench::outcome::Outcome;

use crate::proxies::version;

const LOCK: &str = include_str!("../Cargo.lock");

/// The crates whose versions a reader wants to know.
const CRATES: [&str; 17] = [
    "axum",
    "hyper",
    "tokio",
    "tower",
    "tower-http-cache",
    "tower-http-cache-plus",
    "axum-response-cache",
    "cached",
    "tower-resilience-cache",
    "hitbox",
    "hitbox-tower",
    "hitbox-http",
    "hitbox-moka",
    "http-cache-tower-server",
    "http-cache-tower",
    "http_cache_tags_axum",
    "moka",
];

/// The head of `docs/benchmarks.md`.
pub fn head(took: &str) -> Outcome<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let processor = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, name)| name.trim());
    // Not those this program may run on: by now it stays on one.
    let cores = processors(&cpuinfo);
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let memory: u64 = memory.trim().trim_end_matches("kB").trim().parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let crates: Vec<String> =
        CRATES.iter().filter_map(|name| Some(format!("{name} {}", locked(LOCK, name)?))).collect();
    Ok(format!(
        "# Benchmarks\n\n\
         edge-isr beside other caches, all of it in one run of {took} that anyone can repeat:\n\n\
         \x20   cargo xtask bench --peers\n\n\
         It installs what is missing (valgrind, wrk, nginx, Varnish), measures and writes this file. Parts can be \
         named (`cargo xtask bench --peers wire`), `--quick` makes everything shorter; neither writes. Ratios of one \
         run are what to compare: times alone move by tens of percent between machines and hours.\n\n\
         | | |\n|---|---|\n\
         | Machine | {cores} processors, {processor}, {} GiB, Linux {} |\n\
         | Compiler | {}, release, fat LTO, the allocator of the system |\n\
         | Programs | {}; {}; {}; {} |\n\
         | Crates | {} |\n",
        (memory + (1 << 19)) >> 20,
        kernel.trim(),
        version("rustc", "--version"),
        version("nginx", "-v"),
        version("varnishd", "-V"),
        version("wrk", "-v"),
        version("valgrind", "--version"),
        crates.join(", "),
    ))
}

/// How many processors Linux lists.
fn processors(cpuinfo: &str) -> usize {
    cpuinfo.lines().filter(|line| line.split(':').next().is_some_and(|key| key.trim() == "processor")).count()
}

/// The version of a crate in a lock file.
fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let rest = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?.1;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_by_their_entries() {
        let two = "processor\t: 0\nmodel name\t: A processor : fast\n\nprocessor\t: 1\nmodel name\t: B\n";
        assert_eq!(processors(two), 2);
    }

    #[test]
    fn every_crate_of_the_head_is_in_the_lock_file() {
        for name in CRATES {
            assert!(locked(LOCK, name).is_some(), "{name}");
        }
        assert_eq!(locked("name = \"a\"\nversion = \"1.2\"\n", "a"), Some("1.2"));
    }
}
