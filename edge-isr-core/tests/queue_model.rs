//! `MemoryQueue` against a plain model: a list that is looked through from one end to the other.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::time::Duration;

use edge_isr_core::Reason;
use edge_isr_core::clock::Moment;
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::queue::{
    Claim, DeadLetter, Finished, Job, MemoryQueue, Priority, Pushed, Queue, Rank, Window,
};
use edge_isr_core::testing::contract::run;
use edge_isr_core::testing::sample;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

const PAGES: usize = 6;
/// Fewer than there are pages, so that the queue is full at times.
const MOST_JOBS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waits(u64),
    /// The token, and the end of the lease.
    Held(u64, u64),
}

#[derive(Debug, Clone)]
struct Line {
    age: u64,
    job: Job,
    attempts: u32,
    place: Place,
    first_push: Option<u64>,
    quiet_from: u64,
    not_before: u64,
}

/// What is promised of a queue, in as few words as it takes. Times are milliseconds.
#[derive(Debug, Default)]
struct Model {
    lines: Vec<Line>,
    dead: Vec<DeadLetter>,
    ages: u64,
    /// Whether it forgets what was asked for while a job runs: the must-fail twin.
    forgets_the_dirty_bit: bool,
}

impl Model {
    fn line(&mut self, key: &CacheKey) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.job.key == *key)
    }

    fn push(&mut self, job: Job, quiet: u64, most: u64, now: u64) -> Pushed {
        let forgets = self.forgets_the_dirty_bit;
        if let Some(line) = self.line(&job.key) {
            let is_held = matches!(line.place, Place::Held(..));
            line.job.rank = line.job.rank.max(job.rank);
            if job.want > line.job.want && !(is_held && forgets) {
                line.job.want = job.want;
                let first = *line.first_push.get_or_insert(now);
                line.quiet_from = (now + quiet).min(first + most);
                if !is_held {
                    line.place = Place::Waits(line.quiet_from.max(line.not_before));
                }
            }
            return Pushed::Coalesced;
        }
        if self.lines.len() == MOST_JOBS {
            return Pushed::Full;
        }
        self.dead.retain(|dead| dead.job.key != job.key);
        self.ages += 1;
        let quiet_from = now + quiet.min(most);
        let place = Place::Waits(quiet_from);
        let (age, first_push) = (self.ages, Some(now));
        self.lines.push(Line { age, job, attempts: 0, place, first_push, quiet_from, not_before: 0 });
        Pushed::Queued
    }

    /// What `claim` must give, without its tokens.
    fn claim(&mut self, limit: usize, now: u64) -> Vec<(Job, u32)> {
        for line in &mut self.lines {
            if matches!(line.place, Place::Held(_, until) if until <= now) {
                line.attempts += 1;
                line.place = Place::Waits(0);
            }
        }
        let mut ready: Vec<&Line> = self
            .lines
            .iter()
            .filter(|line| matches!(line.place, Place::Waits(until) if until <= now))
            .collect();
        ready.sort_by_key(|line| (std::cmp::Reverse(line.job.rank), line.age));
        ready.iter().take(limit).map(|line| (line.job.clone(), line.attempts)).collect()
    }

    fn hold(&mut self, claim: &Claim, until: u64) {
        let line = self.line(&claim.job.key).unwrap();
        line.place = Place::Held(claim.token, until);
        (line.first_push, line.quiet_from, line.not_before) = (None, 0, 0);
    }

    fn held(&mut self, claim: &Claim) -> Option<&mut Line> {
        self.line(&claim.job.key)
            .filter(|line| matches!(line.place, Place::Held(token, _) if token == claim.token))
    }

    fn end(&mut self, claim: &Claim, reached: u64) -> (Finished, Option<Line>) {
        let Some(line) = self.held(claim) else { return (Finished::Lost, None) };
        if line.job.want > reached {
            line.attempts = if line.job.want > claim.job.want { 0 } else { line.attempts + 1 };
            line.place = Place::Waits(line.quiet_from.max(line.not_before));
            return (Finished::Again, None);
        }
        let at = self.lines.iter().position(|line| line.job.key == claim.job.key).unwrap();
        (Finished::Done, Some(self.lines.remove(at)))
    }

    fn put_back(&mut self, claim: &Claim, until: u64, attempts: u32) {
        if let Some(line) = self.held(claim) {
            line.attempts += attempts;
            line.not_before = until;
            line.place = Place::Waits(line.quiet_from.max(until));
        }
    }

    fn bury(&mut self, claim: &Claim, reason: Reason) -> Finished {
        let (finished, line) = self.end(claim, claim.job.want);
        if let Some(line) = line {
            self.dead.insert(0, DeadLetter { job: line.job, attempts: line.attempts + 1, reason });
            self.dead.truncate(MOST_JOBS);
        }
        finished
    }
}

#[derive(Debug, Clone)]
enum Move {
    Push { page: usize, want: u64, rank: Rank, quiet: u64, most: u64 },
    Claim { limit: usize, lease: u64 },
    Finish { held: usize, early: u64 },
    Retry { held: usize, wait: u64 },
    Release { held: usize, wait: u64 },
    Bury { held: usize },
    Pass { millis: u64 },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let rank = (0..3_usize, 0..3_u32).prop_map(|(priority, visits)| Rank {
        priority: [Priority::Low, Priority::Normal, Priority::High][priority],
        visits,
    });
    let one = prop_oneof![
        6 => (0..PAGES, 1..30_u64, rank, 0..9_u64, 0..20_u64)
            .prop_map(|(page, want, rank, quiet, most)| Move::Push { page, want, rank, quiet, most }),
        4 => (0..4_usize, 0..12_u64).prop_map(|(limit, lease)| Move::Claim { limit, lease }),
        3 => (0..8_usize, 0..3_u64).prop_map(|(held, early)| Move::Finish { held, early }),
        2 => (0..8_usize, 0..9_u64).prop_map(|(held, wait)| Move::Retry { held, wait }),
        1 => (0..8_usize, 0..9_u64).prop_map(|(held, wait)| Move::Release { held, wait }),
        2 => (0..8_usize).prop_map(|held| Move::Bury { held }),
        4 => (0..9_u64).prop_map(|millis| Move::Pass { millis }),
    ];
    prop::collection::vec(one, 1..80)
}

fn moment(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

fn copy(claim: &Claim) -> Claim {
    Claim { job: claim.job.clone(), attempts: claim.attempts, token: claim.token }
}

/// Both, side by side.
struct Pair {
    queue: MemoryQueue,
    model: Model,
    keys: Vec<CacheKey>,
    now: u64,
    /// Every claim there ever was: old ones are tried, too.
    claims: Vec<Claim>,
    wanted: Vec<u64>,
    rendered: Vec<u64>,
}

impl Pair {
    fn new(forgets_the_dirty_bit: bool) -> Self {
        Self {
            queue: MemoryQueue::new(MOST_JOBS),
            model: Model { forgets_the_dirty_bit, ..Model::default() },
            keys: (0..PAGES).map(|_| sample::key()).collect(),
            now: 1,
            claims: Vec::new(),
            wanted: vec![0; PAGES],
            rendered: vec![0; PAGES],
        }
    }

    fn page(&self, key: &CacheKey) -> usize {
        self.keys.iter().position(|own| own == key).unwrap()
    }

    async fn claim(&mut self, limit: usize, lease: u64) -> Result<usize, TestCaseError> {
        let expected = self.model.claim(limit, self.now);
        let claims = self.queue.claim(limit, Duration::from_millis(lease), moment(self.now)).await.unwrap();
        let given: Vec<_> = claims.iter().map(|claim| (claim.job.clone(), claim.attempts)).collect();
        prop_assert_eq!(given, expected);
        for claim in &claims {
            self.model.hold(claim, self.now + lease);
        }
        let count = claims.len();
        self.claims.extend(claims);
        Ok(count)
    }

    async fn finish(&mut self, claim: Claim, rendered: u64) -> Result<(), TestCaseError> {
        let (expected, _) = self.model.end(&claim, rendered);
        let page = self.page(&claim.job.key);
        let finished = self.queue.finish(claim, rendered).await.unwrap();
        prop_assert_eq!(finished, expected);
        if finished != Finished::Lost {
            self.rendered[page] = self.rendered[page].max(rendered);
        }
        Ok(())
    }

    async fn play(&mut self, step: &Move) -> Result<(), TestCaseError> {
        let claim = |held: &usize| {
            // The latest first, so that most are still held.
            let at = self.claims.len().checked_sub(1 + held % self.claims.len().max(1))?;
            Some(copy(&self.claims[at]))
        };
        match step {
            Move::Push { page, want, rank, quiet, most } => {
                let job = Job { key: self.keys[*page].clone(), want: *want, rank: *rank };
                let expected = self.model.push(job.clone(), *quiet, *most, self.now);
                let millis = Duration::from_millis;
                let window = Window { quiet: millis(*quiet), most: millis(*most) };
                let pushed = self.queue.push(job, window, moment(self.now)).await.unwrap();
                prop_assert_eq!(pushed, expected);
                if pushed != Pushed::Full {
                    self.wanted[*page] = self.wanted[*page].max(*want);
                }
            }
            Move::Claim { limit, lease } => {
                self.claim(*limit, *lease).await?;
            }
            Move::Finish { held, early } => {
                if let Some(claim) = claim(held) {
                    let rendered = (claim.job.want + 1).saturating_sub(*early);
                    self.finish(claim, rendered).await?;
                }
            }
            Move::Retry { held, wait } => {
                if let Some(claim) = claim(held) {
                    self.model.put_back(&claim, self.now + wait, 1);
                    self.queue.retry(claim, moment(self.now + wait)).await.unwrap();
                }
            }
            Move::Release { held, wait } => {
                if let Some(claim) = claim(held) {
                    self.model.put_back(&claim, self.now + wait, 0);
                    self.queue.release(claim, moment(self.now + wait)).await.unwrap();
                }
            }
            Move::Bury { held } => {
                if let Some(claim) = claim(held) {
                    let expected = self.model.bury(&claim, Reason::RefillFailed);
                    let finished = self.queue.bury(claim, Reason::RefillFailed).await.unwrap();
                    prop_assert_eq!(finished, expected);
                }
            }
            Move::Pass { millis } => self.now += millis,
        }
        prop_assert_eq!(self.queue.len(), self.model.lines.len());
        prop_assert_eq!(&self.queue.dead_letters(usize::MAX).await.unwrap(), &self.model.dead);
        Ok(())
    }

    /// Nobody pushes any more, every lease ends, every render succeeds: nothing is left, and what was wanted was
    /// rendered or given up in so many words.
    async fn quiet_end(&mut self) -> Result<(), TestCaseError> {
        self.now += 1_000;
        while self.claim(3, 1_000).await? > 0 {
            for claim in std::mem::take(&mut self.claims).iter().rev().take(3).map(copy) {
                let want = claim.job.want;
                self.finish(claim, want).await?;
            }
        }
        prop_assert!(self.queue.is_empty(), "{} jobs are left", self.queue.len());
        Ok(())
    }
}

fn play(moves: &[Move], forgets_the_dirty_bit: bool) -> Result<(), TestCaseError> {
    run(async {
        let mut pair = Pair::new(forgets_the_dirty_bit);
        let mut given_up = vec![0; PAGES];
        for step in moves {
            pair.play(step).await?;
            for dead in &pair.model.dead {
                let page = pair.page(&dead.job.key);
                given_up[page] = given_up[page].max(dead.job.want);
            }
        }
        pair.quiet_end().await?;
        for (page, given_up) in given_up.into_iter().enumerate() {
            let (reached, wanted) = (pair.rendered[page].max(given_up), pair.wanted[page]);
            prop_assert!(reached >= wanted, "page {} wants {}, and reached {}", page, wanted, reached);
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_a_list_would_do(moves in moves()) {
        play(&moves, false)?;
    }
}

#[test]
fn a_queue_that_forgets_what_was_asked_while_a_job_ran_is_told_from_the_model() {
    let config = ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() };
    let result = TestRunner::new(config).run(&moves(), |moves| play(&moves, true));
    assert!(result.is_err(), "a thousand histories have no edit while a job runs");
}
