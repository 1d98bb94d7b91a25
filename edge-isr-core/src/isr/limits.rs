//! Every bound, in one place.

use std::time::Duration;

use crate::error::ConfigError;
use crate::model::rate::Rate;
use crate::queue::Window;

/// The longest of all times.
const MOST_TIME: Duration = Duration::from_secs(24 * 3600);

/// What happens to a visitor when as many renders run as the limits allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Waits up to the collapse wait, then renders anyway.
    #[default]
    Render,
    /// Is refused with 503 and `Retry-After`.
    Refuse,
}

/// The bounds. At one of them a page is evicted or not stored; a request never fails for it, and
/// invalidation still works. No time is longer than a day.
///
/// | field | default | why |
/// |---|---|---|
/// | `store_bytes` | 256 MiB | a small server has it to spare |
/// | `body_bytes` | 8 MiB | larger bodies are files, not pages |
/// | `head_bytes` | 64 KiB | what servers accept |
/// | `key_bytes` | 8 KiB | the longest URL that servers accept |
/// | `tags_per_page` | 256 | the explicit ones |
/// | `variants_per_url` | 32 | a dimension with more values is a mistake |
/// | `waiters_per_key` | 10,000 | they are cheap, but not free |
/// | `renders` | 1,024 | at once; and so many requests that change something go on without their visitor |
/// | `hosts` | 64 | where `origins` does not list them; one in use keeps its place |
/// | `marks` | 1,000,000 | about 64 MiB |
/// | `index_rows` | 2,000,000 | pages |
/// | `index_bytes` | 128 MiB | about 700,000 pages; never more than half of `store_bytes` |
/// | `jobs` | 100,000 | waiting to be rendered again |
/// | `receipts` | 1,000 | kept for ten minutes, for whoever asks how far an invalidation is |
/// | `collapse_wait` | 5 s | for somebody else's render |
/// | `render_timeout` | 60 s | then the render is aborted |
/// | `pass_ttl` | 10 s | how long an uncacheable key is not collapsed |
/// | `store_wait` | 50 ms | for a page store on a miss |
/// | `purge_wait` | 5 s | for one call of a connector |
/// | `settle` | 2 s | between the two purges of a hard invalidation |
/// | `quiet` | 200 ms | a page is rendered anew once it was not invalidated for so long |
/// | `quiet_at_most` | 5 s | and after so long in any case |
/// | `worker_renders` | 8 | at once, by one worker |
/// | `renders_per_host` | 8 | of those, for one host |
/// | `worker_rate` | none | how often one worker begins a render |
/// | `job_attempts` | 5 | then a page is left to its next visitor |
/// | `when_full` | `Render` | see [`WhenFull`] |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of all pages in memory, as accounted.
    pub store_bytes: u64,
    /// Bytes of one body.
    pub body_bytes: usize,
    /// Bytes of one response head.
    pub head_bytes: usize,
    /// Bytes of one key.
    pub key_bytes: usize,
    /// Explicit tags of one page.
    pub tags_per_page: usize,
    /// Variants of one URL. Those whose pages were evicted make room for others, unless a second tier may have them.
    pub variants_per_url: usize,
    /// Requests that wait for one render.
    pub waiters_per_key: usize,
    /// Renders at once.
    pub renders: usize,
    /// Hosts, where `origins` does not list them. A further one takes the place of one that was asked for once, or
    /// else was not used for a minute; while there is none, its pages are not stored.
    pub hosts: usize,
    /// Marks of tags.
    pub marks: usize,
    /// Pages in the index.
    pub index_rows: usize,
    /// Bytes of the index, as accounted.
    pub index_bytes: u64,
    /// Jobs that wait.
    pub jobs: usize,
    /// Receipts that are kept, each for ten minutes at most.
    pub receipts: usize,
    /// How long a request waits for somebody else's render.
    pub collapse_wait: Duration,
    /// How long a render may take.
    pub render_timeout: Duration,
    /// How long the key of an uncacheable answer is passed in parallel.
    pub pass_ttl: Duration,
    /// How long a miss waits for the page store.
    pub store_wait: Duration,
    /// How long a call of a connector may take, and how long an invalidation that is told at once waits for it.
    pub purge_wait: Duration,
    /// How long after a hard invalidation connectors purge again.
    pub settle: Duration,
    /// How long a page must not have been invalidated before a worker renders it anew, so that a burst of edits costs
    /// one render. Zero: at once.
    pub quiet: Duration,
    /// How long a page waits for quiet at most.
    pub quiet_at_most: Duration,
    /// Renders at once by one worker.
    pub worker_renders: usize,
    /// Renders at once by one worker for one host, so that a large site leaves room for the others.
    pub renders_per_host: usize,
    /// How often one worker begins a render; `None` for as often as it can.
    pub worker_rate: Option<Rate>,
    /// How often a worker tries to render a page, before it leaves it to the next visitor.
    pub job_attempts: u32,
    /// What happens to a visitor when all renders are taken.
    pub when_full: WhenFull,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            store_bytes: 256 << 20,
            body_bytes: 8 << 20,
            head_bytes: 64 << 10,
            key_bytes: 8 << 10,
            tags_per_page: 256,
            variants_per_url: 32,
            waiters_per_key: 10_000,
            renders: 1_024,
            hosts: 64,
            marks: 1_000_000,
            index_rows: 2_000_000,
            index_bytes: 128 << 20,
            jobs: 100_000,
            receipts: 1_000,
            collapse_wait: Duration::from_secs(5),
            render_timeout: Duration::from_secs(60),
            pass_ttl: Duration::from_secs(10),
            store_wait: Duration::from_millis(50),
            purge_wait: Duration::from_secs(5),
            settle: Duration::from_secs(2),
            quiet: Duration::from_millis(200),
            quiet_at_most: Duration::from_secs(5),
            worker_renders: 8,
            renders_per_host: 8,
            worker_rate: None,
            job_attempts: 5,
            when_full: WhenFull::default(),
        }
    }
}

impl Limits {
    /// How long a burst of edits lasts.
    pub(crate) const fn window(&self) -> Window {
        Window { quiet: self.quiet, most: self.quiet_at_most }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let counts: [(&'static str, u64); 15] = [
            ("limits.store_bytes", self.store_bytes),
            ("limits.body_bytes", self.body_bytes as u64),
            ("limits.head_bytes", self.head_bytes as u64),
            ("limits.key_bytes", self.key_bytes as u64),
            ("limits.variants_per_url", self.variants_per_url as u64),
            ("limits.waiters_per_key", self.waiters_per_key as u64),
            ("limits.renders", self.renders as u64),
            ("limits.hosts", self.hosts as u64),
            ("limits.marks", self.marks as u64),
            ("limits.index_rows", self.index_rows as u64),
            ("limits.index_bytes", self.index_bytes),
            ("limits.jobs", self.jobs as u64),
            ("limits.worker_renders", self.worker_renders as u64),
            ("limits.renders_per_host", self.renders_per_host as u64),
            ("limits.job_attempts", u64::from(self.job_attempts)),
        ];
        let times = [
            ("limits.collapse_wait", self.collapse_wait),
            ("limits.render_timeout", self.render_timeout),
            ("limits.store_wait", self.store_wait),
            ("limits.purge_wait", self.purge_wait),
        ];
        // Some are multiplied, and a moment so far off can't be told.
        let all = [
            ("limits.pass_ttl", self.pass_ttl),
            ("limits.settle", self.settle),
            ("limits.quiet", self.quiet),
            ("limits.quiet_at_most", self.quiet_at_most),
        ];
        if let Some((field, time)) = times.into_iter().chain(all).find(|(_, time)| *time > MOST_TIME) {
            let bound = "at most one day";
            return Err(ConfigError::OutOfBounds { field, value: format!("{time:?}"), bound });
        }
        let zero_count = counts.into_iter().find(|(_, count)| *count == 0).map(|(field, _)| field);
        let zero_time = times.into_iter().find(|(_, time)| time.is_zero()).map(|(field, _)| field);
        if let Some(field) = zero_count.or(zero_time) {
            return Err(ConfigError::OutOfBounds { field, value: "0".to_owned(), bound: "more than zero" });
        }
        for (field, value, most) in [
            ("limits.key_bytes", self.key_bytes, 32 << 10),
            ("limits.body_bytes", self.body_bytes, 1 << 30),
            ("limits.head_bytes", self.head_bytes, 1 << 20),
            ("limits.tags_per_page", self.tags_per_page, 4_096),
        ] {
            if value > most {
                let bound = "at most 32 KiB (keys), 1 GiB (bodies), 1 MiB (heads), 4,096 (tags)";
                return Err(ConfigError::OutOfBounds { field, value: value.to_string(), bound });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p15_no_time_is_longer_than_a_day() {
        let change: [fn(&mut Limits, Duration); 8] = [
            |limits, time| limits.collapse_wait = time,
            |limits, time| limits.render_timeout = time,
            |limits, time| limits.pass_ttl = time,
            |limits, time| limits.store_wait = time,
            |limits, time| limits.purge_wait = time,
            |limits, time| limits.settle = time,
            |limits, time| limits.quiet = time,
            |limits, time| limits.quiet_at_most = time,
        ];
        for change in change {
            for (time, is_good) in
                [(MOST_TIME, true), (MOST_TIME + Duration::from_nanos(1), false), (Duration::MAX, false)]
            {
                let mut limits = Limits::default();
                change(&mut limits, time);
                let checked = limits.check();
                assert_eq!(checked.is_ok(), is_good, "{checked:?}");
                assert!(is_good || checked.unwrap_err().to_string().contains("one day"));
            }
        }
    }
}
