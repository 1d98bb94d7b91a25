//! The pages of a day: each body says which version of its tag it was made from, and whoever asks knows which
//! version was announced before.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use crate::client::{Answer, header};

/// Each page has the tag of one of so many groups.
pub const GROUPS: u32 = 1_000;

pub const fn group_of(number: u32) -> u32 {
    number % GROUPS
}

/// Whether this group is invalidated hard; the others are softly.
pub const fn is_hard(group: u32) -> bool {
    group % 2 == 1
}

/// What the pages are made from: a version for each group.
#[derive(Debug)]
pub struct Content {
    versions: Vec<AtomicU64>,
    filler: Bytes,
}

impl Content {
    pub const LIFETIME: HeaderValue =
        HeaderValue::from_static("public, s-maxage=3600, stale-while-revalidate=3600");

    pub fn new() -> Self {
        Self { versions: (0..GROUPS).map(|_| AtomicU64::new(0)).collect(), filler: vec![b'x'; 4096].into() }
    }

    /// A page's tags and its body. Some take a while after they read, so that an invalidation overtakes them.
    pub async fn page(&self, number: u32) -> (String, Bytes) {
        let group = group_of(number);
        let version = self.versions[group as usize].load(SeqCst);
        if number.is_multiple_of(16) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut body = format!("{number} {version}\n").into_bytes();
        body.extend_from_slice(&self.filler[..(number as usize * 7919) % 3840 + 200]);
        (format!("group:{group} page:{number}"), body.into())
    }

    /// Changes what a group's pages are made from, and tells the new version.
    pub fn change(&self, group: u32) -> u64 {
        self.versions[group as usize].fetch_add(1, SeqCst) + 1
    }
}

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    /// Older than announced, and it says so.
    Stale,
    /// Older than announced, and it does not say so or must not be there at all.
    Violation,
    /// No page, or another one.
    Error,
}

/// What an answer to a request for a page is, whose tag was announced to have this version before it was sent.
pub fn judge(number: u32, announced: u64, answer: &Answer<'_>) -> Verdict {
    let stamp =
        answer.body.split(|&byte| byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    let Some((page, version)) = stamp.and_then(|line| line.split_once(' ')) else {
        return Verdict::Error;
    };
    let Ok(version) = version.parse::<u64>() else {
        return Verdict::Error;
    };
    if answer.status != 200 || page != number.to_string() {
        return Verdict::Error;
    }
    if version >= announced {
        return Verdict::Fine;
    }
    // No cache may take it for fresh (P1, P10).
    let says_stale = header(answer.head, "cache-control")
        .is_some_and(|value| value.windows(10).any(|ten| ten == b"s-maxage=0"));
    if says_stale && !is_hard(group_of(number)) { Verdict::Stale } else { Verdict::Violation }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_page_may_pass_only_where_it_is_soft_and_says_so() {
        let fresh: &[u8] = b"HTTP/1.1 200 OK\r\nCache-Control: public, s-maxage=3600\r\n\r\n";
        let stale: &[u8] =
            b"HTTP/1.1 200 OK\r\nCache-Control: max-age=0, s-maxage=0, must-revalidate\r\n\r\n";
        let judge = |number, announced, status, head, body| {
            super::judge(number, announced, &Answer { status, head, body })
        };
        let (soft, hard) = (1_002, 1_001);
        assert_eq!(judge(soft, 3, 200, fresh, b"1002 3\nx"), Verdict::Fine);
        assert_eq!(judge(soft, 3, 200, fresh, b"1002 4\nx"), Verdict::Fine);
        assert_eq!(judge(soft, 3, 200, fresh, b"1002 2\nx"), Verdict::Violation);
        assert_eq!(judge(soft, 3, 200, stale, b"1002 2\nx"), Verdict::Stale);
        assert_eq!(judge(hard, 3, 200, stale, b"1001 2\nx"), Verdict::Violation);
        assert_eq!(judge(hard, 3, 200, fresh, b"1002 3\nx"), Verdict::Error);
        assert_eq!(judge(hard, 3, 502, fresh, b"1001 3\nx"), Verdict::Error);
        assert_eq!(judge(hard, 3, 200, fresh, b"nothing"), Verdict::Error);
    }
}
