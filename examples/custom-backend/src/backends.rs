//! A page store, a queue and a connector of one's own: what each trait asks for, in as little code as it takes.
//!
//! The contracts are in the docs of the traits. The tests at the end hold each of the three to its own, clause by
//! clause, in one line each.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edge_isr_axum::core::clock::Moment;
use edge_isr_axum::core::model::key::CacheKey;
use edge_isr_axum::core::model::page::Page;
use edge_isr_axum::core::queue::{Claim, DeadLetter, Finished, Job, Pushed, Queue, Window};
use edge_isr_axum::core::store::{PageStore, Put};
use edge_isr_axum::{Connector, Error, Purge, PurgeLimits, Reason, Result, async_trait};

/// None of the three leaves anything half done under its lock, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// ---------------------------------------------------------------------------------------------------------------------

/// A second tier behind the memory of edge-isr: pages in a map, the oldest go first.
///
/// It keeps pages as they are. A store outside the process has to write them down, for which the library has no
/// public format yet.
#[derive(Debug)]
pub(crate) struct ShelfStore {
    shelf: Mutex<Shelf>,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Shelf {
    /// Keys are compared whole by the map, as the contract asks: their hash alone would not do.
    pages: HashMap<CacheKey, Arc<Page>>,
    oldest: VecDeque<CacheKey>,
    bytes: usize,
}

impl ShelfStore {
    /// Room for so many bytes of pages.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { shelf: Mutex::default(), most_bytes }
    }
}

impl Shelf {
    fn take(&mut self, key: &CacheKey) {
        if let Some(page) = self.pages.remove(key) {
            self.bytes -= page.weight_bytes();
            self.oldest.retain(|other| other != key);
        }
    }
}

#[async_trait]
impl PageStore for ShelfStore {
    async fn get(&self, key: &CacheKey) -> Result<Option<Arc<Page>>> {
        Ok(lock(&self.shelf).pages.get(key).cloned())
    }

    async fn put(&self, key: &CacheKey, page: Arc<Page>) -> Result<Put> {
        // One lock for the look and the leap: two stores of one key may race, and the later snapshot has to win.
        let mut shelf = lock(&self.shelf);
        if let Some(standing) = shelf.pages.get(key) {
            let (old, new) = (standing.birth().snapshot, page.birth().snapshot);
            if old.incarnation == new.incarnation && old.seq > new.seq {
                return Ok(Put::Outrun);
            }
        }
        shelf.take(key);
        if page.weight_bytes() > self.most_bytes {
            return Ok(Put::Refused);
        }
        shelf.bytes += page.weight_bytes();
        shelf.pages.insert(key.clone(), page);
        shelf.oldest.push_back(key.clone());
        while shelf.bytes > self.most_bytes
            && let Some(oldest) = shelf.oldest.front().cloned()
        {
            shelf.take(&oldest);
        }
        Ok(Put::Kept)
    }

    async fn remove(&self, keys: &[CacheKey]) -> Result<()> {
        let mut shelf = lock(&self.shelf);
        keys.iter().for_each(|key| shelf.take(key));
        Ok(())
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// A queue that is a list. It looks at every line at each call, which is quick enough for some thousand pages.
#[derive(Debug)]
pub(crate) struct ListQueue {
    list: Mutex<List>,
    most_jobs: usize,
}

#[derive(Debug, Default)]
struct List {
    lines: Vec<Line>,
    dead: VecDeque<DeadLetter>,
    last_token: u64,
}

/// A job, and what became of it so far. A new line stands at the end: of two that are alike the older comes first.
#[derive(Debug)]
struct Line {
    job: Job,
    attempts: u32,
    holder: Option<Holder>,
    /// Since it was last claimed: its first push, and when it will have been quiet for long enough.
    first_push: Option<Moment>,
    quiet_from: Moment,
    /// When whoever gave it back wants it to be tried again.
    not_before: Moment,
}

#[derive(Debug)]
struct Holder {
    token: u64,
    until: Moment,
}

impl ListQueue {
    /// Room for so many jobs.
    pub(crate) fn new(most_jobs: usize) -> Self {
        Self { list: Mutex::default(), most_jobs }
    }
}

impl List {
    /// The line of a claim that is still its holder's. Every claim that took too long finds none here.
    fn held(&mut self, claim: &Claim) -> Option<usize> {
        let is_it = |line: &Line| {
            line.job.key == claim.job.key && line.holder.as_ref().is_some_and(|by| by.token == claim.token)
        };
        self.lines.iter().position(is_it)
    }

    fn put_back(&mut self, claim: &Claim, not_before: Moment, attempts: u32) {
        if let Some(at) = self.held(claim) {
            let line = &mut self.lines[at];
            line.holder = None;
            line.not_before = not_before;
            line.attempts += attempts;
        }
    }

    /// Takes the line out, unless more is wanted by now than was reached: the last edit must not be lost.
    fn end(&mut self, claim: &Claim, reached: u64) -> (Finished, Option<Line>) {
        let Some(at) = self.held(claim) else { return (Finished::Lost, None) };
        let line = &mut self.lines[at];
        if line.job.want <= reached {
            return (Finished::Done, Some(self.lines.remove(at)));
        }
        line.attempts = if line.job.want > claim.job.want { 0 } else { line.attempts + 1 };
        line.holder = None;
        (Finished::Again, None)
    }
}

#[async_trait]
impl Queue for ListQueue {
    async fn push(&self, job: Job, window: Window, now: Moment) -> Result<Pushed> {
        let mut list = lock(&self.list);
        if let Some(line) = list.lines.iter_mut().find(|line| line.job.key == job.key) {
            line.job.rank = line.job.rank.max(job.rank);
            if job.want > line.job.want {
                line.job.want = job.want;
                let first_push = *line.first_push.get_or_insert(now);
                line.quiet_from = now.after(window.quiet).min(first_push.after(window.most));
            }
            return Ok(Pushed::Coalesced);
        }
        if list.lines.len() >= self.most_jobs {
            return Ok(Pushed::Full);
        }
        list.dead.retain(|dead| dead.job.key != job.key);
        let quiet_from = now.after(window.quiet.min(window.most));
        let (attempts, holder, not_before) = (0, None, now);
        list.lines.push(Line { job, attempts, holder, first_push: Some(now), quiet_from, not_before });
        Ok(Pushed::Queued)
    }

    async fn claim(&self, limit: usize, lease: Duration, now: Moment) -> Result<Vec<Claim>> {
        let mut list = lock(&self.list);
        for line in &mut list.lines {
            // Whoever held it is gone: anybody may take it, at once.
            if line.holder.as_ref().is_some_and(|by| by.until <= now) {
                line.holder = None;
                line.attempts += 1;
                (line.quiet_from, line.not_before) = (now, now);
            }
        }
        let List { lines, last_token, .. } = &mut *list;
        let is_ready =
            |line: &&mut Line| line.holder.is_none() && line.quiet_from.max(line.not_before) <= now;
        let mut ready: Vec<&mut Line> = lines.iter_mut().filter(is_ready).collect();
        ready.sort_by_key(|line| Reverse(line.job.rank));
        let claim = |line: &mut Line| {
            *last_token += 1;
            line.holder = Some(Holder { token: *last_token, until: now.after(lease) });
            (line.first_push, line.quiet_from, line.not_before) = (None, now, now);
            Claim { job: line.job.clone(), attempts: line.attempts, token: *last_token }
        };
        Ok(ready.into_iter().take(limit).map(claim).collect())
    }

    async fn finish(&self, claim: Claim, rendered: u64) -> Result<Finished> {
        Ok(lock(&self.list).end(&claim, rendered).0)
    }

    async fn retry(&self, claim: Claim, not_before: Moment) -> Result<()> {
        lock(&self.list).put_back(&claim, not_before, 1);
        Ok(())
    }

    async fn release(&self, claim: Claim, not_before: Moment) -> Result<()> {
        lock(&self.list).put_back(&claim, not_before, 0);
        Ok(())
    }

    async fn bury(&self, claim: Claim, reason: Reason) -> Result<Finished> {
        let mut list = lock(&self.list);
        let (finished, line) = list.end(&claim, claim.job.want);
        if let Some(line) = line {
            list.dead.push_front(DeadLetter { job: line.job, attempts: line.attempts + 1, reason });
            list.dead.truncate(self.most_jobs);
        }
        Ok(finished)
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        Ok(lock(&self.list).dead.iter().take(limit).cloned().collect())
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// Speaks to a cache that reads what to forget from a file, one word a line: `tag post:42`, `url https://…`, `all`.
#[derive(Debug)]
pub(crate) struct FileConnector {
    file: Mutex<File>,
}

impl FileConnector {
    /// Appends to this file.
    ///
    /// # Errors
    ///
    /// When it can't be opened.
    pub(crate) fn open(path: impl AsRef<Path>) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file: Mutex::new(file) })
    }
}

#[async_trait]
impl Connector for FileConnector {
    fn name(&self) -> &'static str {
        "file"
    }

    fn limits(&self) -> PurgeLimits {
        PurgeLimits::default()
    }

    async fn purge(&self, purge: &Purge) -> Result<()> {
        let tags = purge.tags.iter().map(|tag| format!("tag {tag}\n"));
        let lines = tags.chain(purge.urls.iter().map(|url| format!("url {url}\n")));
        let lines: String = if purge.everything { "all\n".to_owned() } else { lines.collect() };
        // In one call, so that lines of two purges never mix; and on the disk before it counts as confirmed. A slow
        // call of the system belongs on a thread of its own in an application with more to do.
        let mut file = lock(&self.file);
        file.write_all(lines.as_bytes()).and_then(|()| file.sync_data()).map_err(|error| Error::Unavailable {
            backend: "file",
            queued: false,
            source: error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    edge_isr_axum::core::page_store_contract!(store, ShelfStore::new(8 << 20), most_bytes: 8 << 20);
    edge_isr_axum::core::queue_contract!(queue, ListQueue::new(32), most_jobs: 32);
    edge_isr_axum::core::connector_contract!(connector, unnamed());

    /// A file of the test's own.
    fn scratch() -> std::path::PathBuf {
        let word = edge_isr_axum::core::testing::sample::word();
        std::env::temp_dir().join(format!("custom-backend-{word}.purges"))
    }

    /// A connector to a file that is gone when the test ends.
    fn unnamed() -> FileConnector {
        let path = scratch();
        let connector = FileConnector::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        connector
    }

    #[tokio::test]
    async fn a_purge_is_in_the_file_when_it_is_confirmed() {
        let path = scratch();
        let connector = FileConnector::open(&path).unwrap();
        let tags = vec![edge_isr_axum::tag("post", 1)];
        connector.purge(&Purge { tags, ..Purge::default() }).await.unwrap();
        connector.purge(&Purge { everything: true, ..Purge::default() }).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "tag post:1\nall\n");
        std::fs::remove_file(path).unwrap();
    }
}
