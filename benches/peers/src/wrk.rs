//! Load over the wire: wrk, on the other processor.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use edge_isr_bench::outcome::{Outcome, float};

use crate::process::{LOAD_CORE, Server, micros};

const CONNECTIONS: &str = "-c32";

/// What one run came to.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Requests answered in a second.
    pub rate: f64,
    /// Microseconds of the server's processor time for a request.
    pub cpu: f64,
    /// The middle latency, in microseconds.
    pub p50: f64,
}

/// The command, as it is run.
pub fn command(seconds: u64) -> String {
    format!("taskset -c {LOAD_CORE} wrk -t1 {CONNECTIONS} -d{seconds}s --latency http://127.0.0.1:PORT/PATH")
}

/// Asks a server for one page for so many seconds.
pub fn run(server: &Server, path: &str, seconds: u64) -> Outcome<Load> {
    let before = server.used()?;
    let text = wrk(server.at, path, seconds)?;
    let used = server.used()?.saturating_sub(before);
    let (requests, rate, p50) = read(&text).ok_or_else(|| format!("wrk said: {text}"))?;
    Ok(Load { rate, cpu: micros(used) / float(requests.max(1)), p50: micros(p50) })
}

fn wrk(at: SocketAddr, path: &str, seconds: u64) -> Outcome<String> {
    let output = Command::new("taskset")
        .args(["-c", LOAD_CORE, "wrk", "-t1", CONNECTIONS, "--latency"])
        .arg(format!("-d{seconds}s"))
        .arg(format!("http://{at}{path}"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = ["Non-2xx", "Socket errors"].iter().any(|mark| text.contains(mark));
    if !output.status.success() || failed {
        return Err(format!("wrk of {path}: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(text)
}

/// The number of requests, their rate, and the middle latency.
fn read(text: &str) -> Option<(u64, f64, Duration)> {
    let requests = text.lines().find(|line| line.contains(" requests in "))?;
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"))?;
    let p50 = text.lines().find_map(|line| line.trim().strip_prefix("50%"))?.trim();
    Some((requests.split_whitespace().next()?.parse().ok()?, rate.trim().parse().ok()?, time(p50)?))
}

/// `87.00us`, `1.20ms`, `2.00s`.
fn time(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[number.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read() {
        let text = "Running 1s test\n  Latency Distribution\n     50%  215.00us\n     99%    1.02ms\n  \
                    146018 requests in 1.10s, 26.32MB read\nRequests/sec: 132721.50\nTransfer/sec: 23.92MB\n";
        assert_eq!(read(text), Some((146_018, 132_721.5, Duration::from_micros(215))));
        assert_eq!(read("nothing"), None);
        assert_eq!(time("1.5ms"), Some(Duration::from_micros(1500)));
        assert_eq!(time("3h"), None);
    }
}
