//! Asking a port: whoever wrote it, it ends in time and takes nobody down.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use crate::error::{Error, Result};

/// Why a port gave no answer that can be used.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It took too long.
    TimedOut,
    /// It panicked. What it said is in the panic hook's log, and may be nobody else's business.
    Panicked,
    /// It said so itself.
    Said(Error),
}

impl Failure {
    /// Whether the same call may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut | Self::Panicked => true,
            Self::Said(error) => error.is_transient(),
        }
    }

    /// What happened, with its causes, on one line.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::TimedOut => "no answer in time".to_owned(),
            Self::Panicked => "it panicked".to_owned(),
            Self::Said(error) => chain(error),
        }
    }
}

/// Asks a port, and waits no longer than this. A time-out and a panic are failures as others are.
///
/// # Cancellation
///
/// The call is dropped, as it is when its time is over: it may or may not have happened.
pub(crate) async fn ask<T>(
    wait: Duration,
    call: impl Future<Output = Result<T>> + Send,
) -> Result<T, Failure> {
    let mut call = Box::pin(call);
    let guarded = std::future::poll_fn(|cx| {
        // A call that panicked is not polled again, so nobody sees what it left half done.
        match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
            Ok(poll) => poll.map(|said| said.map_err(Failure::Said)),
            Err(_) => Poll::Ready(Err(Failure::Panicked)),
        }
    });
    let said = tokio::time::timeout(wait, guarded).await;
    // What a call holds may panic too when it is dropped.
    let dropped = catch_unwind(AssertUnwindSafe(move || drop(call)));
    match (said, dropped) {
        (Ok(Ok(said)), _) => Ok(said),
        (Ok(Err(failure)), _) => Err(failure),
        (Err(_), Ok(())) => Err(Failure::TimedOut),
        (Err(_), Err(_)) => Err(Failure::Panicked),
    }
}

/// An error and its causes on one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("in drop");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn p15_a_port_that_hangs_or_panics_is_a_failure_that_may_pass() {
        let since = tokio::time::Instant::now();
        let hung = ask(SECOND, std::future::pending::<Result<()>>()).await.unwrap_err();
        assert!(matches!(hung, Failure::TimedOut) && hung.is_transient());
        assert_eq!((since.elapsed(), &*hung.why()), (SECOND, "no answer in time"));
        let panicked = ask(SECOND, async { panic!("the secret is 42") as Result<()> }).await.unwrap_err();
        assert!(matches!(panicked, Failure::Panicked) && panicked.is_transient());
        assert!(!panicked.why().contains("42"));
        let later = ask(SECOND, async {
            tokio::task::yield_now().await;
            panic!("later") as Result<()>
        });
        assert!(matches!(later.await, Err(Failure::Panicked)));
        let dropped = ask(SECOND, async {
            let _held = PanicsWhenDropped;
            std::future::pending::<Result<()>>().await
        });
        assert!(matches!(dropped.await, Err(Failure::Panicked)));
    }

    #[tokio::test]
    async fn what_a_port_says_is_handed_on_with_its_causes() {
        assert_eq!(ask(SECOND, async { Ok(7) }).await.unwrap(), 7);
        let refused: Failure = ask(SECOND, async { Err::<(), _>(Error::rejected("no")) }).await.unwrap_err();
        assert!(!refused.is_transient());
        assert_eq!(refused.why(), "edge-isr rejected the operation: no");
    }
}
